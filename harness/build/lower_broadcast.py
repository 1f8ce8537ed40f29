"""From functions of two tensors of any shapes that fit each other, and choices between two, to calls with strides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.build import pairs
from harness.build.lower_move import check_scales
from harness.build.step import Array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.build.graph import Quantization, Tensor
    from harness.build.step import Node, Step

_LOOPS = 4  # of the kernels
_SHORT = {"int8": "s8", "float32": "f32", "int32": "s32", "bool": "bool"}
_BITS = {"bool": 8, "int8": 8, "uint8": 8, "int16": 16, "int32": 32, "float32": 32}


def add_fields(
    a: Quantization, b: Quantization, out: Quantization, limits: tuple[int, int], *, sign: int = 1
) -> tuple[bool, dict[str, object]]:
    """Return whether there is a shorter formula, and the struct's fields."""
    fast = pairs.fast_add(a, b, out, sign=sign) if limits == (-128, 127) else None
    fields: dict[str, object] = {} if fast is None else dict(vars(fast))
    return fast is not None, fields | _scaled(pairs.add_scaling(a, b, out)) | _zeros(a, b, out, limits)


def broadcast(node: Node) -> Step:
    """Return the call of a function of two tensors, one of which may be constant."""
    first, second = (node.graph.tensors[index] for index in node.operator.inputs)
    if first.dtype != second.dtype:
        raise node.refused(f"{first.dtype} and {second.dtype}", "inputs of one type")
    counts, (step1, step2) = _loops(node, (first, second))
    fields: dict[str, object] = {
        "count": counts,
        "first": step1,
        "second": step2,
        "swapped": int(bool(first.data is not None)),
    }
    if first.dtype == "int8":
        fields |= _int8(node, first, second)
    elif first.dtype == "float32":
        low, high = node.float_limits().values()
        fields |= {"low": low, "high": high}
    elif node.activation:
        raise node.refused(f"an activation of {first.dtype}", "none, or float32")
    elif node.kind == "DIV" and (second.data is None or not second.data.all()):
        raise node.refused("a division by what may be 0", "a constant divisor without zeros, or float32")
    name = f"hil_any_{node.kind.lower()}_{_SHORT[first.dtype]}"
    inputs = tuple(tensor for tensor in (first, second) if tensor.data is None)
    arrays = tuple(Array("constant", _stored(tensor.data)) for tensor in (first, second) if tensor.data is not None)
    in_place = inputs[0].bytes == node.y.bytes and inputs[0].shape == node.y.shape
    step = node.step(name if len(inputs) > 1 else f"{name}_constant", "hil_broadcast", fields, *arrays)
    parameters = sum(t.elements for t in (first, second) if t.data is not None)
    return replace(step, inputs=inputs, in_place=in_place, parameters=parameters)


def select(node: Node) -> Step:
    """Return the call of a choice, value by value, between two tensors; any two of the three may be constant."""
    condition, *choices = tensors = [node.graph.tensors[index] for index in node.operator.inputs]
    for tensor in choices:
        if tensor.dtype != node.y.dtype:
            raise node.refused(f"{tensor.dtype} to {node.y.dtype}", "inputs and output of one type")
        check_scales(node, tensor, node.y)
    if condition.dtype != "bool" or (node.kind == "SELECT" and condition.shape != node.y.shape):
        what = f"a condition of {condition.dtype} and shape {list(condition.shape)}"
        raise node.refused(what, "one of bool, of the output's shape (SELECT_V2: one that repeats)")
    counts, steps = _loops(node, tensors)
    names = ("condition", "first", "second")
    arrays = [Array(name, _stored(t.data)) for name, t in zip(names, tensors, strict=True) if t.data is not None]
    inputs = tuple(tensor for tensor in tensors if tensor.data is None)
    if not inputs:
        raise node.refused("constant inputs", "a model whose constants were folded by the converter")
    kernel = f"hil_select{len(inputs)}_{_BITS[node.y.dtype]}"
    step = node.step(kernel, "hil_select", {"count": counts, "step": _list(steps)}, *arrays)
    return replace(step, inputs=inputs)


def _stored(values: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.ascontiguousarray(values.astype(np.uint8) if values.dtype == bool else values)


def _loops(node: Node, inputs: Sequence[Tensor]) -> tuple[str, list[str]]:
    """Return the sizes of the loops over the output, the outermost first, and each input's steps, in values.

    Raises:
        ConfigError: the shapes don't fit each other, or take more loops than there are.
    """
    shape, steps = node.y.shape, []
    for tensor in inputs:
        padded = (1,) * (len(shape) - len(tensor.shape)) + tensor.shape
        along = [int(np.prod(padded[d + 1 :])) if size > 1 else 0 for d, size in enumerate(padded)]
        steps.append(along)
    shapes = ", ".join(str(list(tensor.shape)) for tensor in inputs)
    try:
        fits = np.broadcast_shapes(*(tensor.shape for tensor in inputs)) == shape
    except ValueError:
        fits = False
    if not fits:
        raise node.refused(f"shapes {shapes} to {list(shape)}", "shapes that fit each other")
    loops: list[tuple[int, tuple[int, ...]]] = []
    for d, size in enumerate(shape):
        here = tuple(along[d] for along in steps)
        if loops and all(outer == size * inner for outer, inner in zip(loops[-1][1], here, strict=True)):
            loops[-1] = loops[-1][0] * size, here
        elif size > 1:
            loops.append((size, here))
    if len(loops) > _LOOPS:
        raise node.refused(
            f"inputs of shapes {shapes}, which repeat along {len(loops)} dimensions", f"{_LOOPS} at most"
        )
    loops = [(1, (0,) * len(steps))] * (_LOOPS - len(loops)) + loops
    return _list([size for size, _ in loops]), [_list([here[n] for _, here in loops]) for n in range(len(steps))]


def _list(values: Sequence[object]) -> str:
    return "{" + ", ".join(map(str, values)) + "}"


def _zeros(a: Quantization, b: Quantization, out: Quantization, limits: tuple[int, int]) -> dict[str, object]:
    names = ("first_zero", "second_zero", "out_zero", "act_min", "act_max")
    return dict(zip(names, (a.zero, b.zero, out.zero, *limits), strict=True))


def _scaled(scalings: Sequence[pairs.Scaling]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, scaling in zip(("first_", "second_", ""), scalings, strict=True):
        fields |= {f"{name}multiplier": scaling.multiplier, f"{name}shift": scaling.shift}
    return fields


def _int8(node: Node, first: Tensor, second: Tensor) -> dict[str, object]:
    """Return how TFLite Micro scales two int8 inputs, and what it makes of them."""
    a, b = node.quantization(first), node.quantization(second)
    if node.kind in ("MAXIMUM", "MINIMUM"):
        check_scales(node, first, node.y)
        check_scales(node, second, node.y)
        return {}
    none = pairs.Scaling(0, 0)
    if node.y.dtype == "bool":
        if max(a.scale, b.scale) >= 1:
            raise node.refused(f"scales {a.scale} and {b.scale}", "scales below 1, as TFLite Micro compares them")
        return _scaled((pairs.scaling(a.scale), pairs.scaling(b.scale), none)) | _zeros(a, b, a, (0, 1))
    out = node.quantization(node.y)
    if node.kind in ("ADD", "SUB"):
        return _scaled(pairs.add_scaling(a, b, out)) | _zeros(a, b, out, node.limits())
    if node.kind == "SQUARED_DIFFERENCE":
        to_a, to_b, _ = pairs.add_scaling(a, b, out)
        twice = 2 * max(a.scale, b.scale)
        scalings = to_a, to_b, pairs.scaling(twice * twice / ((1 << 14) * out.scale))
    elif node.kind == "PRELU":
        scalings = pairs.scaling(a.scale / out.scale), none, pairs.scaling(a.scale * b.scale / out.scale)
    else:
        scalings = none, none, pairs.scaling(a.scale * b.scale / out.scale)
    return _scaled(scalings) | _zeros(a, b, out, node.limits())
