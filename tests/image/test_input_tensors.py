from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from harness.config.data import SuiteData
from harness.errors import ImageError
from harness.image.input_tensors import input_tensors, resized
from harness.image.model_card import TensorSpec


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
    assert input_tensors(data, spec, "area").tolist() == [[1]]
    with pytest.raises(ImageError, match="4 values"):
        input_tensors(data, spec, None)


def spec_of(*shape):
    return TensorSpec(shape=shape, dtype="float32")


def data_of(*shape):
    return SuiteData(ramp(3, *shape), np.zeros(3, np.int64), 1.0, 0.0)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [((28, 28), (1, 28, 28, 1)), ((100, 1, 6), (1, 100, 1, 6)), ((100, 6), (1, 1, 100, 6)), ((490,), (1, 49, 10, 1)),
     ((49, 10), (1, 490)), ((1, 49, 10), (49, 10))],
)  # fmt: skip
def test_only_dimensions_of_one_may_differ_unless_a_side_is_flat(given, wanted):
    assert np.array_equal(input_tensors(data_of(*given), spec_of(*wanted), None), ramp(3, math.prod(given)))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((49, 10), (1, 10, 49)),
        ((3, 16, 20), (1, 16, 20, 3)),
        ((6, 1, 100), (1, 100, 1, 6)),
        ((2, 3, 4, 1), (1, 4, 2, 3)),
    ],
)
def test_another_order_is_refused_with_the_transposition_that_mends_it(given, wanted):
    data = data_of(*given)
    with pytest.raises(ImageError, match="the same dimensions in another order") as caught:
        input_tensors(data, spec_of(*wanted), None)
    axes = re.search(r"numpy\.transpose\(inputs, \(([\d, ]+)\)\)", str(caught.value))
    mended = replace(data, raw=np.transpose(data.raw, [int(axis) for axis in axes[1].split(",")]))
    # Each value goes to the place whose indices are its own, in the model's order of the dimensions.
    found = input_tensors(mended, spec_of(*wanted), None)[1].reshape([size for size in wanted if size > 1])
    theirs, ours = ([size for size in shape if size > 1] for shape in (given, wanted))
    there = data.raw[1].reshape(theirs)
    for index in np.ndindex(*ours):
        assert found[index] == there[tuple(index[ours.index(size)] for size in theirs)]


def test_other_sizes_of_as_many_values_are_refused():
    with pytest.raises(
        ImageError, match=r"inputs of shape \(20, 24\) for a model whose input has shape \(1, 40, 12, 1\)"
    ):
        input_tensors(data_of(20, 24), spec_of(1, 40, 12, 1), None)


def test_resizing_does_not_lay_an_image_on_its_side():
    with pytest.raises(ImageError, match="what is wide would become tall"):
        input_tensors(data_of(4, 8), spec_of(1, 8, 4, 1), "bilinear")
    assert input_tensors(data_of(4, 8), spec_of(1, 2, 4, 1), "area").shape == (3, 8)
