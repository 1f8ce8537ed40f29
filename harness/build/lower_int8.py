"""From int8 layers with weights to kernel calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.build.graph import unsupported
from harness.build.layout import pair_rows
from harness.build.lower_elementwise import int8_limits
from harness.build.requantize import Channel, channel
from harness.build.step import Array, Step, quantization_of
from harness.build.window import Window, window_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.graph import Graph, Operator, Tensor


@dataclass(frozen=True, eq=False)
class _Weights:
    """Weights [channels, ...], bias [channels] and, per channel, input scale x weight scale / output scale."""

    values: NDArray[np.int8]
    bias: NDArray[np.int32]
    reals: tuple[float, ...]

    @property
    def parameters(self) -> int:
        return self.values.size + self.bias.size


@dataclass(frozen=True)
class _Quant:
    """Fields of struct hil_quant."""

    in_zero: int
    out_zero: int
    act_min: int
    act_max: int

    def initializer(self, *, fast: bool) -> str:
        pairs = [f".{name} = {value}" for name, value in vars(self).items()]
        return "{" + ", ".join([*pairs, f".fast = {int(fast)}"]) + "}"


def convolution(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of an int8 convolution; a 1 x 1 one with stride 1 has a kernel of its own."""
    filters = graph.tensors[operator.inputs[1]]
    window = window_of(graph, operator, x, y, (filters.shape[1], filters.shape[2]))
    if filters.shape[3] != window.in_c:
        what = f"weights for {filters.shape[3]} of {window.in_c} input channels"
        raise unsupported(graph, operator, what, "a kernel for grouped convolutions")
    return _convolution(graph, operator, x, y, window, _weights(graph, operator, x, y, axis=0))


def depthwise(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of an int8 depthwise convolution; of one input channel it is a convolution."""
    filters = graph.tensors[operator.inputs[1]]
    window = window_of(graph, operator, x, y, (filters.shape[1], filters.shape[2]))
    weights = _weights(graph, operator, x, y, axis=3)
    if window.in_c == 1:
        return _convolution(graph, operator, x, y, window, weights)
    quant = _quant(graph, operator, x, y)
    bounds = _bounds(weights, 255)
    channels, fast = _channels(weights, weights.bias, bounds, quant)
    taps = np.ascontiguousarray(weights.values.reshape(window.out_c, window.taps).T)
    simple = window.in_c == window.out_c and window.in_c % 4 == 0
    padded = np.pad(taps, ((0, 0), (0, -window.out_c % 4)))
    return Step(
        operator,
        "hil_depthwise_s8" if simple else "hil_depthwise_any_s8",
        "hil_depthwise_s8",
        (x,),
        y,
        {"quant": quant.initializer(fast=fast)},
        (Array("weights", taps) if simple else Array("weights", padded, taps), Array("channels", channels)),
        has_plain=True,
        window=window,
        scratch_bytes=_band_bytes(window),
        scratch_of=_band_bytes,
        macs=window.pixels * window.taps * window.out_c,
        parameters=weights.parameters,
    )


def _band_bytes(window: Window) -> int:
    """Return a fast depthwise kernel's scratch: its weights and a ring of padded rows, for four channels."""
    width = (window.out_w - 1) * window.stride_w + window.k_w
    return 8 * (window.taps + window.k_h * width)


def fully_connected(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of an int8 matrix by vector product."""
    if operator.options.get("WeightsFormat", 0) != 0:
        raise unsupported(graph, operator, "shuffled weights", "weights in the default format")
    weights = _weights(graph, operator, x, y, axis=0)
    outputs, depth = weights.values.shape
    quant = _quant(graph, operator, x, y)
    packed, channels, fast = _packed(weights, weights.values[:, np.newaxis, :], quant)
    plain_channels, _ = _channels(weights, weights.bias, _bounds(weights, 255), quant)
    if packed is None:
        arrays = (Array("weights", weights.values), Array("channels", plain_channels))
    else:
        arrays = (Array("weights", packed, weights.values), Array("channels", channels, plain_channels))
    return Step(
        operator,
        "hil_fully_connected_s8" if packed is not None else "hil_fully_connected_s8_plain",
        "hil_fully_connected_s8",
        (x,),
        y,
        {
            "rows": str(x.elements // depth),
            "depth": str(depth),
            "outputs": str(outputs),
            "quant": quant.initializer(fast=fast),
        },
        arrays,
        has_plain=packed is not None,
        overread_bytes=-depth % 4,
        macs=x.elements // depth * weights.values.size,
        parameters=weights.parameters,
    )


def _convolution(graph: Graph, operator: Operator, x: Tensor, y: Tensor, window: Window, weights: _Weights) -> Step:
    quant = _quant(graph, operator, x, y)
    pointwise = window.taps == 1 and window.stride_h == window.stride_w == 1
    rows = weights.values.reshape(window.out_c, window.k_h, window.k_w * window.in_c)
    packed, channels, fast = _packed(weights, rows, quant)
    plain_channels, _ = _channels(weights, weights.bias, _bounds(weights, 255), quant)
    if packed is None:
        arrays = (Array("weights", weights.values), Array("channels", plain_channels))
        kernel = "hil_conv_s8_plain"
    else:
        arrays = (Array("weights", packed, weights.values), Array("channels", channels, plain_channels))
        kernel = "hil_conv1x1_s8" if pointwise else "hil_conv_s8"
    run = -(-window.k_w * window.in_c // 4) * 4
    row_bytes = 0 if pointwise else run
    return Step(
        operator,
        kernel,
        "hil_conv_s8",
        (x,),
        y,
        {"quant": quant.initializer(fast=fast)},
        arrays,
        has_plain=packed is not None,
        window=window,
        scratch_bytes=4 * window.k_h * run + row_bytes if packed is not None else 0,
        overread_bytes=-(window.k_w * window.in_c) % 4,
        macs=window.pixels * weights.values.size,
        parameters=weights.parameters,
    )


def _packed(
    weights: _Weights, rows: NDArray[np.int8], quant: _Quant
) -> tuple[NDArray[np.int8] | None, tuple[Channel, ...], bool]:
    """Return rows and constants for the kernels of matmul_s8.h; no rows where a weight doesn't fit them.

    These kernels take inputs as they are: what the zero point adds is the same for every output and goes into the bias.
    """
    try:
        packed = pair_rows(rows)
    except OverflowError:
        return None, (), False
    sums = rows.astype(np.int64).sum(axis=(1, 2))
    bias = weights.bias.astype(np.int64) - quant.in_zero * sums
    if np.abs(bias).max() >= 1 << 31:
        return None, (), False
    totals = 128 * np.abs(rows.astype(np.int64)).sum(axis=(1, 2))
    if totals[1::2].max(initial=0) >= 1 << 23:  # the odd channel of a pair has 24 bits of the mixed sum
        return None, (), False
    bounds = np.abs(bias) + totals
    channels, fast = _channels(weights, bias, bounds, quant)
    return packed, channels, fast


def _bounds(weights: _Weights, greatest_input: int) -> NDArray[np.int64]:
    """Return the greatest magnitude that each channel's sum can have."""
    totals = np.abs(weights.values.astype(np.int64)).reshape(len(weights.values), -1).sum(axis=1)
    bounds: NDArray[np.int64] = np.abs(weights.bias.astype(np.int64)) + greatest_input * totals
    return bounds


def _channels(
    weights: _Weights, bias: NDArray[np.integer], bounds: NDArray[np.int64], quant: _Quant
) -> tuple[tuple[Channel, ...], bool]:
    """Return every channel's constants, and whether all of them and the clamp allow the fast form."""
    pairs = [
        channel(int(b), real, int(bound), quant.out_zero)
        for b, real, bound in zip(bias, weights.reals, bounds, strict=True)
    ]
    full = (quant.act_min, quant.act_max) == (-128, 127)
    return tuple(constants for constants, _ in pairs), full and all(fast for _, fast in pairs)


def _weights(graph: Graph, operator: Operator, x: Tensor, y: Tensor, axis: int) -> _Weights:
    """Return the weights with output channels first."""
    filters = graph.tensors[operator.inputs[1]]
    if filters.data is None or filters.dtype != "int8":
        raise unsupported(graph, operator, f"weights that are not constant int8 ({filters.dtype})", "full-int8 weights")
    quantization = quantization_of(graph, operator, filters)
    if any(quantization.zero_points):
        raise unsupported(graph, operator, "weights with a zero point", "symmetric weights")
    values = np.ascontiguousarray(np.moveaxis(filters.data, axis, 0)).astype(np.int8)
    count = len(values)
    per_channel = len(quantization.scales) > 1
    if per_channel and (len(quantization.scales) != count or quantization.axis != axis):
        raise unsupported(graph, operator, "scales along another dimension than outputs", "one scale per output")
    bias = np.zeros(count, np.int32)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        tensor = graph.tensors[operator.inputs[2]]
        if tensor.data is None or tensor.dtype != "int32" or tensor.shape != (count,):
            raise unsupported(graph, operator, "a bias that is not constant int32", "int32 bias")
        bias = tensor.data.astype(np.int32)
    scale_in = quantization_of(graph, operator, x).scales[0]
    scale_out = quantization_of(graph, operator, y).scales[0]
    if operator.kind == "FULLY_CONNECTED" and not per_channel:
        # TFLite Micro multiplies these two as float32, but those of convolutions and of channels as double.
        product = float(np.float32(scale_in) * np.float32(quantization.scales[0]))
        reals = (product / scale_out,) * count
    else:
        scales = quantization.scales if per_channel else quantization.scales * count
        reals = tuple(scale_in * scale / scale_out for scale in scales)
    return _Weights(values, bias, reals)


def _quant(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> _Quant:
    before, after = quantization_of(graph, operator, x), quantization_of(graph, operator, y)
    return _Quant(before.zero_points[0], after.zero_points[0], *int8_limits(graph, operator, y))
