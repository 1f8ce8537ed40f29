"""Nordic Power Profiler Kit II, over its USB serial port."""

from __future__ import annotations

from typing import Literal

from harness.errors import PowerError
from harness.power.base import MonitorInfo
from harness.power.ppk2_decoder import LIMIT_A, Calibration, Ppk2Decoder
from harness.power.serial_monitor import ANSWER_S, SerialMonitor

USB_ID = (0x1915, 0xC00A)
SAMPLE_RATE_HZ = 100_000

_START, _STOP, _DUT_POWER, _VOLTAGE, _MODE, _METADATA = 0x06, 0x07, 0x0C, 0x0D, 0x11, 0x19
_AMPERE_MODE, _SOURCE_MODE = 1, 2
_LOWEST_MV, _HIGHEST_MV = 800, 5000
_QUIET_S = 0.1

Mode = Literal["source", "ampere"]


def voltage_bytes(millivolt: int) -> bytes:
    """Return the command that sets the voltage.

    Raises:
        PowerError: the PPK2 can't give that.
    """
    if not _LOWEST_MV <= millivolt <= _HIGHEST_MV:
        raise PowerError(f"a PPK2 gives 0.8 to 5 V, not {millivolt / 1000:g} V")
    steps = millivolt - _LOWEST_MV + 32
    return bytes([_VOLTAGE, 3 + steps // 256, steps % 256])


class Ppk2(SerialMonitor):
    """A PPK2 in source mode, where it feeds the board, or in ampere mode, where it sits in the board's supply.

    Args:
        port: path or URL that pyserial opens.
        serial_number: as USB tells it, "" if unknown.
        voltage_v: what it is to give, or in ampere mode what the board's own supply gives.
        mode: `source` if the PPK2 feeds the board, `ampere` if something else does.
        simulated: True for the virtual one.

    Raises:
        PowerError: the port can't be opened, no PPK2 answers there, or its calibration can't be used.
    """

    def __init__(self, port: str, serial_number: str, voltage_v: float, mode: Mode, *, simulated: bool = False) -> None:
        set_voltage = voltage_bytes(round(1000 * voltage_v))
        label = f"{'simulated ' if simulated else ''}PPK2 {serial_number}".strip()
        super().__init__(label, port, bytes([_STOP]), _QUIET_S)
        self._voltage_v = voltage_v

        def steps() -> None:
            self.calibration = self._read_calibration()
            self._send(bytes([_MODE, _SOURCE_MODE if mode == "source" else _AMPERE_MODE]))
            self._send(set_voltage)  # in ampere mode the conversion needs it, too
            self._send(bytes([_DUT_POWER, 1]))

        self._set_up(steps)
        note = f"{mode} mode, calibrated: {self.calibration.flag or 'not said'}, hardware {self.calibration.hardware}"
        self.info = MonitorInfo("ppk2", serial_number, SAMPLE_RATE_HZ, voltage_v, simulated, note, LIMIT_A)

    def _begin(self) -> tuple[Ppk2Decoder, bytes]:
        self._send(bytes([_START]))
        return Ppk2Decoder(self.calibration, self._voltage_v), b""

    def _read_calibration(self) -> Calibration:
        self._send(bytes([_METADATA]))
        answer = self._answer(b"END")
        if b"END" not in answer:
            what = f"only {answer[-40:]!r}" if answer else "nothing"
            raise PowerError(f"{self._name}: no calibration came in {ANSWER_S:g} s, {what}. Is this port a PPK2's?")
        return Calibration.parse(answer.decode("ascii", "replace"), self._name)
