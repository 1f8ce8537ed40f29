"""What estimates of cycles say: beside each other, never of two chips, and as time where somebody asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Estimates of one engine that are closer are not told apart: docs/cycles.md.
CLOSE: Final = 0.05
#: By how much a ratio of integer to float code may be off: the rules of float code are not validated, and other
#: readings of the manual change it by so much (docs/cycles.md).
_FLOAT_RANGE: Final = (0.8, 1.25)
#: The same of two estimates of float code, which these rules are in both of.
_BOTH_FLOAT_RANGE: Final = (0.9, 1.1)

_ALIKE: Final = ("board", "backend", "engine", "cycle_model")


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


def estimated_time(
    cycles: float | None, clock_hz: int | None, words: str | None, error: tuple[float | None, float | None]
) -> EstimatedTime | None:
    """Return the time of estimated cycles; None if there is no estimate, or no clock.

    An error of e is that of the estimate against what was measured, so this may be cycles / (1 + e).

    Args:
        cycles: the estimate.
        clock_hz: of the core.
        words: `estimated_cycles_error` of the results.
        error: the lowest and the highest, as shares; None where they aren't known.
    """
    if not cycles or not clock_hz or not words:
        return None
    ms = 1000 * cycles / clock_hz
    low, high = error
    if low is None or high is None:
        return EstimatedTime(ms, None, words)
    return EstimatedTime(ms, (ms / (1 + high), ms / (1 + low)), words)


def time_of(row: Mapping[str, Any]) -> EstimatedTime | None:
    """Return the time of the median estimate of a case; None if there is none."""
    cycles, clock_hz, words, low, high = (
        row.get(name)
        for name in (
            "estimated_cycles_median",
            "clock_hz",
            *(f"estimated_cycles_error{end}" for end in ("", "_low", "_high")),
        )
    )
    return estimated_time(cycles, clock_hz, words, (low, high))


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
    codes = {row.get("estimated_cycles_code") for row in (a, b)}
    if None in codes:  # results of an older harness
        return None
    if codes == {"integer"}:
        return f"{ratio:.2f}x"
    low, high = (ratio * factor for factor in (_BOTH_FLOAT_RANGE if codes == {"float"} else _FLOAT_RANGE))
    if low <= 1 <= high:
        return "too close to call"
    return f"{'fewer' if high < 1 else 'more'}, {low:.2f} to {high:.2f}x"
