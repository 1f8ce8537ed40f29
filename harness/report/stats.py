"""The statistics behind a verdict, checked against other calculations and by simulation in tests/report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.metrics.estimate import Estimate, p_of_interval, quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Values that the bootstrap holds at a time.
_CHUNK_VALUES = 4_000_000


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
    return p_of_interval(math.log(change), math.log(low), math.log(high), level)


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
