"""Multipliers are made of scales in double precision, seen in sums that lie at the edge of a rounding."""

from __future__ import annotations

import numpy as np
import pytest

from engine.targets import HostModel
from engine.tflite_writer import Op, T, constant, write_tflite
from harness.build import parse_tflite
from harness.build.interpreters import open_interpreter

pytestmark = pytest.mark.slow


def scales(rng, *ranges):
    return [float(np.float32(2.0 ** rng.uniform(low, high))) for low, high in ranges]


def edges():
    """Sums for which half a step of the output is near: biases, as weights of 0 leave nothing else."""
    return np.concatenate([((steps + 0.5) * 2e7 + np.arange(-150, 150)) for steps in (60, 80, 100)]).astype(int)


def fully_connected(rng):
    in_scale, weight_scale = scales(rng, (-8, -2), (-9, -5))
    out_scale = float(np.float32(in_scale * weight_scale * 2e7))
    biases = edges()
    x, y = T((1, 4), "int8", (in_scale,)), T((1, len(biases)), "int8", (out_scale,))
    weights = constant(np.zeros((len(biases), 4)), "int8", (weight_scale,))
    bias = constant(biases, "int32", (in_scale * weight_scale,))
    return Op("FULLY_CONNECTED", [x, weights, bias], y, {"FusedActivationFunction": 0})


def svdf(rng):
    state_scale, time_scale = scales(rng, (-8, -2), (-9, -5))
    out_scale = float(np.float32(state_scale * time_scale * 2e7))
    biases = edges()
    x, y = T((1, 4), "int8", (0.1,)), T((1, len(biases)), "int8", (out_scale,))
    state = T((1, 3 * len(biases)), "int16", (state_scale,), variable=True)
    weights = constant(np.zeros((len(biases), 4)), "int8", (0.1,))
    time = constant(np.zeros((len(biases), 3)), "int16", (time_scale,))
    bias = constant(biases, "int32", (state_scale * time_scale,))
    return Op("SVDF", [x, weights, time, bias, state], y, {"Rank": 1, "FusedActivationFunction": 0})


def leaky_relu(rng):
    in_scale, out_scale = scales(rng, (-11, -10), (-11, -10))
    x, y = (T((1, 1 << 16), "int16", (scale,)) for scale in (in_scale, out_scale))
    return Op("LEAKY_RELU", [x], y, {"Alpha": float(rng.uniform(0.1, 0.9))})


def relu(rng):
    in_scale, out_scale = scales(rng, (-11, -10), (-11, -10))
    x, y = (T((1, 1 << 16), "int16", (scale,)) for scale in (in_scale, out_scale))
    return Op("RELU", [x], y)


@pytest.mark.parametrize("make", [fully_connected, svdf, leaky_relu, relu], ids=lambda make: make.__name__)
def test_scales_are_multiplied_as_tflite_micro_does(make, host_kernels, tmp_path):
    pytest.importorskip("tflite_micro", reason="tflite-micro, the oracle of integers, isn't installed")
    path = tmp_path / "scales.tflite"
    for seed in range(3):
        operator = make(np.random.default_rng(seed))
        path.write_bytes(write_tflite([operator]))
        x = operator.inputs[0]
        values = np.resize(np.arange(-32768, 32768), x.shape) if x.dtype == "int16" else np.zeros(x.shape)
        values = values.astype(x.dtype)
        (tmp_path / str(seed)).mkdir()
        got = HostModel(parse_tflite(path), tmp_path / str(seed), host_kernels)(values)
        np.testing.assert_array_equal(got.ravel(), open_interpreter(path, ["tflite-micro"]).infer([values])[0])
