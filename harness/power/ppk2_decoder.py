"""From the bytes of a PPK2 to current, by its calibration, whatever pieces they come in and whatever is missing."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import PowerError
from harness.power.base import Chunk
from harness.power.spike_filter import SpikeFilter

if TYPE_CHECKING:
    from harness.power.base import Floats

_WORD = 4
_COUNTER_SHIFT, _COUNTER_MASK = 18, 0x3F
#: So many samples in a row must be numbered one after the other before bytes are taken for samples.
_RUN = 8
_ADC_MASK = 0x3FFF
_TOP_RANGE = 4
LIMIT_A = 1.0  # by its data sheet; the converter itself reaches further

_RANGES = 5
VOLT_PER_STEP = 1.8 / 163840
#: Bits 0 to 13 are a quarter of the ADC's value.
ADC_FACTOR = 4
_NAMES = ("R", "GS", "GI", "O", "S", "I", "UG")
#: Shunt resistances by design, in ohm. A unit that announces just these was never calibrated.
_DESIGN_OHM = (1031.64, 101.65, 10.15, 0.94, 0.043)
_LINE = re.compile(r"^(\w+): (\S+)\s*$", re.MULTILINE)
_REMEDY = "Calibrate it, or look with nRF Connect Power Profiler what is wrong with it"

Words = np.ndarray[Any, np.dtype[np.uint32]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


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
        table = {name: [_number(found, f"{name}{place}", monitor) for place in range(_RANGES)] for name in _NAMES}
        for name, unit in (("R", " ohm"), ("UG", "")):
            for place, value in enumerate(table[name]):
                if value <= 0:
                    said = f"{name}{place} = {value:g}{unit}"
                    raise PowerError(f"{monitor}: its calibration says {said}, which can't be. {_REMEDY}")
        if tuple(table["R"]) == _DESIGN_OHM and not any(table["O"]) and not any(table["S"] + table["I"]):
            raise PowerError(
                f"{monitor}: it announces the values of the design and no calibration of its own; "
                f"readings would be off by percents. {_REMEDY}"
            )
        ohm, square, gain, offset, volt, constant, user = (np.array(table[name], float) for name in _NAMES)
        flag, hardware = found.get("Calibrated", ""), found.get("HW", "")
        return cls(ohm, square, gain, offset, volt, constant, user, flag, hardware)


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


class Ppk2Decoder:
    """Decodes one stream: 4 bytes per sample, little-endian.

    Bits 0 to 13 are the ADC value, 14 to 16 the range, 18 to 23 a number that goes up by one, 24 to 31 the inputs.

    Attributes:
        lost: samples whose number was skipped. A loss of a multiple of 64 in one place can't be seen.
        skipped_bytes: bytes before the first sample, or between damaged ones.
        realigned: how often bytes, not whole samples, were missing.
    """

    def __init__(self, calibration: Calibration, voltage_v: float) -> None:
        self.lost = self.skipped_bytes = self.realigned = 0
        self._calibration = calibration
        self._voltage_v = voltage_v
        self._filter = SpikeFilter()
        self._rest = b""
        self._number: int | None = None  # of the last sample that was given away
        self._synchronized = False
        self._held: tuple[float, int] | None = None  # current and inputs of that sample

    def feed(self, data: bytes, *, final: bool = False) -> Chunk | None:
        """Return the samples that are complete with `data`; None if there are none.

        The newest sample waits for the next call, as only its successor shows that it is undamaged.

        Args:
            data: what came, any number of bytes.
            final: nothing will follow, so nothing waits.
        """
        buffer = self._rest + data
        words: list[Words] = []
        gaps: list[Ints] = []
        position = 0
        while True:
            if not self._synchronized:
                start = _find_run(buffer, position)
                if start is None:
                    kept = max(position, len(buffer) - _WORD * (_RUN + 2))
                    self.skipped_bytes += kept - position
                    position = len(buffer) if final else kept
                    break
                self.skipped_bytes += start - position
                position, self._synchronized = start, True
            piece, position, more = self._take(buffer, position, final=final)
            words.append(piece[0])
            gaps.append(piece[1])
            if not more:
                break
        self._rest = b"" if final else buffer[position:]
        taken = np.concatenate(words) if words else np.empty(0, np.uint32)
        return self._samples(taken, np.concatenate(gaps)) if len(taken) else None

    def _take(self, buffer: bytes, position: int, *, final: bool) -> tuple[tuple[Words, Ints], int, bool]:
        """Take samples up to the first that may be misplaced.

        Returns:
            The samples, with how many are missing before each; where to go on; whether to go on now.
        """
        count = (len(buffer) - position) // _WORD
        words = np.frombuffer(buffer, "<u4", count, position)
        usable = count if final else max(count - 1, 0)
        if not usable:
            return (words[:0], np.empty(0, np.int64)), position, False
        numbers = (words >> _COUNTER_SHIFT & _COUNTER_MASK).astype(np.int64)
        before = int(numbers[0]) - 1 if self._number is None else self._number
        gaps = (np.diff(numbers, prepend=before) - 1) & _COUNTER_MASK
        breaks = np.flatnonzero(gaps)
        following = np.append(breaks[1:], count + _RUN if final else count)
        doubtful = np.flatnonzero(following - breaks <= _RUN)
        if len(doubtful) == 0:
            return self._accept(words, gaps, usable), position + _WORD * usable, False
        at = int(breaks[doubtful[0]])
        if at + _RUN + 3 > count and not final:  # too little to judge; the sample before may be damaged as well
            usable = max(at - 1, 0)
            return self._accept(words, gaps, usable), position + _WORD * usable, False
        for start in range(position + _WORD * (at - 1) + 1, position + _WORD * (at + 1)):
            if start >= position and (start - position) % _WORD and _runs_at(buffer, start):
                self.realigned += 1
                start += _WORD  # noqa: PLW2901 - the first one may be the damaged sample, seen from its end
                usable = max(at - 1, 0)
                end = position + _WORD * usable
                self.skipped_bytes += start - end
                return self._accept(words, gaps, usable), start, True
        return self._accept(words, gaps, at + 1), position + _WORD * (at + 1), at + 1 < count

    def _accept(self, words: Words, gaps: Ints, count: int) -> tuple[Words, Ints]:
        if count:
            self._number = int(words[count - 1] >> _COUNTER_SHIFT & _COUNTER_MASK)
        return words[:count], gaps[:count]

    def _samples(self, words: Words, gaps: Ints) -> Chunk:
        steps = ADC_FACTOR * (words & _ADC_MASK).astype(float)
        ranges = np.minimum(words >> 14 & 7, _TOP_RANGE).astype(np.intp)
        raw = self._calibration.amperes(steps, ranges, self._voltage_v)
        over = int(np.count_nonzero((raw > LIMIT_A) | (ranges == _TOP_RANGE) & ((words & _ADC_MASK) == _ADC_MASK)))
        amperes, changes = self._filter.apply(raw, ranges)
        inputs = (words >> 24).astype(np.uint8)
        missing = int(gaps.sum())
        self.lost += missing
        lost = np.zeros(len(words) + missing, np.bool_)
        if missing:
            amperes, inputs, lost = self._fill(amperes, inputs, gaps)
        self._held = (float(amperes[-1]), int(inputs[-1]))
        return Chunk(amperes, self._voltage_v, inputs, lost, changes, over)

    def _fill(self, amperes: Floats, inputs: Any, gaps: Ints) -> tuple[Floats, Any, Any]:
        """Put a sample where one was lost: the current between those of its neighbours, the inputs as before."""
        places = np.cumsum(gaps + 1) - 1
        total = int(places[-1]) + 1
        held = self._held or (float(amperes[0]), int(inputs[0]))
        filled = np.interp(np.arange(total), np.concatenate(([-1], places)), np.concatenate(([held[0]], amperes)))
        before = np.concatenate((np.array([held[1]], np.uint8), inputs[:-1]))
        levels = np.repeat(before, gaps + 1)
        levels[places] = inputs
        lost = np.ones(total, np.bool_)
        lost[places] = False
        return filled, levels, lost


def _runs_at(buffer: bytes, start: int) -> bool:
    """Tell whether samples numbered one after the other begin at `start`."""
    if start + _WORD * (_RUN + 1) > len(buffer):
        return False
    return bool(np.all(_follows(buffer, start, _RUN + 1)))


def _follows(buffer: bytes, start: int, count: int) -> Any:
    words = np.frombuffer(buffer, "<u4", count, start)
    numbers: Ints = (words >> _COUNTER_SHIFT & _COUNTER_MASK).astype(np.int64)
    return (numbers[1:] - numbers[:-1] - 1) & _COUNTER_MASK == 0


def _find_run(buffer: bytes, position: int) -> int | None:
    """Return where the first run of samples begins, None if there is none."""
    found = []
    for shift in range(_WORD):
        start = position + shift
        count = (len(buffer) - start) // _WORD
        if count <= _RUN:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(_follows(buffer, start, count), _RUN).all(axis=1)
        if windows.any():
            found.append(start + _WORD * int(np.argmax(windows)))
    return min(found, default=None)
