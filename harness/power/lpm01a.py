"""ST's X-NUCLEO-LPM01A PowerShield, over its USB serial port.

It marks falling edges on D7 in its stream and no others, so the beginning of a batch comes from the board's own count.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import serial

from harness.errors import PowerError
from harness.power.base import Chunk, MonitorInfo
from harness.power.lpm01a_decoder import AsciiDecoder, BinaryDecoder, Collector

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

USB_ID = (0x0483, 0x5740)
#: Samples per second that it offers and that are enough here, by how it is told them.
RATES: Final = {100_000: "100k", 50_000: "50k", 20_000: "20k", 10_000: "10k", 5_000: "5k", 2_000: "2k", 1_000: "1k"}
_LIMIT_A = 0.05
_ASCII_RATE_HZ = 5_000  # the highest that it sends in ASCII without end
_BAUD = 3_686_400
_ANSWER_S, _SILENT_S, _QUIET_S = 3.0, 5.0, 0.2
_READ_S = 0.05
_CHUNK = 65536


class Lpm01a:
    """An LPM01A that feeds the board, in its dynamic mode.

    Args:
        port: what pyserial opens.
        serial_number: as USB tells it, "" if unknown.
        voltage_v: what it is to give, 1.8 to 3.3 V.
        rate_hz: samples per second.
        binary: its binary format; ASCII goes up to 5,000 samples per second.
        simulated: True for the virtual one.

    Raises:
        PowerError: the port can't be opened, no LPM01A answers there, or it refuses a setting.
    """

    def __init__(
        self,
        port: str,
        serial_number: str,
        voltage_v: float,
        rate_hz: int,
        *,
        binary: bool = True,
        simulated: bool = False,
    ) -> None:
        self._name = f"{'simulated ' if simulated else ''}LPM01A {serial_number}".strip()
        if rate_hz not in RATES or (not binary and rate_hz > _ASCII_RATE_HZ):
            offered = [rate for rate in RATES if binary or rate <= _ASCII_RATE_HZ]
            raise PowerError(f"{self._name}: it has no sample rate of {rate_hz} Hz in this format; it has {offered}")
        try:
            self._port = serial.serial_for_url(port, _BAUD, timeout=_READ_S, write_timeout=_ANSWER_S, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise PowerError(f"{self._name}: {port} can't be opened ({error}). Does another program use it?") from error
        self._binary = binary
        self._collector: Collector | None = None
        self._decoder: AsciiDecoder | BinaryDecoder | None = None
        self._heard = 0.0
        try:
            self._write("stop")
            self._drain()
            for command in (
                "htc",
                f"volt {round(1000 * voltage_v)}m",
                f"freq {RATES[rate_hz]}",
                "acqtime inf",
                "acqmode dyn",
                "output current",
                f"format {'bin_hexa' if binary else 'ascii_dec'}",
                "trigdelay 0",
                "trigsrc sw",
                "eventsrc d7 fal",
                "pwrend on",
                "pwr on nostatus",
            ):
                self._command(command)
        except PowerError:
            self.close()
            raise
        note = f"dynamic mode, {'binary' if binary else 'ASCII'}; batches begin by the board's count, clock not checked"
        self.info = MonitorInfo(
            "lpm01a", serial_number, rate_hz, voltage_v, simulated, note, limit_a=_LIMIT_A, edges="falling"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Begin to stream.

        Raises:
            PowerError: it doesn't acknowledge.
        """
        rest = self._command("start")
        self._collector = Collector(self._name, self.info.sample_rate_hz, self.info.voltage_v)
        self._decoder = (BinaryDecoder if self._binary else AsciiDecoder)(self._collector)
        self._heard = time.monotonic()
        self._decoder.feed(rest)

    def read(self) -> Chunk | None:
        """Return the samples that have come.

        Raises:
            PowerError: the port is gone, nothing came for 5 s, or the monitor reports an error.
        """
        if self._collector is None or self._decoder is None:
            raise PowerError(f"{self._name}: not started")
        data = self._read()
        now = time.monotonic()
        if data:
            self._heard = now
            self._decoder.feed(data)
        elif now - self._heard > _SILENT_S:
            raise PowerError(f"{self._name}: it has stopped sending samples; unplug it and plug it in again")
        return self._collector.take()

    def stop(self) -> Chunk | None:
        """End the stream and return what was on its way.

        Raises:
            PowerError: the port is gone, or the monitor reports an error.
        """
        if self._collector is None or self._decoder is None:
            return None
        self._write("stop")
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < _QUIET_S:
            data = self._read()
            if data:
                quiet_since = time.monotonic()
                self._decoder.feed(data)
        chunk = self._collector.take()
        self._collector = self._decoder = None
        return chunk

    def close(self) -> None:
        """Let go of it and of the port. The board keeps its power."""
        with suppress(serial.SerialException, OSError):
            if self._port.is_open:
                self._port.write(b"stop\r\nhrc\r\n")
        with suppress(serial.SerialException, OSError):
            self._port.close()

    def _command(self, command: str) -> bytes:
        """Send a command, wait for its acknowledgement, and return what came behind it."""
        self._write(command)
        wanted = f"ack {command}\r\n\r\n".encode()
        answer = b""
        deadline = time.monotonic() + _ANSWER_S
        while wanted not in answer:
            if b"error" in answer.lower() or time.monotonic() > deadline:
                said = answer.decode("ascii", "replace").strip() or "nothing"
                raise PowerError(f"{self._name}: {command!r} was not acknowledged; it said: {said}")
            answer += self._read()
        return answer.partition(wanted)[2]

    def _write(self, command: str) -> None:
        try:
            self._port.write(f"{command}\r\n".encode())
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def _read(self) -> bytes:
        try:
            return bytes(self._port.read(max(1, min(self._port.in_waiting, _CHUNK))))
        except (serial.SerialException, OSError, TypeError) as error:  # TypeError: closed by another thread
            raise self._gone(error) from error

    def _gone(self, error: Exception) -> PowerError:
        return PowerError(f"{self._name}: the port is gone, was it unplugged? ({error})")

    def _drain(self) -> None:
        quiet_since = time.monotonic()
        deadline = quiet_since + _ANSWER_S
        while time.monotonic() - quiet_since < _QUIET_S:
            if self._read():
                quiet_since = time.monotonic()
            if time.monotonic() > deadline:
                raise PowerError(f"{self._name}: it doesn't stop sending; unplug it and plug it in again")
