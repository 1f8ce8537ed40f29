from __future__ import annotations

import numpy as np
import pytest

from harness.build.lower_layers import groups_of_eight, pair_rows


def unpack(packed, channels, runs, length):
    """Undo pair_rows by what the kernel does: the low byte, sign-extended, and the rest."""
    halves = packed.view("<i2").astype(int)
    even = (halves & 0xFF ^ 0x80) - 0x80
    odd = (halves - even) >> 8
    both = np.stack([even, odd], axis=1).reshape(2 * len(halves), -1, 4)[:, :, [0, 2, 1, 3]]
    return both.reshape(2 * len(halves), runs, -1)[:channels, :, :length]


@pytest.mark.parametrize(("channels", "runs", "length"), [(1, 1, 1), (2, 1, 4), (5, 3, 9), (8, 3, 3), (3, 2, 8)])
def test_pairs_hold_every_weight(channels, runs, length):
    rng = np.random.default_rng(channels)
    weights = rng.integers(-127, 128, (channels, runs, length)).astype(np.int8)
    packed = pair_rows(weights)
    assert packed.shape == (-(-channels // 2), runs * -(-length // 4) * 8)
    np.testing.assert_array_equal(unpack(packed, channels, runs, length), weights)


def test_extremes_fit_and_what_does_not_is_refused():
    corners = np.array([[-127, 127, -127, 127], [-127, -127, 127, 127]], np.int8)[:, None, :]
    np.testing.assert_array_equal(unpack(pair_rows(corners), 2, 1, 4), corners)
    with pytest.raises(OverflowError):
        pair_rows(np.array([[-1, 0, 0, 0], [-128, 0, 0, 0]], np.int8)[:, None, :])


def test_groups_of_eight_are_filled_up_with_zeros():
    weights = np.arange(30, dtype=np.float32).reshape(10, 3) + 1
    grouped = groups_of_eight(weights)
    assert grouped.shape == (2, 3, 8)
    np.testing.assert_array_equal(grouped[1, :, :2], weights[8:].T)
    assert not grouped[1, :, 2:].any()
