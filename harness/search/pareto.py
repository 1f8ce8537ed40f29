"""Which candidates are worth having: those that no other one beats in everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What is compared, by column of the results: 1 where more is better, -1 where less is.
AXES: Mapping[str, int] = {"accuracy": 1, "ticks_median": -1, "ram_peak_bytes": -1, "flash_bytes": -1}


def dominates(a: Mapping[str, float], b: Mapping[str, float]) -> bool:
    """Whether `a` is at least as good as `b` on every axis, and better on one."""
    differences = [sign * (a[axis] - b[axis]) for axis, sign in AXES.items()]
    return min(differences) >= 0 and max(differences) > 0


def front(rows: Sequence[Mapping[str, float]]) -> list[int]:
    """Return the indices of the rows that no other row dominates."""
    return [i for i, row in enumerate(rows) if not any(dominates(other, row) for other in rows)]
