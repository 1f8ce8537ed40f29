"""The serial line between board and host: the one place where bytes cross, in both directions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.boards.virtual.ports.serial_port import Port, Wake

BITS_PER_BYTE = 10  # a start bit, eight bits, a stop bit
_PACING_GRAIN_S = 0.001

#: Sees the bytes of one direction and returns what arrives instead.
Tap = Callable[[bytes], bytes]


class Line:
    """Moves bytes between the UART and the host's port, at once or as fast as the baud rate allows.

    Attributes:
        to_board, to_host: taps, None for an undisturbed line.
        board_baud: the rate that the firmware configured, bit/s.
    """

    def __init__(self, port: Port, wake: Wake, *, pace: bool) -> None:
        """Connect to a port of the host."""
        self.to_board: Tap | None = None
        self.to_host: Tap | None = None
        self.board_baud = 250_000  # BAUDRATE after reset
        self._port = port
        self._wake = wake
        self._pace = pace
        self._incoming = bytearray()
        self._incoming_since = 0.0
        self._outgoing = bytearray()
        self._outgoing_since = 0.0
        self._last_sent = 0.0

    @property
    def host_baud(self) -> int | None:
        """The rate that the host set on its port, bit/s; None where the port doesn't tell."""
        return self._port.baud()

    def replace_port(self, port: Port) -> None:
        """Go on through another port of the host; what waits in the old one is lost."""
        self._port.close()
        self._port = port
        self._incoming.clear()

    def _byte_s(self) -> float:
        return BITS_PER_BYTE / max(self.board_baud, 1)

    def _due(self, waiting: int, since: float) -> int:
        if not self._pace:
            return waiting
        return max(0, min(waiting, int((time.monotonic() - since) / self._byte_s())))

    def receive(self) -> bytes:
        """Return the bytes that have arrived at the board since the last call."""
        data = self._port.read()
        if data and self.to_board is not None:
            data = self.to_board(data)
        if not self._incoming:
            self._incoming_since = time.monotonic()
        self._incoming += data
        count = self._due(len(self._incoming), self._incoming_since)
        taken = bytes(self._incoming[:count])
        del self._incoming[:count]
        self._incoming_since += count * self._byte_s()
        return taken

    def send(self, data: bytes) -> None:
        """Put bytes on the way to the host."""
        if self.to_host is not None:
            data = self.to_host(data)
        if not self._outgoing:
            self._outgoing_since = max(time.monotonic(), self._last_sent)
        self._outgoing += data

    def flush(self) -> bool:
        """Move what is due; True when everything has left the board."""
        count = self._due(len(self._outgoing), self._outgoing_since)
        if count:
            written = self._port.write(bytes(self._outgoing[:count]))
            del self._outgoing[:written]
            self._outgoing_since += written * self._byte_s()
            self._last_sent = self._outgoing_since
        return not self._outgoing

    def drop_outgoing(self) -> int:
        """Forget what is still on the way to the host and return how many bytes that was."""
        dropped = len(self._outgoing)
        self._outgoing.clear()
        return dropped

    def wait(self, timeout: float | None) -> None:
        """Sleep until the line can move, someone wakes the board, or `timeout` seconds passed."""
        now = time.monotonic()
        blocked = False
        for waiting, since, out in (
            (len(self._incoming), self._incoming_since, False),
            (len(self._outgoing), self._outgoing_since, True),
        ):
            if not waiting:
                continue
            if self._due(waiting, since):
                blocked = blocked or out
                if out:
                    continue  # only the host's reading can help
            due_s = max(min(since + waiting * self._byte_s() - now, _PACING_GRAIN_S), 0.0)
            timeout = due_s if timeout is None else min(timeout, due_s)
        self._wake.wait(timeout, self._port, write=blocked)
