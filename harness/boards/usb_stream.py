"""The port of a board's own USB as the byte stream of the link: it goes and comes with the firmware behind it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.boards.serial_stream import REOPEN_S, SerialStream
from harness.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.config.access import SerialLines

_POLL_S = 0.02
#: How long a computer may take to notice that a board has left the bus.
VANISH_S = 2.0


class UsbStream:
    """A port that is opened when it is there and something is to be read or written, as often as it comes back.

    Args:
        board: the name that messages give it.
        locate: finds the port's path by what identifies it; raises LinkError while it isn't there.
        lines: what DTR and RTS are set to.
        guard: as of `SerialStream`: raises if the board isn't this run's any more.
        vanish_s: how long the port may still be seen after the board has left the bus, seconds.

    Attributes:
        greets: False: firmware says nothing of itself when the port opens, as nobody may be listening yet.
        gone: never; a port that has vanished is looked for again.
        vanished: whether the port went away while it was open, and not because the board was about to leave the bus.
        port: where it was seen last.
    """

    greets = False
    gone = False

    def __init__(
        self,
        board: str,
        locate: Callable[[], str],
        lines: SerialLines,
        guard: Callable[[], None],
        vanish_s: float = VANISH_S,
    ) -> None:
        self.port = ""
        self.vanished = False
        self._board = board
        self._locate = locate
        self._lines = lines
        self._guard = guard
        self._vanish_s = vanish_s
        self._stream: SerialStream | None = None
        self._old: tuple[str, int] | None = None  # the port that is about to vanish
        self._old_until = 0.0

    def leave(self) -> None:
        """Close the port, because the board is about to leave the bus; the next one to be opened is a new one."""
        self.close()
        with contextlib.suppress(LinkError):
            self._old, self._old_until = _node(self._locate()), time.monotonic() + self._vanish_s

    def read(self, size: int, timeout: float) -> bytes:
        """Return 1 to `size` bytes as soon as there are any; b"" if none, or no port, came in `timeout` seconds.

        Raises:
            LinkError: the port has vanished, or can't be opened.
            LeaseLostError: the board isn't this run's any more.
        """
        began = time.monotonic()
        try:
            stream = self._opened(timeout)
        except LinkError:
            if self._absent():
                return b""
            raise
        left = max(timeout - (time.monotonic() - began), 0.0)
        with self._closing():
            return stream.read(size, left)

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            LinkError: the port isn't there, has vanished, or accepts no bytes.
            LeaseLostError: the board isn't this run's any more.
        """
        stream = self._opened(REOPEN_S)
        with self._closing():
            stream.write(data)

    def drain(self) -> None:
        """Drop every byte received so far; nothing if there is no port."""
        if self._stream is not None:
            with contextlib.suppress(LinkError), self._closing():
                self._stream.drain()

    def close(self) -> None:
        """Close the port. It is opened again when it is next used."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def resume(self, _locate: Callable[[], str]) -> None:
        """Do nothing: the port is opened again when it is next used."""

    def _absent(self) -> bool:
        try:
            return _node(self._locate()) == self._old
        except LinkError:
            return True

    def _opened(self, patience: float) -> SerialStream:
        deadline = time.monotonic() + patience
        while self._stream is None:
            path = ""
            try:
                path = self._new_port()
                self._stream = SerialStream(self._board, path, 115_200, self._lines, self._guard)
            except LinkError as error:
                if time.monotonic() >= deadline:
                    remedy = "" if path else ". Does firmware with USB run there?"
                    raise LinkError(f"{error} (waited {patience:g} s){remedy}") from error
                time.sleep(_POLL_S)
            else:
                self.port, self._old = path, None
        return self._stream

    def _new_port(self) -> str:
        path = self._locate()
        if _node(path) == self._old and time.monotonic() < self._old_until:
            raise LinkError(f"{self._board}: USB port {path} is still there after a reset")
        return path

    @contextlib.contextmanager
    def _closing(self) -> Iterator[None]:
        """Close a port that vanishes in between."""
        try:
            yield
        except LinkError:
            if self._stream is not None and self._stream.gone:
                self.vanished = True
                self.close()
            raise


def _node(path: str) -> tuple[str, int]:
    """Tell one coming of a port from another by the number of its device file, which is made anew; 0 where none is."""
    try:
        return path, Path(path).stat().st_ino
    except OSError:
        return path, 0
