from __future__ import annotations

import numpy as np
import pytest

from harness.config import SuiteData
from harness.errors import ImageError
from harness.inputs import input_tensors, resized
from harness.model_card import TensorSpec


def ramp(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_area_is_the_mean_of_equal_blocks():
    image = ramp(1, 4, 6)
    small = resized(image, (1, 2, 3, 1), "area")
    assert small.shape == (1, 2, 3, 1)
    assert small.dtype == np.float32
    assert small[0, :, :, 0].tolist() == [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]]


def test_area_of_a_time_series():
    series = ramp(1, 4, 2)  # four steps of two channels
    assert resized(series, (1, 2, 1, 2), "area").reshape(2, 2).tolist() == [[1, 2], [5, 6]]
    assert resized(series, (1, 1, 2, 2), "area").reshape(2, 2).tolist() == [[1, 2], [5, 6]]


def test_bilinear_puts_centres_at_half_pixels():
    row = np.array([0, 10], np.float32).reshape(1, 1, 2)
    # What tf.image.resize gives: [0, 2.5, 7.5, 10].
    assert resized(row, (1, 1, 4, 1), "bilinear").ravel().tolist() == [0, 2.5, 7.5, 10]
    assert resized(row, (1, 1, 3, 1), "bilinear").ravel().tolist() == pytest.approx([0, 5, 10])


def test_bilinear_to_the_same_size_changes_nothing():
    image = ramp(2, 5, 4, 3)
    assert np.array_equal(resized(image, (1, 5, 4, 3), "bilinear"), image)


@pytest.mark.parametrize(
    ("shape", "model", "message"),
    [
        ((1, 4, 6), (1, 3, 3, 1), "4 can't be averaged down to 3"),
        ((1, 4, 6, 3), (1, 2, 2, 1), "other channels"),
        ((1, 4, 6), (1, 24), "remove `resize:`"),
    ],
)
def test_shapes_that_do_not_go_together_are_refused(shape, model, message):
    with pytest.raises(ImageError, match=message):
        resized(ramp(*shape), model, "area")


def test_inputs_are_resized_then_quantized():
    data = SuiteData(np.array([[[0, 100], [100, 200]]], np.uint8), np.zeros(1, np.int64), 0.01, 0.0)
    spec = TensorSpec(shape=(1, 1, 1, 1), dtype="int8", scale=0.5, zero_point=-1)
    assert input_tensors(data, spec, "area", 1).tolist() == [[1]]
    with pytest.raises(ImageError, match="4 values"):
        input_tensors(data, spec, None, 1)
