"""From operators that work value by value to kernel calls: sums, products, functions of one value, conversions."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from harness.build import lookup, pairs
from harness.build.lower_broadcast import add_fields, broadcast
from harness.build.requantize import channel, quantize_multiplier
from harness.build.step import Array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from harness.build.graph import Quantization, Tensor
    from harness.build.step import Node, Step

    Table = Callable[[Quantization, Quantization], NDArray[np.int8]]

#: ReLU and the like as operators of their own.
_RELUS = {"RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}

_TABLES: Mapping[str, Table] = {
    "HARD_SWISH": lookup.hard_swish_table,
    "ABS": lookup.absolute_table,
    "ELU": lookup.elu_table,
    "LOGISTIC": lookup.logistic_table,
    "TANH": lookup.tanh_table,
    **{kind: partial(lookup.relu_table, activation=activation) for kind, activation in _RELUS.items()},
}

#: Scale and zero point of outputs whose range is known.
_PRESCRIBED = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}


def binary(node: Node) -> Step:
    """Return the call of a sum or product; of int8 with one constant value it is a table."""
    found = inputs_of(node)
    if found is None:
        return broadcast(node)
    longer, shorter, period = found
    adds = node.kind == "ADD"
    if node.y.dtype == "float32":
        kernel = "hil_add_f32" if adds else "hil_mul_f32"
        step = node.step(kernel, "hil_binary_f32", node.float_limits())
    else:
        a, b, out = (node.quantization(tensor) for tensor in (longer, shorter, node.y))
        limits = node.limits()
        if shorter.data is not None and period == 1:
            outputs = (pairs.add_outputs if adds else pairs.mul_outputs)(a, b, out, limits)
            column = outputs[:, int(shorter.data.flat[0]) + 128].astype(np.int8)
            return table_of(replace(node, x=longer), np.roll(column, 128))
        fast, fields = (add_fields if adds else _mul_fields)(a, b, out, limits)
        kernel = "hil_add_s8" if adds else "hil_mul_s8"
        step = node.step(kernel if fast else f"{kernel}_plain", kernel, fields, has_plain=fast)
    step = replace(
        step,
        inputs=(longer,),
        fields={"count": node.y.elements, "period": period, **step.fields},
        in_place=True,
        order="values",
    )
    if shorter.data is None:
        return replace(step, inputs=(longer, shorter))
    kernel = step.kernel.replace("_s8", "_constant_s8").replace("_f32", "_constant_f32")
    arrays = (Array("constant", np.ascontiguousarray(shorter.data)),)
    return replace(step, kernel=kernel, arrays=arrays, parameters=shorter.elements)


def inputs_of(node: Node) -> tuple[Tensor, Tensor, int] | None:
    """Return the input of the output's size, the other one, and after how many values that repeats.

    None if that isn't how they fit each other.
    """
    y = node.y
    first, second = (node.graph.tensors[i] for i in node.operator.inputs)
    if first.data is not None or (second.data is None and first.elements < second.elements):
        first, second = second, first
    if {first.dtype, second.dtype} != {y.dtype}:
        what = f"{first.dtype} and {second.dtype} to {y.dtype}"
        raise node.refused(what, "inputs and output of one type")
    if first.elements != y.elements:
        return None
    shape = (1,) * (len(first.shape) - len(second.shape)) + second.shape
    repeated = next((d for d, size in enumerate(shape) if size > 1), len(shape))
    if len(shape) == len(first.shape) and shape[repeated:] == first.shape[repeated:]:
        return first, second, second.elements
    return None


def _mul_fields(
    a: Quantization, b: Quantization, out: Quantization, limits: tuple[int, int]
) -> tuple[bool, dict[str, object]]:
    """Return whether the fast form may be used, and the struct's fields."""
    greatest = [max(127 - s.zero, s.zero + 128) for s in (a, b)]
    constants, fast = channel(0, a.scale * b.scale / out.scale, greatest[0] * greatest[1], out.zero)
    words = ", ".join(f"{(-s.zero & 0xFFFF) * 0x10001:#010x}u" for s in (a, b))
    return fast and limits == (-128, 127), {
        "minus_zeros": f"{{{words}}}",
        "quant": f"{{.out_zero = {out.zero}, .act_min = {limits[0]}, .act_max = {limits[1]}}}",
        "channel": f"{{0, {constants.multiplier}, {constants.round}, {constants.shift}}}",
    }


def unary(node: Node) -> Step:
    """Return the call of a function of one value; of int8 it is a table."""
    if node.x.dtype == "float32":
        fields: dict[str, object] = {"count": node.x.elements}
        kernel = f"hil_{node.kind.lower()}_f32"
        if node.kind == "GELU" and node.operator.options["Approximate"]:
            kernel = "hil_gelu_tanh_f32"
        if node.kind in _RELUS:
            kernel = "hil_relu_f32"
            fields |= node.float_limits(_RELUS[node.kind])
        if node.kind == "LEAKY_RELU":
            fields["alpha"] = f"{float(node.operator.options['Alpha'])!r}f"
        return node.step(kernel, "hil_unary_f32", fields, in_place=True, order="values")
    x, y = node.quantization(node.x), node.quantization(node.y)
    prescribed = _PRESCRIBED.get(node.kind, (y.scale, y.zero))
    if (y.scale, y.zero) != prescribed:
        what = f"output scale {y.scale} and zero point {y.zero}"
        raise node.refused(what, f"{prescribed[0]} and {prescribed[1]}, which TFLite prescribes")
    try:
        if node.kind == "LEAKY_RELU":
            return table_of(node, lookup.leaky_relu_table(x, y, float(node.operator.options["Alpha"])))
        return table_of(node, _TABLES[node.kind](x, y))
    except ValueError as error:
        raise node.refused(str(error), "a greater output scale") from error


def table_of(node: Node, table: NDArray[np.int8]) -> Step:
    """Return the call of a table, which takes and gives bytes, signed or not."""
    x, y = (replace(tensor, dtype="int8") for tensor in (node.x, node.y))
    fields = {"count": x.elements}
    node = replace(node, x=x, y=y)
    return node.step("hil_lookup_s8", "hil_lookup_s8", fields, Array("table", table), in_place=True)


def logical_not(node: Node) -> Step:
    """Return the call of a negation, a table."""
    return table_of(node, np.array([1] + [0] * 255, np.int8))


#: What the names of kernels call types.
_SHORT = {"bool": "u8", "int8": "s8", "uint8": "u8", "int16": "s16", "int32": "s32", "uint32": "u32", "float32": "f32"}


def requantize(node: Node) -> Step:
    """Return the call of a change of scale between integers, as QUANTIZE is one; between bytes it is a table."""
    x, y = node.quantization(node.x), node.quantization(node.y)
    types = node.x.dtype, node.y.dtype
    if set(types) <= {"int8", "uint8"}:
        return table_of(node, lookup.requantize_table(x, y, *types))
    multiplier, left = quantize_multiplier(x.scale / y.scale)
    fields = {"count": node.x.elements, "multiplier": multiplier, "shift": -left, "in_zero": x.zero, "out_zero": y.zero}
    return node.step(f"hil_requantize_{_SHORT[types[0]]}_{_SHORT[types[1]]}", "hil_requantize", fields)


def quantize(node: Node) -> Step:
    """Return the call that makes integers of float32."""
    return _conversion(node, f"hil_quantize_{_SHORT[node.y.dtype]}", node.y)


def dequantize(node: Node) -> Step:
    """Return the call that makes float32 of integers."""
    return _conversion(node, f"hil_dequantize_{_SHORT[node.x.dtype]}", node.x)


def _conversion(node: Node, kernel: str, quantized: Tensor) -> Step:
    quantization = node.quantization(quantized)
    fields = {"count": node.x.elements, "scale": f"{quantization.scale!r}f", "zero": quantization.zero}
    return node.step(kernel, "hil_quantize", fields)


def cast(node: Node) -> Step:
    """Return the call that turns numbers as they are into those of another type."""
    kernel = f"hil_cast_{_SHORT[node.x.dtype]}_{_SHORT[node.y.dtype]}"
    return node.step(kernel, "hil_cast", {"count": node.x.elements})
