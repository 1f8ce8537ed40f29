"""From layers with int8 activations and int4 weights to kernel calls; the weights stay packed in flash.

They compute what the same layer with the same weights as int8 does, as TFLite Micro, which unpacks all of a layer
before it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.build.filters import filters_of
from harness.build.lower_layers import Int8, band_bytes
from harness.build.step import Array

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from harness.build.filters import Filters
    from harness.build.step import Node, Step, Window

#: A multiple of 16 times a sum fits 32 bits.
_MOST = 1 << 27


def convolution(node: Node) -> Step:
    """Return the call of a convolution; a 1 x 1 one with stride 1 has a kernel of its own."""
    _, k_h, k_w, in_c = node.second.shape
    _check_dilation(node)
    window = node.window(k_h, k_w)
    if in_c != window.in_c:
        raise node.refused(f"int4 weights for {in_c} of {window.in_c} input channels", "int8 weights")
    return _convolution(node, window, filters_of(node, axis=0))


def _check_dilation(node: Node) -> None:
    if node.dilation != (1, 1):
        raise node.refused(f"dilation {node.dilation} of int4 weights", "int8 weights, or dilation 1")


def _convolution(node: Node, window: Window, weights: Filters) -> Step:
    rows = weights.values.reshape(window.out_c, window.k_h, window.k_w * window.in_c)
    arrays, quant = _matrix(node, weights, rows)
    run = rows.shape[2] + -rows.shape[2] % 4
    return node.step(
        "hil_conv1x1_s4" if window.pointwise else "hil_conv_s4",
        "hil_conv_s8",
        {"quant": quant},
        *arrays,
        has_plain=True,
        window=window,
        order="pixels",
        scratch_bytes=4 * window.k_h * run + (0 if window.pointwise else run),
        overread_bytes=-rows.shape[2] % 4,
        macs=window.pixels * rows.size,
        parameters=weights.parameters,
    )


def depthwise(node: Node) -> Step:
    """Return the call of a depthwise convolution; of one input channel it is a convolution."""
    _check_dilation(node)
    window = node.window(*node.second.shape[1:3])
    weights = filters_of(node, axis=3)
    if window.in_c == 1:
        return _convolution(node, window, weights)
    taps = np.pad(weights.values.reshape(window.out_c, window.taps).T, ((0, 0), (0, -window.out_c % 4)))
    int8 = Int8(node, weights)
    channels, fast = int8.channels(weights.bias, int8.bounds(255))
    return node.step(
        "hil_depthwise_s4",
        "hil_depthwise_s8",
        {"quant": int8.quant(fast=fast)},
        Array("weights", packed(taps)),
        Array("channels", channels),
        has_plain=True,
        window=window,
        scratch_bytes=band_bytes(window),
        scratch_of=band_bytes,
        macs=window.pixels * window.taps * window.out_c,
        parameters=weights.parameters,
    )


def fully_connected(node: Node) -> Step:
    """Return the call of a matrix by vector product."""
    if node.operator.options.get("WeightsFormat", 0) != 0:
        raise node.refused("shuffled weights", "weights in the default format")
    weights = filters_of(node, axis=0)
    outputs, depth = weights.values.shape
    arrays, quant = _matrix(node, weights, weights.values[:, np.newaxis, :])
    return node.step(
        "hil_fully_connected_s4",
        "hil_fully_connected_s8",
        {"rows": node.x.elements // depth, "depth": depth, "outputs": outputs, "quant": quant},
        *arrays,
        has_plain=True,
        overread_bytes=-depth % 4,
        macs=node.x.elements * outputs,
        parameters=weights.parameters,
    )


def packed(values: NDArray[Any]) -> NDArray[np.int8]:
    """Return integers of 4 bits, two in a byte, the first in the lower half."""
    flat = values.ravel().astype(np.uint8) & 15
    flat = np.append(flat, np.zeros(flat.size % 2, np.uint8))
    return (flat[0::2] | flat[1::2] << 4).view(np.int8)


def _matrix(node: Node, weights: Filters, rows: NDArray[np.generic]) -> tuple[tuple[Array, ...], str]:
    """Return the constants of a matrix [channels, runs, length], and struct hil_quant.

    The fast kernels take inputs as they are: what the zero point adds goes into the bias. A byte is of two channels.
    """
    int8 = Int8(node, weights)
    wide = np.pad(rows.astype(np.int64), ((0, len(rows) % 2), (0, 0), (0, -rows.shape[2] % 4)))
    bias = weights.bias - node.quantization(node.x).zero * rows.astype(np.int64).sum(axis=(1, 2))
    totals = 128 * np.abs(rows.astype(np.int64)).sum(axis=(1, 2))
    if np.abs(bias).max() >= 1 << 31 or totals.max() >= _MOST:
        raise node.refused("sums that an int32 may not hold", "int8 weights")
    channels, fast = int8.channels(bias, np.abs(bias) + totals)
    plain, _ = int8.channels(weights.bias, int8.bounds(255))
    flat = wide.reshape(len(wide), -1)
    pairs = packed(np.stack([flat[0::2], flat[1::2]], axis=-1))
    return (Array("weights", pairs, packed(rows)), Array("channels", channels, plain)), int8.quant(fast=fast)
