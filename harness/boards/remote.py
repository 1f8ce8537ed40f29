"""Connections to other computers: is anybody there, and are short requests sent at once."""

from __future__ import annotations

import contextlib
import os
import socket

_CONNECT_S = 5.0


def why_unreachable(address: tuple[str, int]) -> str | None:
    """Say why nobody answers at an address; None if somebody does."""
    try:
        socket.create_connection(address, _CONNECT_S).close()
    except OSError as error:
        return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return None


def send_at_once(descriptor: int) -> None:
    """Let a connection send short requests without waiting for more to send, and notice a computer that has gone."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as same:
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
