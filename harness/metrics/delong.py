"""The area under the ROC curve, its interval, and the difference of two on the same inputs."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from harness.metrics.estimate import Estimate, quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = 60
#: What each positive input, and each other one, adds to an area: shapes [positive] and [others], both with its mean.
Components = tuple["NDArray[np.float64]", "NDArray[np.float64]"]


def components(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> Components:
    """Return what each positive input and each other one adds to the area under the ROC curve.

    E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the areas under two or more correlated receiver
    operating characteristic curves", Biometrics 44 (1988), 837-845, by mid-ranks: X. Sun and W. Xu, "Fast
    implementation of DeLong's algorithm", IEEE Signal Processing Letters 21 (2014), 1389-1393.
    """
    positive, other = scores[truth], scores[~truth]
    ranks = _mid_ranks(np.concatenate([positive, other]))
    above = (ranks[: len(positive)] - _mid_ranks(positive)) / len(other)
    below = 1 - (ranks[len(positive) :] - _mid_ranks(other)) / len(positive)
    return above, below


def _mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, of, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[of]
    return ranks


def _covariance(a: Components, b: Components) -> float:
    return sum(float(np.cov(x, y)[0, 1]) / len(x) for x, y in zip(a, b, strict=True))


def auc_interval(above: NDArray[np.float64], below: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Return the interval of an area: DeLong's variance on the scale of the logit, so that it stays within 0 and 1.

    DeLong's variance is nothing where the classes are parted without an error, and unknown for one input; the
    interval is then R. G. Newcombe's, "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic. Part 2", Statistics in Medicine 25 (2006), 559-573, method 5, which needs only their numbers.
    """
    area, z = float(above.mean()), quantile(level)
    spread = math.sqrt(_covariance((above, below), (above, below))) if min(len(above), len(below)) > 1 else 0.0
    if spread == 0 or not 0 < area < 1:
        return _newcombe(area, len(above), len(below), z)
    logit, half = math.log(area / (1 - area)), z * spread / (area * (1 - area))
    return 1 / (1 + math.exp(half - logit)), 1 / (1 + math.exp(-half - logit))


def _newcombe(area: float, positive: int, others: int, z: float) -> tuple[float, float]:
    mean = (positive + others) / 2

    def beyond(theta: float) -> bool:
        factor = 2 * mean - 1 - (3 * mean - 3) / ((2 - theta) * (1 + theta))
        return abs(area - theta) > z * math.sqrt(theta * (1 - theta) * factor / (positive * others))

    def edge(inside: float, outside: float) -> float:
        for _ in range(_STEPS if area != outside else 0):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if beyond(middle) else (middle, outside)
        return outside

    return edge(area, 0.0), edge(area, 1.0)


def paired(a: Components, b: Components, level: float) -> Estimate:
    """Return the difference of two areas on the same inputs, b - a, with DeLong's test.

    The interval is made of those of the two areas and their correlation, so that it has a width even where both are 1
    (G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27
    (2008), 1693-1702).
    """
    areas = [float(side[0].mean()) for side in (a, b)]
    change = areas[1] - areas[0]
    if all(np.array_equal(x, y) for x, y in zip(a, b, strict=True)):
        known = min(map(len, a)) > 1 and _covariance(a, a) > 0
        if known:
            return Estimate(0.0, 0.0, 0.0, level, 1.0, 0.0)
    variances = [_covariance(side, side) if min(map(len, side)) > 1 else 0.0 for side in (a, b)]
    shared = _covariance(a, b) if min(variances) > 0 else 0.0
    variance = sum(variances) - 2 * shared
    correlation = shared / math.sqrt(variances[0] * variances[1]) if min(variances) > 0 else 0.0
    (low_a, high_a), (low_b, high_b) = (auc_interval(*side, level) for side in (a, b))

    def half(of_b: float, of_a: float) -> float:
        return math.sqrt(max(0.0, of_b**2 + of_a**2 - 2 * correlation * of_b * of_a))

    low = change - half(areas[1] - low_b, high_a - areas[0])
    high = change + half(high_b - areas[1], areas[0] - low_a)
    p_value = 2 * NormalDist().cdf(-abs(change) / math.sqrt(variance)) if variance > 0 else float(change == 0)
    return Estimate(change, low, high, level, p_value, 0.0)
