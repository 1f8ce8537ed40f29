from __future__ import annotations

import numpy as np
import pytest

from harness.errors import MeasurementError
from harness.metrics.classes import predict, top1


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


def test_top1():
    accuracy = top1([0, 1, 2, 3], [0, 1, 2, 0])
    assert (accuracy.correct, accuracy.samples, accuracy.value) == (3, 4, 0.75)
    assert accuracy.low < 0.75 < accuracy.high


@pytest.mark.parametrize(("predictions", "labels"), [([1], [1, 2]), ([], []), ([1.0], [1]), ([[1]], [[1]])])
def test_what_cannot_be_scored(predictions, labels):
    with pytest.raises(MeasurementError):
        top1(predictions, labels)
