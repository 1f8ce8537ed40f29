"""From operators that work value by value to kernel calls: sums, products, functions of one value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.build import lookup, pairs
from harness.build.geometry import repeat_period
from harness.build.graph import unsupported
from harness.build.requantize import NONE, RELU, RELU6, RELU_N1_TO_1, activation_range, channel
from harness.build.step import Array, Step, quantization_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.graph import Graph, Operator, Quantization, Tensor

#: ReLU and the like as operators of their own.
_RELUS = {"RELU": RELU, "RELU6": RELU6, "RELU_N1_TO_1": RELU_N1_TO_1}

_LIMITS = {
    NONE: ("-INFINITY", "INFINITY"),
    RELU: ("0.0f", "INFINITY"),
    RELU_N1_TO_1: ("-1.0f", "1.0f"),
    RELU6: ("0.0f", "6.0f"),
}


def int8_limits(graph: Graph, operator: Operator, y: Tensor) -> tuple[int, int]:
    """Return the least and the greatest int8 that an operator's fused activation lets through.

    Raises:
        ConfigError: it is not one of none, ReLU, ReLU6 and ReLU -1 to 1.
    """
    quantization = quantization_of(graph, operator, y)
    try:
        return activation_range(fused(operator), quantization.scales[0], quantization.zero_points[0])
    except KeyError:
        raise unsupported(graph, operator, f"activation {fused(operator)}", "none, ReLU or ReLU6") from None


def float_limits(graph: Graph, operator: Operator, activation: int) -> dict[str, str]:
    """Return the fields of a float activation.

    Raises:
        ConfigError: it is not one of none, ReLU, ReLU6 and ReLU -1 to 1.
    """
    if activation not in _LIMITS:
        raise unsupported(graph, operator, f"activation {activation}", "none, ReLU or ReLU6")
    low, high = _LIMITS[activation]
    return {"act_min": low, "act_max": high}


def binary_int8(graph: Graph, operator: Operator, _x: Tensor, y: Tensor) -> Step:
    """Return the call of an int8 sum or product; with one constant value it is a table."""
    longer, shorter, period = _inputs(graph, operator, y)
    a, b, out = (quantization_of(graph, operator, tensor) for tensor in (longer, shorter, y))
    limits = int8_limits(graph, operator, y)
    adds = operator.kind == "ADD"
    if shorter.data is not None and period == 1:
        outputs = (pairs.add_outputs if adds else pairs.mul_outputs)(a, b, out, limits)
        column = outputs[:, int(shorter.data.flat[0]) + 128].astype(np.int8)
        return _lookup(operator, longer, y, np.roll(column, 128))
    step = _add(operator, longer, y, (a, b, out), limits) if adds else _mul(operator, longer, y, (a, b, out), limits)
    return _with_second(step, shorter, y.elements, period)


def binary_float(graph: Graph, operator: Operator, _x: Tensor, y: Tensor) -> Step:
    """Return the call of a float sum or product."""
    longer, shorter, period = _inputs(graph, operator, y)
    limits = float_limits(graph, operator, fused(operator))
    kernel = "hil_add_f32" if operator.kind == "ADD" else "hil_mul_f32"
    step = Step(operator, kernel, "hil_binary_f32", (longer,), y, limits, in_place=True)
    return _with_second(step, shorter, y.elements, period)


def unary_int8(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of an int8 function of one value, as a table."""
    before, after = quantization_of(graph, operator, x), quantization_of(graph, operator, y)
    prescribed = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(operator.kind)
    if prescribed is not None and (after.scales[0], after.zero_points[0]) != prescribed:
        what = f"output scale {after.scales[0]} and zero point {after.zero_points[0]}"
        raise unsupported(graph, operator, what, f"{prescribed[0]} and {prescribed[1]}, which TFLite prescribes")
    try:
        return _lookup(operator, x, y, _table(operator, before, after))
    except ValueError as error:
        raise unsupported(graph, operator, str(error), "a greater output scale") from error


def unary_float(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of a float function of one value."""
    fields = {"count": str(x.elements)}
    if operator.kind in _RELUS:
        kernel = "hil_relu_f32"
        fields |= float_limits(graph, operator, _RELUS[operator.kind])
    else:
        kernel = f"hil_{operator.kind.lower()}_f32"
    if operator.kind == "LEAKY_RELU":
        fields["alpha"] = f"{float(operator.options['Alpha'])!r}f"
    return Step(operator, kernel, "hil_unary_f32", (x,), y, fields, in_place=True)


def fused(operator: Operator) -> int:
    """Return the fused activation, one of TFLite's ActivationFunctionType."""
    return int(operator.options.get("FusedActivationFunction", NONE))


def _table(operator: Operator, before: Quantization, after: Quantization) -> NDArray[np.int8]:
    if operator.kind == "LOGISTIC":
        return lookup.logistic_table(before)
    if operator.kind == "TANH":
        return lookup.tanh_table(before)
    if operator.kind == "HARD_SWISH":
        return lookup.hard_swish_table(before, after)
    if operator.kind == "LEAKY_RELU":
        return lookup.leaky_relu_table(before, after, float(operator.options["Alpha"]))
    if operator.kind in _RELUS:
        return lookup.relu_table(before, after, _RELUS[operator.kind])
    return lookup.requantize_table(before, after)


def _lookup(operator: Operator, x: Tensor, y: Tensor, table: NDArray[np.int8]) -> Step:
    fields = {"count": str(x.elements)}
    return Step(operator, "hil_lookup_s8", "hil_lookup_s8", (x,), y, fields, (Array("table", table),), in_place=True)


def _inputs(graph: Graph, operator: Operator, y: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return the input of the output's size, the other one, and after how many values that repeats."""
    first, second = (graph.tensors[i] for i in operator.inputs)
    if first.data is not None or (second.data is None and first.elements < second.elements):
        first, second = second, first
    if {first.dtype, second.dtype} != {y.dtype}:
        what = f"{first.dtype} and {second.dtype} to {y.dtype}"
        raise unsupported(graph, operator, what, "inputs and output of one type")
    if first.elements != y.elements:
        what = f"a constant of shape {list(second.shape)} with an input of shape {list(first.shape)}"
        raise unsupported(graph, operator, what, "a constant that is not larger than the input")
    return first, second, repeat_period(graph, operator, first, second)


def _with_second(step: Step, second: Tensor, count: int, period: int) -> Step:
    fields = {"count": str(count), "period": str(period), **step.fields}
    if second.data is None:
        return replace(step, fields=fields, inputs=(*step.inputs, second))
    kernel = step.kernel.replace("_s8", "_constant_s8").replace("_f32", "_constant_f32")
    arrays = (Array("constant", np.ascontiguousarray(second.data)),)
    return replace(step, fields=fields, kernel=kernel, arrays=arrays, parameters=second.elements)


def _add(
    operator: Operator,
    x: Tensor,
    y: Tensor,
    q: tuple[Quantization, Quantization, Quantization],
    limits: tuple[int, int],
) -> Step:
    scales = pairs.add_scaling(*q)
    fast = pairs.fast_add(*q) if limits == (-128, 127) else None
    fields = {} if fast is None else {name: str(value) for name, value in vars(fast).items()}
    for name, scaling in (("first_", scales.first), ("second_", scales.second), ("", scales.output)):
        fields |= {f"{name}multiplier": str(scaling.multiplier), f"{name}shift": str(scaling.shift)}
    zeros = zip(("first_zero", "second_zero", "out_zero"), q, strict=True)
    fields |= {name: str(quantization.zero_points[0]) for name, quantization in zeros}
    fields |= {"act_min": str(limits[0]), "act_max": str(limits[1])}
    kernel = "hil_add_s8" if fast is not None else "hil_add_s8_plain"
    return Step(operator, kernel, "hil_add_s8", (x,), y, fields, has_plain=fast is not None, in_place=True)


def _mul(
    operator: Operator,
    x: Tensor,
    y: Tensor,
    q: tuple[Quantization, Quantization, Quantization],
    limits: tuple[int, int],
) -> Step:
    a, b, out = q
    greatest = [max(127 - s.zero_points[0], s.zero_points[0] + 128) for s in (a, b)]
    real = a.scales[0] * b.scales[0] / out.scales[0]
    constants, fast = channel(0, real, greatest[0] * greatest[1], out.zero_points[0])
    fast = fast and limits == (-128, 127)
    minus = [-s.zero_points[0] & 0xFFFF for s in (a, b)]
    words = ", ".join(f"{value * 0x10001:#010x}u" for value in minus)
    fields = {
        "minus_zeros": f"{{{words}}}",
        "quant": f"{{.out_zero = {out.zero_points[0]}, .act_min = {limits[0]}, .act_max = {limits[1]}}}",
        "channel": f"{{0, {constants.multiplier}, {constants.round}, {constants.shift}}}",
    }
    kernel = "hil_mul_s8" if fast else "hil_mul_s8_plain"
    return Step(operator, kernel, "hil_mul_s8", (x,), y, fields, has_plain=fast, in_place=True)
