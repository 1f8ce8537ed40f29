"""A serial port as the byte stream of the link."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import serial

from harness.boards.remote import send_at_once
from harness.config.access import SerialLines
from harness.errors import LinkError
from harness.link.poll import ready, write_all

if TYPE_CHECKING:
    from collections.abc import Callable

_WRITE_TIMEOUT_S = 10.0
#: How often a port that is away is looked for.
REOPEN_POLL_S = 0.1
#: How long a port may take to come back.
REOPEN_S = 10.0
#: How long a read or write relies on the last time that the board was seen to be this run's.
_GUARD_S = 0.1
_TTY_BYTES = 4096  # the most that a terminal's driver keeps for a reader
_AS_IT_IS = SerialLines()


class SerialStream:
    """An open port, held exclusively.

    Args:
        board: the name that messages give it.
        port: device path, or any URL that pyserial opens.
        baud: bits per second.
        lines: what DTR and RTS are set to before anything is sent.
        guard: raises if the board isn't this run's any more; called before a read or write, at most every 0.1 s.

    Attributes:
        gone: the port has vanished; only a new stream can help.

    Raises:
        LinkError: the port can't be opened.
    """

    def __init__(
        self,
        board: str,
        port: str,
        baud: int,
        lines: SerialLines = _AS_IT_IS,
        guard: Callable[[], None] | None = None,
    ) -> None:
        self._guard = guard
        self._guarded_until = 0.0
        self._check()
        self.port = port
        self.gone = False
        self._board = board
        # A socket:// port has no lock to take; asking for one is an error.
        options: dict[str, Any] = {} if "://" in port else {"exclusive": True}
        # RFC 2217 has no such thing, and would be set up anew, with answers from afar, for each other time-out.
        self._negotiates = port.startswith("rfc2217://")
        if not self._negotiates:
            options["write_timeout"] = _WRITE_TIMEOUT_S
        try:
            self._serial = serial.serial_for_url(port, baudrate=baud, timeout=0, do_not_open=True, **options)
            # Set before opening, so that a board which these lines reset doesn't see them change.
            if lines.dtr is not None:
                self._serial.dtr = lines.dtr
            if lines.rts is not None:
                self._serial.rts = lines.rts
            self._serial.open()
            # pyserial makes six system calls of a short read. Each lets go of Python's lock, for which the threads of
            # a farm's other boards wait; and it can't watch a descriptor above 1023. So a port that is a file
            # descriptor is read and written here. So is a connection, of which it reads single bytes.
            plain = type(self._serial) is serial.Serial or port.startswith("socket://")
            self._plain = os.name == "posix" and plain
            if port.startswith("socket://"):
                send_at_once(self._serial.fileno())
        except (serial.SerialException, OSError, ValueError) as error:
            if "://" in port:
                raise LinkError(
                    f"{board}: port {port} can't be opened: {error}. Does a server for it run there, at this TCP port, "
                    "and is nobody else connected to it?"
                ) from error
            holders = _port_holders(port)
            remedy = "Is another program using it; may you read and write it? (`hil doctor` checks)"
            if holders:
                remedy = f"It is open in {', '.join(holders)}: end that program, or keep it away from boards' ports"
            raise LinkError(f"{board}: serial port {port} can't be opened: {error}. {remedy}") from error

    def read(self, size: int, timeout: float) -> bytes:
        """Return 1 to `size` bytes as soon as there are any; b"" if none came in `timeout` seconds.

        Raises:
            LinkError: the port is gone.
            LeaseLostError: the board isn't this run's any more.
        """
        self._check()
        try:
            if self._plain:
                return self._read_plain(size, timeout)
            waiting = self._serial.in_waiting
            if not waiting and timeout > 0:
                # pyserial sets up the port anew for another timeout, so it is rounded up to few values.
                self._set_timeout(timeout)
                first: bytes = self._serial.read(1)
                if not first:
                    return b""
                return first + self._serial.read(min(self._serial.in_waiting, size - 1))
            return bytes(self._serial.read(min(waiting, size)))
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            LinkError: the port is gone, or accepts no bytes.
            LeaseLostError: the board isn't this run's any more.
        """
        self._check()
        try:
            if self._plain:
                write_all(self._serial.fileno(), data, _WRITE_TIMEOUT_S)
            else:
                self._serial.write(data)
        except (serial.SerialTimeoutException, TimeoutError) as error:
            raise LinkError(f"{self._board}: port {self.port} accepts no bytes for {_WRITE_TIMEOUT_S} s") from error
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def drain(self) -> None:
        """Drop every byte received so far, those still on their way in the next 20 ms included."""
        deadline = time.monotonic() + 1.0
        while self.read(65536, 0.02) and time.monotonic() < deadline:
            pass

    def close(self) -> None:
        """Close the port."""
        self._serial.close()

    def resume(self, locate: Callable[[], str], patience: float = REOPEN_S) -> None:
        """Open the port again after `close`, wherever it is now.

        Raises:
            LinkError: it is not back in `patience` seconds.
        """
        deadline = time.monotonic() + patience
        while not self._serial.is_open:
            try:
                self.port = self._serial.port = locate()
                self._serial.open()
            except (LinkError, serial.SerialException, OSError) as error:
                if time.monotonic() >= deadline:
                    raise self._gone(error) from error
                time.sleep(REOPEN_POLL_S)

    def _check(self) -> None:
        if self._guard is not None and time.monotonic() >= self._guarded_until:
            self._guard()
            self._guarded_until = time.monotonic() + _GUARD_S

    def _read_plain(self, size: int, timeout: float) -> bytes:
        port = self._serial.fileno()
        if not ready(port, timeout):
            return b""
        try:
            data = os.read(port, min(size, _TTY_BYTES))
        except BlockingIOError:  # somebody flushed the port in between
            return b""
        if not data:
            raise serial.SerialException("it was hung up")
        return data

    def _set_timeout(self, timeout: float) -> None:
        step = 0.01 if timeout < 0.1 else 0.1 if timeout < 1 else 1.0
        rounded = step * -(-timeout // step)
        if self._negotiates:
            self._serial._timeout = rounded  # type: ignore[attr-defined] # noqa: SLF001 - see above
        elif self._serial.timeout != rounded:
            self._serial.timeout = rounded

    def _gone(self, error: Exception) -> LinkError:
        self.gone = True
        if "://" in self.port:
            return LinkError(
                f"{self._board}: the connection to {self.port} is gone: {error}. Was the board unplugged there, has "
                "somebody else connected, or is the network down?"
            )
        return LinkError(f"{self._board}: serial port {self.port} is gone: {error}. Was the board unplugged?")


def reopen(
    board: str,
    locate: Callable[[], str],
    baud: int,
    lines: SerialLines = _AS_IT_IS,
    guard: Callable[[], None] | None = None,
    *,
    patience: float,
) -> SerialStream:
    """Open a port that may be away for a while, and may come back under another name.

    Args:
        board: the name that messages give it.
        locate: finds the port's path by what identifies it; raises LinkError while it isn't there.
        baud: bits per second.
        lines: what DTR and RTS are set to.
        guard: as of `SerialStream`: raises if the board isn't this run's any more.
        patience: how long it may take, seconds.

    Raises:
        LinkError: it is not back by then.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return SerialStream(board, locate(), baud, lines, guard)
        except LinkError as error:
            if time.monotonic() >= deadline:
                raise LinkError(f"{error} (waited {patience:g} s for the port to come back)") from error
        time.sleep(REOPEN_POLL_S)


def _port_holders(port: str) -> list[str]:
    """Name the programs that have a port open, as far as this user may know; empty where that can't be found out.

    Args:
        port: the path of the port.
    """
    wanted = os.path.realpath(port)
    found = []
    for process in sorted(Path("/proc").glob("[0-9]*")):
        try:
            if all(os.path.realpath(entry) != wanted for entry in (process / "fd").iterdir()):
                continue
            name = (process / "comm").read_text().strip()
        except OSError:  # another user's process, or one that has just ended
            continue
        found.append("this program" if int(process.name) == os.getpid() else f"{name} (process {process.name})")
    return found
