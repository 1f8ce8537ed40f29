from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from harness.build.requantize import (
    activation_range,
    channel,
    mean_scaling,
    quantize_multiplier,
    softmax_scaling,
)


def exact(real, value, zero):
    """TFLite's double rounding, in exact arithmetic: half away from zero at 2^31 (up only), then at the shift."""
    multiplier, left = quantize_multiplier(real)
    high = (value * 2 ** max(left, 0) * multiplier + (1 << 30)) >> 31
    right = max(-left, 0)
    quotient = Fraction(high, 1 << right)
    rounded = int(abs(quotient) + Fraction(1, 2)) * (1 if quotient >= 0 else -1)
    return max(-128, min(127, rounded + zero))


def fast(constants, value):
    """What requantize_fast() of the engine computes."""
    high = ((value << 1) * constants.multiplier + (1 << 31)) >> 32
    return max(-128, min(127, (high + (high >> 31) + constants.round) >> constants.shift))


@pytest.mark.parametrize("real", [0.5, 0.75, 0.0003, 1.0, 1.5, 3e-9, 0.9999999999999999])
def test_multiplier_and_shift_stand_for_the_scale(real):
    multiplier, shift = quantize_multiplier(real)
    assert 1 << 30 <= multiplier < 1 << 31
    assert multiplier * 2.0 ** (shift - 31) == pytest.approx(real, rel=2**-31)


def test_scales_too_small_for_any_output_become_zero():
    assert quantize_multiplier(0.0) == quantize_multiplier(2.0**-40) == (0, 0)


def test_the_fast_form_equals_the_exact_one():
    rng = np.random.default_rng(1)
    tried = 0
    for _ in range(300):
        real, zero = float(2.0 ** rng.uniform(-14, 1)), int(rng.integers(-128, 128))
        constants, allowed = channel(0, real, 1 << 22, zero)
        if not allowed:
            continue
        edges = [int((n + 0.5) / real) + d for n in range(-3, 4) for d in (-1, 0, 1)]
        for value in [*rng.integers(-(1 << 22), 1 << 22, 50).tolist(), *edges, 0, -1, 1]:
            assert fast(constants, value) == exact(real, value, zero), (real, value, zero)
            tried += 1
    assert tried > 10_000


@pytest.mark.parametrize(("real", "bound"), [(0.6, 100), (1.5, 100), (0.01, 1 << 30)])
def test_the_fast_form_is_refused_where_it_could_be_wrong(real, bound):
    assert not channel(0, real, bound, 0)[1]


@pytest.mark.parametrize(
    ("bias", "real", "span", "zero"),
    [(0, 2.0**-32, 100, 5), (0, 1e-4, 4_000, -7), (-(1 << 30), 3e-9 * 2**8, 5_000, -128), (1 << 30, 1e-6, 5_000, 127)],
)
def test_a_channel_that_never_leaves_its_zero_point_is_fast(bias, real, span, zero):
    constants, allowed = channel(bias, real, abs(bias) + span, zero)
    assert allowed
    for value in (-span, -1, 0, span):
        assert exact(real, bias + value, zero) == zero
        assert fast(constants, constants.bias + value) == zero


def test_a_channel_that_leaves_its_zero_point_keeps_its_scale():
    constants, _ = channel(0, 1e-4, 6_000, -7)  # 6,000 x 1e-4 rounds to 1
    assert constants.multiplier > 0
    assert fast(constants, 6_000) == exact(1e-4, 6_000, -7) == -6


def test_activation_ranges():
    assert activation_range(0, 0.1, 3) == (-128, 127)
    assert activation_range(1, 0.1, 3) == (3, 127)
    assert activation_range(3, 0.1, 3) == (3, 63)
    assert activation_range(3, 6 / 255, -128) == (-128, 127)


def test_mean_divides_by_the_count():
    multiplier, shift = mean_scaling(1.0, 49)
    assert multiplier * 2.0 ** (shift - 31) == pytest.approx(1 / 49, rel=1e-8)


def test_softmax_scaling_has_five_integer_bits():
    multiplier, shift, least = softmax_scaling(1.0, 0.1)
    assert multiplier * 2.0 ** (shift - 31) == pytest.approx(0.1 * 2**26, rel=1e-8)
    assert least == -int(31 / 2.0 ** (shift - 26))
    with pytest.raises(ValueError, match="too small"):
        softmax_scaling(1.0, 1e-9)
