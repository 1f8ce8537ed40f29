"""From float32 operators to kernel calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.build.geometry import mean_span
from harness.build.graph import unsupported
from harness.build.layout import groups_of_eight
from harness.build.lower_elementwise import float_limits, fused
from harness.build.step import Array, Step, quantization_of
from harness.build.window import Window, window_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.graph import Graph, Operator, Tensor


@dataclass(frozen=True, eq=False)
class _Weights:
    """Weights with output channels first, float32, or int8 with the scale of each channel; bias [channels]."""

    values: NDArray[np.generic]
    bias: NDArray[np.float32]
    scales: NDArray[np.float32] | None

    @property
    def type(self) -> str:
        """What the names of kernels and structs end in: float32 weights, or weights of 8 bits."""
        return "f32" if self.scales is None else "w8"

    @property
    def parameters(self) -> int:
        return self.values.size + self.bias.size

    def arrays(self, fast: NDArray[np.generic], plain: NDArray[np.generic] | None = None) -> tuple[Array, ...]:
        """The constants, with the weights laid out for the kernels."""
        scales = () if self.scales is None else (Array("scales", self.scales),)
        return (Array("weights", fast, plain), *scales, Array("bias", self.bias))


def convolution(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of a float convolution; a 1 x 1 one with stride 1 has a kernel of its own."""
    weights = _weights(graph, operator, axis=0)
    shape = weights.values.shape
    window = window_of(graph, operator, x, y, (shape[1], shape[2]))
    if shape[3] != window.in_c:
        what = f"weights for {shape[3]} of {window.in_c} input channels"
        raise unsupported(graph, operator, what, "a kernel for grouped convolutions")
    return _convolution(graph, operator, x, y, window, weights)


def depthwise(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of a float depthwise convolution; of one input channel it is a convolution."""
    weights = _weights(graph, operator, axis=3)
    window = window_of(graph, operator, x, y, (weights.values.shape[2], weights.values.shape[3]))
    if window.in_c == 1:
        return _convolution(graph, operator, x, y, window, weights)
    simple = window.in_c == window.out_c and window.in_c % 4 == 0
    taps = np.ascontiguousarray(weights.values.reshape(window.out_c, window.taps).T)
    return Step(
        operator,
        f"hil_depthwise_{weights.type}" if simple else f"hil_depthwise_{weights.type}_plain",
        f"hil_depthwise_{weights.type}",
        (x,),
        y,
        float_limits(graph, operator, fused(operator)),
        weights.arrays(taps),
        has_plain=simple,
        window=window,
        macs=window.pixels * window.taps * window.out_c,
        parameters=weights.parameters,
    )


def fully_connected(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of a float matrix by vector product."""
    if operator.options.get("WeightsFormat", 0) != 0:
        raise unsupported(graph, operator, "shuffled weights", "weights in the default format")
    weights = _weights(graph, operator, axis=0)
    outputs, depth = weights.values.shape
    rows = x.elements // depth
    return Step(
        operator,
        f"hil_fully_connected_{weights.type}",
        f"hil_fully_connected_{weights.type}",
        (x,),
        y,
        {
            "rows": str(rows),
            "depth": str(depth),
            "outputs": str(outputs),
            **float_limits(graph, operator, fused(operator)),
        },
        weights.arrays(groups_of_eight(weights.values), weights.values),
        has_plain=True,
        macs=rows * weights.values.size,
        parameters=weights.parameters,
    )


def pool(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of a float average or maximum pooling."""
    size = int(operator.options["FilterHeight"]), int(operator.options["FilterWidth"])
    window = window_of(graph, operator, x, y, size)
    kernel = "hil_average_pool_f32" if operator.kind == "AVERAGE_POOL_2D" else "hil_max_pool_f32"
    return Step(
        operator, kernel, "hil_pool_f32", (x,), y, float_limits(graph, operator, fused(operator)), window=window
    )


def mean(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of a float mean over height and width, or over other neighbouring axes."""
    count, channels = mean_span(graph, operator, x)
    fields = {"pixels": str(count), "channels": str(channels)}
    return Step(operator, "hil_mean_f32", "hil_mean_f32", (x,), y, fields)


def softmax(_graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of a float softmax."""
    depth = x.shape[-1]
    fields = {"rows": str(x.elements // depth), "depth": str(depth), "beta": f"{operator.options['Beta']!r}f"}
    return Step(operator, "hil_softmax_f32", "hil_softmax_f32", (x,), y, fields)


def _convolution(graph: Graph, operator: Operator, x: Tensor, y: Tensor, window: Window, weights: _Weights) -> Step:
    pointwise = window.taps == 1 and window.stride_h == window.stride_w == 1
    depth = window.taps * window.in_c
    return Step(
        operator,
        f"hil_conv1x1_{weights.type}" if pointwise else f"hil_conv_{weights.type}",
        f"hil_conv_{weights.type}",
        (x,),
        y,
        float_limits(graph, operator, fused(operator)),
        weights.arrays(groups_of_eight(weights.values.reshape(window.out_c, depth)), weights.values),
        has_plain=True,
        window=window,
        scratch_bytes=0 if pointwise else 2 * 4 * depth,
        macs=window.pixels * weights.values.size,
        parameters=weights.parameters,
    )


def _weights(graph: Graph, operator: Operator, axis: int) -> _Weights:
    filters = graph.tensors[operator.inputs[1]]
    if filters.data is None or (filters.dtype != "float32" and not filters.dequantized):
        what = f"weights that are not constant float32 ({filters.dtype})"
        raise unsupported(graph, operator, what, "float32 weights, int8 ones behind a DEQUANTIZE, or a full-int8 model")
    values = np.ascontiguousarray(np.moveaxis(filters.data, axis, 0))
    scales = None
    if filters.dequantized:
        scales = _scales(graph, operator, filters, axis, len(values))
    bias = np.zeros(len(values), np.float32)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        tensor = graph.tensors[operator.inputs[2]]
        if tensor.data is None or tensor.dtype != "float32" or tensor.shape != (len(values),):
            raise unsupported(graph, operator, "a bias that is not constant float32", "float32 bias")
        bias = tensor.data.astype(np.float32)
    return _Weights(values, bias, scales)


def _scales(graph: Graph, operator: Operator, filters: Tensor, axis: int, count: int) -> NDArray[np.float32]:
    """Return the scale of each output channel."""
    quantization = quantization_of(graph, operator, filters)
    scales = quantization.scales
    if len(scales) > 1 and (len(scales) != count or quantization.axis != axis):
        raise unsupported(graph, operator, "scales along another dimension than outputs", "one scale per output")
    return np.array(scales if len(scales) > 1 else scales * count, np.float32)
