"""A real board behind a debug probe."""

from __future__ import annotations

import contextlib
from contextlib import ExitStack
from typing import TYPE_CHECKING

from harness.boards.discover import find_port, find_probe
from harness.boards.flashers import make_flasher
from harness.boards.leases import port_lease, probe_lease
from harness.boards.probe import ProbeBoard
from harness.boards.pyocd_session import PYOCD_ERRORS, attach
from harness.boards.usb_power import UsbPower
from harness.errors import BoardError, ConfigError, HilError
from harness.locks.lease import take_all
from harness.locks.waiting import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.serial_stream import SerialStream
    from harness.config import Device
    from harness.image.elf import Image
    from harness.locks.waiting import Patience

_RESUME_S = 10.0


class HardwareBoard(ProbeBoard):
    """A real board. Leases keep two runs from driving the same probe or port.

    Args:
        device: as configured, with a probe.
        unlock: whether a locked part may be erased whole, bootloader included.
        patience: whether to wait while another run has it.

    Raises:
        ConfigError: no probe is configured, or it is on another chip.
        BusyError: another run has the probe or the port.
        BoardError: probe or port can't be found or opened.
    """

    def __init__(self, device: Device, *, unlock: bool = False, patience: Patience = NOW) -> None:
        if device.probe is None:
            raise ConfigError(f"{device.name}: no probe is configured in devices.yaml, so the board can't be flashed")
        self._device = device
        self.lines = device.serial
        self.power = power_of(device)
        probe = find_probe(device)
        port = find_port(device).path
        with ExitStack() as undo:
            self.holds = take_all((probe_lease(device, probe), port_lease(device)), patience, undo)
            super().__init__(device.name, device.kind, "hardware", probe.uid, port, unlock=unlock)
            undo.pop_all()

    def locate_port(self) -> str:
        """Find the path of the board's serial port as it is now, by USB serial number or location.

        Raises:
            LinkError: it isn't there.
        """
        return find_port(self._device).path

    def open_probe(self) -> None:
        """Open the probe again; one without a serial number has another id each time that it is plugged in.

        Raises:
            ProbeError: the probe or the board behind it is gone.
        """
        self.probe_uid = find_probe(self._device).uid
        super().open_probe()

    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:
        """Program an image with the device's flasher, read it back through the probe and compare.

        Raises:
            ImageError: the image is not for this board.
            FlashError: programming failed, or the flash reads back differently.
        """
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
            make_flasher(self._device, self.locate_port, self.probe_uid).flash(image)
        except HilError:
            with contextlib.suppress(BoardError):  # what the program said matters more
                self._take_back(stream)
            raise
        self._take_back(stream)
        self._verify(image)

    def _take_back(self, stream: SerialStream | None) -> None:
        self.open_probe()
        if stream is not None:
            stream.resume(self.locate_port, _RESUME_S)
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
        find_port(device)
        if device.probe is not None:
            session, _ = attach(device.name, device.kind, find_probe(device).uid)
            session.close()
    except (HilError, KeyError, *PYOCD_ERRORS):
        return False
    return True
