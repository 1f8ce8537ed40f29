"""What is known when a model is compiled: constants that operators make of constants, and permuted weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.build.dilate import with_dilation
from harness.build.graph import MOST_VALUES
from harness.build.operators import KINDS, UNARY
from harness.build.step import Node
from harness.build.views import FOLDS, RENAMES, VIEWS
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.build.graph import Graph, Operator, Tensor

#: Operators with kernels that read int8 weights beside float32 activations.
_TAKE_INT8 = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

#: What these give doesn't depend on the values.
_OF_SHAPES = ("RANK", "SHAPE", "ZEROS_LIKE")


def fold(graph: Graph) -> Graph:
    """Return a graph that computes the same without what is known already. Tensors and operators keep their indices."""
    return _without_transposes(with_dilation(fold_constants(graph)))


def fold_constants(graph: Graph) -> Graph:
    """Return the graph without operators of constants, or of shapes, all of which are known.

    DEQUANTIZE makes float32 of float16. int8 stays int8, with `dequantized` set, if it is only used as symmetric
    weights; else it becomes float32, too.
    """
    tensors, operators = list(graph.tensors), []
    working = replace(graph, tensors=tensors)
    for operator in graph.operators:
        known = folded(working, operator)
        if known is None:
            operators.append(operator)
            continue
        for tensor in known:
            tensors[tensor.index] = tensor
    outputs = tuple(tensors[tensor.index] for tensor in graph.outputs)
    return replace(graph, tensors=tuple(tensors), operators=tuple(operators), outputs=outputs)


def folded(graph: Graph, operator: Operator) -> list[Tensor] | None:
    """Return the constants that an operator makes; None if they can't be known."""
    if operator.kind == "DEQUANTIZE" and operator.inputs and operator.inputs[0] >= 0:
        constant = _dequantized(graph, graph.tensors[operator.inputs[0]], operator.outputs[0])
        return None if constant is None else [constant]
    view, function = VIEWS.get(operator.kind), FOLDS.get(operator.kind)
    if (view is None and function is None) or not operator.outputs:
        return None
    inputs = [graph.tensors[index] for index in operator.inputs if index >= 0]
    outputs = [graph.tensors[index] for index in operator.outputs]
    known = all(tensor.data is not None for tensor in inputs) or operator.kind in _OF_SHAPES
    if not known or sum(tensor.elements for tensor in outputs) > MOST_VALUES:
        return None
    try:
        node = Node(graph, operator, graph.tensors[operator.inputs[max(KINDS[operator.kind].main, 0)]], outputs[0])
        if view is not None and node.x.data is not None:
            arrays = list(view(node, node.x.data))
        elif function is not None:
            arrays = [np.asarray(function(node))]
        if [array.size for array in arrays] != [tensor.elements for tensor in outputs]:
            return None
        pairs = zip(outputs, arrays, strict=True)
        return [replace(y, data=np.ascontiguousarray(a, y.dtype).reshape(y.shape)) for y, a in pairs]
    except (ArithmeticError, AttributeError, ConfigError, LookupError, MemoryError, TypeError, ValueError):
        return None  # what is wrong with it, lowering says


def _dequantized(graph: Graph, source: Tensor, index: int) -> Tensor | None:
    """Return the constant that a DEQUANTIZE makes of another one; None if it can't be known."""
    target, quantization = graph.tensors[index], source.quantization
    if source.data is None:
        return None
    if source.dtype == "float16":
        return replace(target, data=source.data.astype(np.float32))
    if source.dtype not in ("int8", "int4") or quantization is None:
        return None
    readers = [operator for operator in graph.operators if index in operator.inputs]
    only_weights = all(reader.kind in _TAKE_INT8 and reader.inputs.index(index) == 1 for reader in readers)
    if only_weights and not any(quantization.zero_points):
        return replace(source, index=index, dtype="int8", dequantized=True)
    along = [1] * max(len(source.shape), 1)
    if len(quantization.scales) > 1:
        along[quantization.axis] = -1
    scales = np.array(quantization.scales, np.float32).reshape(along)
    zeros = np.array(quantization.zero_points, np.float32).reshape(along)
    return replace(target, data=(scales * (source.data.astype(np.float32) - zeros)).reshape(source.shape))


def _without_transposes(graph: Graph) -> Graph:
    """Return the graph with the weights of matrices in the order in which values are before a TRANSPOSE.

    That is what a convolution in channels first leaves before its flattening. The TRANSPOSE then renames only.
    """
    tensors, operators = list(graph.tensors), {operator.index: operator for operator in graph.operators}
    for operator in graph.operators:
        if operator.kind != "FULLY_CONNECTED" or len(operator.inputs) < 2:
            continue
        weights, transpose = graph.tensors[operator.inputs[1]], _transpose_before(graph, operator)
        if transpose is None or weights.data is None or _readers(graph, weights.index) != 1:
            continue
        x = graph.tensors[transpose.inputs[0]]
        order = graph.tensors[transpose.inputs[1]].data
        if order is None or sorted(order.ravel().tolist()) != list(range(len(x.shape))):
            continue
        if weights.data.shape[1:] != (x.elements,):
            continue
        positions = np.arange(x.elements).reshape(x.shape).transpose(order.ravel()).ravel()
        moved = np.empty_like(weights.data)
        moved[:, positions] = weights.data
        tensors[weights.index] = replace(weights, data=moved)
        operators[transpose.index] = replace(transpose, kind="RESHAPE", options={})
    return replace(graph, tensors=tuple(tensors), operators=tuple(operators.values()))


def _transpose_before(graph: Graph, operator: Operator) -> Operator | None:
    """Return the TRANSPOSE whose values an operator reads, each for itself at most changed, and nothing else reads."""
    makers = {index: maker for maker in graph.operators for index in maker.outputs}
    kept = {tensor.index for tensor in graph.outputs}
    before: Operator | None = operator
    while before is not None:
        index = before.inputs[0]
        before = makers.get(index)
        if before is None or _readers(graph, index) != 1 or index in kept:
            return None
        if before.kind == "TRANSPOSE":
            return before
        if before.kind not in (*RENAMES, *UNARY):
            return None
    return None


def _readers(graph: Graph, index: int) -> int:
    return sum(index in operator.inputs for operator in graph.operators)
