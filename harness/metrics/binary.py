"""Models that say yes or no, by a threshold that is given or is chosen on inputs that aren't scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import ConfigError
from harness.metrics.base import LEVEL, Floats, Score, Test, class_labels, is_number, require
from harness.metrics.ranking import Positive, inside_range
from harness.metrics.shares import Share, poisson_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.metrics.base import Targets
    from harness.metrics.estimate import Estimate

_HOUR_S = 3600.0
#: What a threshold is chosen for: from the numbers of hits, misses, false alarms and right rejections at each.
_CHOICES = {
    "youden": lambda tp, fn, fp, tn: tp / (tp + fn) - fp / (fp + tn),
    "f1": lambda tp, fn, fp, tn: 2 * tp / (2 * tp + fp + fn) + 0 * tn,
    "balanced": lambda tp, fn, fp, tn: -abs(fn / (tp + fn) - fp / (fp + tn)),
}


@dataclass(frozen=True)
class _Threshold(Positive, Share):
    """A metric of yes and no.

    Attributes:
        threshold: a number; or {choose: youden | f1 | balanced, first: N}: the one that is best on the first N inputs,
            which are then not scored. youden: the rate of hits less that of false alarms; balanced: the rates of misses
            and of false alarms are closest.
    """

    threshold: Any = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.threshold, dict):
            said = f"threshold is a number or {{choose: youden, first: N}}, not {self.threshold!r}"
            require(is_number(self.threshold), self, said)
            return
        require(set(self.threshold) == {"choose", "first"}, self, "a threshold to choose has the keys choose and first")
        way, first = self.threshold["choose"], self.threshold["first"]
        require(way in _CHOICES, self, f"choose is one of {', '.join(_CHOICES)}, not {way!r}")
        require(is_number(first, whole=True) and first >= 2, self, f"first is a number of inputs from 2, not {first!r}")

    def check(self, targets: Targets, outputs: int) -> None:
        super().check(targets, outputs)
        if isinstance(self.threshold, dict):
            first, truth = self.threshold["first"], self.truth(targets)
            if len(set(truth[:first])) < 2 or len(set(truth[first:])) < 2:
                raise ConfigError(
                    f"metric {self.name}: the first {first} inputs, which choose the threshold, and those after them "
                    "must both be of both kinds: put them into another order"
                )

    def settled(self, read: Floats, targets: Targets) -> tuple[Floats, Targets, float]:
        """Return how far above the threshold each scored input is, what is known of them, and the threshold.

        Raises:
            MeasurementError: the threshold is outside of the outputs' range.
        """
        truth = self.truth(targets, len(read))
        if not isinstance(self.threshold, dict):
            inside_range(self, self.threshold, read)
            return read - self.threshold, targets, self.threshold
        first = self.threshold["first"]
        threshold = _best(read[:first, 0], truth[:first], self.threshold["choose"])
        return read[first:] - threshold, targets.at(slice(first, None)), threshold


def _best(scores: Floats, truth: NDArray[np.bool_], choose: str) -> float:
    """Return the best threshold: halfway between two neighbouring scores, or the lowest of them."""
    values = np.unique(scores)
    thresholds = np.append(values[0], (values[1:] + values[:-1]) / 2)
    yes, no = ((scores[side] >= thresholds[:, None]).sum(axis=1) for side in (truth, ~truth))
    quality = _CHOICES[choose](yes, truth.sum() - yes, no, (~truth).sum() - no)
    return float(thresholds[np.argmax(quality)])


@dataclass(frozen=True)
class Binary(_Threshold):
    """Share of inputs that are right: positive ones at or above a threshold, others below it."""

    name = "binary"
    title = "accuracy at the threshold"

    def check(self, targets: Targets, outputs: int) -> None:
        super().check(targets, outputs)
        labels = class_labels(targets, self)
        require(outputs <= 2, self, f"needs one output or two, and the model has {outputs}")
        require(bool(labels.max() <= 1), self, f"needs labels 0 and 1, and there is {labels.max()}")

    def predictions(self, read: Floats) -> NDArray[np.int64] | None:
        """Return the class of each inference; None where the threshold is to be chosen."""
        if isinstance(self.threshold, dict):
            return None
        return np.where(read[:, 0] >= self.threshold, self.positive, 1 - self.positive)

    def right(self, read: Floats, targets: Targets) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = (read[:, 0] >= 0) == self.truth(targets)
        return right

    def score(self, read: Floats, targets: Targets) -> Score:
        above, scored, threshold = self.settled(read, targets)
        truth, yes = self.truth(scored), above[:, 0] >= 0
        found, alarms = (f"{np.count_nonzero(yes & side):,} of {np.count_nonzero(side):,}" for side in (truth, ~truth))
        score = super().score(above, scored)
        return replace(score, words=f"{score.words}; at {threshold:.4g} finds {found}, false alarms {alarms}")

    def difference(self, a: Floats, b: Floats, targets: Targets, test: Test) -> Estimate:
        (before, scored, _), (after, _, _) = self.settled(a, targets), self.settled(b, targets)
        return super().difference(before, after, scored, test)


@dataclass(frozen=True)
class FalseAccepts(_Threshold):
    """False alarms in an hour of inputs that aren't positive."""

    name = "false_accepts"
    title = "false accepts per hour"
    unit = "per hour"
    more_is_better = False
    margin = 0.1
    relative = True

    def check(self, targets: Targets, outputs: int) -> None:
        if isinstance(self.threshold, dict):
            super().check(targets, outputs)
        if self.truth(targets).all():
            raise ConfigError(f"metric {self.name} needs inputs that aren't positive, and every label is")
        if targets.seconds is None or not 0 < targets.seconds < np.inf:
            raise ConfigError(f"metric {self.name} needs `seconds:`, what one input lasts, to count per hour")

    def right(self, read: Floats, targets: Targets) -> NDArray[np.bool_]:
        """Return which inputs, none of them positive, are accepted."""
        accepted: NDArray[np.bool_] = read[:, 0] >= 0
        return accepted

    def _others(self, read: Floats, targets: Targets) -> tuple[Floats, Targets, float]:
        above, scored, threshold = self.settled(read, targets)
        others = np.flatnonzero(~self.truth(scored))
        return above[others], scored.at(others), threshold

    def score(self, read: Floats, targets: Targets) -> Score:
        above, others, threshold = self._others(read, targets)
        count = int(np.count_nonzero(above >= 0))
        hours = len(above) * float(others.seconds or 0) / _HOUR_S
        if others.groups is None:
            low, high = (end / hours for end in poisson_interval(count, LEVEL))
        else:
            share = super().score(above, others)
            low, high = (float(end or 0) * len(above) / hours for end in (share.low, share.high))
        words = f"{count / hours:.4g} ({count:,} of {len(above):,} inputs in {hours:.4g} h; at {threshold:.4g})"
        return Score(count / hours, low, high, words)

    def difference(self, a: Floats, b: Floats, targets: Targets, test: Test) -> Estimate:
        (before, others, _), (after, _, _) = self._others(a, targets), self._others(b, targets)
        found = super().difference(before, after, others, test)
        factor = _HOUR_S / float(others.seconds or 0)
        return replace(found, change=found.change * factor, low=found.low * factor, high=found.high * factor)
