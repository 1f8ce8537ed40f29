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
from typing import TYPE_CHECKING

import numpy as np

from harness.metrics.base import LEVEL, Floats, Score, TaskMetric, Test
from harness.metrics.estimate import Estimate, p_of_interval, student_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.metrics.base import Targets

#: From weights of the inputs, shape [R, N], to a figure for each of R draws.
Statistic = Callable[[Floats], Floats]
#: Weights that are held at a time.
_CHUNK_VALUES = 4_000_000
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


def interval(values: Floats, value: float, units: Units, level: float) -> tuple[float, float]:
    """Return the expanded percentile interval of a figure from those of its draws.

    The percentiles are those that make it as wide as Student's t and the unbiased variance would; plain ones are too
    narrow for few inputs (T. C. Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician
    69 (2015), 371-386, section 5.3).
    """
    size = units.size
    freedom = max(1, min(1000, round(len(units.strata) * (size - 1))))
    tail = NormalDist().cdf(-math.sqrt(size / (size - 1)) * student_quantile(level, freedom))
    low, high = np.quantile(values, [tail, 1 - tail])
    return min(float(low), value), max(float(high), value)


class Bootstrapped(TaskMetric):
    """A metric whose interval comes from inputs drawn again."""

    resamples = 2000

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
        low, high = interval(np.concatenate([statistic(weights) for weights in draws]), value, units, LEVEL)
        return Score(value, low, high, f"{value:.4g} ({self.words(read, targets)})")

    def difference(self, a: Floats, b: Floats, targets: Targets, test: Test) -> Estimate:
        before, after = self.statistic(a, targets), self.statistic(b, targets)
        units = self.units(targets, len(a))
        ones = np.ones((1, len(a)))
        change = float((after(ones) - before(ones))[0])
        changes = np.concatenate(
            [after(weights) - before(weights) for weights in units.draws(self.resamples, test.rng)]
        )
        low, high = interval(changes, change, units, test.level)
        return Estimate(change, low, high, test.level, p_of_interval(change, low, high, test.level), 0.0)
