"""What the engine doesn't do is refused with the operator's index, what it is, and what would be needed."""

from __future__ import annotations

import re

import numpy as np
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
    grown = T((2, 1, 3, 1, 2, 1, 3), "int8", (0.1,))
    other = T((1, 2, 1, 3, 1, 2, 1), "int8", (0.1,))
    start = image(shape=(1, 6, 2, 3))
    shape = constant([2, 1, 3, 1, 2, 1, 3], "int32")
    begin = [
        Op("RESHAPE", [start, shape], grown),
        Op("REDUCE_MAX", [start, constant([3], "int32")], flat := image(shape=(1, 6, 2))),
    ]
    to = constant([1, 2, 1, 3, 1, 2, 1], "int32")
    return [
        *begin,
        Op("RESHAPE", [flat, to], other),
        Op("MUL", [grown, other], T((2, 2, 3, 3, 2, 2, 3), "int8", (0.1,))),
    ]


def resized():
    return [Op("RESIZE_BILINEAR", [image(), constant([8, 8], "int32")], image(0.2, shape=(1, 8, 8, 2)), {})]


def compared():
    x, flag = image(2.0), T((1, 4, 4, 2), "bool")
    return [Op("LESS", [x, x], flag), Op("CAST", [flag], T(flag.shape, "int32"))]


def uneven_groups():
    x, weights = image(shape=(1, 4, 4, 6)), constant(np.ones((4, 1, 1, 4)), "int8", (0.1,))
    options = {"Padding": 0, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
    return [Op("CONV_2D", [x, weights, None], image(shape=(1, 4, 4, 4)), options)]


def logistic():
    return [Op("LOGISTIC", [image()], image(0.01))]


def hard_swish():
    return [Op("HARD_SWISH", [image(1.0)], image(0.005))]


def activation():
    x = image()
    return [Op("ADD", [x, x], image(0.2), {"FusedActivationFunction": 4})]


def int16_with_a_zero_point():
    x = T((1, 4), "int16", (0.001,), (3,))
    return [Op("ADD", [x, x], T((1, 4), "int16", (0.002,)))]


def int16_in_steps():
    x, y = (T((1, 4, 4, channels), "int16", (0.001,)) for channels in (2, 3))
    weights = constant([[[[1, 2]]] * 1] * 3, "int8", (0.01,))
    options = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 2, "DilationWFactor": 1}
    return [Op("CONV_2D", [x, weights, None], y, options)]


@pytest.mark.parametrize(
    ("make", "index", "message"),
    [
        (int16_with_a_zero_point, 0, "(ADD): int16 with zero point 3. Needed: int16 with zero point 0"),
        (int16_in_steps, 0, "(CONV_2D): dilation (2, 1) of int16. Needed: int8 activations"),
        (concatenation, 1, "(CONCATENATION): an input of another scale"),
        (fused_concatenation, 0, "(CONCATENATION): a fused activation. Needed: the activation as an operator"),
        (pad, 0, "(PAD): an input of another scale"),
        (broadcast, 3, "(MUL): inputs of shapes [2, 1, 3, 1, 2, 1, 3], [1, 2, 1, 3, 1, 2, 1], which repeat along 7"),
        (resized, 0, "(RESIZE_BILINEAR): an input of another scale"),
        (compared, 0, "(LESS): scales 2.0 and 2.0. Needed: scales below 1"),
        (uneven_groups, 0, "(CONV_2D): weights for 4 of 6 input channels and 4 output channels"),
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
