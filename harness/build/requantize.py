"""The integers that stand for real scales, computed exactly as TFLite Micro computes them.

Formulas: TFLite quantization specification, and gemmlowp's fixed-point multiplication with two roundings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What TFLite's ActivationFunctionType lets through: none, ReLU, ReLU -1 to 1, ReLU6.
ACTIVATIONS: Mapping[int, tuple[float | None, float | None]] = {0: (None, None), 1: (0, None), 2: (-1, 1), 3: (0, 6)}


@dataclass(frozen=True)
class Channel:
    """How the sum of one output channel becomes an int8 (struct hil_channel)."""

    bias: int
    multiplier: int
    round: int
    shift: int


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Return multiplier and left shift with real = multiplier x 2^(shift - 31), multiplier in [2^30, 2^31)."""
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def high_mul(a: int, b: int) -> int:
    """Return a x b / 2^31, rounded to the nearest, ties upwards; saturated."""
    return min((a * b + (1 << 30)) >> 31, (1 << 31) - 1)


def shift_right(value: int, shift: int) -> int:
    """Return value / 2^shift, rounded to the nearest, ties away from zero."""
    half = (1 << shift) >> 1
    return (value + half) >> shift if value >= 0 else -((-value + half) >> shift)


def scale_by(value: int, multiplier: int, left: int) -> int:
    """Return value x multiplier x 2^(left - 31), rounded twice."""
    return shift_right(high_mul(value << max(left, 0), multiplier), max(-left, 0))


def activation_range(activation: int, scale: float, zero_point: int, dtype: str = "int8") -> tuple[int, int]:
    """Return the least and the greatest integer of a type that an activation, one of ACTIVATIONS, lets through."""
    low, high = ACTIVATIONS[activation]
    least, greatest = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    with np.errstate(over="ignore"):  # infinite for the least of scales, which `round_away` refuses
        return (
            least if low is None else max(least, zero_point + round_away(np.float32(low) / np.float32(scale))),
            greatest if high is None else min(greatest, zero_point + round_away(np.float32(high) / np.float32(scale))),
        )


def round_away(value: np.float32) -> int:
    """Return the nearest integer; of two equally near ones, that which is farther from 0."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), float(value)))


def channel(bias: int, real: float, bound: int, out_zero: int) -> tuple[Channel, bool]:
    """Return the constants of one output channel, and whether the fast form may be used.

    A channel whose output is the zero point whatever the input, as pruning leaves some with weights next to nothing
    and a bias of any size, gets a multiplier of 0, with which both forms give just that.

    Args:
        bias: what the sum starts with.
        real: input scale x weight scale / output scale.
        bound: no sum of this channel is greater in magnitude.
        out_zero: the output's zero point.
    """
    multiplier, left = quantize_multiplier(real)
    shift = -left
    ends = [bias + side * (bound - abs(bias)) for side in (-1, 1)]
    if left <= 0 and bound < 1 << 31:
        outputs = {max(-128, min(127, scale_by(end, multiplier, left) + out_zero)) for end in ends}
        if outputs == {out_zero}:
            return Channel(0, 0, 1 + 2 * out_zero, 1), True
    if not 1 <= shift <= 30:
        return Channel(bias, multiplier, 0, shift), False
    rounding = (1 << (shift - 1)) + (out_zero << shift)
    fast = bound < 1 << 30 and bound + 1 + abs(rounding) < 1 << 31
    return Channel(bias, multiplier, rounding if fast else 0, shift), fast


def softmax_scaling(beta: float, scale: float) -> tuple[int, int, int]:
    """Return multiplier, left shift and least difference of the fixed-point softmax (5 integer bits).

    Raises:
        ValueError: beta x scale is at most 2^-26.
    """
    real = min(beta * scale * (1 << 26), float((1 << 31) - 1))
    if real <= 1:
        raise ValueError(f"beta x scale = {beta * scale} is too small for the fixed-point softmax")
    multiplier, shift = quantize_multiplier(real)
    radius = math.floor(31 * (1 << 26) / (1 << shift))
    return multiplier, shift, -radius


def mean_scaling(real: float, count: int) -> tuple[int, int]:
    """Return multiplier and left shift of a mean of `count` values whose scale changes by `real`."""
    multiplier, left = quantize_multiplier(real)
    shift = min(count.bit_length() - 1, 32, 31 + left)
    return (multiplier << shift) // count, left - shift
