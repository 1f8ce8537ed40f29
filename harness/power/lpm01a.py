"""ST's X-NUCLEO-LPM01A PowerShield, over its USB serial port.

It marks falling edges on D7 in its stream and no others, so the beginning of a batch comes from the board's own count.
"""

from __future__ import annotations

from typing import Final

from harness.errors import PowerError
from harness.power.base import MonitorInfo
from harness.power.lpm01a_decoder import AsciiDecoder, BinaryDecoder
from harness.power.serial_monitor import SerialMonitor

USB_ID = (0x0483, 0x5740)
#: Samples per second that it offers and that are enough here, by how it is told them.
RATES: Final = {100_000: "100k", 50_000: "50k", 20_000: "20k", 10_000: "10k", 5_000: "5k", 2_000: "2k", 1_000: "1k"}
LIMIT_A: Final = 0.05
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
        offered = [rate for rate in RATES if binary or rate <= _ASCII_RATE_HZ]
        if rate_hz not in offered:
            raise PowerError(f"{label}: it has no sample rate of {rate_hz} Hz in this format; it has {offered}")
        super().__init__(label, port, b"stop\r\n", _QUIET_S, _BAUD, goodbye=b"hrc\r\n")
        self._binary = binary
        commands = (
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
        )
        self._set_up(lambda: [self._command(command) for command in commands])
        note = f"dynamic mode, {'binary' if binary else 'ASCII'}; batches begin by the board's count, clock not checked"
        self.info = MonitorInfo("lpm01a", serial_number, rate_hz, voltage_v, simulated, note, LIMIT_A, "falling")

    def _begin(self) -> tuple[AsciiDecoder | BinaryDecoder, bytes]:
        kind = BinaryDecoder if self._binary else AsciiDecoder
        rest = self._command("start")
        return kind(self._name, self.info.sample_rate_hz, self.info.voltage_v, LIMIT_A), rest

    def _command(self, command: str) -> bytes:
        """Send a command, wait for its acknowledgement, and return what came behind it."""
        self._send(f"{command}\r\n".encode())
        wanted = f"ack {command}\r\n\r\n".encode()
        answer = self._answer(wanted, lambda so_far: b"error" in so_far.lower())
        if wanted not in answer:
            said = answer.decode("ascii", "replace").strip() or "nothing"
            raise PowerError(f"{self._name}: {command!r} was not acknowledged; it said: {said}")
        return answer.partition(wanted)[2]
