"""What a report draws beside a score: arrays, from what a metric read and what was wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.metrics.shares import wilson_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.metrics.base import Floats


@dataclass(frozen=True)
class Recall:
    """The share of one class's inputs that are right, with its 95 % interval; NaN where the class has no inputs."""

    inputs: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Roc:
    """A ROC curve: rates of false and true positives from (0, 0) to (1, 1), and the threshold of each point."""

    false_positive: Floats
    true_positive: Floats
    thresholds: Floats


@dataclass(frozen=True, eq=False)
class Residuals:
    """A regression's values: what was wanted and by how much the model exceeded it, shape [N] each."""

    wanted: Floats
    excess: Floats


def confusion(labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return how many inputs of each class (row) were taken for each class (column), [classes, classes]."""
    counts = np.bincount(labels * classes + predictions, minlength=classes * classes)
    return counts.reshape(classes, classes)


def recalls(matrix: NDArray[np.int64]) -> tuple[Recall, ...]:
    """Return each class's recall from a confusion matrix."""
    found = []
    for at, inputs in enumerate(matrix.sum(axis=1).tolist()):
        right = int(matrix[at, at])
        ends = wilson_interval(right, inputs) if inputs else (np.nan, np.nan)
        found.append(Recall(inputs, right / inputs if inputs else np.nan, *ends))
    return tuple(found)


def roc(scores: Floats, truth: NDArray[np.bool_], most: int = 400) -> Roc:
    """Return the ROC curve of scores [N], of which those of true inputs should be high.

    Points on a straight line between their neighbours are left out, and beyond `most` all but that many, evenly.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]), 1))
    hits, every = np.cumsum(truth[order])[ends], ends + 1
    x, y = (np.append(0, each) for each in (every - hits, hits))
    bend = np.ones(len(x), bool)
    bend[1:-1] = np.diff(x[:-1]) * np.diff(y[1:]) != np.diff(x[1:]) * np.diff(y[:-1])
    kept = np.flatnonzero(bend)
    if len(kept) > most:
        kept = kept[np.linspace(0, len(kept) - 1, most).round().astype(np.intp)]
    thresholds = np.append(np.inf, scores[order][ends])[kept]
    return Roc(x[kept] / max(1, x[-1]), y[kept] / max(1, y[-1]), thresholds)


def residuals(read: Floats, wanted: Floats) -> tuple[Residuals, ...]:
    """Return the residuals of each output of a regression, from what was read and wanted, [N, outputs] each."""
    return tuple(Residuals(want, got - want) for want, got in zip(wanted.T, read.T, strict=True))
