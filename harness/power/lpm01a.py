"""ST's X-NUCLEO-LPM01A PowerShield, over its USB serial port.

It marks falling edges on D7 in its stream and no others, so the beginning of a batch comes from the board's own count.
"""

from __future__ import annotations

import time
from typing import Final

from harness.errors import PowerError
from harness.power.base import Chunk, MonitorInfo
from harness.power.lpm01a_decoder import AsciiDecoder, BinaryDecoder, Collector
from harness.power.serial_monitor import ANSWER_S, SILENT_S, SerialMonitor

USB_ID = (0x0483, 0x5740)
#: Samples per second that it offers and that are enough here, by how it is told them.
RATES: Final = {100_000: "100k", 50_000: "50k", 20_000: "20k", 10_000: "10k", 5_000: "5k", 2_000: "2k", 1_000: "1k"}
_LIMIT_A = 0.05
_ASCII_RATE_HZ = 5_000  # the highest that it sends in ASCII without end
_BAUD = 3_686_400
_QUIET_S = 0.2


class Lpm01a(SerialMonitor):
    """An LPM01A that feeds the board, in its dynamic mode.

    Args:
        port: path or URL that pyserial opens.
        serial_number: as USB tells it, "" if unknown.
        voltage_v: what it is to give, 1.8 to 3.3 V.
        rate_hz: sample rate, per second.
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
        label = f"{'simulated ' if simulated else ''}LPM01A {serial_number}".strip()
        if rate_hz not in RATES or (not binary and rate_hz > _ASCII_RATE_HZ):
            offered = [rate for rate in RATES if binary or rate <= _ASCII_RATE_HZ]
            raise PowerError(f"{label}: it has no sample rate of {rate_hz} Hz in this format; it has {offered}")
        super().__init__(label, port, b"stop\r\nhrc\r\n", _QUIET_S, _BAUD)
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

    def start(self) -> None:
        """Begin to stream.

        Raises:
            PowerError: it doesn't acknowledge.
        """
        rest = self._command("start")
        self._collector = Collector(self._name, self.info.sample_rate_hz, self.info.voltage_v, self.info.limit_a)
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
        elif now - self._heard > SILENT_S:
            raise PowerError(f"{self._name}: it has stopped sending samples; unplug it and plug it in again")
        return self._collector.take()

    def stop(self) -> Chunk | None:
        """End the stream and return what was on its way.

        Raises:
            PowerError: the port is gone, it goes on sending, or the monitor reports an error.
        """
        if self._collector is None or self._decoder is None:
            return None
        self._write("stop")
        for data in self._until_quiet():
            self._decoder.feed(data)
        chunk = self._collector.take()
        self._collector = self._decoder = None
        return chunk

    def _command(self, command: str) -> bytes:
        """Send a command, wait for its acknowledgement, and return what came behind it."""
        self._write(command)
        wanted = f"ack {command}\r\n\r\n".encode()
        answer = b""
        deadline = time.monotonic() + ANSWER_S
        while wanted not in answer:
            if b"error" in answer.lower() or time.monotonic() > deadline:
                said = answer.decode("ascii", "replace").strip() or "nothing"
                raise PowerError(f"{self._name}: {command!r} was not acknowledged; it said: {said}")
            answer += self._read()
        return answer.partition(wanted)[2]

    def _write(self, command: str) -> None:
        self._send(f"{command}\r\n".encode())
