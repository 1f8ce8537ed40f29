"""A probe that `pyocd server` offers on another computer, as pyOCD's own client speaks to it, but for how that ends."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from pyocd.probe.tcp_client_probe import TCPClientProbe
from pyocd.utility.sockets import ClientSocket

#: The longest that one request may take: each of pyOCD's is a few milliseconds of SWD.
_REPLY_S = 30.0


class _Connection(ClientSocket):  # type: ignore[misc] # pyOCD has no types here
    """pyOCD's own waits for ever, at full speed, once the server has gone."""

    _buffer: bytearray

    def readline(self) -> bytes:
        """Return the next line.

        Raises:
            ConnectionError: the server has ended the connection.
            TimeoutError: it doesn't answer.
        """
        deadline = time.monotonic() + _REPLY_S
        while b"\n" not in self._buffer:
            try:
                data = self.read()
            except TimeoutError:
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"the probe server doesn't answer for {_REPLY_S:g} s") from None
                continue
            if not data:
                raise ConnectionError("the probe server has ended the connection")
            self._buffer += data
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return line + b"\n"


class RemoteProbe(TCPClientProbe):  # type: ignore[misc] # pyOCD has no types here
    """The probe behind an address. When the server goes away, that is an OSError of whatever was being done."""

    _lock_count: int

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(f"{address[0]}:{address[1]}")
        self._socket: Any = _Connection(*address)

    def lock(self) -> None:
        """Keep the server's other clients from the probe. pyOCD gives back, by an assertion, what it failed to take."""
        with self._lock_count_lock:
            self._lock_count += 1
            if self._lock_count == 1:
                self._perform_request("lock")

    def close(self) -> None:
        """End the connection, whether or not the server is still there."""
        try:
            super().close()
        except OSError:
            self._is_open = False
            with contextlib.suppress(OSError):
                self._socket.close()
