"""What estimates of cycles say: beside each other, never of two chips, and as time where somebody asks for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Estimates of one engine that are closer are not told apart: docs/cycles.md.
CLOSE: Final = 0.05
#: By how much a ratio of integer to float code may be off: the rules of float code are not validated, and other
#: readings of the manual change it by so much (docs/cycles.md).
_FLOAT_RANGE: Final = (0.8, 1.25)

_ALIKE: Final = ("board", "backend", "engine", "cycle_model")
#: How `estimated_cycles_error` begins where the error is known, in percent of what boards measured.
_ERROR: Final = re.compile(r"([+-]\d+) to ([+-]\d+) %")


@dataclass(frozen=True)
class EstimatedTime:
    """An estimate of cycles as time. It is no latency: nothing was timed.

    Attributes:
        ms: milliseconds, if no estimate were ever off.
        range_ms: what they may be, as far as published measurements tell; None if none do.
        error: the estimate's error in words, or why it isn't known.
    """

    ms: float
    range_ms: tuple[float, float] | None
    error: str

    @property
    def range(self) -> str:
        """The range in words, without its unit, or that it isn't known and why."""
        if self.range_ms is None:
            return f"not known ({self.error})"
        return " to ".join(map(shown_ms, self.range_ms))


def estimated_time(cycles: float | None, clock_hz: int | None, error: str | None) -> EstimatedTime | None:
    """Return the time of estimated cycles; None if there is no estimate, or no clock.

    An error of e percent is that of the estimate against what was measured, so this may be cycles / (1 + e / 100).

    Args:
        cycles: the estimate.
        clock_hz: of the core.
        error: `estimated_cycles_error` of the results.
    """
    if not cycles or not clock_hz or not error:
        return None
    ms = 1000 * cycles / clock_hz
    found = _ERROR.match(error)
    if found is None:
        return EstimatedTime(ms, None, error)
    low, high = (1 + int(percent) / 100 for percent in found.groups())
    return EstimatedTime(ms, (ms / high, ms / low), error)


def time_of(row: Mapping[str, Any]) -> EstimatedTime | None:
    """Return the time of the median estimate of a case; None if there is none."""
    names = ("estimated_cycles_median", "clock_hz", "estimated_cycles_error")
    return estimated_time(*(row.get(name) for name in names))


def off_by(row: Mapping[str, Any]) -> float | None:
    """Return by how much the estimate of a case is off the cycles that its board counted, 0.05 for 5 % too high.

    None where one of them is missing, as on an emulator, which counts no cycles.
    """
    estimate, counted = row.get("estimated_cycles_median"), row.get("ticks_median")
    return estimate / counted - 1 if estimate and counted and row.get("counter") == "cycles" else None


def shown_ms(ms: float) -> str:
    """Return milliseconds with three digits: no estimate is known better."""
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}"


def said_of_ratio(a: Mapping[str, Any], b: Mapping[str, Any]) -> str | None:
    """Return in words how the estimate of a case compares with that of its baseline; None if nothing can be said.

    Nothing is said of estimates for different boards, engines or models, or where one is missing.

    Args:
        a: row of the baseline.
        b: row that is held against it.
    """
    before, after = (row.get("estimated_cycles_median") for row in (a, b))
    if not before or not after or any(a.get(name) != b.get(name) for name in _ALIKE):
        return None
    ratio = after / before
    if abs(ratio - 1) < CLOSE:
        return "too close to call"
    if is_float(a) == is_float(b):
        return f"{ratio:.2f}x"
    low, high = (ratio * factor for factor in _FLOAT_RANGE)
    if low <= 1 <= high:
        return "too close to call"
    return f"{'fewer' if high < 1 else 'more'}, {low:.2f} to {high:.2f}x"


def is_float(row: Mapping[str, Any]) -> bool:
    """Tell whether an estimate is of float code."""
    return "float" in str(row.get("estimated_cycles_error"))
