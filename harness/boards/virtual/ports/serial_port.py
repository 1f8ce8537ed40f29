"""What the host sees as the board's serial port, and the sleep of the board's CPU until that has something for it."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 65536


class Port(Protocol):
    """The board's end of the serial port. Nothing here blocks."""

    url: str

    @property
    def touched(self) -> bool:
        """Whether the host has set it to 1200 baud, which asks an Arduino for its bootloader."""

    def read(self) -> bytes:
        """Return what the host has sent; b"" if nothing."""

    def write(self, data: bytes) -> int:
        """Hand bytes to the host and return how many it took."""

    def select_on(self) -> Any:
        """Return what to watch for reading or writing."""

    def close(self) -> None:
        """Close it; safe to call twice."""


class Wake:
    """A socket pair that `select` can watch beside the ports, on every system.

    Attributes:
        watched: each tells what to wait for beside it: a file (None for nothing), and whether it must be writable, too.
    """

    def __init__(self) -> None:
        self.watched: list[Callable[[], tuple[Any, bool]]] = []
        self._receiver, self._sender = socket.socketpair()
        self._receiver.settimeout(0)
        self._sender.settimeout(0)

    def wake(self) -> None:
        """End the current sleep, or the next one."""
        with contextlib.suppress(BlockingIOError):  # full: it is awake anyway
            self._sender.send(b"!")

    def look(self) -> selectors.BaseSelector:
        """Return what watches the ports as they are now; the caller keeps them from being replaced meanwhile."""
        selector = selectors.DefaultSelector()
        selector.register(self._receiver, selectors.EVENT_READ)
        for port, write in (watch() for watch in self.watched):
            if port is not None:
                selector.register(port, selectors.EVENT_READ | (selectors.EVENT_WRITE if write else 0))
        return selector

    def wait(self, timeout: float | None, watching: selectors.BaseSelector | None = None) -> None:
        """Sleep until woken, until a watched port can be read (or written), or until `timeout` seconds passed.

        Args:
            timeout: None for as long as it takes.
            watching: from `look`; None looks now. Who replaces a port after that has to wake this.
        """
        with watching or self.look() as selector:
            try:
                ready = [key.fileobj for key, _ in selector.select(timeout)]
            except (OSError, ValueError):  # a port was closed; some systems say so
                return
        if self._receiver in ready:
            with contextlib.suppress(BlockingIOError):
                while self._receiver.recv(4096):
                    pass

    def close(self) -> None:
        """Close the pair."""
        self._receiver.close()
        self._sender.close()


class NoPort:
    """What a line ends at while there is no port: nothing comes, and what is sent is lost."""

    url = ""
    touched = False

    def read(self) -> bytes:
        """Return nothing."""
        return b""

    def write(self, data: bytes) -> int:
        """Take everything."""
        return len(data)

    def select_on(self) -> None:
        """Watch nothing."""

    def close(self) -> None:
        """Do nothing."""


class PtyPort:
    """A pseudo-terminal, which pyserial opens like any port. POSIX only."""

    def __init__(self) -> None:
        """Open a pair in raw mode.

        Raises:
            OSError, ImportError: the system has none.
        """
        import termios  # noqa: PLC0415 - not on Windows
        import tty  # noqa: PLC0415 - as above

        self._master, self._slave = os.openpty()  # the slave stays open: without it, reads fail when idle
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.url = os.ttyname(self._slave)
        self._termios = termios
        self._closed = False

    @property
    def touched(self) -> bool:
        """Whether the host has set 1200 baud."""
        return not self._closed and bool(self._termios.tcgetattr(self._slave)[5] == self._termios.B1200)

    def read(self) -> bytes:
        """Return what the host has sent."""
        try:
            return os.read(self._master, _CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno == errno.EIO:
                return b""
            raise

    def write(self, data: bytes) -> int:
        """Write as much as the host's buffer takes."""
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0

    def select_on(self) -> Any:
        """Watch the board's end."""
        return self._master

    def close(self) -> None:
        """Close both ends."""
        if not self._closed:
            self._closed = True
            os.close(self._master)
            os.close(self._slave)


class SocketPort:
    """A TCP socket on the loopback interface, for one host at a time; without one, bytes go nowhere."""

    touched = False  # it has no baud rate

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._listener.settimeout(0)
        self._peer: socket.socket | None = None
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> socket.socket | None:
        if self._peer is None:
            with contextlib.suppress(BlockingIOError):
                self._peer, _ = self._listener.accept()
                self._peer.settimeout(0)
                self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._peer

    def _hang_up(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def read(self) -> bytes:
        """Return what the host has sent, after accepting a new one."""
        peer = self._accept()
        if peer is None:
            return b""
        try:
            data = peer.recv(_CHUNK)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        return data

    def write(self, data: bytes) -> int:
        """Send as much as fits; a line that nobody listens to takes everything."""
        peer = self._accept()
        if peer is None:
            return len(data)
        try:
            return peer.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._hang_up()
            return len(data)

    def select_on(self) -> Any:
        """Watch the connection, or for one to come."""
        return self._peer or self._listener

    def close(self) -> None:
        """Close the connection and the listener."""
        self._hang_up()
        self._listener.close()


def open_port(kind: str) -> Port:
    """Open the board's end of a serial port.

    Args:
        kind: "pty", "socket", or "auto" for a pty where the system has them.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in ("auto", "pty", "socket"):
        raise ValueError(f"a serial port is 'auto', 'pty' or 'socket', not {kind!r}")
    if kind == "socket":
        return SocketPort()
    try:
        return PtyPort()
    except (ImportError, AttributeError, OSError):
        if kind == "pty":
            raise
        return SocketPort()
