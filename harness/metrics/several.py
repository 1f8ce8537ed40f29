"""Models that say of several labels which apply to an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import ConfigError
from harness.metrics.base import Floats, is_number, known_labels, numbers, require
from harness.metrics.bootstrap import Bootstrapped, Statistic
from harness.metrics.ranking import average_precision, curve_statistic, inside_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.metrics.base import Targets


class _Several(Bootstrapped):
    labels = "several"

    def check(self, targets: Targets, outputs: int) -> None:
        labels = self.several(targets)
        if labels.shape[1] != outputs:
            raise ConfigError(f"metric {self}: there are {labels.shape[1]} labels, but the model has {outputs} outputs")

    def several(self, targets: Targets, count: int | None = None) -> NDArray[Any]:
        """Return the labels, [N, labels]; `count` is how many inputs there are, where that is known.

        Raises:
            ConfigError: they have another shape, or values other than 0 and 1.
        """
        labels = known_labels(targets, self, count)
        if labels.ndim != 2 or labels.dtype.kind not in "iub" or not np.isin(labels, (0, 1)).all():
            what = f"the labels are {labels.dtype} {list(labels.shape)}"
            raise ConfigError(f"metric {self} needs 0 or 1 for each input and label, [N, labels]; {what}")
        return labels


@dataclass(frozen=True)
class MultilabelAp(_Several):
    """Mean over the labels of their average precision."""

    name = "multilabel_ap"
    title = "macro average precision"

    def check(self, targets: Targets, outputs: int) -> None:
        super().check(targets, outputs)
        empty = np.flatnonzero(~self.several(targets).any(axis=0))
        if empty.size:
            label = targets.classes[empty[0]] if empty[0] < len(targets.classes) else empty[0]
            raise ConfigError(f"metric {self}: no input has label {label}, so that it has no average precision")

    def statistic(self, read: Floats, targets: Targets) -> Statistic:
        truth = self.several(targets, len(read)) == 1
        columns = zip(read.T, truth.T, strict=True)
        each = [curve_statistic(scores, labels, average_precision) for scores, labels in columns]
        return lambda weights: np.nanmean([area(weights) for area in each], axis=0)


@dataclass(frozen=True)
class Hamming(_Several):
    """Hamming loss: the share of all labels of all inputs that are wrong.

    Attributes:
        threshold: outputs from here on say that a label applies.
    """

    name = "hamming"
    title = "Hamming loss"
    more_is_better = False
    threshold: float = 0.5

    def __post_init__(self) -> None:
        require(is_number(self.threshold), self, f"threshold is a number, not {self.threshold!r}")

    def read(self, outputs: Floats, inputs: NDArray[np.float32]) -> Floats:
        """Return all outputs, [N, labels]."""
        return numbers(outputs)

    def statistic(self, read: Floats, targets: Targets) -> Statistic:
        inside_range(self, self.threshold, read)
        wrong = ((read >= self.threshold) != (self.several(targets, len(read)) == 1)).mean(axis=1)
        return lambda weights: (weights @ wrong) / weights.sum(axis=1)
