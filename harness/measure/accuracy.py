"""Predictions from output tensors, and how many of them are right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import MeasurementError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Two-sided 95 % quantile of the normal distribution.
Z_95 = 1.959963984540054

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


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927), 209-212:
    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). Unlike the normal approximation it stays
    within 0 to 1 and has a width at 0 % and 100 %.

    Raises:
        MeasurementError: not 0 <= successes <= trials, or no trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise MeasurementError(f"{successes} of {trials} is no share")
    share, z = successes / trials, Z_95
    centre = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At 0 and 1 the ends are exactly 0 and 1; rounding must not push them past the share itself.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == trials else (centre + half) / scale
    return low, high
