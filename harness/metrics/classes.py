"""Models whose answer is one of several classes: predictions from outputs, and how many of them are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import ConfigError, MeasurementError
from harness.metrics.base import Floats, TaskMetric, class_labels, is_number, require
from harness.metrics.bootstrap import Bootstrapped, Statistic, Units, units_of
from harness.metrics.shares import Share, wilson_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from harness.metrics.base import Targets

_OUTPUT_TYPES = ("int8", "uint8", "float32")


@dataclass(frozen=True)
class Accuracy:
    """Top-1 accuracy with its 95 % interval, all as shares of 1."""

    correct: int
    samples: int
    value: float
    low: float
    high: float


def predict(output: NDArray[Any]) -> int:
    """Return the class that an output tensor says: its largest value, the lowest index if several are equal.

    Quantization has one scale and zero point for the tensor, so the raw integers rank as the real values do.

    Raises:
        MeasurementError: the raw output is empty, of another type, or contains NaN.
    """
    flat = output.reshape(-1)
    if flat.dtype.name not in _OUTPUT_TYPES:
        raise MeasurementError(f"an output must be {', '.join(_OUTPUT_TYPES)}, not {flat.dtype}")
    if flat.size == 0:
        raise MeasurementError("the output tensor is empty")
    if flat.dtype.kind == "f" and np.isnan(flat).any():
        raise MeasurementError(
            f"the output contains NaN (at index {int(np.flatnonzero(np.isnan(flat))[0])} of {flat.size}): "
            "it has no largest value; look for a division by zero or an overflow in the model"
        )
    return int(np.argmax(flat))


def top1(predictions: ArrayLike, labels: ArrayLike) -> Accuracy:
    """Return the share of predictions that equal their label; both are class indices, shape [N].

    Raises:
        MeasurementError: there are none, their numbers differ, or they are not whole numbers.
    """
    predicted, right = np.asarray(predictions), np.asarray(labels)
    if predicted.shape != right.shape or predicted.ndim != 1:
        raise MeasurementError(
            f"{list(predicted.shape)} predictions can't be scored against {list(right.shape)} labels"
        )
    if predicted.size == 0:
        raise MeasurementError("accuracy needs at least one sample")
    if predicted.dtype.kind not in "iu" or right.dtype.kind not in "iu":
        raise MeasurementError(f"predictions and labels are class indices, not {predicted.dtype} and {right.dtype}")
    correct = int(np.count_nonzero(predicted == right))
    low, high = wilson_interval(correct, predicted.size)
    return Accuracy(correct, predicted.size, correct / predicted.size, low, high)


def largest(outputs: Floats) -> NDArray[np.int64]:
    """Return the class that each of N outputs [N, outputs] says, as `predict` does.

    Raises:
        MeasurementError: there are none, or one contains NaN.
    """
    flat = np.asarray(outputs).reshape(len(outputs), -1)
    if flat.size == 0:
        raise MeasurementError("a score needs at least one output")
    wrong = np.flatnonzero(np.isnan(flat).any(axis=1))
    if wrong.size:
        raise MeasurementError(f"the output of input {wrong[0]} contains NaN: it has no largest value")
    classes: NDArray[np.int64] = flat.argmax(axis=1).astype(np.int64)
    return classes


class _Classes(TaskMetric):
    """What metrics of models with an output for each class have in common."""

    def check(self, targets: Targets, outputs: int) -> None:
        labels = class_labels(targets, self)
        if outputs < 2:
            raise ConfigError(f"metric {self} needs an output for each class; for one output: binary, or roc_auc")
        if labels.max() >= outputs:
            at = int(np.flatnonzero(labels >= outputs)[0])
            raise ConfigError(f"the label of input {at} is {labels[at]}, but the model has {outputs} outputs")

    def read(self, outputs: Floats, inputs: NDArray[np.float32]) -> Floats:
        """Return the class of each inference, [N, 1]."""
        return largest(outputs)[:, None].astype(np.float64)

    def predictions(self, read: Floats) -> NDArray[np.int64] | None:
        return read[:, 0].astype(np.int64)


@dataclass(frozen=True)
class Top1(_Classes, Share):
    """Share of inputs whose largest output is that of their class."""

    name = "top1"
    title = "accuracy"

    def right(self, read: Floats, targets: Targets) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = read[:, 0] == class_labels(targets, self, len(read))
        return right


@dataclass(frozen=True)
class TopK(_Classes, Share):
    """Share of inputs whose class is among the k largest outputs; of equal ones the lowest index ranks first.

    Attributes:
        k: how many may be named.
    """

    name = "topk"
    title = "top-k accuracy"
    k: int

    def __post_init__(self) -> None:
        require(is_number(self.k, whole=True) and self.k >= 1, self, f"k is a whole number from 1, not {self.k!r}")

    def check(self, targets: Targets, outputs: int) -> None:
        super().check(targets, outputs)
        require(self.k < outputs, self, f"k is {self.k}, but the model has {outputs} outputs: it is always right")

    def read(self, outputs: Floats, inputs: NDArray[np.float32]) -> Floats:
        """Return all outputs, [N, outputs]."""
        largest(outputs)
        return np.asarray(outputs, np.float64).reshape(len(outputs), -1)

    def predictions(self, read: Floats) -> NDArray[np.int64] | None:
        return largest(read)

    def right(self, read: Floats, targets: Targets) -> NDArray[np.bool_]:
        labels = class_labels(targets, self, len(read))[:, None]
        own = np.take_along_axis(read, labels, axis=1)
        before = (read > own) | ((read == own) & (np.arange(read.shape[1]) < labels))
        right: NDArray[np.bool_] = before.sum(axis=1) < self.k
        return right


@dataclass(frozen=True)
class BalancedAccuracy(_Classes, Bootstrapped):
    """Mean over the classes of the share of their inputs that are right; those without inputs don't count."""

    name = "balanced_accuracy"
    title = "balanced accuracy"

    def units(self, targets: Targets, count: int) -> Units:
        return units_of(count, targets.groups, class_labels(targets, self))

    def statistic(self, read: Floats, targets: Targets) -> Statistic:
        labels = class_labels(targets, self, len(read))
        of = (labels[:, None] == np.unique(labels)).astype(np.float64)
        right = of * (read == labels[:, None])
        return lambda weights: _share(weights @ right, weights @ of)


@dataclass(frozen=True)
class MacroF1(BalancedAccuracy):
    """Mean of F1, 2 tp / (2 tp + fp + fn), over the classes that labels or predictions have."""

    name = "macro_f1"
    title = "macro F1"

    def statistic(self, read: Floats, targets: Targets) -> Statistic:
        labels = class_labels(targets, self, len(read))[:, None]
        classes = np.union1d(labels, read)
        wanted, given = ((side == classes).astype(np.float64) for side in (labels, read))
        both = wanted * given
        return lambda weights: _share(2 * (weights @ both), weights @ (wanted + given))


def _share(part: Floats, whole: Floats) -> Floats:
    """Return the mean over classes of part / whole, shape [R, classes] each; a class that wasn't drawn counts 0."""
    shares: Floats = (part / np.maximum(whole, 1)).mean(axis=1)
    return shares


@dataclass(frozen=True)
class Agreement(_Classes, Share):
    """Share of inputs whose class is the one that a reference says; labels aren't needed."""

    name = "agreement"
    title = "agreement with the reference"
    labels = "reference"

    def check(self, targets: Targets, outputs: int) -> None:
        require(outputs > 1, self, "compares classes, and one output says none")
        if targets.reference is None:
            raise ConfigError(f"metric {self.name} needs a `reference:` for the variant: hil reference --help")
        shape = targets.reference.shape
        if shape[1:] not in ((), (outputs,)):
            raise ConfigError(f"metric {self.name}: the reference is {list(shape)}, not [N] or [N, {outputs}]")

    def right(self, read: Floats, targets: Targets) -> NDArray[np.bool_]:
        reference = targets.reference
        if reference is None or len(reference) != len(read):
            raise MeasurementError(f"metric {self.name} needs a reference for each of {len(read)} outputs")
        right: NDArray[np.bool_] = read[:, 0] == (reference if reference.ndim == 1 else largest(reference))
        return right
