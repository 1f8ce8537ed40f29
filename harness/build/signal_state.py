"""What the operators of TFLite Micro's signal library remember, as tensors of the graph's state."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from harness.build.graph import MOST_VALUES, Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.build.graph import Graph, Operator

    Form = tuple[str, tuple[int, ...]]


def with_signal_state(graph: Graph) -> Graph:
    """Return the graph with a tensor for each thing that a signal operator keeps, behind the operator's inputs."""
    tensors, operators, state = list(graph.tensors), [], dict(graph.state)
    for operator in graph.operators:
        forms = _forms(graph, operator)
        added = [Tensor(len(tensors) + n, "", shape, dtype, None, None) for n, (dtype, shape) in enumerate(forms)]
        tensors += added
        state |= {tensor.index: np.zeros(tensor.shape, tensor.dtype) for tensor in added}
        indices = tuple(tensor.index for tensor in added)
        operators.append(replace(operator, inputs=(*operator.inputs, *indices)))
    return replace(graph, tensors=tuple(tensors), operators=tuple(operators), state=state)


def _forms(graph: Graph, operator: Operator) -> list[Form]:
    """Return type and shape of what an operator keeps; nothing of one whose options its lowering will refuse."""
    kept = KEPT.get(operator.kind)
    forms = [] if kept is None else kept(graph.tensors[operator.inputs[0]], operator.options)
    return forms if all(0 < prod(shape) <= MOST_VALUES for _, shape in forms) else []


def _noise(_x: Tensor, options: Mapping[str, int]) -> list[Form]:
    return [("uint32", (options["num_channels"],))]


def _framer(x: Tensor, options: Mapping[str, int]) -> list[Form]:
    samples = history(options)
    return [("int16", (_rows(x), max(samples, 1))), ("int32", (1,)), ("bool", (1,))]


def _stacker(_x: Tensor, options: Mapping[str, int]) -> list[Form]:
    return [("int16", (stacked(options), options["num_channels"])), ("int32", (2,)), ("bool", (1,))]


def _delay(x: Tensor, options: Mapping[str, int]) -> list[Form]:
    return [("int16", (_rows(x), max(options["delay_length"], 1)))]


def _overlap_add(x: Tensor, options: Mapping[str, int]) -> list[Form]:
    size = x.shape[-1] if x.shape else 0
    return [(x.dtype, (max(prod(x.shape[:-2]), 1), max(size - options["frame_step"], 1)))]


def _rows(x: Tensor) -> int:
    return prod(x.shape[:-1])


def history(options: Mapping[str, int]) -> int:
    """Return how many samples SignalFramer keeps: what is missing to a frame, without `prefill` in whole steps."""
    size, step = options["frame_size"], max(options["frame_step"], 1)
    return (size if options["prefill"] else -(-size // step) * step) - step


def stacked(options: Mapping[str, int]) -> int:
    """Return how many frames SignalStacker puts together."""
    return options["stacker_left_context"] + options["stacker_right_context"] + 1


#: The operators that remember something, and what.
KEPT: Mapping[str, Callable[[Tensor, Mapping[str, int]], list[Form]]] = {
    "SignalDelay": _delay,
    "SignalFilterBankSpectralSubtraction": _noise,
    "SignalFramer": _framer,
    "SignalOverlapAdd": _overlap_add,
    "SignalStacker": _stacker,
}
