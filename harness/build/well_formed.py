"""What must hold of a model before the compiler believes it; a file that breaks it is refused in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from harness.build.graph import Graph, Operator, Quantization, Tensor

_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "int32": (-(1 << 31), (1 << 31) - 1)}

#: How many inputs the operators with kernels take, from and to.
_INPUTS: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), (2, 3)),
    **dict.fromkeys(("ADD", "MUL", "MEAN", "PAD", "EXPAND_DIMS"), (2, 2)),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "SOFTMAX", "LOGISTIC", "TANH", "HARD_SWISH"), (1, 1)),
    **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "QUANTIZE", "DEQUANTIZE", "SQUEEZE"), (1, 1)),
    "PADV2": (3, 3),
    "RESHAPE": (1, 2),
    "CONCATENATION": (1, 1 << 16),
}

#: Fields of options that have a default which means something; without the others an operator isn't defined.
_OPTIONAL = {"FusedActivationFunction", "WeightsFormat"}

_AT_LEAST_1 = {"StrideW", "StrideH", "FilterWidth", "FilterHeight", "DilationWFactor", "DilationHFactor"}

#: Operators whose output has the values of their only computed input, one for one.
_ONE_FOR_ONE = (
    "LOGISTIC", "TANH", "HARD_SWISH", "RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "QUANTIZE", "DEQUANTIZE",
    "SOFTMAX", "RESHAPE", "SQUEEZE", "EXPAND_DIMS",
)  # fmt: skip

_DAMAGED = "the file is damaged. Export it again."


def check_quantization(quantization: Quantization, dtype: str, shape: tuple[int, ...], what: str) -> None:
    """Refuse scales and zero points that no quantizer gives.

    Raises:
        ConfigError: a scale isn't finite and positive, a zero point isn't a value of the type, or there aren't as
            many as channels; begins with `what`.
    """
    if dtype not in _RANGES:
        return  # not integers: nothing is scaled
    scales, zeros = quantization.scales, quantization.zero_points
    for scale in scales:
        if not math.isfinite(scale) or scale < 0 or (scale == 0 and dtype != "int32"):
            raise ConfigError(f"{what} has scale {scale}, which must be finite and above 0. Quantize it again.")
    low, high = _RANGES[dtype]
    for zero in zeros:
        if not low <= zero <= high:
            raise ConfigError(f"{what} has zero point {zero:,}, but {dtype} goes from {low} to {high}: {_DAMAGED}")
    if len(zeros) != len(scales):
        raise ConfigError(f"{what} has {len(scales)} scales, but {len(zeros)} zero points: {_DAMAGED}")
    axis = quantization.axis
    if len(scales) > 1 and (not 0 <= axis < len(shape) or shape[axis] != len(scales)):
        raise ConfigError(f"{what} of shape {list(shape)} has {len(scales)} scales along dimension {axis}: {_DAMAGED}")


def check_options(options: Mapping[str, float], fields: Iterable[str], what: str) -> None:
    """Refuse options of an operator that say nothing or what can't be.

    Raises:
        ConfigError: begins with `what`.
    """
    missing = [field for field in fields if field not in options and field not in _OPTIONAL]
    if missing:
        raise ConfigError(f"{what}: its options are missing ({', '.join(missing)}): {_DAMAGED}")
    for field, value in options.items():
        wrong = (
            (field in _AT_LEAST_1 and value < 1)
            or (field == "Padding" and value not in (0, 1))
            or not math.isfinite(value)
        )
        if wrong:
            raise ConfigError(f"{what}: its option {field} is {value}: {_DAMAGED}")


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
        raise ConfigError(f"{where}: its input is a constant: {_DAMAGED}")
    for operator in graph.operators:
        what = f"{where}: operator {operator.index} ({operator.kind})"
        _check_order(operator, len(graph.tensors), known, what)
        _check_shapes(graph, operator, what)
        kept = variables.intersection(operator.inputs)
        if kept and operator.kind in _INPUTS:
            raise ConfigError(f"{what} reads tensor {min(kept)}, which is kept between inferences: not supported.")
    if graph.output.index not in known:
        raise ConfigError(f"{where}: nothing writes its output, tensor {graph.output.index}: {_DAMAGED}")


def _check_order(operator: Operator, count: int, known: set[int], what: str) -> None:
    """Refuse reading what has no values yet, and writing what has; add what the operator writes."""
    for index in (*operator.inputs, *operator.outputs):
        if not -1 <= index < count:
            raise ConfigError(f"{what} names tensor {index} of {count}: {_DAMAGED}")
    for index in operator.inputs:
        if index >= 0 and index not in known:
            raise ConfigError(f"{what} reads tensor {index} before anything wrote it: {_DAMAGED}")
    for index in operator.outputs:
        if index in known:
            raise ConfigError(f"{what} writes tensor {index}, which has its values already: {_DAMAGED}")
        known.add(index)


def _check_shapes(graph: Graph, operator: Operator, what: str) -> None:
    """Refuse an operator with a kernel whose tensors can't be those of its kind."""
    if operator.kind not in _INPUTS:
        return  # has no kernel: `lower` says so
    least, most = _INPUTS[operator.kind]
    if not least <= len(operator.inputs) <= most or len(operator.outputs) != 1:
        raise ConfigError(f"{what} has {len(operator.inputs)} inputs and {len(operator.outputs)} outputs: {_DAMAGED}")
    if any(index < 0 for index in (*operator.inputs[:2], *operator.outputs)):
        raise ConfigError(f"{what} lacks an input or its output: {_DAMAGED}")
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    second = graph.tensors[operator.inputs[1]] if len(operator.inputs) > 1 else None
    if not _shapes_fit(graph, operator, x, second, y):
        shapes = ", ".join(str(list(graph.tensors[i].shape)) for i in operator.inputs if i >= 0)
        raise ConfigError(f"{what}: inputs of shapes {shapes} don't give an output of {list(y.shape)}: {_DAMAGED}")


def _shapes_fit(graph: Graph, operator: Operator, x: Tensor, second: Tensor | None, y: Tensor) -> bool:
    """Whether the kernel would read and write just what its tensors hold; `lower` looks at the rest."""
    kind = operator.kind
    if kind in _ONE_FOR_ONE:
        return x.elements == y.elements and bool(x.shape or kind != "SOFTMAX")
    if kind == "CONCATENATION":
        return _joins(graph, operator, y)
    if kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        return len(x.shape) == len(y.shape) == 4 and x.shape[3] == y.shape[3]
    fits = _WITH_SECOND.get(kind)
    return fits is None or second is None or fits(x, second, y)


def _is_convolution(x: Tensor, filters: Tensor, y: Tensor) -> bool:
    return len(x.shape) == len(y.shape) == len(filters.shape) == 4 and filters.shape[0] == y.shape[3]


def _is_depthwise(x: Tensor, filters: Tensor, y: Tensor) -> bool:
    if not len(x.shape) == len(y.shape) == len(filters.shape) == 4:
        return False
    return filters.shape[0] == 1 and filters.shape[3] == y.shape[3] and y.shape[3] % x.shape[3] == 0


def _is_product(x: Tensor, weights: Tensor, y: Tensor) -> bool:
    if len(weights.shape) != 2:
        return False
    outputs, depth = weights.shape
    return x.elements % depth == 0 and y.elements == x.elements // depth * outputs


def _is_padding(x: Tensor, amounts: Tensor, y: Tensor) -> bool:
    if amounts.shape != (len(x.shape), 2) or len(x.shape) != len(y.shape):
        return False
    return amounts.data is None or bool((amounts.data.astype(float) >= 0).all())


def _is_mean(x: Tensor, axes: Tensor, y: Tensor) -> bool:
    if axes.data is None:
        return True  # refused by `lower`, in its words
    rank = len(x.shape)
    over = {int(axis) for axis in axes.data.flat}
    if any(not -rank <= axis < rank for axis in over):
        return False
    left = [size for d, size in enumerate(x.shape) if d not in over and d - rank not in over]
    return math.prod(left) == y.elements


def _joins(graph: Graph, operator: Operator, y: Tensor) -> bool:
    """Whether the inputs of a concatenation are its output's shape but along the axis, where they add up to it."""
    rank, axis = len(y.shape), int(operator.options["Axis"])
    parts = [graph.tensors[i].shape for i in operator.inputs if i >= 0]
    if not -rank <= axis < rank or any(len(part) != rank for part in parts) or len(parts) < len(operator.inputs):
        return False
    axis %= rank
    others = [(*part[:axis], *part[axis + 1 :]) for part in parts]
    return (
        set(others) == {(*y.shape[:axis], *y.shape[axis + 1 :])} and sum(part[axis] for part in parts) == y.shape[axis]
    )


_WITH_SECOND: Mapping[str, Callable[[Tensor, Tensor, Tensor], bool]] = {
    "CONV_2D": _is_convolution,
    "DEPTHWISE_CONV_2D": _is_depthwise,
    "FULLY_CONNECTED": _is_product,
    "PAD": _is_padding,
    "PADV2": _is_padding,
    "MEAN": _is_mean,
}
