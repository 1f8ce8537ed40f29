"""The statistics behind a verdict, checked against other calculations and by simulation in tests/report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

#: Values that the bootstrap holds at a time.
_CHUNK_VALUES = 4_000_000
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


def ratio_of_medians(
    a: NDArray[np.float64], b: NDArray[np.float64], *, level: float, resamples: int, rng: np.random.Generator
) -> Estimate:
    """Return median(b) / median(a) with a percentile bootstrap interval over the paired inputs.

    Inputs are drawn with replacement, the same ones for both sides, so that what an input costs either side cancels
    out (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13). The p-value is the one that
    belongs to the interval: 1 - the level at which it would just reach 1, its half towards 1 taken as normal.

    Args:
        a: one positive value for each input, shape [N].
        b: the other side's for the same inputs, shape [N].
        level: confidence level of the interval, like 0.95.
        resamples: how many times the inputs are drawn.
        rng: draws the resamples.
    """
    draws = _draws(len(a), resamples, rng)
    ratios = np.concatenate([_medians(b, draw) / _medians(a, draw) for draw in draws])
    tail = (1 - level) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    change = float(np.median(b) / np.median(a))
    low, high = min(float(low), change), max(float(high), change)
    return Estimate(change, low, high, level, _p_of_interval(change, low, high, level), 1.0)


def _draws(count: int, resamples: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    rows = max(1, _CHUNK_VALUES // count)
    sizes = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    return [rng.integers(0, count, size=(size, count)) for size in sizes]


def _medians(values: NDArray[np.float64], draws: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the median of each row of values[draws], by rank: small numbers are parted in a third of the time."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values), np.int16 if len(values) < 2**15 else np.int32)
    ranks[order] = np.arange(len(values))
    drawn = ranks[draws]
    low, high = (draws.shape[1] - 1) // 2, draws.shape[1] // 2
    drawn.partition((low, high), axis=1)
    ranked = values[order]
    medians: NDArray[np.float64] = (ranked[drawn[:, low]] + ranked[drawn[:, high]]) / 2
    return medians


def _p_of_interval(change: float, low: float, high: float, level: float) -> float:
    """Return the two-sided p-value of a ratio of 1 from the half of the interval that lies towards 1."""
    distance = abs(math.log(change))
    half = abs(math.log(change) - math.log(low if change > 1 else high))
    if distance == 0:
        return 1.0
    if half == 0:
        return 0.0
    return 2 * NormalDist().cdf(-distance / half * quantile(level))


def stretched(estimate: Estimate, level: float) -> tuple[float, float]:
    """Return the interval at another level, its halves taken as normal (of the logarithm, for a ratio)."""
    factor = quantile(level) / quantile(estimate.level)
    if estimate.none == 1:
        middle = math.log(estimate.change)
        ends = (math.log(end) for end in (estimate.low, estimate.high))
        low, high = (math.exp(middle + factor * (end - middle)) for end in ends)
        return low, high
    low, high = (estimate.change + factor * (end - estimate.change) for end in (estimate.low, estimate.high))
    return low, high


def widened(estimate: Estimate, spreads: Sequence[float]) -> Estimate:
    """Add to the interval of a ratio what a board doesn't repeat: more inputs wouldn't average it out.

    Args:
        estimate: a ratio with its interval.
        spreads: standard deviations of the logarithm of either side, which add up as squares.
    """
    extra = quantile(estimate.level) * math.sqrt(sum(spread**2 for spread in spreads))
    middle = math.log(estimate.change)
    low = math.exp(middle - math.hypot(math.log(estimate.low) - middle, extra))
    high = math.exp(middle + math.hypot(math.log(estimate.high) - middle, extra))
    p_value = _p_of_interval(estimate.change, low, high, estimate.level)
    return Estimate(estimate.change, low, high, estimate.level, p_value, estimate.none)


def accuracy_difference(gained: int, lost: int, samples: int, *, level: float) -> Estimate:
    """Return the difference of two accuracies on the same inputs, of which `gained` only b, `lost` only a has right."""
    low, high = tango_interval(gained, lost, samples, level=level)
    return Estimate((gained - lost) / samples, low, high, level, mcnemar(gained, lost), 0.0)


def mcnemar(gained: int, lost: int) -> float:
    """Return the exact two-sided p-value of McNemar's test.

    Under no difference each input that the two sides judge differently falls to either side like a coin
    (Q. McNemar, Psychometrika 12 (1947), 153-157): twice the smaller tail of a binomial distribution, at most 1.
    """
    discordant = gained + lost
    term = tail = 1
    for k in range(1, min(gained, lost) + 1):
        term = term * (discordant - k + 1) // k
        tail += term
    return min(1.0, 2 * tail / 2**discordant) if discordant else 1.0


def tango_interval(gained: float, lost: float, samples: float, *, level: float) -> tuple[float, float]:
    """Return the score interval of the difference of two shares on the same inputs.

    T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17 (1998), 891-908: the differences d for which
    |gained - lost - n d| <= z sqrt(n (2 q + d (1 - d))), q being the likeliest share of `lost` for that d.

    Args:
        gained: inputs that only b has right; any positive number, so that what more inputs would bring can be asked.
        lost: inputs that only a has right.
        samples: inputs in all, at least 1.
        level: confidence level of the interval, like 0.95.
    """
    z = quantile(level)
    change = (gained - lost) / samples

    def beyond(d: float) -> bool:
        return abs(_score(gained, lost, samples, d)) > z

    return _edge(change, -1.0, beyond), _edge(change, 1.0, beyond)


def tango_excludes(gained: float, lost: float, samples: float, difference: float, *, level: float) -> bool:
    """Whether a difference lies outside of `tango_interval`, at a sixtieth of its cost."""
    return abs(_score(gained, lost, samples, difference)) > quantile(level)


def _score(gained: float, lost: float, n: float, d: float) -> float:
    a = 2 * n
    b = -gained - lost + (2 * n - gained + lost) * d
    c = -lost * d * (1 - d)
    q = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * q + d * (1 - d))
    excess = gained - lost - n * d
    if variance <= 0:
        return 0.0 if abs(excess) < 1e-9 * n else math.copysign(math.inf, excess)
    return excess / math.sqrt(variance)


def _edge(inside: float, outside: float, beyond: Callable[[float], bool]) -> float:
    """Return where `beyond` begins between a point inside of the interval and one outside, by bisection."""
    if not beyond(outside):
        return outside
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if beyond(middle) else (middle, outside)
    return (inside + outside) / 2


def binomial_tail(successes: int, trials: int, share: float) -> float:
    """Return the chance of at least so many successes in `trials`, each of which has the chance `share`."""
    if successes <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    logs = math.log(share), math.log1p(-share)

    def chance(k: int) -> float:
        ways = math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        return math.exp(ways + k * logs[0] + (trials - k) * logs[1])

    return min(1.0, math.fsum(chance(k) for k in range(successes, trials + 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for being many: with each, the chance of any false alarm among all of them.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979),
    65-70.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected
