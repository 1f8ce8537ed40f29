"""Tables: what TFLite Micro gives for each of the 256 values of int8, and for steps of int16.

Logistic and tanh are gemmlowp's fixed-point functions, hard-swish is TFLite's in 16 bits. A signed number Qi has i
integer and 31 - i fractional bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.build.requantize import activation_range, high_mul, quantize_multiplier, round_away, scale_by, shift_right

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from harness.build.graph import Quantization

_ONE_Q0 = (1 << 31) - 1
#: exp(-2^n) in Q0 for n = -2 ... 4
_EXP_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


#: Where TFLite's table of sigmoid(i / 24) in 16 bits is one above the nearest value.
_ONE_ABOVE = (4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45,
              46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255)  # fmt: skip


def table(function: Callable[[int], int]) -> NDArray[np.int8]:
    """Return the outputs [256] of a function of int8, clamped to int8, in the order of the input's bytes 0 to 255."""
    values = [max(-128, min(127, function(q))) for q in (*range(128), *range(-128, 0))]
    return np.array(values, np.int8)


def requantize_table(x: Quantization, y: Quantization, x_type: str, y_type: str) -> NDArray[np.int8]:
    """Another scale and zero point (QUANTIZE between int8 and uint8); the bytes of uint8 as those of an int8."""
    limits = np.iinfo(y_type)
    value = _scaled(x, y, x.scale / y.scale, int(limits.min), int(limits.max))
    outputs = [value(q) for q in np.arange(256, dtype=np.uint8).view(x_type).tolist()]
    return np.array(outputs, y_type).view(np.int8)


def relu_table(x: Quantization, y: Quantization, activation: int) -> NDArray[np.int8]:
    """ReLU and its relatives, with a change of scale."""
    low, high = activation_range(activation, y.scale, y.zero)
    return table(_scaled(x, y, x.scale / y.scale, low, high))


def leaky_relu_table(x: Quantization, y: Quantization, alpha: float) -> NDArray[np.int8]:
    """Negative values times `alpha`, with a change of scale."""
    positive = _scaled(x, y, x.scale / y.scale, -128, 127)
    negative = _scaled(x, y, x.scale * alpha / y.scale, -128, 127)
    return table(lambda q: positive(q) if q >= x.zero else negative(q))


def absolute_table(x: Quantization, y: Quantization) -> NDArray[np.int8]:
    """Magnitudes, with a change of scale."""
    scaled = _scaled(x, y, x.scale / y.scale, -128, 127)
    return table(lambda q: scaled(x.zero + abs(q - x.zero)))


def elu_table(x: Quantization, y: Quantization) -> NDArray[np.int8]:
    """Negative values as exp(x) - 1, in float32."""
    inverse = np.float32(1) / np.float32(y.scale)

    def value(q: int) -> int:
        real = np.float32(x.scale) * np.float32(q - x.zero)
        steps = (np.expm1(real) if real < 0 else real) * inverse
        return int(np.float32(round_away(steps)) + np.float32(y.zero))

    return table(value)


def logistic_table(x: Quantization, _y: Quantization) -> NDArray[np.int8]:
    """1 / (1 + exp(-x)); the output's scale is 1/256, its zero point -128."""
    return table(_through(x, lambda q4: shift_right(_logistic(q4), 31 - 8) - 128))


def tanh_table(x: Quantization, _y: Quantization) -> NDArray[np.int8]:
    """The hyperbolic tangent; the output's scale is 1/128, its zero point 0."""
    return table(_through(x, lambda q4: shift_right(_tanh(q4), 31 - 7)))


def hard_swish_table(x: Quantization, y: Quantization) -> NDArray[np.int8]:
    """Return x times ReLU6(x + 3) / 6.

    Raises:
        ValueError: the output's scale is so small that TFLite Micro refuses it.
    """
    fine = np.float32(1 / 128) * np.float32(x.scale)
    out_multiplier, out_exponent = quantize_multiplier(float(fine / np.float32(y.scale)))
    relu_multiplier, relu_exponent = quantize_multiplier(float(fine / (np.float32(3) / np.float32(32768))))
    if out_exponent > 0:
        raise ValueError(f"output scale {y.scale} is less than 1/128 of the input's {x.scale}")
    out_multiplier, relu_multiplier = _to_16_bits(out_multiplier), _to_16_bits(relu_multiplier)

    def value(q: int) -> int:
        hires = (q - x.zero) << 7
        preshift = _high_mul_16(hires, out_multiplier)
        gate = hires
        if relu_exponent > 0:
            gate = _saturate_16(gate << (relu_exponent - 1))
        gate = _high_mul_16(gate, relu_multiplier)
        if relu_exponent > 0:
            gate = _saturate_16(gate << 1)
        if relu_exponent < 0:
            gate = shift_right(gate, -relu_exponent)
        gate = (gate + (1 << 15)) >> 1
        product = gate * preshift
        high = product >> 15 if product >= 0 else -(-product >> 15)  # truncated, not rounded
        return shift_right(high, -out_exponent) + y.zero

    return table(value)


def _scaled(x: Quantization, y: Quantization, real: float, low: int, high: int) -> Callable[[int], int]:
    multiplier, left = quantize_multiplier(real)

    def value(q: int) -> int:
        scaled = scale_by(q - x.zero, multiplier, left) + y.zero
        return max(low, min(high, scaled))

    return value


def _through(x: Quantization, function: Callable[[int], int]) -> Callable[[int], int]:
    """A function of Q4, whose input saturates at 16."""
    multiplier, left = quantize_multiplier(x.scale * (1 << 27))
    radius = math.floor(15 * (1 << 27) / 2.0**left)

    def value(q: int) -> int:
        centred = q - x.zero
        if abs(centred) >= radius:
            return 127 if centred > 0 else -128
        return function(scale_by(centred, multiplier, left))

    return value


def _logistic(a: int) -> int:
    """1 / (1 + exp(-a)): a in Q4, the result in Q0."""
    if a == 0:
        return 1 << 30
    positive = _shift_left(_reciprocal(_exp_negative(-abs(a), 4)), 1)
    return positive if a > 0 else _ONE_Q0 - positive


def _tanh(a: int) -> int:
    """tanh(a) = (1 - exp(-2a)) / (1 + exp(-2a)): a in Q4, the result in Q0."""
    if a == 0:
        return 0
    # twice a number of Q4 is the same bits in Q5; x of _reciprocal is 2 / (1 + e) in Q2, less 1
    positive = _shift_left(_reciprocal(_exp_negative(-abs(a), 5)) - (1 << 29), 2)
    return positive if a > 0 else -positive


def _exp_negative(a: int, integer_bits: int) -> int:
    """exp(a) for a <= 0: a in Q4 or Q5, the result in Q0. What exceeds a quarter is taken bit by bit from a table."""
    if a == 0:
        return _ONE_Q0
    quarter = 1 << (31 - integer_bits - 2)
    small = (a & (quarter - 1)) - quarter
    result = _exp_small(_shift_left(small, integer_bits))
    rest = (small - a) // quarter
    for bit, power in enumerate(_EXP_POWERS[: integer_bits + 2]):
        if rest >> bit & 1:
            result = high_mul(result, power)
    return result


def _exp_small(a: int) -> int:
    """exp(a) for a in [-1/4, 0), Q0: a polynomial of degree four around -1/8."""
    exp_minus_eighth, third = 1895147668, 715827883
    x = a + (1 << 28)
    x2 = high_mul(x, x)
    x3, x4 = high_mul(x2, x), high_mul(x2, x2)
    series = shift_right(high_mul(shift_right(x4, 2) + x3, third) + x2, 1)
    return exp_minus_eighth + high_mul(exp_minus_eighth, x + series)


def _reciprocal(a: int) -> int:
    """2 / (1 + a) for a in [0, 1), a in Q0, the result in Q2: three steps of Newton's method."""
    half = (a + _ONE_Q0 + 1) // 2
    x = 1515870810 + high_mul(half, -1010580540)  # 48/17 - 32/17 x half
    for _ in range(3):
        x += _shift_left(high_mul(x, (1 << 29) - high_mul(half, x)), 2)
    return x


def _shift_left(value: int, left: int) -> int:
    return max(-(1 << 31), min(_ONE_Q0, value << left))


def _saturate_16(value: int) -> int:
    return max(-(1 << 15), min((1 << 15) - 1, value))


def _high_mul_16(a: int, b: int) -> int:
    return _saturate_16((a * b + (1 << 14)) >> 15)


def _to_16_bits(multiplier: int) -> int:
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1)


def sigmoid_steps() -> NDArray[np.uint16]:
    """Return TFLite's table of sigmoid(i / 24) in 16 bits, [256]."""
    steps = np.arange(256)
    table = np.floor(65536 / (1 + np.exp(-steps / 24)) + 0.5) + np.isin(steps, _ONE_ABOVE)
    return table.astype(np.uint16)


def interpolated(function: Callable[[NDArray[Any]], NDArray[Any]], step: np.float32, zero: int) -> NDArray[np.int16]:
    """Return TFLite's table of a function of int16, computed in float32, for outputs of scale 2/65535.

    512 values, each shifted by half of what a straight line to the next one misses in the middle, and a last one.
    """
    ends = step * np.array([-32768 - zero, 32767 - zero], np.float32)
    unit, half = np.float32(2) / np.float32(65535), (ends[1] - ends[0]) / np.float32(512) / np.float32(2)
    factor = np.float32(65536) / (unit * np.float32(32767) - unit * np.float32(-32768))
    at = ends[0] + np.arange(513, dtype=np.float32) * (2 * half)
    exact, values = function(at) * factor, _away(function(at) * factor)
    error = _away((exact[1:] + values[:-1]) / 2) - _away(function(at[:-1] + half) * factor)
    values[:-1] -= _away(error / 2)
    values[-1] = _away(function(ends[1:]) * factor)[0]
    return np.asarray(np.clip(values, -32768, 32767), np.int16)


def _away(values: NDArray[Any]) -> NDArray[Any]:
    """Round halves away from zero."""
    return np.asarray(np.trunc(values + np.copysign(np.float32(0.5), values)), np.float32)
