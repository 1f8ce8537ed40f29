"""Renode's UART terminal, a TCP socket, as the byte stream of the link."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

from harness.errors import EmulatorError, LinkError

if TYPE_CHECKING:
    from collections.abc import Callable

_WRITE_S = 10.0


class SocketStream:
    """The serial line to an emulated board.

    Args:
        board: the name that messages give it.
        peer: a socket that is connected to Renode's terminal of the UART.
        epitaph: says what became of Renode, when the connection ends.
    """

    def __init__(self, board: str, peer: socket.socket, epitaph: Callable[[], str]) -> None:
        self._board = board
        self._peer = peer
        self._epitaph = epitaph
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, size: int, timeout: float) -> bytes:
        """Return 1 to `size` bytes as soon as there are any; b"" if none came in `timeout` seconds.

        Raises:
            EmulatorError: Renode has closed the connection.
        """
        self._peer.settimeout(max(timeout, 0))
        try:
            data = self._peer.recv(size)
        except (TimeoutError, BlockingIOError):
            return b""
        except OSError as error:
            raise self._gone(str(error)) from error
        if not data:
            raise self._gone("it was closed")
        return data

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            EmulatorError: Renode has closed the connection.
            LinkError: it takes no bytes.
        """
        self._peer.settimeout(_WRITE_S)
        try:
            self._peer.sendall(data)
        except TimeoutError as error:
            raise LinkError(f"{self._board}: Renode's UART accepts no bytes for {_WRITE_S:g} s") from error
        except OSError as error:
            raise self._gone(str(error)) from error

    def drain(self) -> None:
        """Drop every byte received so far, those still on their way in the next 20 ms included."""
        deadline = time.monotonic() + 1.0
        while self.read(65536, 0.02) and time.monotonic() < deadline:
            pass

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._peer.close()

    def _gone(self, why: str) -> EmulatorError:
        return EmulatorError(f"{self._board}: the connection to Renode's UART is gone: {why}. {self._epitaph()}")
