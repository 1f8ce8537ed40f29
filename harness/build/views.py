"""Operators that only move values, as views of numpy arrays.

A view serves twice: of a constant it is the result, and of an array of positions it says where each value of an output
comes from, in the output's order; its shape may be another.
"""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.build.step import Node

    Values = NDArray[Any]
    #: Takes the values of the input that decides (`Kind.main`); one array for each output.
    View = Callable[[Node, Values], Sequence[Values]]
    #: Takes an operator all of whose inputs are known.
    Fold = Callable[[Node], Any]


def _strided_slice(node: Node, x: Values) -> list[Values]:
    begin, end, strides = (node.numbers(position) for position in (1, 2, 3))
    names = ("BeginMask", "EndMask", "ShrinkAxisMask", "NewAxisMask", "EllipsisMask")
    masks = [node.option(name) for name in names]
    picked: list[Any] = []
    for d, (low, high, step) in enumerate(zip(begin, end, strides, strict=True)):
        from_start, to_end, one, new, rest = (mask >> d & 1 for mask in masks)
        last = low + high if node.operator.options.get("Offset") else high
        span = slice(None if from_start else low, None if to_end else last, step)
        picked.append(... if rest else None if new else low if one else span)
    return [np.asarray(x[tuple(picked)])]


def _slice(node: Node, x: Values) -> list[Values]:
    pairs = zip(node.numbers(1), node.numbers(2), strict=True)
    return [x[tuple(slice(low, None if size < 0 else low + size) for low, size in pairs)]]


def _split(node: Node, x: Values) -> list[Values]:
    return np.split(x, node.option("NumSplits"), node.numbers(0)[0])


def _split_v(node: Node, x: Values) -> list[Values]:
    sizes, axis = list(node.numbers(1)), node.numbers(2)[0]
    if -1 in sizes:
        sizes[sizes.index(-1)] = x.shape[axis] - sum(sizes) - 1
    return np.split(x, list(accumulate(sizes))[:-1], axis)


def _unpack(node: Node, x: Values) -> list[Values]:
    return list(np.moveaxis(x, node.option("Axis"), 0))


def _gather(node: Node, x: Values) -> list[Values]:
    indices, axis = np.array(node.numbers(1)), node.option("Axis") % x.ndim
    if node.operator.options.get("BatchDims"):
        raise node.refused("batch dimensions", "a gather without them")
    if indices.min() < 0 or indices.max() >= x.shape[axis]:
        raise node.refused(f"indices {indices.min()} to {indices.max()} of {x.shape[axis]}", "indices that are there")
    steps = {after - before for before, after in pairwise(indices)}
    if len(steps) > 1 or 0 in steps:
        return [x.take(indices, axis)]
    step = int(min(steps, default=1))
    stop = int(indices[-1]) + step
    return [x[(slice(None),) * axis + (slice(int(indices[0]), stop if stop >= 0 else None, step),)]]


def _space_to_depth(node: Node, x: Values) -> list[Values]:
    n, h, w, c = x.shape
    block = node.option("BlockSize")
    return [x.reshape(n, h // block, block, w // block, block, c).transpose(0, 1, 3, 2, 4, 5)]


def _depth_to_space(node: Node, x: Values) -> list[Values]:
    n, h, w, c = x.shape
    block = node.option("BlockSize")
    return [x.reshape(n, h, w, block, block, c // block**2).transpose(0, 1, 3, 2, 4, 5)]


def _broadcast(node: Node, x: Values) -> list[Values]:
    return [np.broadcast_to(x, node.y.shape)]


def _tile(node: Node, x: Values) -> list[Values]:
    times = node.numbers(1)
    shape = [size for pair in zip(times, x.shape, strict=True) for size in pair]
    return [np.broadcast_to(x.reshape([s for n in x.shape for s in (1, n)]), shape)]


def _reverse(node: Node, x: Values) -> list[Values]:
    return [np.flip(x, node.numbers(1))]


def _nearest(node: Node, x: Values) -> list[Values]:
    """Rows and columns repeated; which ones as tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h."""
    rows, columns = (_nearest_of(node, size, out) for size, out in zip(x.shape[1:3], node.y.shape[1:3], strict=True))
    factors = [out / size for size, out in zip(x.shape[1:3], node.y.shape[1:3], strict=True)]
    for picked, factor in zip((rows, columns), factors, strict=True):
        if not factor.is_integer() or (picked != np.arange(len(picked)) // int(factor)).any():
            return [x.take(rows, 1).take(columns, 2)]
    n, h, w, c = x.shape
    return [np.broadcast_to(x.reshape(n, h, 1, w, 1, c), (n, h, int(factors[0]), w, int(factors[1]), c))]


def _nearest_of(node: Node, size: int, out: int) -> NDArray[np.int64]:
    corners, centres = (bool(node.operator.options[name]) for name in ("AlignCorners", "HalfPixelCenters"))
    scale = np.float32((size - 1) / (out - 1) if corners and out > 1 else size / out)
    places = (np.arange(out, dtype=np.float32) + np.float32(0.5 if centres else 0)) * scale
    rounded = np.floor(places + np.float32(0.5)) if corners else np.floor(places)
    nearest: NDArray[np.int64] = np.clip(rounded.astype(np.int64), 0, size - 1)
    return nearest


def _mirror_pad(node: Node, x: Values) -> list[Values]:
    amounts = np.array(node.numbers(1)).reshape(-1, 2)
    return [np.pad(x, amounts, "symmetric" if node.option("Mode") else "reflect")]


#: Those that leave every value where it is.
RENAMES = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")

VIEWS: Mapping[str, View] = {
    **dict.fromkeys(RENAMES, lambda _node, x: [x]),
    "BROADCAST_TO": _broadcast,
    "DEPTH_TO_SPACE": _depth_to_space,
    "GATHER": _gather,
    "MIRROR_PAD": _mirror_pad,
    "RESIZE_NEAREST_NEIGHBOR": _nearest,
    "REVERSE_V2": _reverse,
    "SLICE": _slice,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _tile,
    "TRANSPOSE": lambda node, x: [x.transpose(node.numbers(1))],
    "UNPACK": _unpack,
}


def _values(node: Node) -> list[Values]:
    return [node.graph.tensors[index].data for index in node.operator.inputs if index >= 0]  # type: ignore[misc]


def _of_numbers(function: Callable[..., Any]) -> Fold:
    """Return a function of numbers as they are, which quantized ones aren't."""

    def fold(node: Node) -> Any:
        if not {node.x.dtype, node.y.dtype} <= {"float32", "int32", "int64", "bool"} or node.activation != 0:
            raise node.refused(f"{node.y.dtype} constants", "a model whose constants were folded by the converter")
        return function(*_values(node))

    return fold


def _cast(node: Node) -> Any:
    """Return the numbers; those that an int32 can't hold as its kernel gives them."""
    (x,) = _values(node)
    if node.x.dtype.startswith("float") and node.y.dtype == "int32":
        limits = np.iinfo(np.int32)
        return np.clip(np.nan_to_num(x.astype(np.float64)), limits.min, limits.max)
    return x


def _product(x: Values, axes: Values) -> Any:
    return x.prod(tuple(axes.ravel()))


def _matrix(x: Values, weights: Values, bias: Values | float = 0.0) -> Any:
    return x.reshape(-1, weights.shape[1]) @ weights.T + bias


def _range(node: Node) -> Any:
    start, limit, step = (values.item() for values in _values(node))
    count = max(math.ceil((limit - start) / step), 0)
    return start + step * np.arange(count) if count == node.y.elements else ()


#: What operators make of constants, or of a shape. Values of another shape than the output's are put into it.
FOLDS: Mapping[str, Fold] = {
    "ADD": _of_numbers(np.add),
    "CAST": _cast,
    "CONCATENATION": lambda node: np.concatenate(_values(node), node.option("Axis")),
    "EQUAL": _of_numbers(np.equal),
    "FILL": lambda node: np.broadcast_to(_values(node)[1], node.y.shape),
    "FULLY_CONNECTED": _of_numbers(_matrix),
    "GREATER": _of_numbers(np.greater),
    "LESS": _of_numbers(np.less),
    "LOGICAL_AND": _of_numbers(np.logical_and),
    "MAXIMUM": _of_numbers(np.maximum),
    "MINIMUM": _of_numbers(np.minimum),
    "MUL": _of_numbers(np.multiply),
    "PACK": lambda node: np.stack(_values(node), node.option("Axis")),
    "RANGE": _range,
    "RANK": lambda node: len(node.x.shape),
    "REDUCE_PROD": _of_numbers(_product),
    "SHAPE": lambda node: node.x.shape,
    "SUB": _of_numbers(np.subtract),
    "ZEROS_LIKE": lambda node: np.zeros(node.y.shape),
}
