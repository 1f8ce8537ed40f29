"""From products of matrices, and of rows with themselves, to kernel calls."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from harness.build.requantize import quantize_multiplier
from harness.build.step import Array, initializer

if TYPE_CHECKING:
    from harness.build.graph import Tensor
    from harness.build.step import Node, Step


def batch_matmul(node: Node) -> Step:
    """Return the call of products of matrices; one of the two factors may be the same for all."""
    x, second, y = node.x, node.second, node.y
    rows, columns = y.shape[-2:]
    depth = x.shape[-2 if node.option("AdjX") else -1]
    batches = prod(y.shape[:-2])
    wide = {prod(tensor.shape[:-2]) for tensor in (x, second)}
    if len(x.shape) < 2 or len(second.shape) < 2 or batches not in wide or not wide <= {1, batches}:
        what = f"factors of shapes {list(x.shape)} and {list(second.shape)}"
        raise node.refused(what, "as many matrices in both, or one")
    if (x.elements // prod(x.shape[:-2]), second.elements // prod(second.shape[:-2])) != (
        rows * depth,
        depth * columns,
    ):
        raise ValueError(f"{x.shape} by {second.shape} to {y.shape}")
    fields: dict[str, object] = {
        "batches": batches,
        "rows": rows,
        "depth": depth,
        "columns": columns,
        "first": _strides(x, along=node.option("AdjX") == 0),
        "second": _strides(second, along=node.option("AdjY") == 1),
    }
    kind = "f32"
    if x.dtype == "int8":
        kind, scales = "s8", [node.quantization(tensor) for tensor in (x, second, y)]
        if max(len(q.scales) for q in scales) > 1:
            raise node.refused("a factor with several scales", "one scale for each tensor")
        multiplier, left = quantize_multiplier(scales[0].scale * scales[1].scale / scales[2].scale)
        fields["scaling"] = initializer({"multiplier": multiplier, "shift": -left})
        zeros = ("first_zero", "second_zero", "out_zero")
        fields |= {name: q.zero for name, q in zip(zeros, scales, strict=True)}
    if second.dtype != x.dtype:
        raise node.refused(f"{x.dtype} by {second.dtype}", "factors of one type: full int8, or float32 throughout")
    name, macs = "hil_batch_matmul", batches * rows * depth * columns
    if second.data is None:
        return replace(node.step(f"{name}_{kind}", name, fields, macs=macs), inputs=(x, second))
    constant = Array("constant", np.ascontiguousarray(second.data))
    return node.step(f"{name}_constant_{kind}", name, fields, constant, macs=macs, parameters=second.elements)


def _strides(tensor: Tensor, *, along: bool) -> str:
    """Return how far matrices, the lines of one, and the values of a line lie apart; `along`: lines are rows."""
    size = tensor.elements // prod(tensor.shape[:-2])
    fields = {"batch": size if size < tensor.elements else 0}
    fields |= {"line": tensor.shape[-1], "depth": 1} if along else {"line": 1, "depth": tensor.shape[-1]}
    return initializer(fields)


def l2_normalization(node: Node) -> Step:
    """Return the call that divides rows by their lengths."""
    if node.activation != 0:
        raise node.refused("a fused activation", "the activation as an operator of its own")
    depth = node.x.shape[-1]
    fields = {"rows": node.x.elements // depth, "depth": depth}
    name = "hil_l2_normalization"
    if node.x.dtype == "float32":
        return node.step(f"{name}_f32", name, fields, in_place=True)
    y = node.quantization(node.y)
    if (y.scale, y.zero) != (1 / 128, 0):
        raise node.refused(f"output scale {y.scale} and zero point {y.zero}", "1/128 and 0, which TFLite prescribes")
    return node.step(f"{name}_s8", name, {**fields, "in_zero": node.quantization(node.x).zero}, in_place=True)
