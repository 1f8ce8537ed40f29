"""Models whose answer is one of several classes: predictions from outputs, and how many of them are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from harness.errors import ConfigError, MeasurementError
from harness.metrics.base import class_labels
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


@dataclass(frozen=True)
class Top1(Share):
    """Share of inputs whose largest output is that of their class."""

    name: ClassVar[str] = "top1"
    title: ClassVar[str] = "accuracy"

    def check(self, targets: Targets, outputs: int) -> None:
        class_labels(targets, self.name, outputs)
        if outputs < 2:
            raise ConfigError(f"metric {self.name} needs an output for each class; one output: binary, or roc_auc")

    def read(self, outputs: NDArray[np.float64], inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the class of each inference, [N, 1]."""
        del inputs
        return largest(outputs)[:, None].astype(np.float64)

    def predictions(self, read: NDArray[np.float64]) -> NDArray[np.int64] | None:
        return read[:, 0].astype(np.int64)

    def right(self, read: NDArray[np.float64], targets: Targets) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = read[:, 0] == class_labels(targets, self.name)
        return right


def largest(outputs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the class that each of N outputs [N, outputs] says, as `predict` does."""
    flat = np.asarray(outputs).reshape(len(outputs), -1)
    wrong = np.flatnonzero(np.isnan(flat).any(axis=1))
    if flat.size == 0:
        raise MeasurementError("a score needs at least one output")
    if wrong.size:
        raise MeasurementError(f"the output of input {wrong[0]} contains NaN: it has no largest value")
    classes: NDArray[np.int64] = flat.argmax(axis=1).astype(np.int64)
    return classes
