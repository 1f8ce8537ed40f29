"""The serial line between board and host: the one place where bytes cross, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selectors import BaseSelector

    from harness.boards.virtual.ports.serial_port import Port, Wake

#: Sees the bytes of one direction and returns what arrives instead.
Tap = Callable[[bytes], bytes]


class Line:
    """Moves bytes between the UART and the host's port, at once.

    Attributes:
        to_board, to_host: taps, None for an undisturbed line.
        board_baud: the rate that the firmware configured, bit/s.
        asleep: whether the host moves nothing, so that there is nothing to wake up for.
    """

    def __init__(self, port: Port, wake: Wake) -> None:
        self.to_board: Tap | None = None
        self.to_host: Tap | None = None
        self.board_baud = 250_000  # BAUDRATE after reset
        self.asleep = False
        self._port = port
        self._wake = wake
        self._outgoing = bytearray()
        wake.watched.append(self._watch)

    def _watch(self) -> tuple[Any, bool]:
        return (None, False) if self.asleep else (self._port.select_on(), bool(self._outgoing))

    def replace_port(self, port: Port) -> None:
        """Go on through another port of the host; what waits in the old one is lost."""
        self._port.close()
        self._port = port

    def receive(self) -> bytes:
        """Return the bytes that have arrived at the board since the last call."""
        data = self._port.read()
        return self.to_board(data) if data and self.to_board is not None else data

    def send(self, data: bytes) -> None:
        """Put bytes on the way to the host."""
        self._outgoing += data if self.to_host is None else self.to_host(data)

    def flush(self) -> bool:
        """Move what the host takes; True when everything has left the board."""
        if self._outgoing:
            del self._outgoing[: self._port.write(bytes(self._outgoing))]
        return not self._outgoing

    def drop_outgoing(self) -> int:
        """Forget what is still on the way to the host and return how many bytes that was."""
        dropped = len(self._outgoing)
        self._outgoing.clear()
        return dropped

    def look(self) -> BaseSelector:
        """Return what to `wait` for, as the ports are now; they may be replaced afterwards."""
        return self._wake.look()

    def wait(self, timeout: float | None, watching: BaseSelector | None = None) -> None:
        """Sleep until the line can move, someone wakes the board, or `timeout` seconds passed."""
        self._wake.wait(timeout, watching)
