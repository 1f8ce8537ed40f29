"""Shares of inputs, one side's or the difference of two on the same inputs: intervals and tests."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import MeasurementError
from harness.metrics.base import Floats, Score, Test
from harness.metrics.bootstrap import Bootstrapped
from harness.metrics.estimate import Estimate, edge, quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.metrics.base import Targets
    from harness.metrics.bootstrap import Statistic

#: Two-sided 95 % quantile of the normal distribution.
Z_95 = 1.959963984540054


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927), 209-212:
    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). Unlike the normal approximation it stays
    within 0 to 1 and has a width at 0 % and 100 %.

    Raises:
        MeasurementError: not 0 <= successes <= trials, or no trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise MeasurementError(f"{successes} of {trials} is no share")
    share, z = successes / trials, Z_95
    centre = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At 0 and 1 the ends are exactly 0 and 1; rounding must not push them past the share itself.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == trials else (centre + half) / scale
    return low, high


def poisson_interval(count: int, level: float) -> tuple[float, float]:
    """Return the exact interval of the expected number of events of which `count` were seen.

    F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936), 437-442: the means at which so
    many or more, and so many or fewer, have the chance (1 - level) / 2.
    """
    tail = (1 - level) / 2
    logs = np.cumsum(np.log(np.maximum(np.arange(count + 1), 1)))

    def at_most(most: int, mean: float) -> float:
        return float(np.exp(np.arange(most + 1) * math.log(mean) - mean - logs[: most + 1]).sum())

    far = count + 10 * math.sqrt(count + 1) + 10
    low = edge(count, 0.0, lambda mean: mean <= 0 or 1 - at_most(count - 1, mean) < tail) if count else 0.0
    return low, edge(count or tail, far, lambda mean: at_most(count, mean) < tail)


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

    return edge(change, -1.0, beyond), edge(change, 1.0, beyond)


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


class Share(Bootstrapped):
    """A metric that is the share of inputs that are right. Where inputs come from files, files are drawn again."""

    @abstractmethod
    def right(self, read: Floats, targets: Targets) -> NDArray[np.bool_]:
        """Return which inputs are right, shape [N]."""

    def statistic(self, read: Floats, targets: Targets) -> Statistic:
        right = self.right(read, targets).astype(np.float64)
        return lambda weights: (weights @ right) / weights.sum(axis=1)

    def score(self, read: Floats, targets: Targets) -> Score:
        if targets.groups is not None:
            return super().score(read, targets)
        right = self.right(read, targets)
        count, correct = len(right), int(np.count_nonzero(right))
        low, high = wilson_interval(correct, count)
        return Score(correct / count, low, high, f"{correct / count:.4g} ({correct:,} of {count:,} inputs)")

    def difference(self, a: Floats, b: Floats, targets: Targets, test: Test) -> Estimate:
        if targets.groups is not None:
            return super().difference(a, b, targets, test)
        before, after = self.right(a, targets), self.right(b, targets)
        gained, lost = int(np.count_nonzero(after & ~before)), int(np.count_nonzero(before & ~after))
        return accuracy_difference(gained, lost, len(before), level=test.level)
