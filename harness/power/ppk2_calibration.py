"""The calibration that a PPK2 announces, and current from its ADC values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import PowerError

if TYPE_CHECKING:
    from harness.power.base import Floats

RANGES = 5
VOLT_PER_STEP = 1.8 / 163840
#: Bits 0 to 13 are a quarter of the ADC's value.
ADC_FACTOR = 4
_NAMES = ("R", "GS", "GI", "O", "S", "I", "UG")
#: Shunt resistances by design, in ohm. A unit that announces just these was never calibrated.
_DESIGN_OHM = (1031.64, 101.65, 10.15, 0.94, 0.043)
_LINE = re.compile(r"^(\w+): (\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Calibration:
    """One value per range, shape (5,), of each modifier; see notes of `amperes`.

    Attributes:
        ohm: shunt resistance, R.
        gain_square: GS.
        gain: GI.
        offset: O, in ADC steps.
        per_volt: S.
        constant: I.
        user_gain: UG.
        flag: what stands behind "Calibrated:"; "" if nothing does.
        hardware: the device's revision, which its metadata calls "HW".
    """

    ohm: Floats
    gain_square: Floats
    gain: Floats
    offset: Floats
    per_volt: Floats
    constant: Floats
    user_gain: Floats
    flag: str = ""
    hardware: str = ""

    def amperes(self, steps: Floats, ranges: np.ndarray[Any, np.dtype[np.intp]], vdd_v: float) -> Floats:
        """Turn ADC values (bits 0 to 13, times 4) into ampere, as Nordic's Power Profiler application does.

        With r = (steps - O) * 1.8 / 163840 / R it is UG * (r * (GS * r + GI) + S * vdd + I).
        """
        raw = (steps - self.offset[ranges]) * (VOLT_PER_STEP / self.ohm)[ranges]
        inner = raw * (self.gain_square[ranges] * raw + self.gain[ranges])
        amperes: Floats = self.user_gain[ranges] * (inner + self.per_volt[ranges] * vdd_v + self.constant[ranges])
        return amperes

    @classmethod
    def parse(cls, text: str, monitor: str) -> Calibration:
        """Read the answer to GET_META_DATA, and check that it is a calibration.

        Args:
            text: lines `Key: value` up to END.
            monitor: what messages call the monitor.

        Raises:
            PowerError: a value is missing, not a number, or the unit was never calibrated.
        """
        found = dict(_LINE.findall(text))
        table = {name: [_number(found, f"{name}{place}", monitor) for place in range(RANGES)] for name in _NAMES}
        for place, value in enumerate(table["R"]):
            if value <= 0:
                raise PowerError(f"{monitor}: its calibration says R{place} = {value:g} ohm, which can't be. {_REMEDY}")
        for place, value in enumerate(table["UG"]):
            if value <= 0:
                raise PowerError(f"{monitor}: its calibration says UG{place} = {value:g}, which can't be. {_REMEDY}")
        if tuple(table["R"]) == _DESIGN_OHM and not any(table["O"]) and not any(table["S"] + table["I"]):
            raise PowerError(
                f"{monitor}: it announces the values of the design and no calibration of its own; "
                f"readings would be off by percents. {_REMEDY}"
            )
        ohm, square, gain, offset, volt, constant, user = (np.array(table[name], float) for name in _NAMES)
        flag, hardware = found.get("Calibrated", ""), found.get("HW", "")
        return cls(ohm, square, gain, offset, volt, constant, user, flag, hardware)


_REMEDY = "Calibrate it, or look with nRF Connect Power Profiler what is wrong with it"


def _number(found: dict[str, str], key: str, monitor: str) -> float:
    if key not in found:
        raise PowerError(f"{monitor}: its calibration lacks {key}; {len(found)} values came. {_REMEDY}")
    try:
        value = float(found[key])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PowerError(f"{monitor}: its calibration says {key}: {found[key]}, which is no number. {_REMEDY}")
    return value
