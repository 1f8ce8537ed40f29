"""Models whose answer is a score, like that of an anomaly: how well it parts the positive inputs from the others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.errors import ConfigError, MeasurementError
from harness.metrics.base import LEVEL, Floats, Score, TaskMetric, Test, class_labels, is_number, numbers, require
from harness.metrics.bootstrap import Bootstrapped, Statistic, Units, units_of
from harness.metrics.delong import area_interval, components, paired

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.metrics.base import Targets
    from harness.metrics.estimate import Estimate

#: From counts of positive and other inputs at or above each threshold, [R, thresholds] each, to [R] areas.
Area = Callable[["Floats", "Floats"], "Floats"]
#: Two outputs whose sums lie within this of 1 are a softmax.
_SOFTMAX = 0.05


@dataclass(frozen=True)
class Positive(TaskMetric):
    """A metric of one class against all others.

    Attributes:
        positive: the class whose inputs should score high.
    """

    labels = "binary"
    positive: int = 1

    def __post_init__(self) -> None:
        right = is_number(self.positive, whole=True) and self.positive >= 0
        require(right, self, f"positive is a class or its number, not {self.positive!r}")

    def check(self, targets: Targets, outputs: int) -> None:
        truth = self.truth(targets)
        if outputs > 1:
            require(self.positive < outputs, self, f"positive is {self.positive}, but the model has {outputs} outputs")
        if truth.all() or not truth.any():
            found = "every" if truth.any() else "no"
            raise ConfigError(f"metric {self} needs inputs of both kinds: {found} label is {self._kinds(targets)[1]}")

    def truth(self, targets: Targets, count: int | None = None) -> NDArray[np.bool_]:
        """Return which inputs are positive; `count` is how many inputs there are, where that is known."""
        truth: NDArray[np.bool_] = class_labels(targets, self, count) == self.positive
        return truth

    def read(self, outputs: Floats, inputs: NDArray[np.float32]) -> Floats:
        """Return how positive each inference is, [N, 1].

        That is the only output; of two that add up to 1, or of more than two, the one of the positive class; of two
        others (logits) the positive one less the other.
        """
        flat = numbers(outputs)
        if flat.shape[1] == 1:
            return flat
        score = flat[:, self.positive]
        if flat.shape[1] == 2 and np.abs(flat.sum(axis=1) - 1).max() > _SOFTMAX:
            score = score - flat[:, 1 - self.positive]
        return score[:, None]

    def counts(self, truth: NDArray[np.bool_], targets: Targets) -> str:
        """Return how many inputs there are of each kind, in words."""
        other, positive = self._kinds(targets)
        return f"{np.count_nonzero(~truth):,} {other}, {np.count_nonzero(truth):,} {positive}"

    def _kinds(self, targets: Targets) -> tuple[str, str]:
        names = targets.classes
        positive = names[self.positive] if self.positive < len(names) else "positive"
        return names[1 - self.positive] if len(names) == 2 else "other", positive


def inside_range(metric: TaskMetric, threshold: float, read: Floats) -> None:
    """Refuse a threshold that no output can be on either side of: outputs from 0 to 1 may be any of these.

    Raises:
        MeasurementError: it is outside of the outputs' range.
    """
    low, high = float(read.min()), float(read.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    if not low <= threshold <= high:
        raise MeasurementError(
            f"metric {metric.name}: threshold {threshold:g} is outside of the outputs' range, {low:.4g} to {high:.4g}"
        )


class Ranked(Positive):
    """A metric of how scores rank. Where inputs come from files, those are ranked by their mean score."""

    def check(self, targets: Targets, outputs: int) -> None:
        super().check(targets, outputs)
        self.ranked(np.zeros((len(self.truth(targets)), 1)), targets)

    def ranked(self, read: Floats, targets: Targets) -> tuple[Floats, NDArray[np.bool_]]:
        """Return score and truth of each input, or of each file.

        Raises:
            ConfigError: a file has inputs of both kinds.
        """
        truth = self.truth(targets, len(read))
        if targets.groups is None:
            return read[:, 0], truth
        names, of, counts = np.unique(targets.groups, return_inverse=True, return_counts=True)
        share = np.bincount(of, truth) / counts
        mixed = np.flatnonzero((share > 0) & (share < 1))
        if mixed.size:
            raise ConfigError(f"metric {self}: the inputs of group {names[mixed[0]]} have labels of both kinds")
        return np.bincount(of, read[:, 0]) / counts, share == 1

    def counts(self, truth: NDArray[np.bool_], targets: Targets) -> str:
        return super().counts(truth, targets) + ("" if targets.groups is None else " files")


@dataclass(frozen=True)
class RocAuc(Ranked):
    """Area under the ROC curve: how often a positive input scores higher than another, ties counting half."""

    name = "roc_auc"
    title = "ROC AUC"

    def score(self, read: Floats, targets: Targets) -> Score:
        scores, truth = self.ranked(read, targets)
        parts = components(scores, truth)
        value = float(parts[0].mean())
        return Score(value, *area_interval(parts, LEVEL), f"{value:.4g} ({self.counts(truth, targets)})")

    def difference(self, a: Floats, b: Floats, targets: Targets, test: Test) -> Estimate:
        before, after = (components(*self.ranked(side, targets)) for side in (a, b))
        return paired(before, after, test.level)


class _Curve(Ranked, Bootstrapped):
    """An area under a curve, its interval from inputs (or files) drawn again within each kind."""

    def units(self, targets: Targets, count: int) -> Units:
        truth = self.ranked(np.zeros((count, 1)), targets)[1]
        return units_of(len(truth), classes=truth.astype(np.int64))

    def statistic(self, read: Floats, targets: Targets) -> Statistic:
        scores, truth = self.ranked(read, targets)
        return curve_statistic(scores, truth, self.area)

    @abstractmethod
    def area(self, hits: Floats, alarms: Floats) -> Floats:
        """Return the areas from the counts of positive and other inputs at or above each threshold, [R, thresholds]."""

    def words(self, read: Floats, targets: Targets) -> str:
        return self.counts(self.ranked(read, targets)[1], targets)


@dataclass(frozen=True)
class PartialAuc(_Curve):
    """Area under the ROC curve up to a rate of false positives, standardized so that chance is 0.5 and the best 1.

    D. K. McClish, "Analyzing a portion of the ROC curve", Medical Decision Making 9 (1989), 190-195.

    Attributes:
        max_fpr: that rate.
    """

    name = "pauc"
    title = "partial ROC AUC"
    max_fpr: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        right = is_number(self.max_fpr) and 0 < self.max_fpr <= 1
        require(right, self, f"max_fpr is a share above 0, at most 1, not {self.max_fpr!r}")

    def area(self, hits: Floats, alarms: Floats) -> Floats:
        x, y = (np.pad(side, ((0, 0), (1, 0))) / side[:, -1:] for side in (alarms, hits))
        width, rise = np.diff(x), np.diff(y)
        inside = np.clip(self.max_fpr - x[:, :-1], 0, width)
        slope = np.divide(rise, width, out=np.zeros_like(rise), where=width > 0)
        part = (inside * (y[:, :-1] + slope * inside / 2)).sum(axis=1)
        least = self.max_fpr**2 / 2
        area: Floats = (1 + (part - least) / (self.max_fpr - least)) / 2
        return area


@dataclass(frozen=True)
class AveragePrecision(_Curve):
    """Average precision: the precision at each threshold, weighted by the recall that the threshold adds."""

    name = "average_precision"
    title = "average precision"

    def area(self, hits: Floats, alarms: Floats) -> Floats:
        return average_precision(hits, alarms)


def average_precision(hits: Floats, alarms: Floats) -> Floats:
    """Return average precisions from the counts at or above each threshold, [R, thresholds]; NaN without positives."""
    precision = hits / np.maximum(hits + alarms, 1)
    found = np.diff(hits, prepend=0.0)
    area: Floats = (found * precision).sum(axis=1) / np.where(hits[:, -1] > 0, hits[:, -1], np.nan)
    return area


def curve_statistic(scores: Floats, truth: NDArray[np.bool_], area: Area) -> Statistic:
    """Return what computes an area from weights of the inputs; inputs of equal score share a threshold."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    positive = truth[order].astype(np.float64)

    def of(weights: Floats) -> Floats:
        drawn = weights[:, order]
        every, hits = (np.cumsum(each, axis=1)[:, ends] for each in (drawn, drawn * positive))
        return area(hits, every - hits)

    return of


@dataclass(frozen=True)
class Reconstruction(Ranked):
    """ROC AUC, or partial, of the error between a model's input and its output, as of an autoencoder.

    Attributes:
        error: mean squared or mean absolute error.
        max_fpr: for the partial area; None: the whole one.
    """

    name = "reconstruction"
    title = "ROC AUC of the reconstruction error"
    error: Literal["mse", "mae"] = "mse"
    max_fpr: float | None = None

    def __post_init__(self) -> None:
        require(self.error in ("mse", "mae"), self, f"error is mse or mae, not {self.error!r}")
        self._area()

    def _area(self) -> RocAuc | PartialAuc:
        return RocAuc(self.positive) if self.max_fpr is None else PartialAuc(self.positive, self.max_fpr)

    def check(self, targets: Targets, outputs: int) -> None:
        super().check(targets, 1)

    def read(self, outputs: Floats, inputs: NDArray[np.float32]) -> Floats:
        """Return the error of each inference, [N, 1]."""
        given, wanted = numbers(outputs), numbers(inputs, "input")
        if given.shape != wanted.shape:
            sizes = f"{given.shape[1]} values, but its input {wanted.shape[1]}"
            raise MeasurementError(f"metric {self}: the model's output has {sizes}: it doesn't reconstruct")
        apart = np.abs(given - wanted)
        error: Floats = (apart**2 if self.error == "mse" else apart).mean(axis=1, keepdims=True)
        return error

    def score(self, read: Floats, targets: Targets) -> Score:
        return self._area().score(read, targets)

    def difference(self, a: Floats, b: Floats, targets: Targets, test: Test) -> Estimate:
        return self._area().difference(a, b, targets, test)
