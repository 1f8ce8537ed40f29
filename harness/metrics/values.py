"""Models whose answer is a value (regression): how far it is from the one that was wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import ConfigError
from harness.metrics.base import Floats, TaskMetric, known_labels
from harness.metrics.bootstrap import Bootstrapped, Statistic

if TYPE_CHECKING:
    from harness.metrics.base import Targets


class _Values(Bootstrapped):
    """An error in the unit of the labels, computed for each output and averaged over them."""

    unit = ""
    more_is_better = False
    margin = 0.01
    relative = True
    labels = "value"

    def check(self, targets: Targets, outputs: int) -> None:
        wanted = wanted_values(targets, self)
        if wanted.shape[1] != outputs:
            raise ConfigError(f"metric {self}: each label has {wanted.shape[1]} values, the model {outputs}")


@dataclass(frozen=True)
class MeanAbsoluteError(_Values):
    """Mean absolute error."""

    name = "mae"
    title = "mean absolute error"

    def statistic(self, read: Floats, targets: Targets) -> Statistic:
        error = np.abs(read - wanted_values(targets, self, len(read))).mean(axis=1)
        return lambda weights: (weights @ error) / weights.sum(axis=1)


@dataclass(frozen=True)
class RootMeanSquareError(_Values):
    """Root of the mean squared error."""

    name = "rmse"
    title = "root mean square error"

    def statistic(self, read: Floats, targets: Targets) -> Statistic:
        squares = (read - wanted_values(targets, self, len(read))) ** 2
        return lambda weights: np.sqrt((weights @ squares) / weights.sum(axis=1, keepdims=True)).mean(axis=1)


@dataclass(frozen=True)
class R2(_Values):
    """Coefficient of determination: the share of the labels' variance that the model explains."""

    name = "r2"
    title = "R²"
    more_is_better = True
    margin = 0.005
    relative = False

    def check(self, targets: Targets, outputs: int) -> None:
        super().check(targets, outputs)
        wanted = wanted_values(targets, self)
        if (wanted == wanted[0]).all(axis=0).any():
            raise ConfigError("metric r2 needs labels that vary: constant ones have no variance to explain; use mae")

    def statistic(self, read: Floats, targets: Targets) -> Statistic:
        wanted = wanted_values(targets, self, len(read))
        wanted = wanted - wanted.mean(axis=0)
        squares = (read - wanted_values(targets, self)) ** 2

        def explained(weights: Floats) -> Floats:
            total = weights @ wanted**2 - (weights @ wanted) ** 2 / weights.sum(axis=1, keepdims=True)
            share: Floats = (1 - (weights @ squares) / np.maximum(total, np.finfo(float).tiny)).mean(axis=1)
            return share

        return explained


def wanted_values(targets: Targets, metric: TaskMetric, count: int | None = None) -> Floats:
    """Return the labels of a regression, [N, outputs]; `count` is how many inputs there are, where that is known.

    Raises:
        ConfigError: there are none, or they have more dimensions.
        MeasurementError: there are more or fewer than inputs.
    """
    labels = known_labels(targets, metric, count)
    if labels.ndim > 2:
        raise ConfigError(f"metric {metric} needs values [N] or [N, outputs]; the labels are {list(labels.shape)}")
    return labels.reshape(len(labels), -1).astype(np.float64)
