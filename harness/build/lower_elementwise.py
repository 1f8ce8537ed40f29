"""From differences, quotients, extrema and the like, value by value, to kernel calls; reductions that keep no scale."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.build import lower_shape, pairs
from harness.build.lower_broadcast import add_fields, broadcast
from harness.build.lower_move import check_scales
from harness.build.lower_values import inputs_of, table_of
from harness.build.step import Array

if TYPE_CHECKING:
    from harness.build.graph import Tensor
    from harness.build.step import Node, Step


def binary(node: Node) -> Step:
    """Return the call of a function of two tensors, one of which may be constant, or shorter and repeat."""
    found = inputs_of(node)
    if found is None or (node.kind, node.y.dtype) == ("PRELU", "int8"):
        return broadcast(node)
    longer, shorter, period = found
    swapped = longer.index != node.operator.inputs[0]
    name = f"hil_{node.kind.lower()}"
    fields: dict[str, object] = {"count": node.y.elements, "period": period}
    if node.y.dtype == "float32":
        fields |= {"swapped": int(swapped), **node.float_limits()}
        step = node.step(f"{name}_f32", "hil_elementwise_f32", fields)
    elif node.kind == "SUB":
        a, b, out = (node.quantization(tensor) for tensor in (*_in_order(node), node.y))
        if shorter.data is not None and period == 1:
            outputs = pairs.add_outputs(a, b, out, node.limits(), sign=-1)
            constant = int(shorter.data.flat[0]) + 128
            column = outputs[constant] if swapped else outputs[:, constant]
            return table_of(replace(node, x=longer), np.roll(column.astype(np.int8), 128))
        if swapped:
            return broadcast(node)
        fast, more = add_fields(a, b, out, node.limits(), sign=-1)
        step = node.step(f"{name}_s8" if fast else f"{name}_s8_plain", "hil_add_s8", fields | more, has_plain=fast)
    else:
        check_scales(node, longer, node.y)
        check_scales(node, shorter, node.y)
        step = node.step(f"{name}_s8", "hil_extremum_s8", fields)
    step = replace(step, inputs=(longer,), in_place=True, order="values")
    if shorter.data is None:
        return replace(step, inputs=(longer, shorter))
    kernel = step.kernel.replace("_s8", "_constant_s8").replace("_f32", "_constant_f32")
    arrays = (Array("constant", np.ascontiguousarray(shorter.data)),)
    return replace(step, kernel=kernel, arrays=arrays, parameters=shorter.elements)


def _in_order(node: Node) -> list[Tensor]:
    return [node.graph.tensors[index] for index in node.operator.inputs]


def reduction(node: Node) -> Step:
    """Return the call of a sum, or of the greatest or least value."""
    found = lower_shape.neighbouring(node)
    if found is None or node.kind == "REDUCE_MIN" or (node.kind, node.x.dtype) == ("SUM", "int8"):
        return lower_shape.reduction(node)
    check_scales(node, node.x, node.y)
    count, channels = found
    kernel = f"hil_{node.kind.lower()}_{'s8' if node.x.dtype == 'int8' else 'f32'}"
    return node.step(kernel, "hil_mean_f32", {"pixels": count, "channels": channels})


def arg_max(node: Node) -> Step:
    """Return the call that finds the place of the greatest or least value along the last dimension."""
    rank = len(node.x.shape)
    if node.numbers(1)[0] % rank != rank - 1:
        raise node.refused(f"axis {node.numbers(1)[0]} of {rank} dimensions", "the last dimension")
    depth = node.x.shape[-1]
    kernel = f"hil_{node.kind.lower()}_{'s8' if node.x.dtype == 'int8' else 'f32'}"
    return node.step(kernel, "hil_arg_max", {"rows": node.x.elements // depth, "depth": depth})
