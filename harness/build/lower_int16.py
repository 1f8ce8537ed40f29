"""From operators of int16 activations (16x8: int8 weights) to kernel calls, as TFLite Micro computes them.

Zero points are 0. Sums are of 64 bits and rounded once, with a multiplier of 16 bits; with an int32 bias they are of 32
bits and rounded twice, as those of int8 are.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.build import lookup
from harness.build.filters import filters_of, real_scales
from harness.build.lower_shape import neighbouring
from harness.build.lower_values import inputs_of
from harness.build.requantize import Channel, mean_scaling, quantize_multiplier
from harness.build.step import Array, Window, initializer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.filters import Filters
    from harness.build.graph import Tensor
    from harness.build.step import Node, Step

#: TFLite's TensorType.
_INT32 = 2

#: A register holds no more.
_MOST = (1 << 31) - 1

#: SXTB16 makes (w0, w1) of the bytes 0 and 2 of a word, and (w2, w3) of the others.
_QUAD = (0, 2, 1, 3)


def scale(node: Node, tensor: Tensor) -> float:
    """Return the scale of an int16 tensor.

    Raises:
        ConfigError: it has none, or a zero point.
    """
    quantization = node.quantization(tensor)
    if quantization.zero != 0:
        raise node.refused(
            f"int16 with zero point {quantization.zero}", "int16 with zero point 0, as converters give it"
        )
    return quantization.scale


def for_wide_sums(multiplier: int, left: int) -> tuple[int, int]:
    """Return the multiplier of 16 bits, and the shift, that TFLite Micro scales sums of 64 bits by."""
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1), left - 15


def convolution(node: Node) -> Step:
    """Return the call of a convolution."""
    _, k_h, k_w, in_c = node.second.shape
    _check_dilation(node)
    window = node.window(k_h, k_w)
    if in_c != window.in_c:
        raise node.refused(
            f"weights for {in_c} of {window.in_c} input channels", "int8 activations, or ungrouped layers"
        )
    return replace(_matrix(node, window, filters_of(node, 0, _biases(node))), window=window, order="pixels")


def fully_connected(node: Node) -> Step:
    """Return the call of a matrix by vector product: of a convolution of one pixel a row."""
    filters = filters_of(node, 0, _biases(node))
    outputs, depth = filters.values.shape
    rows = node.x.elements // depth
    return _matrix(node, Window(rows, 1, depth, rows, 1, outputs, 1, 1, 1, 1, 0, 0), filters)


def _check_dilation(node: Node) -> None:
    if node.dilation != (1, 1):
        raise node.refused(f"dilation {node.dilation} of int16", "int8 activations, or dilation 1")


def _biases(node: Node) -> tuple[str, ...]:
    """Return what a bias may be, first what TFLite Micro takes for one that is left out."""
    return (
        ("int32", "int64") if int(node.operator.options.get("QuantizedBiasType", 0)) == _INT32 else ("int64", "int32")
    )


def _matrix(node: Node, window: Window, filters: Filters) -> Step:
    """Return the call of a convolution without its `window`, by which patches know images."""
    depth = window.taps * window.in_c
    constants = _Constants(node, filters)
    rows = filters.values.reshape(window.out_c, depth)
    direct = window.pointwise and depth % 4 == 0  # a pixel is a column
    arrays = Array("weights", _pairs(rows), rows), Array("channels", constants.fast or constants.plain, constants.plain)
    if constants.fast is None:
        arrays = Array("weights", rows), Array("channels", constants.plain)
    kernel = "hil_conv1x1_s16" if direct else "hil_conv_s16"
    return node.step(
        kernel if constants.fast else "hil_conv_s16_plain",
        "hil_conv_s16",
        {"window": initializer(vars(window)), **constants.fields},
        *arrays,
        has_plain=constants.fast is not None,
        scratch_bytes=0 if direct or constants.fast is None else 4 * (depth + -depth % 4),
        macs=window.pixels * rows.size,
        parameters=filters.parameters,
    )


def _pairs(rows: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return weights [channels, depth] four at a time of two channels: [pairs, quads, 2, 4], filled up with zeros."""
    channels, depth = rows.shape
    wide = np.zeros((channels + channels % 2, depth + -depth % 4), np.int8)
    wide[:channels, :depth] = rows
    return np.ascontiguousarray(wide.reshape(len(wide) // 2, 2, -1, 4)[..., _QUAD].transpose(0, 2, 1, 3))


def depthwise(node: Node) -> Step:
    """Return the call of a depthwise convolution."""
    _check_dilation(node)
    window = node.window(*node.second.shape[1:3])
    filters = filters_of(node, 3, ("int64",))
    if window.in_c == 1:
        return replace(_matrix(node, window, filters), window=window, order="pixels")
    constants = _Constants(node, filters)
    taps = np.ascontiguousarray(filters.values.reshape(window.out_c, window.taps).T)
    simple = constants.fast is not None and window.in_c == window.out_c and window.in_c % 4 == 0
    quads = np.ascontiguousarray(taps.reshape(window.taps, -1, 4)[..., _QUAD]) if simple else taps
    return node.step(
        "hil_depthwise_s16" if simple else "hil_depthwise_s16_plain",
        "hil_conv_s16",
        constants.fields,
        Array("weights", quads, taps),
        Array("channels", constants.fast if simple and constants.fast else constants.plain, constants.plain),
        has_plain=simple,
        window=window,
        macs=window.pixels * window.taps * window.out_c,
        parameters=filters.parameters,
    )


class _Constants:
    """The constants of a layer with weights.

    Attributes:
        fields: what stands in the struct beside window and arrays.
        plain: for each channel a bias of 64 bits, in two halves, a multiplier and a shift.
        fast: the same for sums of 32 bits; None if these may overflow, or the shift is out of range.
    """

    def __init__(self, node: Node, filters: Filters) -> None:
        scale(node, node.x), scale(node, node.y)
        low, high = node.limits()
        self._limits = low, high
        wide = filters.bias.dtype != np.int32
        self.fields = {"act_min": low, "act_max": high, "wide": int(wide)}
        totals = np.abs(filters.values.astype(np.int64)).reshape(len(filters.values), -1).sum(axis=1) << 15
        plain, fast = [], []
        for bias, real, total in zip(filters.bias.tolist(), real_scales(node, filters), totals.tolist(), strict=True):
            multiplier, left = quantize_multiplier(real)
            if left > 7:
                raise node.refused("an output scale far below those of input and weights", "a greater output scale")
            if not wide and abs(bias) + total > _MOST:
                raise node.refused("sums that an int32 may not hold, with an int32 bias", "an int64 bias")
            if wide:
                multiplier, left = for_wide_sums(multiplier, left)
            plain.append(Channel((bias & 0xFFFFFFFF) - (bias & 0x80000000) * 2, multiplier, bias >> 32, -left))
            fast.append(self._fast(bias, multiplier, -left, total) if wide else plain[-1])
        self.plain = tuple(plain)
        found = tuple(channel for channel in fast if channel is not None)
        self.fast = found if len(found) == len(plain) else None

    def _fast(self, bias: int, multiplier: int, shift: int, total: int) -> Channel | None:
        """Return what a channel takes to be rounded by SMMULR; None if it can't be.

        (x m + 2^(s - 1)) >> s is (x (m << (32 - s)) + 2^31) >> 32. A bias beyond 32 bits becomes a smaller one if the
        output is at its limit whatever the input.
        """
        near = max(total - _MOST, min(_MOST - total, bias))
        if total > _MOST or not 16 <= shift <= 32:
            return None
        if near != bias:
            sums = [b + side * total for b in (bias, near) for side in (-1, 1)]
            scaled = {(x * multiplier + (1 << (shift - 1))) >> shift for x in sums}
            if len({min(max(x, self._limits[0]), self._limits[1]) for x in scaled}) > 1:
                return None
        return Channel(near, multiplier << (32 - shift), 0, shift)


def binary(node: Node) -> Step:
    """Return the call of a sum, difference or product of two tensors, one of which may be constant, or repeat."""
    found = inputs_of(node)
    if found is None:
        raise node.refused(
            "int16 inputs of shapes that repeat otherwise than along the last dimensions", "int8 activations"
        )
    longer, shorter, period = found
    if node.kind == "SUB" and longer.index != node.operator.inputs[0]:
        raise node.refused("a first input that repeats or is constant", "one of the output's shape")
    a, b, out = (scale(node, tensor) for tensor in (longer, shorter, node.y))
    low, high = node.limits()
    fields: dict[str, object] = {"count": node.y.elements, "period": period, "act_min": low, "act_max": high}
    if node.kind == "MUL":
        reals = {"": a * b / out}
    else:
        twice = 2 * max(a, b)
        reals = {"first_": a / twice, "second_": b / twice, "": twice / ((1 << 15) * out)}
    for name, real in reals.items():
        multiplier, left = quantize_multiplier(real)
        if left > 0:
            raise node.refused(f"an output of scale {out}, far below the inputs'", "a greater output scale")
        fields |= {f"{name}multiplier": multiplier, f"{name}shift": -left}
    kernel = f"hil_{node.kind.lower()}"
    step = replace(node.step(f"{kernel}_s16", "hil_binary_s16", fields, in_place=True), inputs=(longer,))
    if shorter.data is None:
        return replace(step, inputs=(longer, shorter))
    arrays = (Array("constant", np.ascontiguousarray(shorter.data)),)
    return replace(step, kernel=f"{kernel}_constant_s16", arrays=arrays, parameters=shorter.elements)


def unary(node: Node) -> Step:
    """Return the call of a function of one value: ReLU and the like change scales, others are read off a table."""
    x, y = scale(node, node.x), scale(node, node.y)
    count = {"count": node.x.elements}
    if node.kind in ("LOGISTIC", "TANH"):
        return _sigmoid(node, x, y)
    multiplier, shift = quantize_multiplier(x / y)
    low, high = node.limits(1) if node.kind == "RELU" else (-32768, 32767)
    below = multiplier, shift
    if node.kind == "RELU6":  # TFLite Micro doesn't change its scale
        if x != y:
            raise node.refused("input and output of different scales", "one scale")
        (low, high), multiplier = (0, node.limits(3)[1]), 0
    if node.kind == "LEAKY_RELU":
        below = quantize_multiplier(x * float(node.operator.options["Alpha"]) / y)
        if below[0] < 0:
            raise node.refused("a negative slope", "a slope of 0 or more")
    fields = {"multiplier": multiplier, "shift": -shift, "below_multiplier": below[0], "below_shift": -below[1]}
    fields |= {"act_min": low, "act_max": high}
    return node.step("hil_relu_s16", "hil_relu_s16", count | fields, in_place=True)


def _sigmoid(node: Node, x: float, y: float) -> Step:
    """TFLite's LOGISTIC and TANH of int16: between the 256 values of a table, at 1/(3 x 4096) of the input."""
    if y != 1 / 32768:
        raise node.refused(f"output scale {y}", "1/32768, which TFLite prescribes")
    exact = {"LOGISTIC": (-12,), "TANH": (-12, -11)}[node.kind]
    exponent = math.log2(x)
    if exponent in exact:
        multiplier, shift = 3 << (int(exponent) + 12), 0
    else:
        real, shift = x * 4096 * 3, 0
        while real <= 32767 / 2 and shift <= 30:
            real, shift = 2 * real, shift + 1
        multiplier = int(real)
        if multiplier > 32767:
            raise node.refused(f"input scale {x}", "an input of a smaller range")
    fields = {"count": node.x.elements, "multiplier": multiplier, "shift": shift}
    values = Array("table", lookup.sigmoid_steps())
    return node.step(f"hil_{node.kind.lower()}_s16", "hil_sigmoid_s16", fields, values, in_place=True)


def softmax(node: Node) -> Step:
    """Return the call of a softmax, by two tables of 513 values that are interpolated."""
    x, y, beta = scale(node, node.x), scale(node, node.y), float(node.operator.options["Beta"])
    if abs(y - 1 / 32768) > 0.001 / 32768:
        raise node.refused(f"output scale {y}", "1/32768, which TFLite prescribes")
    multiplier, left = quantize_multiplier(x * beta / (10 / 65535))
    depth = node.x.shape[-1]
    if depth > 1 << 15:
        raise node.refused(f"a softmax over {depth:,} values", "at most 32,768")
    fields = {"rows": node.x.elements // depth, "depth": depth, "multiplier": multiplier, "shift": -left}
    step = np.float32(10) / np.float32(65535)
    tables = (
        Array("exponentials", lookup.interpolated(lambda v: np.exp(v.astype(float)).astype(np.float32), step, 32767)),
        Array("reciprocals", lookup.interpolated(lambda v: 1 / (1 + v), np.float32(1) / np.float32(65535), -32768)),
    )
    return node.step("hil_softmax_s16", "hil_softmax_s16", fields, *tables)


def pool(node: Node) -> Step:
    """Return the call of an average or maximum pooling."""
    scale(node, node.x)
    if node.quantization(node.y) != node.quantization(node.x):
        raise node.refused("input and output of different scales", "a pooling that changes scale")
    low, high = node.limits()
    size = node.option("FilterHeight"), node.option("FilterWidth")
    kernel = "hil_average_pool_s16" if node.kind == "AVERAGE_POOL_2D" else "hil_max_pool_s16"
    return node.step(kernel, "hil_pool_s8", {"act_min": low, "act_max": high}, window=node.window(*size))


def mean(node: Node) -> Step:
    """Return the call of a mean over neighbouring axes."""
    found = neighbouring(node)
    if found is None:
        raise node.refused("an int16 mean over axes that aren't neighbours", "int8 activations")
    count, channels = found
    multiplier, left = mean_scaling(scale(node, node.x) / scale(node, node.y), count)
    fields = {"pixels": count, "channels": channels, "multiplier": multiplier, "shift": -left}
    return node.step("hil_mean_s16", "hil_mean_s8", fields)
