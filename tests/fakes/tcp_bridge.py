"""A serial server like ser2net: it offers a port of its computer to one client at a time, as raw TCP or by RFC 2217."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

import serial
from serial.rfc2217 import PortManager


class _Port(serial.Serial):
    """A port that has no control lines, as a pseudo-terminal."""

    cts = dsr = ri = cd = False

    def _update_dtr_state(self):
        pass

    def _update_rts_state(self):
        pass


class TcpBridge:
    """Carries bytes between a port and whoever has connected.

    Args:
        path: the port.
        rfc2217: whether the client may set up the port.

    Attributes:
        url: what the client opens.
        clients: how many have connected so far.
    """

    def __init__(self, path: str, *, rfc2217: bool = False) -> None:
        self._path = path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._rfc2217 = rfc2217
        self._peer: socket.socket | None = None
        self.clients = 0
        self.url = f"{'rfc2217' if rfc2217 else 'socket'}://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.drop()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def drop(self) -> None:
        """End the connection, as a server does when its cable or power is pulled."""
        if self._peer is not None:
            with contextlib.suppress(OSError):
                self._peer.shutdown(socket.SHUT_RDWR)

    def _serve(self):
        while True:
            try:
                self._peer, _ = self._listener.accept()
            except OSError:
                return
            self.clients += 1
            self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._peer, contextlib.suppress(OSError), _Port(self._path, 115_200, timeout=0) as port:
                self._carry(self._peer, port)

    def _carry(self, peer, port):
        manager = PortManager(port, _Writer(peer)) if self._rfc2217 else None
        while True:
            ready, _, _ = select.select([peer, port], [], [])
            if peer in ready:
                data = peer.recv(4096)
                if not data:
                    return
                port.write(data if manager is None else b"".join(manager.filter(data)))
            if port in ready:
                data = port.read(4096)
                peer.sendall(data if manager is None else b"".join(manager.escape(data)))


class _Writer:
    def __init__(self, peer):
        self.write = peer.sendall
