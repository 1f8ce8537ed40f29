"""A board without a debug probe: a serial port, and what flashes it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.boards.base import Board
from harness.boards.discover import find_port, refuse_bootloader
from harness.boards.flashers import Avrdude, make_flasher
from harness.boards.hardware import power_of
from harness.boards.serial_stream import REOPEN_POLL_S, REOPEN_S, SerialStream, reopen
from harness.boards.usb_stream import VANISH_S, UsbStream
from harness.errors import BoardError, LinkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.base import Backend, Hold
    from harness.boards.discover import Port
    from harness.boards.flashers import Flasher
    from harness.config import Device
    from harness.image.elf import Image


#: How long a board may take until its bootloader or its firmware is on the bus again.
_BOOT_S = 3.0


class PortBoard(Board):
    """One board, open until `close`. Its memory can't be read, so the agent's own figures are used.

    Args:
        device: as configured, with a flasher that needs no probe.
        find: finds its serial port; None looks for the port that devices.yaml describes.
        holds: what keeps other runs from its port.
        backend: `hardware`, or `virtual` for the software twin.
        flasher: writes its flash; None for what devices.yaml says.

    Raises:
        ConfigError: its flasher needs a probe.
        LinkError: the port isn't there.
    """

    reads_memory = False

    @property
    def verified_by(self) -> str | None:
        """What reads flash back and compares when it writes; None if nothing does."""
        return "avrdude" if isinstance(self._flasher, Avrdude) else None

    def __init__(
        self,
        device: Device,
        find: Callable[[], Port] | None = None,
        holds: tuple[Hold, ...] = (),
        backend: Backend = "hardware",
        flasher: Flasher | None = None,
    ) -> None:
        super().__init__(device.name, device.kind, backend)
        self._lines = device.serial
        self.over = device.link
        self._find = find or (lambda: find_port(device))
        self._flasher = flasher or make_flasher(device, self._find)
        self._stream: SerialStream | UsbStream | None = None
        self._written: Image | None = None
        self._by_place = device.port is not None and device.port.serial is None
        self.power = power_of(device)
        self.holds = holds
        self.port = self._find().path

    def _locate(self) -> str:
        """Find the port at which the firmware answers."""
        port = self._find()
        refuse_bootloader(self.name, port)
        return port.path

    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:
        """Program an image; that it is in flash is known only when the firmware reports its build id."""
        self.adopt(image)
        self._written = None
        self._without_port(lambda: self._flasher.flash(image, progress))
        self._written = image
        if progress is not None:
            progress(1.0)

    def contains(self, image: Image) -> bool:
        """Whether an image is what this run wrote last: its flash can't be read, so nothing else is believed.

        Once the port or the power was gone, it may be another board, and nothing is. A port of USB goes at each reset;
        it is the same board if it has the same serial number.
        """
        if self.over == "usb" and self._by_place:
            return False
        return self._written is not None and self._written.segments == image.segments

    def reset(self) -> None:
        """Reset the board with its flasher."""
        self._without_port(self._flasher.reset)

    def _without_port(self, do: Callable[[], None]) -> None:
        """Close the port, which the flasher needs for itself, and open it again wherever it is then."""
        self.guard()
        stream = self._stream
        if stream is not None:
            stream.close()
        do()
        if stream is not None:
            stream.resume(self._locate)
            self.port = stream.port

    def link(self) -> SerialStream | UsbStream:
        """Return the serial line; it stays valid when a reset closes the port and it comes back."""
        if self.over == "usb":
            if self._stream is None:
                self._stream = UsbStream(self.name, self._locate, self._lines, self.guard, VANISH_S)
            return self._stream
        if self._stream is not None and self._stream.gone:
            self.let_go()
        if self._stream is None:
            stream = reopen(self.name, self._locate, self.kind.baud, self._lines, self.guard, patience=REOPEN_S)
            self._stream, self.port = stream, stream.port
        return self._stream

    def read_memory(self, address: int, size: int) -> bytes:
        """Refuse: there is no probe."""
        raise BoardError(f"{self.name}: {size} bytes at 0x{address:X} can't be read without a debug probe")

    def crash_report(self) -> str | None:
        """Say whether the board waits in its bootloader; more can't be known."""
        vanished = isinstance(self._stream, UsbStream) and self._stream.vanished
        deadline = time.monotonic() + (_BOOT_S if vanished else 0.0)
        while (port := self._seen_port()) is None and time.monotonic() < deadline:
            time.sleep(REOPEN_POLL_S)
        if port is not None and port.in_bootloader:
            return (
                f"its bootloader waits at {port.path}: another program opened the port at 1200 baud, or reset was "
                "pressed twice"
            )
        return "where the firmware is can't be told without a debug probe"

    def _seen_port(self) -> Port | None:
        try:
            return self._find()
        except LinkError:
            return None

    def reconnect(self) -> None:
        """Let go of the port; it is opened again when it is next used."""
        self.let_go()

    def let_go(self) -> None:
        """Close the port, and forget what was flashed. Safe to call twice."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._written = None
