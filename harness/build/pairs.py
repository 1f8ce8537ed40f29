"""Sums and products of two int8 tensors: TFLite Micro's arithmetic, and a shorter one for sums proved equal to it.

TFLite rounds each input of a sum and the sum itself, twice each. Two bytes have only 65,536 values: the compiler
computes them all, looks for the constants of a shorter formula, and uses it only if every output is equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from harness.build.requantize import quantize_multiplier

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.graph import Quantization

    Outputs = NDArray[np.int64]

#: Fractional bits of the sum in hil_add_s8 (ADD_BITS there).
ADD_BITS = 20
_LEFT_SHIFT = 20  # what TFLite shifts the inputs of an addition by
_VALUES = np.arange(-128, 128, dtype=np.int64)


@dataclass(frozen=True)
class Scaling:
    """Multiplies by multiplier x 2^(-shift - 31), rounded twice."""

    multiplier: int
    shift: int

    def __call__(self, values: Outputs) -> Outputs:
        """Scale numbers as TFLite Micro does."""
        high = ((values << max(-self.shift, 0)) * self.multiplier + (1 << 30)) >> 31
        right = max(self.shift, 0)
        half = (1 << right) >> 1
        return np.where(high < 0, -((half - high) >> right), (high + half) >> right)


@dataclass(frozen=True)
class FastAdd:
    """output = (first x (a << 8) >> 16) + (second x (b << 8) >> 16) + offset, shifted right by ADD_BITS."""

    first: int
    second: int
    offset: int


def scaling(real: float) -> Scaling:
    """Return the fixed-point form of a factor."""
    multiplier, left = quantize_multiplier(real)
    return Scaling(multiplier, -left)


def add_scaling(a: Quantization, b: Quantization, y: Quantization) -> tuple[Scaling, Scaling, Scaling]:
    """Return how TFLite Micro scales the two inputs and the sum of an addition."""
    twice = 2 * max(a.scale, b.scale)
    return scaling(a.scale / twice), scaling(b.scale / twice), scaling(twice / ((1 << _LEFT_SHIFT) * y.scale))


def add_outputs(
    a: Quantization, b: Quantization, y: Quantization, limits: tuple[int, int], *, sign: int = 1
) -> Outputs:
    """Return what TFLite Micro gives for every pair [a + 128, b + 128], clamped to `limits`; sign -1: a difference."""
    scale_a, scale_b, scale_sum = add_scaling(a, b, y)
    first = scale_a((_VALUES - a.zero) << _LEFT_SHIFT)
    second = scale_b((_VALUES - b.zero) << _LEFT_SHIFT)
    outputs: Outputs = np.clip(scale_sum(first[:, None] + sign * second[None, :]) + y.zero, *limits)
    return outputs


def mul_outputs(a: Quantization, b: Quantization, y: Quantization, limits: tuple[int, int]) -> Outputs:
    """Return what TFLite Micro gives for every pair [a + 128, b + 128], clamped to `limits`."""
    scaled = scaling(a.scale * b.scale / y.scale)
    products = (_VALUES - a.zero)[:, None] * (_VALUES - b.zero)[None, :]
    outputs: Outputs = np.clip(scaled(products) + y.zero, *limits)
    return outputs


def fast_add(a: Quantization, b: Quantization, y: Quantization, *, sign: int = 1) -> FastAdd | None:
    """Return constants that give the right output for every pair, or None if none were found."""
    wanted = add_outputs(a, b, y, (-128, 127), sign=sign)
    bits = ADD_BITS + 8
    ratios = [q.scale / y.scale for q in (a, b)]
    for more in product(_MORE, repeat=2):
        first, second = (round(r * (1 << bits) * (1 + m)) for r, m in zip(ratios, more, strict=True))
        if max(first, second) >= 1 << 31:
            return None
        second *= sign
        sums = (first * (_VALUES << 8) >> 16)[:, None] + (second * (_VALUES << 8) >> 16)[None, :]
        offset = _offset(sums, wanted)
        if offset is not None:
            return FastAdd(first, second, offset)
    return None


#: TFLite rounds ties away from zero: a slightly greater factor does, too.
_MORE = (0.0, 2.0**-17, 2.0**-19, 2.0**-21, 2.0**-24, -(2.0**-20), -(2.0**-23), 2.0**-14)


def _offset(sums: Outputs, wanted: Outputs) -> int | None:
    """Return an offset with (sums + offset) >> ADD_BITS equal to `wanted`, saturated to int8, if there is one."""
    low = ((wanted << ADD_BITS) - sums)[wanted > -128].max(initial=-(1 << 30))
    high = (((wanted + 1) << ADD_BITS) - 1 - sums)[wanted < 127].min(initial=1 << 30)
    if low > high:
        return None
    offset = int(low + high) // 2
    greatest = max(abs(int(sums.max()) + offset), abs(int(sums.min()) + offset))
    return offset if greatest < 1 << 31 else None
