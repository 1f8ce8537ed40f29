"""Slopes that a few odd values don't move, and whether they are more than chance."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Blocks that a run is cut into: enough for a trend, few enough for every pair of them.
_BLOCKS = 40
_FEWEST = 8
_CHANCE = 0.01


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
