"""From a suite's inputs to a model's input tensors: brought to the model's size, then to its type."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.config.subset import SEED
from harness.errors import ImageError

if TYPE_CHECKING:
    from typing import Any, Literal

    from numpy.typing import NDArray

    from harness.config.data import SuiteData
    from harness.image.model_card import TensorSpec

    Resize = Literal["area", "bilinear"]


def input_tensors(data: SuiteData, spec: TensorSpec, resize: Resize | None) -> NDArray[np.generic]:
    """Return inputs as a model takes them, [N, spec.size] of the tensor's type.

    Args:
        data: inputs as the suite's file holds them.
        spec: type, shape and quantization of the model's input.
        resize: how a variant's inputs are brought to the model's size; None: they must have it.

    Raises:
        ImageError: they don't fit, or can't be resized to fit.
    """
    return spec.encode(model_inputs(data, spec, resize))


def model_inputs(data: SuiteData, spec: TensorSpec, resize: Resize | None) -> NDArray[np.float32]:
    """Return the real values that a model gets, float32 [N, ...] of its input's shape but for dimensions of 1.

    Args:
        data: inputs as the suite's file holds them.
        spec: type, shape and quantization of the model's input.
        resize: how a variant's inputs are brought to the model's size; None: they must have it.

    Raises:
        ImageError: they don't fit, or can't be resized to fit.
    """
    if data.random:
        return _random(data, spec)
    real = _dequantized(data.raw, spec, resize) if data.quantized else data.real()
    if resize is not None:
        real = resized(real, spec.shape, resize)
    check_shape(real.shape[1:], spec.shape)
    return real


def _dequantized(raw: NDArray[Any], spec: TensorSpec, resize: Resize | None) -> NDArray[np.float32]:
    """Return what raw values of a tensor's type stand for; quantizing that gives the same raw values again.

    It does for up to 16 bits: product and quotient in float32 are off by 2**-23 of at most 65,535 steps, far less than
    the half step that rounding takes.

    Raises:
        ImageError: they are none of the tensor's type and range, or would have to be resized.
    """
    if spec.scale is None or spec.zero_point is None:
        raise ImageError(f"inputs that are quantized, for a model whose input is {spec.dtype}; remove `quantized:`")
    if resize is not None:
        raise ImageError("inputs that are quantized can't be resized; remove `resize:`, or `quantized:`")
    # Tables and lists give 64 bits whatever is in them; another type of few bits was made for another model.
    limits = np.iinfo(spec.dtype)
    if raw.dtype not in (np.dtype(spec.dtype), np.dtype(np.int64)):
        raise ImageError(
            f"quantized inputs of {raw.dtype} for a model whose input is {spec.dtype}; save them in its type"
        )
    if raw.min() < limits.min or raw.max() > limits.max:
        raise ImageError(
            f"quantized inputs from {raw.min()} to {raw.max()} for a model whose input is {spec.dtype}, which holds "
            f"{limits.min} to {limits.max}"
        )
    real: NDArray[np.float32] = (raw - np.int64(spec.zero_point)).astype(np.float32) * np.float32(spec.scale)
    return real


def _random(data: SuiteData, spec: TensorSpec) -> NDArray[np.float32]:
    """Draw inputs, each the same whichever others are used: integers uniform over their type, floats from 0 to 1."""
    rng = np.random.default_rng(SEED)
    shape = (int(data.places.max()) + 1, *spec.shape[1:])
    if spec.scale is None or spec.zero_point is None:
        return rng.random(shape, np.float32)[data.places]
    limits = np.iinfo(spec.dtype)
    codes = rng.integers(limits.min, limits.max, shape, endpoint=True)[data.places]
    return ((codes - spec.zero_point) * spec.scale).astype(np.float32)


def check_shape(given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Refuse an input whose values would go to other places than the model expects.

    Dimensions of 1 don't matter. Where one side has only one other dimension it is flat: its order can't be checked.

    Args:
        given: shape of one input in the suite's file.
        wanted: shape of the model's input.

    Raises:
        ImageError: the shapes differ; says how to transpose the inputs where that makes them fit.
    """
    theirs, ours = (tuple(size for size in shape if size > 1) for shape in (given, wanted))
    if math.prod(given) != math.prod(wanted):
        raise ImageError(
            f"inputs of {math.prod(given):,} values (shape {given}) for a model whose input has {math.prod(wanted):,} "
            f"(shape {wanted}); use the inputs that the model was made for"
        )
    if theirs == ours or len(theirs) <= 1 or len(ours) <= 1:
        return
    hint = "give them in the shape that the model was made for"
    if sorted(theirs) == sorted(ours):
        hint = "these are the same dimensions in another order"
        if len(set(theirs)) == len(theirs):
            places = [place for place, size in enumerate(given) if size > 1]
            axes = [0, *(1 + places[theirs.index(size)] for size in ours)]
            axes += [1 + place for place, size in enumerate(given) if size == 1]
            hint += f": save numpy.transpose(inputs, {tuple(axes)})"
    raise ImageError(f"inputs of shape {given} for a model whose input has shape {wanted}; {hint}")


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
    (height, width), (rows, columns) = images.shape[1:3], shape[1:3]
    if (height - width) * (rows - columns) < 0 and min(height, width, rows, columns) > 1:
        raise ImageError(
            f"inputs of {height} x {width} can't be resized to {rows} x {columns}: what is wide would become tall; "
            "transpose them"
        )
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
