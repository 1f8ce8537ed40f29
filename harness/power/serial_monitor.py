"""What power monitors on a USB serial port have in common: the port, and what it says when it is gone."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import serial

from harness.errors import PowerError
from harness.link.poll import ready, write_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

ANSWER_S = 3.0  # a command is answered by then
SILENT_S = 5.0  # a stream that pauses for so long has ended
_READ_S = 0.05
_LATE_S = 0.02  # a read that ends so late says that this computer was busy, not that the monitor is quiet
_CHUNK = 65536


class SerialMonitor:
    """A monitor on a serial port.

    Args:
        name: what messages call the monitor.
        port: path or URL that pyserial opens.
        goodbye: sent before the port is closed.
        quiet_s: it has ended its stream when nothing came for so long.
        baud: of the port; USB ones don't care.

    Raises:
        PowerError: the port can't be opened.
    """

    def __init__(self, name: str, port: str, goodbye: bytes, quiet_s: float, baud: int = 9600) -> None:
        self._name = name
        self._goodbye = goodbye
        self._quiet_s = quiet_s
        try:
            self._port = serial.serial_for_url(port, baud, timeout=_READ_S, write_timeout=ANSWER_S, exclusive=True)
            self._plain = os.name == "posix" and type(self._port) is serial.Serial
        except (serial.SerialException, OSError, ValueError) as error:
            raise PowerError(f"{name}: {port} can't be opened ({error}). Does another program use it?") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it and of the port. The board keeps its power."""
        with suppress(serial.SerialException, OSError):
            if self._port.is_open:
                self._put(self._goodbye)
        with suppress(serial.SerialException, OSError):
            self._port.close()

    def _send(self, data: bytes) -> None:
        try:
            self._put(data)
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def _read(self) -> bytes:
        try:
            if not self._plain:
                return bytes(self._port.read(max(1, min(self._port.in_waiting, _CHUNK))))
            return self._read_plain()
        except (serial.SerialException, OSError, TypeError) as error:  # TypeError: closed by another thread
            raise self._gone(error) from error

    def _put(self, data: bytes) -> None:
        if self._plain:
            write_all(self._port.fileno(), data, ANSWER_S)
        else:
            self._port.write(data)

    def _read_plain(self) -> bytes:
        """Read as pyserial does, but also where this process has more than 1,024 files open."""
        port = self._port.fileno()
        if not ready(port, _READ_S):
            return b""
        try:
            data = os.read(port, _CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            raise serial.SerialException("it says that there are bytes, and gives none")
        return data

    def _gone(self, error: Exception) -> PowerError:
        return PowerError(f"{self._name}: the port is gone, was it unplugged? ({error})")

    def _until_quiet(self) -> Iterator[bytes]:
        """Yield what a stream that was told to end has left.

        Raises:
            PowerError: the port is gone, or it goes on sending.
        """
        deadline = time.monotonic() + ANSWER_S
        quiet = 0.0
        while quiet < self._quiet_s:
            began = time.monotonic()
            data = self._read()
            now = time.monotonic()
            if data:
                yield data
                quiet = 0.0
                if now > deadline:
                    raise PowerError(f"{self._name}: it doesn't stop sending; unplug it and plug it in again")
            elif now - began < _READ_S + _LATE_S or now > deadline:
                quiet += _READ_S

    def _drain(self) -> None:
        """Drop what an earlier stream has left."""
        for _ in self._until_quiet():
            pass
