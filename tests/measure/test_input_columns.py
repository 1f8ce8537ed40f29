from __future__ import annotations

import numpy as np
import pytest

from harness.config import load_suite, shipped_kinds
from harness.image.elf import load_image
from harness.image.input_tensors import model_inputs
from harness.image.model_card import TensorSpec
from harness.measure.input_columns import FEW_CODES, SATURATED_LIMIT, input_range, input_warnings, range_columns

KIND = shipped_kinds()["nano33"]
BYTE = TensorSpec(shape=(1, 4, 4, 1), dtype="int8", scale=1 / 255, zero_point=-128)
FLOAT = TensorSpec(shape=(1, 4, 4), dtype="float32")


def looked_at(real, variant="int8", spec=BYTE, **others):
    return {"variant": variant, **input_range(np.asarray(real, np.float32), variant, spec, others)}


def images(low, high):
    return np.linspace(low, high, 256).reshape(16, 4, 4)


@pytest.mark.parametrize(
    "name", ["fashion_mnist", "fashion_mnist_96", "japanese_vowels", "shoulder_exercises", "speech_music"]
)
def test_the_shipped_suites_stay_under_the_thresholds(root, name):
    suite = load_suite(root / "suites" / f"{name}.yaml")
    data = suite.load_data()
    for variant in suite.variants:
        spec = load_image(suite.image_path(variant, KIND), KIND).card.input
        real = model_inputs(data, spec, variant.resize)
        row = {"variant": variant.name, **range_columns(real, suite, variant, spec, KIND)}
        assert input_warnings(row) == []
        assert row["inputs_codes"] > 2 * FEW_CODES
        if spec.dtype == "float32":
            assert row["inputs_saturated"] <= SATURATED_LIMIT / 10
            continue
        # Counted in another way: in float64, by what the code would be.
        codes = np.round(real.astype(np.float64) / spec.scale) + spec.zero_point
        limits = np.iinfo(spec.dtype)
        assert row["inputs_saturated"] == np.mean((codes < limits.min) | (codes > limits.max))
        assert row["inputs_codes"] == len(np.unique(np.clip(codes, limits.min, limits.max)))
        # White may lie a thousandth beyond the range of an int16, which is less than half a step of an int8.
        slack = limits.max // 1000
        outside = np.mean((codes < limits.min - slack) | (codes > limits.max + slack))
        assert outside <= SATURATED_LIMIT / 10


def test_inputs_without_their_scale_are_warned_of():
    row = looked_at(images(0, 255))
    assert row["inputs_saturated"] == 254 / 256  # all but 0 and 1
    assert (row["inputs_min"], row["inputs_max"]) == (0, 255)
    assert "the inputs reach from 0 to 255, and 99.2 % of the values lie outside" in input_warnings(row)[0]
    assert "check `scale:`" in input_warnings(row)[0]


def test_a_scale_that_is_applied_twice_is_warned_of():
    row = looked_at(images(0, 1 / 255))
    assert (row["inputs_saturated"], row["inputs_codes"], row["inputs_values"]) == (0, 2, 256)
    assert "all values come to 2 of the 256 codes" in input_warnings(row)[0]


def test_half_a_step_beyond_the_end_is_inside():
    assert looked_at(np.full((1, 16), 255.4 / 255))["inputs_saturated"] == 0
    assert looked_at(np.full((1, 16), 255.6 / 255))["inputs_saturated"] == 1


def test_black_and_white_is_no_collapse():
    assert input_warnings(looked_at(np.arange(32).reshape(2, 16) % 2)) == []
    assert "all values come to 1 of" in input_warnings(looked_at(np.zeros((2, 16))))[0]


def test_a_float_model_is_held_against_a_quantized_one_of_the_suite():
    row = looked_at(images(0, 255), "float32", FLOAT, int8=BYTE, other=BYTE.model_copy(update={"shape": (1, 2, 2, 1)}))
    assert (row["inputs_range_of"], row["inputs_saturated"]) == ("int8", 254 / 256)
    assert "the range is that of int8's input" in row["inputs_note"]
    assert "of int8's input (a float32 input states no range)" in input_warnings(row)[0]


def test_where_nothing_tells_the_range_it_is_recorded_and_said():
    row = looked_at(images(0, 255), "float32", FLOAT)
    assert (row["inputs_max"], row["inputs_saturated"], row["inputs_codes"]) == (255, None, None)
    assert "no other variant has a quantized one" in row["inputs_note"]
    assert input_warnings(row) == []
