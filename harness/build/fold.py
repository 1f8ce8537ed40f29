"""Constants that a converter left behind a DEQUANTIZE: they become the weights that they stand for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.graph import Graph, Tensor

#: Operators with kernels that read int8 weights beside float32 activations.
_TAKE_INT8 = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def fold_constants(graph: Graph) -> Graph:
    """Return the graph without DEQUANTIZE operators of constants.

    float16 becomes float32. int8 stays int8, with `dequantized` set, if it is only used as symmetric weights; else it
    becomes float32, too. Tensors keep their indices, operators theirs.
    """
    tensors, operators = list(graph.tensors), []
    for operator in graph.operators:
        source = graph.tensors[operator.inputs[0]] if operator.inputs and operator.inputs[0] >= 0 else None
        kept = operator.kind != "DEQUANTIZE" or source is None or source.data is None
        if not kept and source is not None:
            index = operator.outputs[0]
            folded = _folded(graph, source, index)
            if folded is not None:
                tensors[index] = folded
                continue
        operators.append(operator)
    return replace(graph, tensors=tuple(tensors), operators=tuple(operators))


def _folded(graph: Graph, source: Tensor, index: int) -> Tensor | None:
    """Return the constant that a DEQUANTIZE makes of another one; None if it can't be known."""
    target = graph.tensors[index]
    if source.data is None:
        return None
    if source.dtype == "float16":
        return replace(target, data=source.data.astype(np.float32))
    if source.dtype != "int8" or source.quantization is None:
        return None
    if not any(source.quantization.zero_points) and _only_weights(graph, index):
        return replace(source, index=index, dequantized=True)
    return replace(target, data=dequantize(source))


def dequantize(tensor: Tensor) -> NDArray[np.float32]:
    """Return the float32 values that a constant int8 tensor stands for.

    Raises:
        ValueError: it has no values or no scale.
    """
    if tensor.data is None or tensor.quantization is None:
        raise ValueError(f"tensor {tensor.index} ({tensor.name}) is no quantized constant")
    along = [1] * max(len(tensor.shape), 1)
    if len(tensor.quantization.scales) > 1:
        along[tensor.quantization.axis] = -1
    scales = np.array(tensor.quantization.scales, np.float32).reshape(along)
    zeros = np.array(tensor.quantization.zero_points, np.float32).reshape(along)
    values: NDArray[np.float32] = (scales * (tensor.data.astype(np.float32) - zeros)).reshape(tensor.shape)
    return values


def _only_weights(graph: Graph, index: int) -> bool:
    readers = [operator for operator in graph.operators if index in operator.inputs]
    return all(reader.kind in _TAKE_INT8 and reader.inputs.index(index) == 1 for reader in readers)
