"""Whether a graph can be what its file says: operators of the right shapes, in an order that can be executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.build.operators import KINDS
from harness.build.options import DAMAGED
from harness.build.step import Node
from harness.build.views import RENAMES
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.build.graph import Graph, Operator
    from harness.build.operators import Kind


def check_graph(graph: Graph, constants: set[int], where: str, *, forms: bool = True) -> None:
    """Refuse a model whose operators read what isn't there, or write what they mustn't.

    Args:
        graph: the model, as read from its file.
        constants: the tensors that have values in the file, also those of types that aren't read.
        where: place in the file, with which errors begin.
        forms: look at the shapes, too.

    Raises:
        ConfigError: names the operator and the tensor.
    """
    inputs = {tensor.index for tensor in graph.inputs}
    known = constants | set(graph.state) | inputs
    if inputs & constants:
        raise ConfigError(f"{where}: its input is a constant: {DAMAGED}")
    for tensor in graph.inputs if forms else ():
        check_shape(graph, tensor.index, f"{where}: its input,")
    for operator in graph.operators:
        what = f"{where}: operator {operator.index} ({operator.kind})"
        _check_order(operator, len(graph.tensors), known, what)
        if forms and operator.kind in KINDS:  # `lower` says which aren't
            _check_form(graph, operator, KINDS[operator.kind], what)
    for tensor in graph.outputs:
        if tensor.index not in known:
            raise ConfigError(f"{where}: nothing writes its output, tensor {tensor.index}: {DAMAGED}")


def check_shape(graph: Graph, index: int, what: str) -> None:
    """Refuse a tensor whose size isn't known.

    Raises:
        ConfigError: names it.
    """
    tensor = graph.tensors[index]
    if any(size < 1 for size in tensor.shape):
        unknown = ", ".join(sorted({operator.kind for operator in graph.operators if operator.kind not in KINDS}))
        raise ConfigError(
            f"{what} tensor {index} ({tensor.name}) has no fixed shape: {list(tensor.shape)}. Export it for one input, "
            f"with all its sizes as numbers.{f' It also has operators without a kernel: {unknown}.' if unknown else ''}"
        )


def _check_order(operator: Operator, count: int, known: set[int], what: str) -> None:
    """Refuse reading what has no values yet, and writing what has; add what the operator writes."""
    for index in (*operator.inputs, *operator.outputs):
        if not -1 <= index < count:
            raise ConfigError(f"{what} names tensor {index} of {count}: {DAMAGED}")
    for index in operator.inputs:
        if index >= 0 and index not in known:
            raise ConfigError(f"{what} reads tensor {index} before anything wrote it: {DAMAGED}")
    for index in operator.outputs:
        if index in known:
            raise ConfigError(f"{what} writes tensor {index}, which has its values already: {DAMAGED}")
        known.add(index)


def _check_form(graph: Graph, operator: Operator, kind: Kind, what: str) -> None:
    """Refuse an operator whose tensors can't be those of its kind."""
    (least, most), outputs = kind.inputs, len(operator.outputs)
    if not least <= len(operator.inputs) <= most or not kind.outputs[0] <= outputs <= kind.outputs[1]:
        raise ConfigError(f"{what} has {len(operator.inputs)} inputs and {outputs} outputs: {DAMAGED}")
    if any(index < 0 for index in (*operator.inputs[: kind.needed or max(least, 2)], *operator.outputs)):
        raise ConfigError(f"{what} lacks an input or its output: {DAMAGED}")
    if not (operator.inputs and operator.outputs):
        return
    sized = operator.inputs[:1] if operator.kind in RENAMES else operator.inputs  # the shape of a scalar is empty
    for index in (*sized, *operator.outputs):
        if index >= 0:
            check_shape(graph, index, f"{what}:")
    node = Node(graph, operator, graph.tensors[operator.inputs[kind.main]], graph.tensors[operator.outputs[0]])
    if not kind.fits(node):
        shapes = ", ".join(str(list(tensor.shape)) for tensor in node.tensors if tensor is not None)
        found = ", ".join(str(list(tensor.shape)) for tensor in node.outputs)
        raise ConfigError(f"{what}: inputs of shapes {shapes} don't give an output of {found}: {DAMAGED}")
