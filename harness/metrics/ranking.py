"""Models whose answer is a score, like that of an anomaly: how well it parts the positive inputs from the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from harness.errors import ConfigError
from harness.metrics.base import LEVEL, Labels, Score, TaskMetric, class_labels, numbers
from harness.metrics.delong import auc_interval, components, paired

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.metrics.base import Targets
    from harness.metrics.estimate import Estimate

#: Two outputs whose sums lie within this of 1 are a softmax.
_SOFTMAX = 0.05


@dataclass(frozen=True)
class Positive(TaskMetric):
    """A metric of one class against all others.

    Attributes:
        positive: the class whose inputs should score high.
    """

    labels: ClassVar[Labels] = "binary"
    positive: int = 1

    def check(self, targets: Targets, outputs: int) -> None:
        labels = class_labels(targets, str(self))
        if outputs > 1 and not 0 <= self.positive < outputs:
            raise ConfigError(f"metric {self}: positive is {self.positive}, but the model has {outputs} outputs")
        positive = self.of_files(labels[:, None].astype(np.float64), targets)[1]
        if positive.all() or not positive.any():
            found = "no" if not positive.any() else "every"
            raise ConfigError(f"metric {self} needs inputs of both kinds: {found} label is {self._name(targets)}")

    def read(self, outputs: NDArray[np.float64], inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how positive each inference is, [N, 1].

        That is the only output; of two that add up to 1, or of more than two, the one of the positive class; of two
        others (logits) the positive one less the other.
        """
        del inputs
        flat = numbers(outputs)
        if flat.shape[1] == 1:
            return flat
        score = flat[:, self.positive]
        if flat.shape[1] == 2 and np.abs(flat.sum(axis=1) - 1).max() > _SOFTMAX:
            score = score - flat[:, 1 - self.positive]
        return score[:, None]

    def of_files(self, read: NDArray[np.float64], targets: Targets) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return score and truth of each input; where inputs come from files, those of each file: the mean score.

        Raises:
            ConfigError: a file has inputs of both kinds.
        """
        truth = class_labels(targets, str(self)) == self.positive
        if targets.groups is None:
            return read[:, 0], truth
        names, of, counts = np.unique(targets.groups, return_inverse=True, return_counts=True)
        share = np.bincount(of, truth) / counts
        mixed = np.flatnonzero((share > 0) & (share < 1))
        if mixed.size:
            raise ConfigError(f"metric {self}: file {names[mixed[0]]} of groups has labels of both kinds; it needs one")
        return np.bincount(of, read[:, 0]) / counts, share == 1

    def counts(self, truth: NDArray[np.bool_], targets: Targets) -> str:
        """Return how many there are of each kind, in words."""
        what = "" if targets.groups is None else " files"
        other = targets.classes[1 - self.positive] if len(targets.classes) == 2 else "other"
        return f"{np.count_nonzero(~truth):,} {other}, {np.count_nonzero(truth):,} {self._name(targets)}{what}"

    def _name(self, targets: Targets) -> str:
        return targets.classes[self.positive] if self.positive < len(targets.classes) else "positive"


@dataclass(frozen=True)
class RocAuc(Positive):
    """Area under the ROC curve: how often a positive input scores higher than another, ties counting half."""

    name: ClassVar[str] = "roc_auc"
    title: ClassVar[str] = "ROC AUC"

    def score(self, read: NDArray[np.float64], targets: Targets) -> Score:
        scores, truth = self.of_files(read, targets)
        parts = components(scores, truth)
        value = float(parts[0].mean())
        low, high = auc_interval(*parts, LEVEL)
        return Score(value, low, high, f"{value:.4g} ({self.counts(truth, targets)})")

    def compare(
        self,
        a: NDArray[np.float64],
        b: NDArray[np.float64],
        targets: Targets,
        *,
        level: float,
        rng: np.random.Generator,
    ) -> Estimate:
        del rng
        before, after = (components(*self.of_files(side, targets)) for side in (a, b))
        return paired(before, after, level)
