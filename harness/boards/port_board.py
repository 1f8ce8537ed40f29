"""A real board without a debug probe: a serial port, and a program that flashes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.flashers import make_flasher
from harness.boards.hardware import power_of
from harness.boards.held_board import HeldBoard
from harness.boards.serial_stream import SerialStream, reopen
from harness.errors import BoardError
from harness.image.elf import check_image
from harness.locks.waiting import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.config import Device
    from harness.image.elf import Image
    from harness.locks.lease import Lease
    from harness.locks.waiting import Patience

_REOPEN_S = 10.0


class PortBoard(HeldBoard):
    """One board, open until `close`. Its memory can't be read, so the agent's own figures are used.

    Args:
        device: as configured, with a flasher that needs no probe.
        locate: finds the path of its serial port.
        lease: held from now until `close`.
        patience: whether to wait while another run has it.

    Raises:
        ConfigError: its flasher needs a probe.
        LinkError: the port isn't there.
        BusyError: another run has the lease.
    """

    probe_uid = ""
    reads_memory = False

    def __init__(
        self, device: Device, locate: Callable[[], str], lease: Lease | None = None, patience: Patience = NOW
    ) -> None:
        super().__init__(device.name, device.kind, "hardware")
        self._lines = device.serial
        self._locate = locate
        self._flasher = make_flasher(device, locate)
        self._stream: SerialStream | None = None
        self._written: Image | None = None
        self.power = power_of(device)
        self.port = locate()
        if lease is not None:
            lease.run = patience.run
            lease.acquire(patience.limit_s, patience.tell)
            self.holds = (lease,)

    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:
        """Program an image; that it is in flash is known only when the firmware reports its build id.

        Raises:
            ImageError: the image is not for this board.
            FlashError: programming failed.
        """
        self.adopt(image)
        self.guard()
        self._close_port()
        self._written = None
        self._flasher.flash(image)
        self._written = image
        if progress is not None:
            progress(1.0)

    def contains(self, image: Image) -> bool:
        """Whether an image is what this run wrote last: its flash can't be read, so nothing else is believed.

        Once the port or the power was gone, it may be another board, and nothing is.
        """
        return self._written is not None and self._written.segments == image.segments

    def adopt(self, image: Image) -> None:
        """Take it that the board has `image` in flash.

        Raises:
            ImageError: the image is not for this board.
        """
        check_image(image, self.kind)

    def reset(self) -> None:
        """Reset the board with its flasher.

        Raises:
            BoardError: that failed.
        """
        self.guard()
        self._close_port()
        self._flasher.reset()

    def link(self) -> _Line:
        """Return the serial line; it stays valid when a reset closes the port and it comes back.

        Raises:
            LinkError: it can't be opened, or isn't back in time.
        """
        self._open()
        return _Line(self._open)

    def _open(self) -> SerialStream:
        if self._stream is not None and self._stream.gone:
            self.let_go()
        if self._stream is None:
            self._stream = reopen(self.name, self._locate, self.kind.baud, self._lines, self.guard, patience=_REOPEN_S)
            self.port = self._stream.port
        return self._stream

    def read_memory(self, address: int, size: int) -> bytes:
        """Refuse: there is no probe.

        Raises:
            BoardError: always.
        """
        raise BoardError(f"{self.name}: {size} bytes at 0x{address:X} can't be read without a debug probe")

    def crash_report(self) -> str | None:
        """Say that nobody knows."""
        return "where the firmware is can't be told without a debug probe"

    def reconnect(self) -> None:
        """Let go of the port; it is opened again when it is next used."""
        self.let_go()

    def let_go(self) -> None:
        """Close the port, and forget what was flashed. Safe to call twice."""
        self._close_port()
        self._written = None

    def _close_port(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class _Line:
    """The serial line of a board whose port is closed and opened around each flash and reset."""

    def __init__(self, stream: Callable[[], SerialStream]) -> None:
        self._stream = stream

    def read(self, size: int, timeout: float) -> bytes:
        """Return 1 to `size` bytes as soon as there are any; b"" if none came in `timeout` seconds."""
        return self._stream().read(size, timeout)

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        self._stream().write(data)

    def drain(self) -> None:
        """Drop every byte received so far."""
        self._stream().drain()
