"""From layers with weights (convolutions, matrices) to kernel calls: int8, float32, and float32 with int8 weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.build.filters import Filters, filters_of, real_scales
from harness.build.requantize import Channel, channel
from harness.build.step import Array, Window, initializer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.step import Node, Step

#: Columns of the fast int8 kernels hold four inputs as (x0, x2), (x1, x3): what SXTB16 makes of a word.
_QUAD = (0, 2, 1, 3)


def convolution(node: Node) -> Step:
    """Return the call of a convolution; a 1 x 1 one with stride 1 has a kernel of its own."""
    _, k_h, k_w, in_c = node.second.shape
    window, groups = node.window(k_h, k_w), node.x.shape[3] // in_c
    if in_c * groups != window.in_c or window.out_c % groups:
        what = f"weights for {in_c} of {window.in_c} input channels and {window.out_c} output channels"
        raise node.refused(what, "channels that groups share evenly")
    return _convolution(node, window, filters_of(node, axis=0), groups)


def transposed(node: Node) -> Step:
    """Return the call of a transposed convolution: of the kernel turned round, over an image with zeros between."""
    _, k_h, k_w, in_c = node.second.shape
    window = node.window(k_h, k_w, transposed=True)
    if in_c != window.in_c:
        raise node.refused(f"weights for {in_c} of {window.in_c} input channels", "weights for all of them")
    given = filters_of(node, axis=0, bias=3)
    turned = np.ascontiguousarray(given.values.reshape(-1, k_h, k_w, in_c)[:, ::-1, ::-1])
    macs = node.x.elements * window.taps * window.out_c
    return _spread(node, window, replace(given, values=turned), (node.option("StrideH"), node.option("StrideW")), macs)


def depthwise(node: Node) -> Step:
    """Return the call of a depthwise convolution; of one input channel it is a convolution."""
    window = node.window(*node.second.shape[1:3])
    weights = filters_of(node, axis=3)
    simple = window.in_c == window.out_c and window.in_c % 4 == 0
    taps = np.ascontiguousarray(weights.values.reshape(window.out_c, window.taps).T)
    if window.in_c == 1 or node.dilation != (1, 1):
        step = _convolution(node, window, weights, window.in_c)
        if not simple or node.x.dtype != "int8":
            return step
        return replace(step, kernel="hil_depthwise_spread_s8", arrays=(Array("weights", taps), *step.arrays[1:]))
    macs = window.pixels * window.taps * window.out_c
    if node.x.dtype == "float32":
        struct = f"hil_depthwise_{weights.type}"
        return node.step(
            struct if simple else f"{struct}_plain",
            struct,
            node.float_limits(),
            *weights.arrays(taps),
            has_plain=simple,
            window=window,
            order="pixels",
            macs=macs,
            parameters=weights.parameters,
        )
    int8 = Int8(node, weights)
    channels, fast = int8.channels(weights.bias, int8.bounds(255))
    padded = np.pad(taps, ((0, 0), (0, -window.out_c % 4)))
    pairs = simple and (window.k_h, window.k_w) == (3, 3) and window.stride_w <= 2
    scratch = pairs_bytes if pairs else band_bytes
    return node.step(
        "hil_depthwise_3x3_s8" if pairs else "hil_depthwise_s8" if simple else "hil_depthwise_any_s8",
        "hil_depthwise_s8",
        {"quant": int8.quant(fast=fast)},
        Array("weights", taps) if simple else Array("weights", padded, taps),
        Array("channels", channels),
        has_plain=True,
        window=window,
        order="channels",
        scratch_bytes=scratch(window),
        scratch_of=scratch,
        macs=macs,
        parameters=weights.parameters,
    )


def band_bytes(window: Window) -> int:
    """Return a depthwise kernel's scratch: its weights and a ring of padded rows; that of a plain one, rows."""
    width = (window.out_w - 1) * window.stride_w + window.k_w
    return max(8 * (window.taps + window.k_h * width), window.k_h * window.in_w)


def pairs_bytes(window: Window) -> int:
    """Return the scratch of a 3 x 3 depthwise kernel of pairs of pixels; that of a plain one, rows."""
    width = (window.out_w - 1) * window.stride_w + window.k_w
    return max(4 * (40 + 12 * -(-width // 2)), window.k_h * window.in_w)


def columns_bytes(window: Window, run: int) -> int:
    """Return the scratch of an int8 convolution: four columns (matmul_s8.h) of kernel rows of `run` inputs, and a row.

    Fewer than four pixels take what the kernels of Armv6-M do, two columns. Pixels of a 1 x 1 kernel are spread from
    where they are.
    """
    columns = 4 if window.pixels >= 4 else 2
    return 2 * columns * window.k_h * run + (0 if window.pointwise else run)


def fully_connected(node: Node) -> Step:
    """Return the call of a matrix by vector product."""
    if node.operator.options.get("WeightsFormat", 0) != 0:
        raise node.refused("shuffled weights", "weights in the default format")
    weights = filters_of(node, axis=0)
    outputs, depth = weights.values.shape
    sizes = {"rows": node.x.elements // depth, "depth": depth, "outputs": outputs}
    macs = node.x.elements // depth * weights.values.size
    if node.x.dtype == "float32":
        kernel = f"hil_fully_connected_{weights.type}"
        arrays = weights.arrays(groups_of_eight(weights.values), weights.values)
        fields = sizes | node.float_limits()
        return node.step(kernel, kernel, fields, *arrays, has_plain=True, macs=macs, parameters=weights.parameters)
    packed, arrays, quant = Int8(node, weights).matrix(weights.values[:, np.newaxis, :])
    return node.step(
        "hil_fully_connected_s8" if packed else "hil_fully_connected_s8_plain",
        "hil_fully_connected_s8",
        sizes | {"quant": quant},
        *arrays,
        has_plain=packed,
        overread_bytes=-depth % 4,
        macs=macs,
        parameters=weights.parameters,
    )


def _spread(node: Node, window: Window, weights: Filters, up: tuple[int, int], macs: int, groups: int = 1) -> Step:
    """Return the call of the kernel for what is dilated, grouped or transposed; patches don't know its window."""
    (dilation_h, dilation_w), (up_h, up_w) = node.dilation, up
    spread = {"dilation_h": dilation_h, "dilation_w": dilation_w, "up_h": up_h, "up_w": up_w, "groups": groups}
    fields: dict[str, object] = {"window": initializer(vars(window)), "spread": initializer(spread)}
    if node.x.dtype == "float32":
        name, arrays = f"hil_conv_any_{weights.type}", weights.arrays(weights.values)
        fields |= node.float_limits()
    else:
        int8 = Int8(node, weights)
        channels, _ = int8.channels(weights.bias, int8.bounds(255))
        name, arrays = "hil_conv_any_s8", (Array("weights", weights.values), Array("channels", channels))
        fields["quant"] = int8.quant(fast=False)
    return node.step(name, name, fields, *arrays, macs=macs, parameters=weights.parameters)


def _convolution(node: Node, window: Window, weights: Filters, groups: int = 1) -> Step:
    macs, row = window.pixels * weights.values.size, window.k_w * window.in_c
    if groups > 1 or node.dilation != (1, 1):
        return _spread(node, window, weights, (1, 1), macs, groups)
    if node.x.dtype == "float32":
        depth = window.taps * window.in_c
        return node.step(
            f"hil_conv1x1_{weights.type}" if window.pointwise else f"hil_conv_{weights.type}",
            f"hil_conv_{weights.type}",
            node.float_limits(),
            *weights.arrays(groups_of_eight(weights.values.reshape(window.out_c, depth)), weights.values),
            has_plain=True,
            window=window,
            order="pixels",
            scratch_bytes=0 if window.pointwise else 4 * depth * min(4 if weights.type == "f32" else 2, window.pixels),
            macs=macs,
            parameters=weights.parameters,
        )
    packed, arrays, quant = Int8(node, weights).matrix(weights.values.reshape(window.out_c, window.k_h, row))
    fast, run = "hil_conv1x1_s8" if window.pointwise else "hil_conv_s8", row + -row % 4
    return node.step(
        fast if packed else "hil_conv_s8_plain",
        "hil_conv_s8",
        {"quant": quant},
        *arrays,
        has_plain=packed,
        window=window,
        order="values" if packed and window.pointwise else "pixels",
        scratch_bytes=columns_bytes(window, run) if packed else 0,
        overread_bytes=-row % 4,
        macs=macs,
        parameters=weights.parameters,
    )


class Int8:
    """The constants of an int8 layer."""

    def __init__(self, node: Node, weights: Filters) -> None:
        x, y = node.quantization(node.x), node.quantization(node.y)
        low, high = node.limits()
        self._fields = {"in_zero": x.zero, "out_zero": y.zero, "act_min": low, "act_max": high}
        self._weights = weights
        self._reals = real_scales(node, weights)

    def quant(self, *, fast: bool) -> str:
        """Return struct hil_quant."""
        return initializer({**self._fields, "fast": int(fast)})

    def bounds(self, greatest_input: int) -> NDArray[np.int64]:
        """Return the greatest magnitude that each channel's sum can have."""
        values = self._weights.values.astype(np.int64)
        totals = np.abs(values).reshape(len(values), -1).sum(axis=1)
        bounds: NDArray[np.int64] = np.abs(self._weights.bias.astype(np.int64)) + greatest_input * totals
        return bounds

    def channels(self, bias: NDArray[np.generic], bounds: NDArray[np.int64]) -> tuple[tuple[Channel, ...], bool]:
        """Return every channel's constants, and whether all of them and the clamp allow the fast form."""
        pairs = [
            channel(int(b), real, int(bound), self._fields["out_zero"])
            for b, real, bound in zip(bias, self._reals, bounds, strict=True)
        ]
        full = (self._fields["act_min"], self._fields["act_max"]) == (-128, 127)
        return tuple(constants for constants, _ in pairs), full and all(fast for _, fast in pairs)

    def matrix(self, rows: NDArray[np.generic]) -> tuple[bool, tuple[Array, ...], str]:
        """Return whether the kernels of matmul_s8.h can take rows of weights; constants; struct hil_quant."""
        plain, _ = self.channels(self._weights.bias, self.bounds(255))
        packed = self._packed(rows)
        if packed is None:
            return False, (Array("weights", self._weights.values), Array("channels", plain)), self.quant(fast=False)
        values, channels, fast = packed
        arrays = Array("weights", values, self._weights.values), Array("channels", channels, plain)
        return True, arrays, self.quant(fast=fast)

    def _packed(self, rows: NDArray[np.generic]) -> tuple[NDArray[np.int8], tuple[Channel, ...], bool] | None:
        """Return rows, channels, and whether the fast form may be used; None if a weight or sum doesn't fit them.

        These kernels take inputs as they are: what the zero point adds is the same for every output and goes into
        the bias.
        """
        wide = rows.astype(np.int64)
        bias = self._weights.bias.astype(np.int64) - self._fields["in_zero"] * wide.sum(axis=(1, 2))
        totals = 128 * np.abs(wide).sum(axis=(1, 2))
        packed = None if np.abs(bias).max() >= 1 << 31 else packed_rows(rows)
        return None if packed is None else (packed, *self.channels(bias, np.abs(bias) + totals))


def packed_rows(rows: NDArray[np.generic]) -> NDArray[np.int8] | None:
    """Return what `pair_rows` does; None if a weight doesn't fit, or the sum of an odd row the 24 bits it has."""
    if 128 * np.abs(rows[1::2].astype(np.int64)).sum(axis=(1, 2)).max(initial=0) >= 1 << 23:
        return None
    try:
        return pair_rows(rows)
    except OverflowError:
        return None


def pair_rows(weights: NDArray[np.generic]) -> NDArray[np.int8]:
    """Return int8 weights as the fast int8 kernels read them: two output channels in the halfwords of a row.

    A halfword is 256 x odd + even (see matmul_s8.h).

    Args:
        weights: [channels, runs, length]; each run (a row of the kernel) is filled up with zeros to a multiple of four.

    Returns:
        The bytes, [ceil(channels / 2), runs x ceil(length / 4) x 8], little-endian.

    Raises:
        OverflowError: a weight is -128 where 256 x odd + even wouldn't fit 16 bits.
    """
    channels, runs, length = weights.shape
    wide = np.zeros((channels + channels % 2, runs, -(-length // 4) * 4), np.int32)
    wide[:channels, :, :length] = weights
    ordered = wide.reshape(len(wide), -1, 4)[:, :, _QUAD].reshape(len(wide), -1)
    mixed = 256 * ordered[1::2] + ordered[0::2]
    if mixed.min(initial=0) < -(1 << 15):
        raise OverflowError("a weight of -128 has a negative neighbour")
    return np.ascontiguousarray(mixed, "<i2").view(np.int8)


def groups_of_eight(weights: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return weights [channels, depth] for the float kernels: [ceil(channels / 8), depth, 8], filled up with zeros."""
    channels, depth = weights.shape
    padded = np.zeros((-(-channels // 8) * 8, depth), weights.dtype)
    padded[:channels] = weights
    return np.ascontiguousarray(padded.reshape(-1, 8, depth).transpose(0, 2, 1))
