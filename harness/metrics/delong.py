"""The area under the ROC curve, its interval, and the difference of two on the same inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.metrics.estimate import Estimate, edge, quantile, student_p, student_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.metrics.base import Floats

#: What each positive input, and each other one, adds to an area: shapes [positive] and [others], both with its mean.
Components = tuple["Floats", "Floats"]


def components(scores: Floats, truth: NDArray[np.bool_]) -> Components:
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


def _mid_ranks(values: Floats) -> Floats:
    _, of, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[of]
    return ranks


def _variance(parts: Components) -> tuple[float, int]:
    """Return the variance of an area or a difference, and how many degrees of freedom it has; 0 and 1 if unknown.

    B. L. Welch, "The generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 34 (1947), 28-35.
    """
    if min(map(len, parts)) < 2:
        return 0.0, 1
    each = [float(part.var(ddof=1)) / len(part) for part in parts]
    weights = sum(one**2 / (len(part) - 1) for one, part in zip(each, parts, strict=True))
    return sum(each), int(min(sum(each) ** 2 / weights, 1000)) if weights > 0 else 1


def area_interval(parts: Components, level: float) -> tuple[float, float]:
    """Return the interval of an area: the wider at each end of two.

    The first is DeLong's on the scale of the logit, so that it stays within 0 and 1, with Student's t for few inputs;
    it is too narrow near 1, and has no width where the classes are parted without an error. The second needs only the
    area and the numbers of inputs: R. G. Newcombe, "Confidence intervals for an effect size measure based on the
    Mann-Whitney statistic. Part 2", Statistics in Medicine 25 (2006), 559-573, method 5.
    """
    area = float(parts[0].mean())
    low, high = _newcombe(area, len(parts[0]), len(parts[1]), quantile(level))
    variance, freedom = _variance(parts)
    if variance > 0 and 0 < area < 1:
        logit = math.log(area / (1 - area))
        half = student_quantile(level, freedom) * math.sqrt(variance) / (area * (1 - area))
        low, high = min(low, 1 / (1 + math.exp(half - logit))), max(high, 1 / (1 + math.exp(-half - logit)))
    return low, high


def _newcombe(area: float, positive: int, others: int, z: float) -> tuple[float, float]:
    mean = (positive + others) / 2

    def beyond(theta: float) -> bool:
        factor = 2 * mean - 1 - (3 * mean - 3) / ((2 - theta) * (1 + theta))
        return abs(area - theta) > z * math.sqrt(theta * (1 - theta) * factor / (positive * others))

    return edge(area, 0.0, beyond), edge(area, 1.0, beyond)


def paired(a: Components, b: Components, level: float) -> Estimate:
    """Return the difference of two areas on the same inputs, b - a, with DeLong's test.

    The interval is made of those of the two areas and of their correlation, so that it has a width even where both are
    1 (G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27
    (2008), 1693-1702).
    """
    areas = [float(side[0].mean()) for side in (a, b)]
    change = areas[1] - areas[0]
    variances = [_variance(side)[0] for side in (a, b)]
    variance, freedom = _variance((b[0] - a[0], b[1] - a[1]))
    scale = math.sqrt(variances[0] * variances[1])
    correlation = (sum(variances) - variance) / (2 * scale) if scale > 0 else 0.0
    (low_a, high_a), (low_b, high_b) = (area_interval(side, level) for side in (a, b))

    def half(of_b: float, of_a: float) -> float:
        return math.sqrt(max(0.0, of_b**2 + of_a**2 - 2 * correlation * of_b * of_a))

    low = change - half(areas[1] - low_b, high_a - areas[0])
    high = change + half(high_b - areas[1], areas[0] - low_a)
    p_value = student_p(change / math.sqrt(variance), freedom) if variance > 0 else float(change == 0)
    return Estimate(change, low, high, level, p_value, 0.0)
