"""A real board behind a debug probe."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from harness.boards.discover import find_application_port, find_port, find_probe
from harness.boards.flashers import make_flasher
from harness.boards.probe import ProbeBoard
from harness.boards.pyocd_session import PYOCD_ERRORS, attach
from harness.boards.usb_power import UsbPower
from harness.errors import BoardError, HilError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.base import Hold
    from harness.boards.probe_stream import ProbeStream
    from harness.boards.serial_stream import SerialStream
    from harness.boards.usb_stream import UsbStream
    from harness.config import Device
    from harness.image.elf import Image


class HardwareBoard(ProbeBoard):
    """A real board.

    Args:
        device: as configured, with a probe.
        holds: what keeps other runs from its probe and its port.
        unlock: whether a locked part may be erased whole, bootloader included.

    Raises:
        ConfigError: its probe is on another chip.
        BoardError: probe or port can't be found or opened.
    """

    def __init__(self, device: Device, holds: tuple[Hold, ...] = (), *, unlock: bool = False) -> None:
        self._device = device
        self.lines = device.serial
        self.power = power_of(device)
        self.holds = holds
        uid, port = find_probe(device).uid, find_port(device).path if device.link == "uart" else ""
        super().__init__(device.name, device.kind, "hardware", uid, port, device.link, unlock=unlock)

    def locate_port(self) -> str:
        """Find the path of the board's serial port as it is now, by USB serial number or location."""
        return find_application_port(self._device).path

    def open_probe(self) -> None:
        """Open the probe again; one without a serial number has another id each time that it is plugged in."""
        self.probe_uid = find_probe(self._device).uid
        super().open_probe()

    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:
        """Program an image with the device's flasher, read it back through the probe and compare."""
        if self._device.flasher == "pyocd":
            super().flash(image, progress)
            return
        self.adopt(image)
        self.guard()
        stream = self._stream
        if stream is not None:
            stream.close()  # the program may need probe or port for itself
        self.close_probe()
        try:
            make_flasher(self._device, lambda: find_port(self._device), self.probe_uid).flash(image, progress)
        except HilError:
            with contextlib.suppress(BoardError):  # what the program said matters more
                self._take_back(stream)
            raise
        self._take_back(stream)
        self._verify(image)

    def _take_back(self, stream: SerialStream | UsbStream | ProbeStream | None) -> None:
        self.open_probe()
        if stream is not None:
            stream.resume(self.locate_port)
            self.port = stream.port


def power_of(device: Device) -> UsbPower | None:
    """Return the hub port that powers a device, None if devices.yaml names none."""
    hub = device.power_cycle
    return None if hub is None else UsbPower(device.name, hub.uhubctl, lambda: _present(device))


def _present(device: Device) -> bool:
    """Tell whether probe and port are attached and a CPU answers.

    All three, because a hub may power any of them: the board alone, where probe and serial adapter have cables of their
    own, or a board that is its own probe and port.
    """
    try:
        if device.link == "uart" or device.probe is None:  # the port of USB is there only if firmware runs
            find_port(device)
        if device.probe is not None:
            session, _ = attach(device.name, device.kind, find_probe(device).uid)
            session.close()
    except (HilError, KeyError, *PYOCD_ERRORS):
        return False
    return True
