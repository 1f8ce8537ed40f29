"""From a suite's inputs to a model's input tensors: brought to the model's size, then to its type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.errors import ImageError

if TYPE_CHECKING:
    from typing import Any, Literal

    from numpy.typing import NDArray

    from harness.config import SuiteData
    from harness.model_card import TensorSpec

    Resize = Literal["area", "bilinear"]


def input_tensors(data: SuiteData, spec: TensorSpec, resize: Resize | None, count: int) -> NDArray[np.generic]:
    """Return the first `count` inputs as a model takes them, [count, spec.size] of the tensor's type.

    Args:
        data: the suite's inputs.
        spec: the model's input.
        resize: how a variant's inputs are brought to the model's size; None: they must have it.
        count: how many.

    Raises:
        ImageError: they don't fit, or can't be resized to fit.
    """
    real = data.real()[:count]
    return spec.encode(real if resize is None else resized(real, spec.shape, resize))


def resized(inputs: NDArray[np.float32], shape: tuple[int, ...], how: Resize) -> NDArray[np.float32]:
    """Return images or time series in another size.

    Args:
        inputs: [N, height, width], [N, height, width, channels], or [N, steps, channels] for a model of one row or one
            column.
        shape: the model's input, [1, height, width, channels].
        how: "area": the mean of equal blocks; each size must be a multiple of the new one. "bilinear": between the four
            nearest pixels, their centres at half-pixels, as `tf.image.resize` does without antialiasing.

    Returns:
        float32 [N, height, width, channels] of the model's size.

    Raises:
        ImageError: the shapes don't go together.
    """
    if len(shape) != 4 or shape[0] != 1:
        raise ImageError(f"inputs can't be resized for a model whose input has shape {shape}; remove `resize:`")
    images = _as_images(inputs, shape)
    if how == "area":
        return _mean(_mean(images, 1, shape[1]), 2, shape[2]).astype(np.float32)
    return _between(_between(images, 2, shape[2]), 1, shape[1])


def _as_images(inputs: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    height, width, channels = shape[1:]
    values = inputs.astype(np.float32)
    if values.ndim == 3 and values.shape[2] == channels and 1 in (height, width):
        values = values[:, :, np.newaxis] if width == 1 else values[:, np.newaxis]
    elif values.ndim == 3 and channels == 1:
        values = values[..., np.newaxis]
    if values.ndim != 4 or values.shape[3] != channels:
        raise ImageError(f"inputs of shape {tuple(inputs.shape[1:])} can't be resized to {shape}: other channels")
    return values


def _mean(images: NDArray[Any], axis: int, size: int) -> NDArray[np.float64]:
    old = images.shape[axis]
    if old % size:
        raise ImageError(f"a size of {old} can't be averaged down to {size}: not a multiple; use `resize: bilinear`")
    blocks = (*images.shape[:axis], size, old // size, *images.shape[axis + 1 :])
    means: NDArray[np.float64] = images.astype(np.float64).reshape(blocks).mean(axis=axis + 1)
    return means


def _between(images: NDArray[np.float32], axis: int, size: int) -> NDArray[np.float32]:
    """Return one direction of the interpolation in float32, rounded where TensorFlow rounds.

    Source: tensorflow/core/kernels/image/resize_bilinear_op.cc with half_pixel_centers.
    """
    old = images.shape[axis]
    scale = np.float32(old) / np.float32(size)
    places = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    first = np.floor(places)
    lower = images.take(np.maximum(first, 0).astype(int), axis)
    upper = images.take(np.minimum(np.ceil(places), old - 1).astype(int), axis)
    weight = (places - first).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(images.ndim)])
    between: NDArray[np.float32] = lower + (upper - lower) * weight
    return between
