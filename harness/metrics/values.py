"""Models whose answer is a value (regression): how far it is from the one that was wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from harness.errors import ConfigError
from harness.metrics.base import Labels, known_labels
from harness.metrics.bootstrap import Bootstrapped, Statistic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.metrics.base import Targets


@dataclass(frozen=True)
class _Values(Bootstrapped):
    unit: ClassVar[str] = ""
    more_is_better: ClassVar[bool] = False
    margin: ClassVar[float] = 0.01
    relative: ClassVar[bool] = True
    labels: ClassVar[Labels] = "value"

    def check(self, targets: Targets, outputs: int) -> None:
        wanted = _wanted(targets, self.name)
        if wanted.shape[1] != outputs:
            raise ConfigError(
                f"metric {self.name}: the model has {outputs} outputs, but each label has {wanted.shape[1]} values"
            )


@dataclass(frozen=True)
class MeanAbsoluteError(_Values):
    """Mean absolute error over all inputs and outputs."""

    name: ClassVar[str] = "mae"
    title: ClassVar[str] = "mean absolute error"

    def statistic(self, read: NDArray[np.float64], targets: Targets) -> Statistic:
        error = np.abs(read - _wanted(targets, self.name)).mean(axis=1)
        return lambda weights: (weights @ error) / weights.sum(axis=1)


def _wanted(targets: Targets, metric: str) -> NDArray[np.float64]:
    labels = known_labels(targets, metric)
    if labels.ndim > 2:
        raise ConfigError(f"metric {metric} needs values [N] or [N, outputs]; the labels are {list(labels.shape)}")
    return labels.reshape(len(labels), -1).astype(np.float64)
