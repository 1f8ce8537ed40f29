"""The operators that the compiler knows: options, forms that aren't damaged, types, and what computes them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.build import lower_layers, lower_shape, lower_values
from harness.build.step import Node
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.build.graph import Graph, Operator
    from harness.build.step import Step

    Lower = Callable[[Node], Step | tuple[Step, ...]]
    Fits = Callable[[Node], bool]

DAMAGED = "the file is damaged. Export it again."


def _one_for_one(node: Node) -> bool:
    """Whether the output has the values of the only computed input."""
    return node.x.elements == node.y.elements


def _is_softmax(node: Node) -> bool:
    return _one_for_one(node) and bool(node.x.shape)


def _is_window(node: Node) -> bool:
    return len(node.x.shape) == len(node.y.shape) == 4


def _is_pool(node: Node) -> bool:
    return _is_window(node) and node.x.shape[3] == node.y.shape[3]


def _is_convolution(node: Node) -> bool:
    filters = node.second.shape
    return _is_window(node) and len(filters) == 4 and filters[0] == node.y.shape[3]


def _is_depthwise(node: Node) -> bool:
    filters = node.second.shape
    if not _is_window(node) or len(filters) != 4:
        return False
    return filters[0] == 1 and filters[3] == node.y.shape[3] and node.y.shape[3] % node.x.shape[3] == 0


def _is_product(node: Node) -> bool:
    if len(node.second.shape) != 2:
        return False
    outputs, depth = node.second.shape
    return node.x.elements % depth == 0 and node.y.elements == node.x.elements // depth * outputs


def _is_padding(node: Node) -> bool:
    amounts = node.second
    if amounts.shape != (len(node.x.shape), 2) or len(node.x.shape) != len(node.y.shape):
        return False
    return amounts.data is None or bool((amounts.data.astype(float) >= 0).all())


def _is_mean(node: Node) -> bool:
    axes, rank = node.second.data, len(node.x.shape)
    if axes is None:
        return True  # refused by its lowering, in other words
    over = {int(axis) for axis in axes.flat}
    if any(not -rank <= axis < rank for axis in over):
        return False
    left = [size for d, size in enumerate(node.x.shape) if d not in over and d - rank not in over]
    return math.prod(left) == node.y.elements


def _is_joined(node: Node) -> bool:
    """Whether the inputs are of the output's shape but along the axis, where they add up to it."""
    whole, axis = node.y.shape, node.option("Axis")
    parts = [part.shape for part in node.tensors if part is not None]
    if not -len(whole) <= axis < len(whole) or len(parts) < len(node.tensors):
        return False
    axis %= len(whole)
    if any((*part[:axis], whole[axis], *part[axis + 1 :]) != whole for part in parts):
        return False
    return sum(part[axis] for part in parts) == whole[axis]


def _any_shapes(_node: Node) -> bool:
    return True


@dataclass(frozen=True)
class Kind:
    """One of TFLite's operators.

    Attributes:
        options: the table of options in the file, and the fields of it that are looked at.
        inputs: how many it takes, from and to.
        fits: whether a kernel would read and write just what the tensors hold; the lowering looks at the rest.
        lower: the kernel calls that compute it, by the types of input and output; empty for what only renames memory.
    """

    options: tuple[str, ...]
    inputs: tuple[int, int]
    fits: Fits
    lower: Mapping[str, Lower] = field(default_factory=dict)


def _both(lower: Lower) -> dict[str, Lower]:
    return {"int8 to int8": lower, "float32 to float32": lower}


_STRIDES = ("Padding", "StrideW", "StrideH")
_CONV = (*_STRIDES, "DilationWFactor", "DilationHFactor", "FusedActivationFunction")
_POOL = ("Pool2DOptions", *_STRIDES, "FilterWidth", "FilterHeight", "FusedActivationFunction")
_DENSE = ("FullyConnectedOptions", "FusedActivationFunction", "WeightsFormat")
_UNARY = _both(lower_values.unary)
_QUANTIZE = {"int8 to int8": lower_values.unary, "float32 to int8": lower_values.quantize}

#: Where only the table of options is named, what it says is in the tensors' shapes, too.
KINDS: Mapping[str, Kind] = {
    "ADD": Kind(("AddOptions", "FusedActivationFunction"), (2, 2), _any_shapes, _both(lower_values.binary)),
    "AVERAGE_POOL_2D": Kind(_POOL, (1, 1), _is_pool, _both(lower_shape.pool)),
    "CONCATENATION": Kind(
        ("ConcatenationOptions", "Axis", "FusedActivationFunction"),
        (1, 1 << 16),
        _is_joined,
        _both(lower_shape.concatenation),
    ),
    "CONV_2D": Kind(("Conv2DOptions", *_CONV), (2, 3), _is_convolution, _both(lower_layers.convolution)),
    "DEPTHWISE_CONV_2D": Kind(("DepthwiseConv2DOptions", *_CONV), (2, 3), _is_depthwise, _both(lower_layers.depthwise)),
    "DEQUANTIZE": Kind(("DequantizeOptions",), (1, 1), _one_for_one, {"int8 to float32": lower_values.dequantize}),
    "EXPAND_DIMS": Kind(("ExpandDimsOptions",), (2, 2), _one_for_one),
    "FULLY_CONNECTED": Kind(_DENSE, (2, 3), _is_product, _both(lower_layers.fully_connected)),
    "HARD_SWISH": Kind(("HardSwishOptions",), (1, 1), _one_for_one, _UNARY),
    "LEAKY_RELU": Kind(("LeakyReluOptions", "Alpha"), (1, 1), _one_for_one, _UNARY),
    "LOGISTIC": Kind(("NONE",), (1, 1), _one_for_one, _UNARY),
    "MAX_POOL_2D": Kind(_POOL, (1, 1), _is_pool, _both(lower_shape.pool)),
    "MEAN": Kind(("ReducerOptions",), (2, 2), _is_mean, _both(lower_shape.mean)),
    "MUL": Kind(("MulOptions", "FusedActivationFunction"), (2, 2), _any_shapes, _both(lower_values.binary)),
    "PAD": Kind(("PadOptions",), (2, 2), _is_padding, _both(lower_shape.pad)),
    "PADV2": Kind(("PadV2Options",), (3, 3), _is_padding, _both(lower_shape.pad)),
    "QUANTIZE": Kind(("QuantizeOptions",), (1, 1), _one_for_one, _QUANTIZE),
    "RELU": Kind(("NONE",), (1, 1), _one_for_one, _UNARY),
    "RELU6": Kind(("NONE",), (1, 1), _one_for_one, _UNARY),
    "RELU_N1_TO_1": Kind(("NONE",), (1, 1), _one_for_one, _UNARY),
    "RESHAPE": Kind(("ReshapeOptions",), (1, 2), _one_for_one),
    "SOFTMAX": Kind(("SoftmaxOptions", "Beta"), (1, 1), _is_softmax, _both(lower_shape.softmax)),
    "SQUEEZE": Kind(("SqueezeOptions",), (1, 1), _one_for_one),
    "TANH": Kind(("NONE",), (1, 1), _one_for_one, _UNARY),
}


def check_graph(graph: Graph, constants: set[int], variables: set[int], where: str) -> None:
    """Refuse a model whose operators read what isn't there, or write what they mustn't.

    Args:
        graph: the model, as read from its file.
        constants: the tensors that have values in the file, also those of types that aren't read.
        variables: the tensors that keep their values from one inference to the next.
        where: place in the file, with which errors begin.

    Raises:
        ConfigError: names the operator and the tensor.
    """
    known = constants | variables | {graph.input.index}
    if graph.input.index in constants:
        raise ConfigError(f"{where}: its input is a constant: {DAMAGED}")
    for operator in graph.operators:
        what = f"{where}: operator {operator.index} ({operator.kind})"
        _check_order(operator, len(graph.tensors), known, what)
        if operator.kind not in KINDS:
            continue  # `lower` says so
        _check_form(graph, operator, KINDS[operator.kind], what)
        kept = variables.intersection(operator.inputs)
        if kept:
            raise ConfigError(f"{what} reads tensor {min(kept)}, which is kept between inferences: not supported.")
    if graph.output.index not in known:
        raise ConfigError(f"{where}: nothing writes its output, tensor {graph.output.index}: {DAMAGED}")


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
    least, most = kind.inputs
    if not least <= len(operator.inputs) <= most or len(operator.outputs) != 1:
        raise ConfigError(f"{what} has {len(operator.inputs)} inputs and {len(operator.outputs)} outputs: {DAMAGED}")
    if any(index < 0 for index in (*operator.inputs[:2], *operator.outputs)):
        raise ConfigError(f"{what} lacks an input or its output: {DAMAGED}")
    node = Node(graph, operator, graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]])
    if not kind.fits(node):
        shapes = ", ".join(str(list(tensor.shape)) for tensor in node.tensors if tensor is not None)
        raise ConfigError(f"{what}: inputs of shapes {shapes} don't give an output of {list(node.y.shape)}: {DAMAGED}")
