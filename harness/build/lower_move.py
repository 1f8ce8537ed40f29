"""From operators that only move values to copies, or to nothing where the same memory by another name will do."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.build.graph import ITEM_BYTES, MOST_VALUES
from harness.build.step import ALIGNMENT, Alias, Array, initializer
from harness.build.views import RENAMES, VIEWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.graph import Tensor
    from harness.build.step import Node, Step

_LOOPS = 4  # of hil_copy


def moves(node: Node) -> tuple[Step | Alias, ...]:
    """Return what brings the values of each output together, none where they lie together already."""
    if node.kind in RENAMES:
        return (Alias(node.y, node.x),)
    if max(tensor.elements for tensor in (node.x, *node.outputs)) > MOST_VALUES:
        raise node.refused("more values than a board could hold", "smaller tensors")
    views = VIEWS[node.kind](node, np.arange(node.x.elements).reshape(node.x.shape))
    pairs = tuple(zip(node.outputs, views, strict=True))
    for y, view in pairs:
        if view.size != y.elements:
            raise ValueError(f"{view.size} values for a tensor of {y.elements}")
        check_scales(node, node.x, y)
    return tuple(_piece(replace(node, y=y), view) for y, view in pairs)


def _piece(node: Node, positions: NDArray[Any]) -> Step | Alias:
    """Return what makes an output of the values at these positions of the input, in this order."""
    item = ITEM_BYTES[node.x.dtype]
    loops = _loops(positions)
    if loops is None or len(loops) > _LOOPS + 1:
        flat = positions.ravel()
        breaks = np.flatnonzero(np.diff(flat) != 1) + 1
        run = int(np.gcd.reduce(np.append(breaks, len(flat))))
        starts = Array("starts", (flat[::run] * item).astype(np.int32))
        fields = {"count": len(flat) // run, "run_bytes": run * item}
        return node.step("hil_copy_listed", "hil_copy_listed", fields, starts)
    start, run = int(positions.flat[0]) * item, item
    if loops and loops[-1][1] == 1:
        run *= loops.pop()[0]
    if not loops and start % ALIGNMENT == 0:
        return Alias(node.y, node.x, start)
    loops = [(1, 0)] * (_LOOPS - len(loops)) + loops
    return node.step(
        "hil_copy",
        "hil_copy",
        {
            "count": "{" + ", ".join(str(count) for count, _ in loops) + "}",
            "step": "{" + ", ".join(str(step * item) for _, step in loops) + "}",
            "start": start,
            "run_bytes": run,
        },
    )


def _loops(positions: NDArray[Any]) -> list[tuple[int, int]] | None:
    """Return nested loops, the outermost first, that go through these positions: how often, and how far each time.

    None if there are none, with one loop for each dimension at most.
    """
    loops: list[tuple[int, int]] = []
    regular = np.asarray(positions.flat[0])
    for d, count in enumerate(positions.shape):
        if count == 1:
            continue
        second = tuple(int(d == other) for other in range(positions.ndim))
        step = int(positions[second] - positions.flat[0])
        along = (1,) * d + (count,) + (1,) * (positions.ndim - d - 1)
        regular = regular + np.arange(count).reshape(along) * step
        if loops and loops[-1][1] == step * count:
            loops[-1] = loops[-1][0] * count, step
        else:
            loops.append((count, step))
    return loops if np.array_equal(np.broadcast_to(regular, positions.shape), positions) else None


def together(node: Node) -> tuple[Step, ...]:
    """Return a call for each input, which puts it into its place in the output (CONCATENATION, PACK)."""
    y = node.y
    if node.activation != 0:
        raise node.refused("a fused activation", "the activation as an operator of its own")
    rows = prod(y.shape[: node.option("Axis") % len(y.shape)])
    offset, steps = 0, []
    for index in node.operator.inputs:
        x = node.graph.tensors[index]
        if x.dtype != y.dtype:
            raise node.refused(f"a {x.dtype} input", f"{y.dtype} inputs")
        check_scales(node, x, y)
        run = x.bytes // rows
        fields = {"rows": rows, "row_bytes": run, "from_stride": run, "to_stride": y.bytes // rows, "to_offset": offset}
        if x.data is None:
            steps.append(replace(node, x=x).step("hil_copy_rows", "hil_copy_rows", fields))
        else:
            values = Array("values", np.ascontiguousarray(x.data).reshape(-1).view(np.int8))
            step = node.step("hil_copy_constant", "hil_copy_constant", {"copy": initializer(fields)}, values)
            steps.append(replace(step, inputs=()))
        offset += run
    return tuple(steps)


def renamed(node: Node) -> Alias:
    """Return that a tensor is read where another one lies: a variable, a bool that is a number."""
    return Alias(node.y, node.x)


def assign_variable(node: Node) -> Step:
    """Return the copy of a value into a variable, or out of one."""
    size = node.x.bytes
    fields = {"rows": 1, "row_bytes": size, "from_stride": size, "to_stride": size}
    return node.step("hil_copy_rows", "hil_copy_rows", fields)


def batches(node: Node) -> Alias:
    """Refuse an image in pieces; what is dilated by them doesn't come here.

    Raises:
        ConfigError: always.
    """
    what = "not around one convolution of stride 1 without padding, with constant sizes and scales kept"
    if node.kind == "SPACE_TO_BATCH_ND" and node.x.dtype != "float32":
        what = f"with integers as padding, which TFLite Micro leaves undefined, or {what}"
    raise node.refused(what, "a convolution with dilation_rate, as newer converters write it")


def check_scales(node: Node, x: Tensor, y: Tensor) -> None:
    """Refuse values that would have to be scaled to stand in an output; TFLite Micro doesn't look."""
    if y.dtype not in ("int8", "uint8", "int16") or (x.quantization is None and y.quantization is None):
        return
    before, after = node.quantization(x), node.quantization(y)
    if (before.scale, before.zero) != (after.scale, after.zero):
        what = "an input of another scale or zero point than the output"
        raise node.refused(what, "the same ones, or a QUANTIZE before it")
