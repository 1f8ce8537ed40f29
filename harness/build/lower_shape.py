"""From operators that put tensors into greater ones to kernel calls: concatenation and padding."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from harness.build.geometry import concatenation_axis, padding_of
from harness.build.graph import ITEM_BYTES, unsupported
from harness.build.step import Step, quantization_of

if TYPE_CHECKING:
    from harness.build.graph import Graph, Operator, Tensor


def concatenation(graph: Graph, operator: Operator, y: Tensor) -> tuple[Step, ...]:
    """Return a call for each input, which puts it into its place in the output."""
    axis = concatenation_axis(graph, operator, y)
    item, rows = ITEM_BYTES[y.dtype], prod(y.shape[:axis])
    pitch, offset, steps = y.elements // rows * item, 0, []
    for index in operator.inputs:
        x = graph.tensors[index]
        if x.data is not None or x.dtype != y.dtype:
            what = f"a {'constant' if x.data is not None else x.dtype} input"
            raise unsupported(graph, operator, what, f"computed {y.dtype} inputs")
        _check_scales(graph, operator, x, y)
        run = x.elements // rows * item
        fields = {
            "rows": str(rows),
            "row_bytes": str(run),
            "from_stride": str(run),
            "to_stride": str(pitch),
            "to_offset": str(offset),
        }
        steps.append(Step(operator, "hil_copy_rows", "hil_copy_rows", (x,), y, fields))
        offset += run
    return tuple(steps)


def pad(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of a padding, by the value that stands for 0 or (PADV2) by a constant."""
    _check_scales(graph, operator, x, y)
    value = float(y.quantization.zero_points[0]) if y.dtype == "int8" and y.quantization is not None else 0.0
    if operator.kind == "PADV2":
        constant = graph.tensors[operator.inputs[2]]
        if constant.data is None or constant.dtype != y.dtype:
            raise unsupported(graph, operator, "a value that is computed", f"a constant {y.dtype} value")
        _check_scales(graph, operator, constant, y)
        value = float(constant.data.flat[0])
    padding = padding_of(graph, operator, x, y)
    fields = {
        "in": _sizes(padding.size),
        "out": _sizes(padding.out),
        "before": _sizes(padding.before),
        "value": f"{value!r}f" if abs(value) != float("inf") else "INFINITY" if value > 0 else "-INFINITY",
    }
    return Step(operator, "hil_pad_s8" if y.dtype == "int8" else "hil_pad_f32", "hil_pad", (x,), y, fields)


def _check_scales(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> None:
    if y.dtype != "int8":
        return
    before, after = quantization_of(graph, operator, x), quantization_of(graph, operator, y)
    if (before.scales[0], before.zero_points[0]) != (after.scales[0], after.zero_points[0]):
        what = f"an input of scale {before.scales[0]} and an output of scale {after.scales[0]} or another zero point"
        raise unsupported(graph, operator, what, "the same scale and zero point, or a QUANTIZE before it")


def _sizes(values: tuple[int, ...]) -> str:
    return "{" + ", ".join(map(str, values)) + "}"
