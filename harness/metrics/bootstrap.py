"""Intervals of figures without a formula of their own, from inputs (or whole files) drawn again.

B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 8 and 13: inputs are drawn with
replacement, for two sides the same ones, within each class where the classes' numbers are given by the data. A draw is
a row of weights, how often each input is in it, so that thousands are one product of matrices.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.metrics.base import LEVEL, Floats, Score, TaskMetric, Test
from harness.metrics.estimate import Estimate, difference_interval, p_of_interval, student_quantile, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.metrics.base import Targets

#: From weights of the inputs, shape [R, N], to a figure for each of R draws.
Statistic = Callable[[Floats], Floats]
#: What a figure is: a mean of shares, an area under a curve (0 to 1 as well), an error of any size, what of 1 an error
#: leaves, or any number.
Scale = Literal["share", "area", "error", "explained", "number"]
#: Weights that are held at a time: as many as a processor's cache holds.
_CHUNK_VALUES = 200_000
#: A variance that rounding alone makes.
_ROUNDING = 1e-24
#: The scores of one read are the same every time.
_SEED = 16


@dataclass(frozen=True)
class Units:
    """What is drawn: inputs or files, within strata.

    Attributes:
        of: the unit of each input, shape [N].
        strata: the units of each stratum.
    """

    of: NDArray[np.intp]
    strata: tuple[NDArray[np.intp], ...]

    @property
    def size(self) -> float:
        """How many units a stratum has: the harmonic mean, since the smallest vary most, at least 2."""
        return max(2.0, len(self.strata) / sum(1 / len(stratum) for stratum in self.strata))

    def draws(self, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
        """Yield weights, shape [rows, N], until there are `resamples` rows."""
        count = sum(map(len, self.strata))
        rows = max(1, _CHUNK_VALUES // len(self.of))
        for start in range(0, resamples, rows):
            size = min(rows, resamples - start)
            first = np.arange(size)[:, None] * count
            drawn = [first + units[rng.integers(0, len(units), (size, len(units)))] for units in self.strata]
            hits = np.bincount(np.concatenate(drawn, axis=1).ravel(), minlength=size * count)
            yield hits.reshape(size, count)[:, self.of].astype(np.float64)


def units_of(count: int, groups: NDArray[np.int64] | None = None, classes: NDArray[np.int64] | None = None) -> Units:
    """Return what is drawn of `count` inputs: files if there are, within classes if no file has two of them."""
    of = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    units = np.arange(of.max() + 1)
    if classes is None:
        return Units(of, (units,))
    kinds = np.empty(len(units), np.int64)
    kinds[of] = classes
    if not np.array_equal(kinds[of], classes):
        return Units(of, (units,))
    return Units(of, tuple(np.flatnonzero(kinds == each) for each in np.unique(kinds)))


def interval(values: Floats, value: float, units: Units, level: float, scale: Scale) -> tuple[float, float]:
    """Return the interval of a figure from those of its draws.

    A share has Wilson's interval for as many inputs as would vary so much (E. L. Korn and B. I. Graubard, "Confidence
    intervals for proportions with small expected number of positive counts estimated from survey data", Survey
    Methodology 24 (1998), 193-201), which has a width at 0 and 1 even if no draw differs. All others have expanded
    percentiles, which make it as wide as Student's t and the unbiased variance would (T. C. Hesterberg, "What Teachers
    Should Know About the Bootstrap", The American Statistician 69 (2015), 371-386, section 5.3). Areas have the wider
    of both at each end; so have errors, and the error in 1 - R2, with the variance on the scale of the logarithm.
    """
    size, variance = units.size, float(values.var())
    freedom = max(1, min(1000, round(len(units.strata) * (size - 1))))
    z = math.sqrt(size / (size - 1)) * student_quantile(level, freedom)
    ends = [value]
    if scale != "share":
        tail = NormalDist().cdf(-z)
        ends += np.quantile(values, [tail, 1 - tail]).tolist()
    if scale in ("share", "area"):
        share = min(max(value, 0.0), 1.0)
        like = share * (1 - share) / variance if variance > _ROUNDING else 0.0
        ends += wilson(share, like or size * len(units.strata), z)
    elif scale != "number" and value != float(scale == "explained"):
        error = value if scale == "error" else 1 - value
        far = [error * math.exp(sign * z * math.sqrt(variance) / error) for sign in (-1, 1)]
        ends += far if scale == "error" else [1 - each for each in far]
    return float(min(ends)), float(max(ends))


class Bootstrapped(TaskMetric):
    """A metric whose interval comes from inputs drawn again."""

    resamples = 2000
    scale: Scale = "share"

    @abstractmethod
    def statistic(self, read: Floats, targets: Targets) -> Statistic:
        """Return what computes the metric from weights of the inputs."""

    def units(self, targets: Targets, count: int) -> Units:
        """Return what is drawn: files if there are, else inputs."""
        return units_of(count, targets.groups)

    def words(self, read: Floats, targets: Targets) -> str:
        """Return what the score rests on."""
        count = f"{len(read):,} inputs"
        return count if targets.groups is None else f"{count} of {len(np.unique(targets.groups)):,} files"

    def score(self, read: Floats, targets: Targets) -> Score:
        statistic, units = self.statistic(read, targets), self.units(targets, len(read))
        value = float(statistic(np.ones((1, len(read))))[0])
        draws = units.draws(self.resamples, np.random.default_rng(_SEED))
        low, high = interval(np.concatenate([statistic(weights) for weights in draws]), value, units, LEVEL, self.scale)
        return Score(value, low, high, f"{value:.4g} ({self.words(read, targets)})")

    def difference(self, a: Floats, b: Floats, targets: Targets, test: Test) -> Estimate:
        statistics = [self.statistic(side, targets) for side in (a, b)]
        units, ones = self.units(targets, len(a)), np.ones((1, len(a)))
        values = [float(statistic(ones)[0]) for statistic in statistics]
        pairs = [[each(weights) for each in statistics] for weights in units.draws(self.resamples, test.rng)]
        draws = np.concatenate(pairs, axis=1)
        sides = [interval(*side, units, test.level, self.scale) for side in zip(draws, values, strict=True)]
        shared = float(np.corrcoef(draws)[0, 1]) if draws.std(axis=1).min() > 0 else 0.0
        low, high = difference_interval(values, sides, shared)
        change = values[1] - values[0]
        return Estimate(change, low, high, test.level, p_of_interval(change, low, high, test.level), 0.0)
