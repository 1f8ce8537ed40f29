"""A change between two sides with its interval, and the quantiles that intervals are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_STEPS = 60


@dataclass(frozen=True)
class Estimate:
    """An estimated change with the interval at one level, from which those at other levels follow.

    Attributes:
        change: ratio (b / a) or difference (b - a).
        low: lower end of the interval at `level`.
        high: upper end of the interval.
        level: its level, for example 0.95.
        p_value: of "no difference".
        none: the change that means no difference: 1 for a ratio, 0 for a difference.
    """

    change: float
    low: float
    high: float
    level: float
    p_value: float
    none: float


def quantile(level: float) -> float:
    """Return the two-sided quantile of the normal distribution: 1.96 for a level of 0.95."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def student_quantile(level: float, freedom: int) -> float:
    """Return the two-sided quantile of Student's t distribution: 12.71 for a level of 0.95 and 1 degree of freedom.

    Bisection of A(t | freedom) in closed form, M. Abramowitz and I. A. Stegun, "Handbook of Mathematical Functions"
    (1964), 26.7.3 and 26.7.4.

    `level` is the share of the distribution between the quantile and its negative, `freedom` is at least 1.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_share(middle, freedom) < level else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def student_p(t: float, freedom: int) -> float:
    """Return the two-sided p-value of a value of Student's distribution."""
    return max(0.0, 1 - _student_share(math.atan(abs(t) / math.sqrt(freedom)), freedom))


def _student_share(angle: float, freedom: int) -> float:
    """Return how much of Student's distribution lies within t = sqrt(freedom) * tan(angle) of 0."""
    cosine = math.cos(angle)
    odd = freedom % 2
    if freedom == 1:
        return 2 * angle / math.pi
    term = total = cosine if odd else 1.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= (k - 1) / k * cosine**2
        total += term
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


def p_of_interval(change: float, low: float, high: float, level: float) -> float:
    """Return the two-sided p-value of a change of 0 from the half of its interval towards 0, taken as normal."""
    half = change - low if change > 0 else high - change
    if change == 0 or half == 0:
        return float(change == 0)
    return 2 * NormalDist().cdf(-abs(change) / half * quantile(level))


def edge(inside: float, outside: float, beyond: Callable[[float], bool]) -> float:
    """Return where `beyond` begins between a point inside of the interval and one outside, by bisection."""
    if not beyond(outside):
        return outside
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if beyond(middle) else (middle, outside)
    return (inside + outside) / 2
