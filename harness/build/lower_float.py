"""From float32 operators to kernel calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.build.geometry import mean_span
from harness.build.layout import groups_of_eight
from harness.build.lower_elementwise import float_limits, fused
from harness.build.step import Array, Step, unsupported
from harness.build.window import Window, window_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.graph import Graph, Operator, Tensor


def convolution(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of a float convolution; a 1 x 1 one with stride 1 has a kernel of its own."""
    values, bias = _weights(graph, operator, axis=0)
    window = window_of(graph, operator, x, y, (values.shape[1], values.shape[2]))
    if values.shape[3] != window.in_c:
        what = f"weights for {values.shape[3]} of {window.in_c} input channels"
        raise unsupported(graph, operator, what, "a kernel for grouped convolutions")
    return _convolution(graph, operator, x, y, window, values, bias)


def depthwise(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of a float depthwise convolution; of one input channel it is a convolution."""
    values, bias = _weights(graph, operator, axis=3)
    window = window_of(graph, operator, x, y, (values.shape[2], values.shape[3]))
    if window.in_c == 1:
        return _convolution(graph, operator, x, y, window, values, bias)
    simple = window.in_c == window.out_c and window.in_c % 4 == 0
    taps = np.ascontiguousarray(values.reshape(window.out_c, window.taps).T)
    return Step(
        operator,
        "hil_depthwise_f32" if simple else "hil_depthwise_f32_plain",
        "hil_depthwise_f32",
        (x,),
        y,
        float_limits(graph, operator, fused(operator)),
        (Array("weights", taps), Array("bias", bias)),
        twin=simple,
        window=window,
        macs=window.pixels * window.taps * window.out_c,
        parameters=values.size + bias.size,
    )


def fully_connected(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of a float matrix by vector product."""
    if operator.options.get("WeightsFormat", 0) != 0:
        raise unsupported(graph, operator, "shuffled weights", "weights in the default format")
    values, bias = _weights(graph, operator, axis=0)
    outputs, depth = values.shape
    rows = x.elements // depth
    return Step(
        operator,
        "hil_fully_connected_f32",
        "hil_fully_connected_f32",
        (x,),
        y,
        {
            "rows": str(rows),
            "depth": str(depth),
            "outputs": str(outputs),
            **float_limits(graph, operator, fused(operator)),
        },
        (Array("weights", groups_of_eight(values), values), Array("bias", bias)),
        twin=True,
        macs=rows * values.size,
        parameters=values.size + bias.size,
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


def _convolution(
    graph: Graph,
    operator: Operator,
    x: Tensor,
    y: Tensor,
    window: Window,
    values: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> Step:
    pointwise = window.taps == 1 and window.stride_h == window.stride_w == 1
    depth = window.taps * window.in_c
    return Step(
        operator,
        "hil_conv1x1_f32" if pointwise else "hil_conv_f32",
        "hil_conv_f32",
        (x,),
        y,
        float_limits(graph, operator, fused(operator)),
        (Array("weights", groups_of_eight(values.reshape(window.out_c, depth)), values), Array("bias", bias)),
        twin=True,
        window=window,
        scratch_bytes=0 if pointwise else 2 * 4 * depth,
        macs=window.pixels * values.size,
        parameters=values.size + bias.size,
    )


def _weights(graph: Graph, operator: Operator, axis: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the weights with output channels first, and the bias."""
    filters = graph.tensors[operator.inputs[1]]
    if filters.data is None or filters.dtype != "float32":
        what = f"weights that are not constant float32 ({filters.dtype})"
        raise unsupported(graph, operator, what, "float32 weights, or a full-int8 model")
    values = np.ascontiguousarray(np.moveaxis(filters.data, axis, 0)).astype(np.float32)
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return values, np.zeros(len(values), np.float32)
    tensor = graph.tensors[operator.inputs[2]]
    if tensor.data is None or tensor.dtype != "float32" or tensor.shape != (len(values),):
        raise unsupported(graph, operator, "a bias that is not constant float32", "float32 bias")
    return values, tensor.data.astype(np.float32)
