"""What `hil init --model` writes loads as it is, with a metric that fits model and labels; so does what it offers."""

from __future__ import annotations

import re

import numpy as np
import pytest

from harness.build.first_data import find_data
from harness.build.first_suite import first_suite
from harness.config import load_suite
from harness.errors import ConfigError
from harness.image.model_card import ModelCard, TensorSpec

RNG = np.random.default_rng(0)
FLOATS = RNG.random((6, 4, 3), np.float32)
ZERO_ONE = np.array([0, 1, 1, 0, 1, 0])


def spec(*shape, dtype="float32", **quantization):
    return TensorSpec(shape=shape, dtype=dtype, **quantization)


def card(given, gives):
    return ModelCard.model_construct(model="m", input=given, output=gives)


def write(tmp_path, arrays, made):
    """Write the suite of a model and, unless there are none, of its data; return it as it is loaded."""
    np.savez(tmp_path / "d.npz", **arrays)
    (tmp_path / "suites").mkdir(exist_ok=True)
    data = find_data(tmp_path / "d.npz", made.input, tmp_path / "suites") if arrays else None
    path = tmp_path / "suites" / "m.yaml"
    path.write_text(first_suite(made, "m", data, images="../images"), encoding="utf-8")
    return load_suite(path)


@pytest.mark.parametrize(
    ("outputs", "labels", "metric"),
    [
        ((1, 3), np.array([0, 1, 2, 0, 1, 2]), "top1"),
        ((1, 1), ZERO_ONE, "binary"),
        ((1, 1), RNG.random(6), "mae"),
        ((1, 1), np.array([3, 4, 50, 6, 7, 8]), "mae"),
        ((1, 2), RNG.random((6, 2)), "mae"),
        ((1, 3), RNG.integers(0, 2, (6, 3)), "multilabel_ap"),
        ((1, 4, 3), ZERO_ONE, "reconstruction"),
        ((1, 3), None, "none"),
    ],
)
def test_the_metric_fits_the_labels(tmp_path, outputs, labels, metric):
    given = {"x": FLOATS, "extra": np.zeros(2)} | ({} if labels is None else {"y": labels})
    suite = write(tmp_path, given, card(spec(1, 4, 3, 1), spec(*outputs)))
    assert suite.metric.name == metric
    data = suite.load_data()
    assert data.raw.tolist() == FLOATS.tolist()
    assert labels is None or data.labels.tolist() == labels.tolist()
    suite.metric.open(suite.classes)


@pytest.mark.parametrize("outputs", [(1, 3), (1, 1), (1, 4, 3)])
def test_without_data_inputs_are_random_and_every_line_that_is_offered_works(tmp_path, outputs):
    made = card(spec(1, 4, 3), spec(*outputs))
    suite = write(tmp_path, {}, made)
    assert (suite.metric.name, len(suite.load_data()), suite.labels) == ("none", 20, None)
    text = suite.path.read_text()
    np.savez(tmp_path / "suites" / "test.npz", inputs=FLOATS, labels=ZERO_ONE)
    offered = re.findall(r"^# (metric: .*)$", text, re.MULTILINE)
    assert len(offered) >= 2
    for metric in offered:
        taken = re.sub(r"^(inputs: .random.*|metric: none)\n", "", text, flags=re.MULTILINE).replace(
            "data/test", "test"
        )
        taken = re.sub(r"^# (inputs|labels): ", r"\1: ", taken, flags=re.MULTILINE).replace(f"# {metric}", metric)
        if "top1" in metric:
            taken = taken.replace("# classes: ", "classes: ")
        suite.path.write_text(taken)
        assert load_suite(suite.path).load_data().labels.tolist() == ZERO_ONE.tolist()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, (1 / 255, 0)), (-1, 1, (2 / 255, -1)), (0, 255, (1, 0)), (0, 0.9, (1 / 255, 0))],
)
def test_bytes_are_scaled_to_fill_the_input(tmp_path, low, high, expected):
    scale = (high - low) / 255
    quantized = spec(1, 4, 3, dtype="int8", scale=scale, zero_point=round(-128 - low / scale))
    pixels = RNG.integers(0, 256, (6, 4, 3), np.uint8)
    suite = write(tmp_path, {"images": pixels}, card(quantized, spec(1, 3)))
    assert (suite.inputs.scale, suite.inputs.offset) == pytest.approx(expected)


def test_names_that_yaml_would_take_for_something_else(tmp_path):
    path = tmp_path / "1e5.yaml"
    path.write_text(first_suite(card(spec(1, 4), spec(1, 3)), "1e5", images="a: b, c"), encoding="utf-8")
    suite = load_suite(path)
    assert (suite.task, suite.images, suite.variants[0].name, suite.variants[0].image) == (
        "1e5",
        "a: b, c",
        "1e5",
        "1e5",
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": FLOATS[:, :2]}, r"no array has rows of 12 values \(\[1, 4, 3\]\); there are x \[6, 2, 3\]"),
        ({"x": FLOATS, "y": ZERO_ONE + 2}, "labels go from 2 to 3, but the model's 3 outputs are for classes 0 to 2"),
        ({"x": FLOATS, "y": RNG.random((6, 5))}, r"shape \[6, 5\] fit no metric for a model of 3 outputs"),
        ({"x": np.array(["a"])}, "must be made of numbers"),
    ],
)
def test_data_that_do_not_fit_are_refused(tmp_path, arrays, message):
    with pytest.raises(ConfigError, match=message):
        write(tmp_path, arrays, card(spec(1, 4, 3), spec(1, 3)))
