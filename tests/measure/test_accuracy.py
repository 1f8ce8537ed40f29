from __future__ import annotations

import numpy as np
import pytest

from harness.errors import MeasurementError
from harness.measure.accuracy import Z_95, predict, top1, wilson_interval


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float32])
def test_the_largest_wins_and_ties_go_to_the_lowest_index(dtype):
    assert predict(np.array([[1, 5, 3]], dtype)) == 1
    assert predict(np.array([[5, 7, 7, 2]], dtype)) == 1
    assert predict(np.zeros((1, 4), dtype)) == 0


def test_int8_ranks_by_sign():
    assert predict(np.array([-128, -1, 127, -2], np.int8)) == 2
    assert predict(np.array([-128, -1, -2], np.int8)) == 1


def test_infinity_ranks_but_nan_does_not():
    assert predict(np.array([0, np.inf, 1], np.float32)) == 1
    with pytest.raises(MeasurementError, match=r"NaN \(at index 2 of 3\)"):
        predict(np.array([0, 9, np.nan], np.float32))


@pytest.mark.parametrize("output", [np.zeros(0, np.int8), np.zeros(3, np.int32), np.zeros(3, np.float64)])
def test_what_is_no_output(output):
    with pytest.raises(MeasurementError):
        predict(output)


@pytest.mark.parametrize(("successes", "trials"), [(1, 2), (3, 10), (81, 263), (900, 1000), (1, 100_000)])
def test_wilson_ends_where_the_score_test_rejects(successes, trials):
    share = successes / trials
    for end in wilson_interval(successes, trials):
        assert abs(share - end) == pytest.approx(Z_95 * (end * (1 - end) / trials) ** 0.5, rel=1e-9)


def test_wilson_as_published():
    # Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_wilson_contains_the_share():
    for trials in (1, 2, 7, 100):
        for successes in range(trials + 1):
            low, high = wilson_interval(successes, trials)
            assert 0 <= low <= successes / trials <= high <= 1


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 3), (4, 3)])
def test_wilson_of_no_share(successes, trials):
    with pytest.raises(MeasurementError):
        wilson_interval(successes, trials)


def test_top1():
    accuracy = top1([0, 1, 2, 3], [0, 1, 2, 0])
    assert (accuracy.correct, accuracy.samples, accuracy.value) == (3, 4, 0.75)
    assert accuracy.low < 0.75 < accuracy.high


@pytest.mark.parametrize(("predictions", "labels"), [([1], [1, 2]), ([], []), ([1.0], [1]), ([[1]], [[1]])])
def test_what_cannot_be_scored(predictions, labels):
    with pytest.raises(MeasurementError):
        top1(predictions, labels)
