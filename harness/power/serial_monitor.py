"""What power monitors on a USB serial port have in common: the port, the stream, and what is said when it ends."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Protocol

import serial

from harness.errors import PowerError
from harness.link.poll import ready, write_all
from harness.power.base import Chunk, MonitorInfo, join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

ANSWER_S = 3.0  # a command is answered by then
SILENT_S = 5.0  # a stream that pauses for so long has ended
_READ_S = 0.05
_LATE_S = 0.02  # a read that ends so late says that this computer was busy, not that the monitor is quiet
_CHUNK = 65536


class Decoder(Protocol):
    """From the bytes of one stream to samples."""

    def feed(self, data: bytes, *, final: bool = False) -> Chunk | None:
        """Return the samples that are complete with `data`; `final` if nothing will follow.

        Raises:
            PowerError: the monitor reports an error, or bytes can't be.
        """
        ...


class SerialMonitor:
    """A monitor on a serial port. A subclass sets it up and says how a stream begins (`_begin`).

    Args:
        label: what messages call the monitor.
        port: path or URL that pyserial opens.
        stop: ends a stream.
        quiet_s: it has ended its stream when nothing came for so long.
        baud: of the port; USB ones don't care.
        goodbye: sent after `stop` before the port is closed.

    Attributes:
        when_closed: called once the port is closed.

    Raises:
        PowerError: the port can't be opened.
    """

    info: MonitorInfo

    def __init__(
        self, label: str, port: str, stop: bytes, quiet_s: float, baud: int = 9600, goodbye: bytes = b""
    ) -> None:
        self._name = label
        self._stop = stop
        self._goodbye = stop + goodbye
        self._quiet_s = quiet_s
        self.when_closed: Callable[[], None] = lambda: None
        self._decoder: Decoder | None = None
        self._early = b""
        self._heard = 0.0
        try:
            self._port = serial.serial_for_url(port, baud, timeout=_READ_S, write_timeout=ANSWER_S, exclusive=True)
            self._plain = os.name == "posix" and type(self._port) is serial.Serial
        except (serial.SerialException, OSError, ValueError) as error:
            raise PowerError(f"{label}: {port} can't be opened ({error}). Does another program use it?") from error

    def _begin(self) -> tuple[Decoder, bytes]:
        """Let it stream; return what decodes the stream, and what of it has come already."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin to stream.

        Raises:
            PowerError: the port is gone, or it doesn't answer.
        """
        self._decoder, self._early = self._begin()
        self._heard = time.monotonic()

    def read(self) -> Chunk | None:
        """Return the samples that have come.

        Raises:
            PowerError: the port is gone, nothing came for 5 s, or the monitor reports an error.
        """
        if self._decoder is None:
            raise PowerError(f"{self._name}: not started")
        data, self._early = self._early + self._read(), b""
        now = time.monotonic()
        if data:
            self._heard = now
            return self._decoder.feed(data)
        if now - self._heard > SILENT_S:
            raise PowerError(f"{self._name}: it has stopped sending samples; unplug it and plug it in again")
        return None

    def stop(self) -> Chunk | None:
        """End the stream and return what was on its way.

        Raises:
            PowerError: the port is gone, it goes on sending, or the monitor reports an error.
        """
        decoder, self._decoder = self._decoder, None
        if decoder is None:
            return None
        self._send(self._stop)
        chunks = [decoder.feed(data) for data in chain([self._early], self._until_quiet())]
        return join([*chunks, decoder.feed(b"", final=True)])

    def close(self) -> None:
        """Let go of it and of the port. The board keeps its power."""
        with suppress(serial.SerialException, OSError):
            if self._port.is_open:
                self._put(self._goodbye)
        with suppress(serial.SerialException, OSError):
            self._port.close()
        self.when_closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set_up(self, steps: Callable[[], object]) -> None:
        """End what a program that was killed may have left streaming, and set the monitor up; else close the port."""
        try:
            self._send(self._stop)
            for _ in self._until_quiet():
                pass
            steps()
        except PowerError:
            self.close()
            raise

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

    def _answer(self, wanted: bytes, failed: Callable[[bytes], bool] = lambda _answer: False) -> bytes:
        """Return what comes until an answer holds `wanted`, or fails, or the time for an answer is over."""
        answer = b""
        deadline = time.monotonic() + ANSWER_S
        while wanted not in answer and not failed(answer) and time.monotonic() <= deadline:
            answer += self._read()
        return answer

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
