"""Lets any thread end the CPU thread's sleep."""

from __future__ import annotations

import contextlib
import selectors
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.boards.virtual.ports.serial_port import Port


class Wake:
    """A socket pair that `select` can watch beside the serial port, on every system."""

    def __init__(self) -> None:
        """Open the pair."""
        self._receiver, self._sender = socket.socketpair()
        self._receiver.settimeout(0)
        self._sender.settimeout(0)

    def wake(self) -> None:
        """End the current sleep, or the next one."""
        with contextlib.suppress(BlockingIOError):  # full: it is awake anyway
            self._sender.send(b"!")

    def wait(self, timeout: float | None, port: Port, *, write: bool) -> None:
        """Sleep until woken, until the port can be read (or written), or until `timeout` seconds passed."""
        readers, writers = port.select_on(write=write)
        with selectors.DefaultSelector() as selector:
            selector.register(self._receiver, selectors.EVENT_READ)
            for item in readers:
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if item in writers else 0)
                selector.register(item, events)
            ready = [key.fileobj for key, _ in selector.select(timeout)]
        if self._receiver in ready:
            with contextlib.suppress(BlockingIOError):
                while self._receiver.recv(4096):
                    pass

    def close(self) -> None:
        """Close the pair."""
        self._receiver.close()
        self._sender.close()
