"""The model card that is built into the firmware (docs/link-protocol.md)."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.build.graph import Graph, Tensor
    from harness.build.plan import Plan


def card_json(graph: Graph, plan: Plan, *, board: str, name: str) -> str:
    """Return the card as JSON in ASCII, the same bytes for the same model."""
    card = {
        "card": 1,
        "board": board,
        "model": name,
        "engine": "tinyml-hil",
        "input": _tensor(graph.input),
        "output": _tensor(graph.output),
        "macs": plan.macs,
        "parameters": plan.parameters,
        "arena_bytes": plan.arena_bytes,
        "tflite_sha256": graph.sha256,
    }
    if plan.patches is not None:
        card["patches"] = dataclasses.asdict(plan.patches)
    return json.dumps(card, separators=(",", ":"))


def _tensor(tensor: Tensor) -> dict[str, object]:
    entry: dict[str, object] = {"shape": list(tensor.shape), "dtype": tensor.dtype}
    if tensor.dtype == "int8" and tensor.quantization is not None:
        entry["scale"] = tensor.quantization.scales[0]
        entry["zero_point"] = tensor.quantization.zero_points[0]
    return entry
