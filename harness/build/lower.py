"""From the operators of a graph to kernel calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.build import lower_elementwise, lower_float, lower_int8, lower_reduce, lower_shape
from harness.build.fold import fold_constants
from harness.build.graph import unsupported
from harness.build.step import Step, quantization_of
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.build.graph import Graph, Operator, Tensor

    Lower = Callable[[Graph, Operator, Tensor, Tensor], Step]

#: Functions of one value.
UNARY = ("LOGISTIC", "TANH", "HARD_SWISH", "RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU")

#: Kernels by TFLite's name of the operator and by the type of its input.
KERNELS: Mapping[tuple[str, str], Lower] = {
    ("CONV_2D", "int8"): lower_int8.convolution,
    ("DEPTHWISE_CONV_2D", "int8"): lower_int8.depthwise,
    ("FULLY_CONNECTED", "int8"): lower_int8.fully_connected,
    ("AVERAGE_POOL_2D", "int8"): lower_reduce.pool,
    ("MAX_POOL_2D", "int8"): lower_reduce.pool,
    ("MEAN", "int8"): lower_reduce.mean,
    ("SOFTMAX", "int8"): lower_reduce.softmax,
    **{(kind, "int8"): lower_elementwise.unary_int8 for kind in UNARY},
    **{(kind, "float32"): lower_elementwise.unary_float for kind in UNARY},
    ("QUANTIZE", "int8"): lower_elementwise.unary_int8,
    ("ADD", "int8"): lower_elementwise.binary_int8,
    ("MUL", "int8"): lower_elementwise.binary_int8,
    ("PAD", "int8"): lower_shape.pad,
    ("PADV2", "int8"): lower_shape.pad,
    ("ADD", "float32"): lower_elementwise.binary_float,
    ("MUL", "float32"): lower_elementwise.binary_float,
    ("PAD", "float32"): lower_shape.pad,
    ("PADV2", "float32"): lower_shape.pad,
    ("CONV_2D", "float32"): lower_float.convolution,
    ("DEPTHWISE_CONV_2D", "float32"): lower_float.depthwise,
    ("FULLY_CONNECTED", "float32"): lower_float.fully_connected,
    ("AVERAGE_POOL_2D", "float32"): lower_float.pool,
    ("MAX_POOL_2D", "float32"): lower_float.pool,
    ("MEAN", "float32"): lower_float.mean,
    ("SOFTMAX", "float32"): lower_float.softmax,
}

#: Operators that only rename their input's memory.
VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")

#: What a model may take and give.
CARD_TYPES = ("int8", "float32")


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
            x, y = _first(graph, operator, operator.inputs), _first(graph, operator, operator.outputs)
            if operator.kind in VIEWS:
                _check_view(graph, operator, x, y)
                storage[y.index] = storage[x.index]
            else:
                layer = steps[-1].layer + 1 if steps else 0
                steps += [replace(step, layer=layer) for step in _steps(graph, operator, x, y)]
        except ConfigError as error:
            problems.append(str(error))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            problems.append(str(unsupported(graph, operator, f"damaged ({error!r})", "a valid file; export it again")))
    computed = {storage[t.index].root for t in (graph.input, *(step.output for step in steps))}
    if not problems and storage[graph.output.index].root not in computed:
        problems.append(f"{graph.source}: its output is a constant, which nothing computes. Export it again.")
    _report(graph, problems)
    return Program(tuple(steps), storage)


def _check_view(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> None:
    if x.data is not None:
        raise unsupported(graph, operator, "a constant input", "a model whose constants were folded by the converter")
    if x.dtype != y.dtype:
        raise unsupported(graph, operator, f"{x.dtype} to {y.dtype}", "one type, as it only renames")


def _first(graph: Graph, operator: Operator, tensors: tuple[int, ...]) -> Tensor:
    """Return the tensor that an operator's kernel is chosen by."""
    if not tensors or tensors[0] < 0:
        raise unsupported(graph, operator, "no first input or output", "an operator that computes on its input")
    return graph.tensors[tensors[0]]


def _report(graph: Graph, problems: list[str]) -> None:
    """Raise one error for everything that can't be compiled."""
    for what, tensor in (("input", graph.input), ("output", graph.output)):
        if tensor.dtype not in CARD_TYPES:
            problems.append(f"{graph.source}: its {what} is {tensor.dtype}. Needed: {' or '.join(CARD_TYPES)}.")
    if not problems:
        return
    supported = ", ".join(sorted({kind for kind, _ in KERNELS} | {*VIEWS, "CONCATENATION", "DEQUANTIZE", "QUANTIZE"}))
    if len(problems) == 1:
        raise ConfigError(f"{problems[0]}\nOperators with kernels: {supported}.")
    lines = "\n".join(f"  {problem.removeprefix(f'{graph.source}: ')}" for problem in problems)
    count = f"{graph.source}: can't be compiled, for {len(problems)} reasons"
    raise ConfigError(f"{count}:\n{lines}\nOperators with kernels: {supported}.")


def _steps(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> tuple[Step, ...]:
    if operator.kind == "CONCATENATION" and y.dtype in ("int8", "float32"):
        return lower_shape.concatenation(graph, operator, y)
    if x.data is not None and operator.kind in ("ADD", "MUL"):
        x = graph.tensors[operator.inputs[1]]
    return (_step(graph, operator, x, y),)


def _step(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    if x.data is not None:
        raise unsupported(graph, operator, "a constant input", "a model whose constants were folded by the converter")
    if operator.kind == "QUANTIZE" and (x.dtype, y.dtype) == ("float32", "int8"):
        return _conversion(graph, operator, x, y, "hil_quantize_s8", y)
    if operator.kind == "DEQUANTIZE" and (x.dtype, y.dtype) == ("int8", "float32"):
        return _conversion(graph, operator, x, y, "hil_dequantize_s8", x)
    make = KERNELS.get((operator.kind, x.dtype))
    if make is None or x.dtype != y.dtype:
        what = f"no kernel for {x.dtype} to {y.dtype}"
        needed = "a kernel in firmware/engine and a line in harness/build/lower.py"
        raise unsupported(graph, operator, what, needed)
    return make(graph, operator, x, y)


def _conversion(graph: Graph, operator: Operator, x: Tensor, y: Tensor, kernel: str, quantized: Tensor) -> Step:
    quantization = quantization_of(graph, operator, quantized)
    fields = {
        "count": str(x.elements),
        "scale": f"{quantization.scales[0]!r}f",
        "zero": str(quantization.zero_points[0]),
    }
    return Step(operator, kernel, "hil_quantize", (x,), y, fields)
