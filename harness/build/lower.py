"""From the operators of a graph to kernel calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from harness.build.operators import KINDS
from harness.build.step import Node, Step, refused
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.build.graph import Graph, Operator, Tensor

#: What a model may take and give.
_CARD_TYPES = ("int8", "float32")

#: Operators with kernels that read int8 weights beside float32 activations.
_TAKE_INT8 = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: `offset` bytes behind the start of tensor `root`, which has memory of its own."""

    root: int
    offset: int = 0


@dataclass(frozen=True)
class Program:
    """Kernel calls in the order of execution, every tensor by its index, and the memory that each stands for."""

    steps: tuple[Step, ...]
    storage: Mapping[int, Place]


def lower(graph: Graph) -> Program:
    """Return the kernel calls that compute a graph.

    Raises:
        ConfigError: operators, or a form of them, have no kernel. Names each, its index and what would be needed.
    """
    graph = fold_constants(graph)
    steps: list[Step] = []
    storage = {tensor.index: Place(tensor.index) for tensor in graph.tensors}
    problems: list[str] = []
    for operator in graph.operators:
        try:
            made, node = _steps(graph, operator)
            layer = steps[-1].layer + 1 if steps else 0
            steps += [replace(step, layer=layer) for step in made]
            if not made:
                storage[node.y.index] = storage[node.x.index]
        except ConfigError as error:
            problems.append(str(error))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            problems.append(str(refused(graph, operator, f"damaged ({error!r})", "a valid file; export it again")))
    computed = {storage[t.index].root for t in (graph.input, *(step.output for step in steps))}
    if not problems and storage[graph.output.index].root not in computed:
        problems.append(f"{graph.source}: its output is a constant, which nothing computes. Export it again.")
    _report(graph, problems)
    return Program(tuple(steps), storage)


def _steps(graph: Graph, operator: Operator) -> tuple[tuple[Step, ...], Node]:
    """Return the calls of an operator, none if it only renames memory."""
    if not (operator.inputs and operator.outputs) or operator.inputs[0] < 0 or operator.outputs[0] < 0:
        what = "no first input or output"
        raise refused(graph, operator, what, "an operator that computes on its input")
    node = Node(graph, operator, graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]])
    kind = KINDS.get(operator.kind)
    if operator.kind in ("ADD", "MUL") and node.x.data is not None:
        node = replace(node, x=node.second)
    if operator.kind == "CONCATENATION" and node.y.dtype in _CARD_TYPES:
        node = replace(node, x=node.y)  # each input may be the one of another type
    if node.x.data is not None:
        raise node.refused("a constant input", "a model whose constants were folded by the converter")
    types = f"{node.x.dtype} to {node.y.dtype}"
    if kind is not None and not kind.lower:
        if node.x.dtype != node.y.dtype:
            raise node.refused(types, "one type, as it only renames")
        return (), node
    lowering = None if kind is None else kind.lower.get(types)
    if lowering is None:
        needed = "a kernel in firmware/engine and a line in harness/build/operators.py"
        raise node.refused(f"no kernel for {types}", needed)
    made = lowering(node)
    return made if isinstance(made, tuple) else (made,), node


def _report(graph: Graph, problems: list[str]) -> None:
    """Raise one error for everything that can't be compiled."""
    for what, tensor in (("input", graph.input), ("output", graph.output)):
        if tensor.dtype not in _CARD_TYPES:
            problems.append(f"{graph.source}: its {what} is {tensor.dtype}. Needed: {' or '.join(_CARD_TYPES)}.")
    if not problems:
        return
    supported = f"Operators with kernels: {', '.join(sorted(KINDS))}."
    if len(problems) == 1:
        raise ConfigError(f"{problems[0]}\n{supported}")
    lines = "\n".join(f"  {problem.removeprefix(f'{graph.source}: ')}" for problem in problems)
    raise ConfigError(f"{graph.source}: can't be compiled, for {len(problems)} reasons:\n{lines}\n{supported}")


def fold_constants(graph: Graph) -> Graph:
    """Return the graph without DEQUANTIZE operators of constants, which a converter left.

    float16 becomes float32. int8 stays int8, with `dequantized` set, if it is only used as symmetric weights; else it
    becomes float32, too. Tensors keep their indices, operators theirs.
    """
    tensors, operators = list(graph.tensors), []
    for operator in graph.operators:
        folded = None
        if operator.kind == "DEQUANTIZE" and operator.inputs and operator.inputs[0] >= 0:
            folded = _folded(graph, graph.tensors[operator.inputs[0]], operator.outputs[0])
        if folded is None:
            operators.append(operator)
        else:
            tensors[folded.index] = folded
    return replace(graph, tensors=tuple(tensors), operators=tuple(operators))


def _folded(graph: Graph, source: Tensor, index: int) -> Tensor | None:
    """Return the constant that a DEQUANTIZE makes of another one; None if it can't be known."""
    target, quantization = graph.tensors[index], source.quantization
    if source.data is None:
        return None
    if source.dtype == "float16":
        return replace(target, data=source.data.astype(np.float32))
    if source.dtype != "int8" or quantization is None:
        return None
    readers = [operator for operator in graph.operators if index in operator.inputs]
    only_weights = all(reader.kind in _TAKE_INT8 and reader.inputs.index(index) == 1 for reader in readers)
    if only_weights and not any(quantization.zero_points):
        return replace(source, index=index, dequantized=True)
    along = [1] * max(len(source.shape), 1)
    if len(quantization.scales) > 1:
        along[quantization.axis] = -1
    scales = np.array(quantization.scales, np.float32).reshape(along)
    zeros = np.array(quantization.zero_points, np.float32).reshape(along)
    return replace(target, data=(scales * (source.data.astype(np.float32) - zeros)).reshape(source.shape))
