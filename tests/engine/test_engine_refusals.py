"""What the engine doesn't do is refused with the operator's index, what it is, and what would be needed."""

from __future__ import annotations

import re

import pytest

from engine.tflite_writer import Op, T, constant, write_tflite
from harness.build import parse_tflite, plan_memory
from harness.errors import ConfigError


def image(scale=0.1, zero=0, shape=(1, 4, 4, 2)):
    return T(shape, "int8", (scale,), (zero,))


def concatenation():
    x, other = image(), image(0.2)
    return [Op("QUANTIZE", [x], other), Op("CONCATENATION", [x, other], image(shape=(1, 4, 4, 4)), {"Axis": 3})]


def fused_concatenation():
    x = image()
    options = {"Axis": 3, "FusedActivationFunction": 1}
    return [Op("CONCATENATION", [x, x], image(shape=(1, 4, 4, 4)), options)]


def pad():
    grow = constant([[0, 0], [1, 1], [0, 0], [0, 0]], "int32")
    return [Op("PAD", [image(), grow], image(0.2, shape=(1, 6, 4, 2)))]


def broadcast():
    x = image()
    column = image(shape=(1, 4, 4, 1))
    return [Op("MEAN", [x, constant([3], "int32")], column, {"KeepDims": 1}), Op("MUL", [x, column], image())]


def spatial():
    x = image()
    column = constant([[[[1], [2], [3], [4]]] * 4], "int8", (0.1,))
    start = image()
    return [Op("RESHAPE", [start, constant(x.shape, "int32")], x), Op("ADD", [x, column], image())]


def logistic():
    return [Op("LOGISTIC", [image()], image(0.01))]


def hard_swish():
    return [Op("HARD_SWISH", [image(1.0)], image(0.005))]


def activation():
    x = image()
    return [Op("ADD", [x, x], image(0.2), {"FusedActivationFunction": 4})]


@pytest.mark.parametrize(
    ("make", "index", "message"),
    [
        (concatenation, 1, "(CONCATENATION): an input of scale 0.2"),
        (fused_concatenation, 0, "(CONCATENATION): a fused activation. Needed: the activation as an operator"),
        (pad, 0, "(PAD): an input of scale 0.1"),
        (broadcast, 0, "(MEAN): mean of a tensor of shape [1, 4, 4, 2] over axes [3]"),
        (spatial, 1, "(ADD): inputs of shapes [1, 4, 4, 2] and [1, 4, 4, 1]. Needed: the same shape"),
        (logistic, 0, "(LOGISTIC): output scale 0.0"),
        (hard_swish, 0, "(HARD_SWISH): output scale 0.00"),
        (activation, 0, "(ADD): activation 4. Needed: none, ReLU or ReLU6"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_form_without_a_kernel_is_refused(make, index, message, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(write_tflite(make()))
    with pytest.raises(ConfigError, match=re.escape(f"operator {index} {message}")):
        plan_memory(parse_tflite(path))
