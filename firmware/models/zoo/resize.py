"""Smaller and larger inputs, exactly as the suites' `resize:` makes them, in plain numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Resize:
    """From one height and width to another.

    Attributes:
        method: "area", the mean over equal blocks, or "bilinear" with half-pixel centres and no antialiasing, as
            tf.image.resize does it.
        height: of the result.
        width: of the result.
    """

    method: str
    height: int
    width: int

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the inputs [n, height, width, channels] at the new size, float32.

        Raises:
            ValueError: "area" and the sizes don't divide.
        """
        if self.method == "area":
            return area(x, self.height, self.width)
        return bilinear(x, self.height, self.width)


def area(x: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return the mean over equal blocks, computed in float64.

    Raises:
        ValueError: the sizes don't divide.
    """
    n, rows, columns, channels = x.shape
    if rows % height or columns % width:
        message = f"{rows} x {columns} doesn't divide into blocks for {height} x {width}"
        raise ValueError(message)
    blocks = x.astype(np.float64).reshape(n, height, rows // height, width, columns // width, channels)
    mean: NDArray[np.float32] = blocks.mean(axis=(2, 4)).astype(np.float32)
    return mean


def bilinear(x: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return the bilinear interpolation, computed in float32.

    Source of the formula: tensorflow/core/kernels/image/resize_bilinear_op.cc with half_pixel_centers. Row y of the
    result lies at (y + 0.5) * rows / height - 0.5 of the source, between floor and ceiling of that, kept inside.
    """
    top, bottom, down = _between(x.shape[1], height)
    left, right, across = _between(x.shape[2], width)
    across = across[:, np.newaxis]
    upper, lower = x[:, top], x[:, bottom]
    above = upper[:, :, left] + (upper[:, :, right] - upper[:, :, left]) * across
    below = lower[:, :, left] + (lower[:, :, right] - lower[:, :, left]) * across
    result: NDArray[np.float32] = above + (below - above) * down[:, np.newaxis, np.newaxis]
    return result


def _between(old: int, new: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]:
    """Return the two source positions of each new one, and how far it is from the first to the second."""
    scale = np.float32(old) / np.float32(new)
    at = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    first = np.floor(at)
    lower = np.maximum(first, 0).astype(int)
    upper = np.minimum(np.ceil(at), old - 1).astype(int)
    return lower, upper, (at - first).astype(np.float32)
