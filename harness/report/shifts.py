"""Where a series changed. Steps and slow drifts are told apart, and a single odd value moves neither."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A trend that chance makes more often than this is none.
_CHANCE = 0.01
_FEWEST_DRIFT = 6
#: Blocks that a run is cut into: enough for a trend, few enough for every pair of them.
_BLOCKS = 40
_FEWEST = 8
#: Parameters that a piece counts as: its level, and thrice where it begins.
_NEW_PIECE = 4


@dataclass(frozen=True)
class Piece:
    """Values from `first` to `last`, both included, that are constant, or drift by `slope` per value."""

    first: int
    last: int
    level: float
    slope: float

    @property
    def start(self) -> float:
        """The value at its beginning."""
        return self.level - self.slope * (self.last - self.first) / 2

    @property
    def end(self) -> float:
        """The value at its end."""
        return self.level + self.slope * (self.last - self.first) / 2


def pieces(values: NDArray[np.float64], floor: float) -> list[Piece]:
    """Cut a series into constant and straight pieces.

    Minimizes the squared residuals over the noise's variance, plus a penalty for each piece and for each slope, over
    all ways to cut: optimal partitioning (B. Jackson et al., "An algorithm for optimal partitioning of data on an
    interval", IEEE Signal Processing Letters 12 (2005), 105-108), which PELT (R. Killick, P. Fearnhead and
    I. A. Eckley, Journal of the American Statistical Association 107 (2012), 1590-1598) solves for longer series.
    The penalty follows the Bayesian information criterion, log(n) for each parameter: where a piece begins counts
    as three, its level and its slope as one each (N. R. Zhang and D. O. Siegmund, Biometrics 63 (2007), 22-32, find
    two for where it begins; noise that is estimated from few values needs more, so that a steady series is cut in one
    of twenty cases at most). A running median of three takes out single odd values first. A slope is kept if
    Mann-Kendall's test rules out chance, and is then the one of Theil and Sen; levels are medians.

    Args:
        values: in the order of time, shape [N].
        floor: least standard deviation of the noise to assume, for series that repeat exactly; above 0.
    """
    count = len(values)
    if count < 2:
        return [Piece(0, count - 1, float(values[0]), 0.0)] if count else []
    smooth = _median_of_three(values)
    noise = max(_noise(values), floor)
    log = math.log(count)
    best = np.full(count + 1, np.inf)
    best[0] = -_NEW_PIECE * log  # the first piece has no beginning to find
    cuts, straight = np.zeros(count + 1, np.intp), np.zeros(count + 1, np.bool_)
    for end in range(1, count + 1):
        flat, line = _residuals(smooth[:end])
        costs = np.stack([flat / noise**2 + _NEW_PIECE * log, line / noise**2 + (_NEW_PIECE + 1) * log])
        costs[1, max(0, end - _FEWEST_DRIFT + 1) :] = np.inf
        total = costs + best[:end]
        cheapest = int(np.argmin(total))
        best[end], cuts[end], straight[end] = total.flat[cheapest], cheapest % end, cheapest >= end
    found = []
    end = count
    while end:
        start = int(cuts[end])
        found.append(_piece(values, start, end, straight=bool(straight[end])))
        end = start
    return found[::-1]


def _median_of_three(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace each value by the median of itself and its neighbours; the ends stay."""
    if len(values) < 3:
        return values
    middle = np.median(np.stack([values[:-2], values[1:-1], values[2:]]), axis=0)
    return np.concatenate([values[:1], middle, values[-1:]])


def _noise(values: NDArray[np.float64]) -> float:
    """Return the standard deviation of one value about a slowly changing level, from differences of neighbours."""
    steps = np.abs(np.diff(values))
    few = 1 + 2 / len(values)  # a median of few differences is too low too often
    return few * 1.4826 * float(np.median(steps)) / math.sqrt(2)


def _residuals(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return for each start the squared residuals of values[start:] about their mean, and about their line."""
    x = np.arange(len(values), dtype=np.float64)
    y = values - values.mean()

    def sums(terms: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.cumsum(terms[::-1])[::-1]

    size = sums(np.ones_like(x))
    x1, y1 = sums(x), sums(y)
    syy = np.maximum(sums(y * y) - y1**2 / size, 0.0)
    sxx = sums(x * x) - x1**2 / size
    sxy = sums(x * y) - x1 * y1 / size
    explained = np.divide(sxy**2, sxx, out=np.zeros_like(sxy), where=sxx > 0.5)
    return syy, np.maximum(syy - explained, 0.0)


def _piece(values: NDArray[np.float64], start: int, end: int, *, straight: bool) -> Piece:
    part = values[start:end]
    slope = 0.0
    if straight and mann_kendall(part) < _CHANCE:
        slope = theil_sen(part)
    return Piece(start, end - 1, float(np.median(part)), slope)


def theil_sen(values: NDArray[np.float64]) -> float:
    """Return the slope per step: the median of the slopes between all pairs of values.

    P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", Journal of the American Statistical
    Association 63 (1968), 1379-1389.

    Args:
        values: equally spaced, shape [N], N >= 2.
    """
    first, second = np.triu_indices(len(values), 1)
    return float(np.median((values[second] - values[first]) / (second - first)))


def mann_kendall(values: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of "no trend", ties allowed for.

    H. B. Mann, "Nonparametric tests against trend", Econometrica 13 (1945), 245-259, with the normal approximation:
    S = sum of the signs of all differences, its variance (n(n-1)(2n+5) - sum over ties t(t-1)(2t+5)) / 18.

    Args:
        values: in order, shape [N].
    """
    count = len(values)
    first, second = np.triu_indices(count, 1)
    total = float(np.sign(values[second] - values[first]).sum())
    _, ties = np.unique(values, return_counts=True)
    variance = (count * (count - 1) * (2 * count + 5) - float(np.sum(ties * (ties - 1) * (2 * ties + 5)))) / 18
    if variance <= 0 or total == 0:
        return 1.0
    return 2 * NormalDist().cdf(-(abs(total) - 1) / math.sqrt(variance))


def drift_share(values: NDArray[np.float64]) -> float | None:
    """Return by which share values change from the first to the last, None if that may be chance.

    Args:
        values: positive, in the order in which they were measured, shape [N].
    """
    if len(values) < _FEWEST:
        return None
    blocks = np.array([np.median(block) for block in np.array_split(values, min(_BLOCKS, len(values)))])
    if mann_kendall(blocks) > _CHANCE:
        return None
    return theil_sen(blocks) * (len(blocks) - 1) / float(np.median(blocks))
