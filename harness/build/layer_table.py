"""The table of layers that is kept in an image's file (docs/profile.md); `harness.image.layer_table` reads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.build.graph import Graph
    from harness.build.plan import Plan
    from harness.build.step import Array, Step


def layer_table_json(graph: Graph, plan: Plan, *, plain: bool = False) -> str:
    """Return what each layer is and does as JSON in ASCII, the same bytes for the same model.

    Kernel calls of one layer number are one entry: their multiply-accumulates and bytes are summed, what copies patches
    into place included.

    Args:
        graph: the model, as read from its file.
        plan: the model's kernel calls, in order.
        plain: as built with -DHIL_PLAIN_C, whose kernels have other names and may have other constants.
    """
    layers: dict[int, list[Step]] = {}
    for step in plan.steps:
        layers.setdefault(step.layer, []).append(step)
    entries = []
    for number, steps in sorted(layers.items()):
        main = next((step for step in steps if step.window is not None), steps[0])  # not a copy
        entries.append(
            {
                "layer": number,
                "operator": main.operator.index,
                "kind": main.operator.kind,
                "kernel": f"{main.kernel}_plain" if plain and main.has_plain else main.kernel,
                "output": list(graph.tensors[main.operator.outputs[0]].shape),
                "macs": sum(step.macs for step in steps),
                "bytes_moved": sum(_bytes_moved(step, plain=plain) for step in steps),
                "parameters": max(step.parameters for step in steps),  # each piece has them all
            }
        )
    return json.dumps({"version": 1, "layers": entries}, separators=(",", ":"))


def _bytes_moved(step: Step, *, plain: bool) -> int:
    """Count each byte of inputs, output and constants once; what the kernel reads again is not counted again."""
    constants = sum(_array_bytes(array, plain=plain) for array in step.arrays)
    return sum(x.bytes for x in step.inputs) + step.output.bytes + constants


def _array_bytes(array: Array, *, plain: bool) -> int:
    values = array.plain if plain and array.plain is not None else array.values
    return 16 * len(values) if isinstance(values, tuple) else values.nbytes
