"""Says why a model can't be compiled: every reason once, what its user can do about it, and all of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.build.graph import Graph
    from harness.build.step import Node, RefusedError

#: How a model becomes one of integers only, in the words of TensorFlow's converter.
FULL_INT8 = (
    "full int8: convert it again with a representative_dataset and supported_ops = [TFLITE_BUILTINS_INT8] "
    "(docs/bring-your-own-model.md)"
)

FLOAT16 = "float16 activations", "float32 ones; weights may be float16"

#: What a model may take and give.
_CARD_TYPES = ("int8", "uint8", "int16", "int32", "float32")

_SHOWN = 4  # operators of a kind, and kinds with their operators

#: Operators by what their custom name begins with: what wrote them, and what to do.
_CUSTOM: Mapping[str, tuple[str, str]] = {
    "CUSTOM ethos-u": ("compiled by Vela for an Arm Ethos-U", "the .tflite file that Vela was given"),
    "CUSTOM edgetpu": ("compiled for an Edge TPU", "the .tflite file that edgetpu_compiler was given"),
    "CUSTOM Flex": (
        "one of TensorFlow's own operators (SELECT_TF_OPS)",
        "other layers in its place, and a conversion with TFLITE_BUILTINS alone",
    ),
}


def no_kernel(node: Node, *, known: bool) -> RefusedError:
    """Return the refusal of an operator, or with `known` of its types, for which there is no kernel."""
    types = {node.x.dtype, node.y.dtype}
    custom = next((found for start, found in _CUSTOM.items() if node.kind.startswith(start)), None)
    if custom is not None:
        return node.refused(*custom)
    if not known:
        needed = (
            "other layers in its place, or the model cut before it (docs/engine.md lists the operators that there are)"
        )
        return node.refused("no kernel", needed)
    if types == {"uint8"}:
        return node.refused("legacy uint8 quantization", FULL_INT8)
    if "int16" in types:
        what = f"no kernel for {node.x.dtype} to {node.y.dtype}"
        return node.refused(what, "int8 activations: convert it without 16x8, to full int8")
    if "float16" in types:
        return node.refused(*FLOAT16)
    what = f"no kernel for {node.x.dtype} to {node.y.dtype}"
    return node.refused(what, "other types: docs/engine.md says which ones the operator takes")


def report(graph: Graph, refusals: Sequence[RefusedError], *, constant: bool) -> None:
    """Raise one error for everything that can't be compiled.

    Args:
        graph: the model.
        refusals: of its operators; those for one reason become one.
        constant: an output is one, and nothing computes it.

    Raises:
        ConfigError: there is something.
    """
    reasons: dict[tuple[str, str], dict[str, list[int]]] = {}
    for refusal in refusals:
        kinds = reasons.setdefault((refusal.what, refusal.needed), {})
        kinds.setdefault(refusal.operator.kind, []).append(refusal.operator.index)
    ends: dict[tuple[str, str], list[str]] = {}
    for what, tensor in (*(("input", t) for t in graph.inputs), *(("output", t) for t in graph.outputs)):
        if tensor.dtype == "float16":
            ends.setdefault(FLOAT16, []).append(f"its {what}")
        elif tensor.dtype not in _CARD_TYPES:
            ends.setdefault((tensor.dtype, f"one of {', '.join(_CARD_TYPES)}"), []).append(f"its {what}")
    lines = []
    for key in {**reasons, **ends}:
        where = "; ".join([*_operators(reasons.get(key, {})), *dict.fromkeys(ends.get(key, []))])
        lines.append(f"{where}: {key[0]}. Needed: {key[1]}.")
    if constant:
        lines.append("its output is a constant, which nothing computes. Export it again.")
    if not lines:
        return
    if len(lines) == 1:
        raise ConfigError(f"{graph.source}: {lines[0]}")
    text = "\n".join(f"  {line}" for line in lines)
    raise ConfigError(f"{graph.source}: can't be compiled, for {len(lines)} reasons:\n{text}")


def _operators(kinds: Mapping[str, Sequence[int]]) -> list[str]:
    if len(kinds) > _SHOWN:
        return [f"{sum(map(len, kinds.values()))} operators ({', '.join(kinds)})"]
    return [f"{_numbered(indices)} ({kind})" for kind, indices in kinds.items()]


def _numbered(indices: Sequence[int]) -> str:
    if len(indices) == 1:
        return f"operator {indices[0]}"
    shown = ", ".join(map(str, indices[:_SHOWN]))
    return f"operators {shown}{f' and {len(indices) - _SHOWN} more' if len(indices) > _SHOWN else ''}"
