"""What two estimates of cycles say beside each other. They are never held against those of another chip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Estimates of one engine that are closer are not told apart: docs/cycles.md.
CLOSE: Final = 0.05
#: By how much a ratio of integer to float code may be off: the rules of float code are not validated, and other
#: readings of the manual change it by so much (docs/cycles.md).
_FLOAT_RANGE: Final = (0.8, 1.25)

_ALIKE: Final = ("board", "backend", "engine", "cycle_model")


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
