"""The compiler's tables and formulas for int8 give what TFLite Micro gives, for every value that there is."""

from __future__ import annotations

import numpy as np
import pytest

from engine.oracles import FloatOracle, Int8Oracle
from engine.tflite_writer import Op, T, constant, write_tflite
from harness.build import pairs, parse_tflite, plan_memory
from harness.build.graph import Quantization

BYTES = np.arange(256).astype(np.uint8).view(np.int8)
A, B = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128), indexing="ij")


def single(value):
    return float(np.float32(value))


def unary_model(kind, seed, path, *, same_scale=False):
    rng = np.random.default_rng(seed)
    scale, zero = single(2.0 ** rng.uniform(-9, 0)), int(rng.integers(-128, 128))
    out = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(kind, (scale, zero))
    if out == (scale, zero) and not same_scale:
        out = single(scale * 2.0 ** rng.uniform(-2, 2)), int(rng.integers(-128, 128))
    x, y = T((1, 256), "int8", (scale,), (zero,)), T((1, 256), "int8", out[:1], out[1:])
    path.write_bytes(write_tflite([Op(kind, [x], y, {"Alpha": 0.3} if kind == "LEAKY_RELU" else {})]))
    (step,) = plan_memory(parse_tflite(path)).steps
    return step.arrays[0].values


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH", "HARD_SWISH", "RELU", "RELU6", "LEAKY_RELU", "QUANTIZE"])
def test_a_table_is_what_tflite_micro_computes(kind, tmp_path):
    path = tmp_path / "model.tflite"
    for seed in range(30):  # its int8 ReLU6 doesn't know a change of scale
        table = unary_model(kind, seed, path, same_scale=kind == "RELU6")
        np.testing.assert_array_equal(table, Int8Oracle(path).run(BYTES.reshape(1, 256))[0], err_msg=f"seed {seed}")


@pytest.mark.parametrize("kind", ["RELU6", "RELU_N1_TO_1"])
def test_what_tflite_micro_lacks_is_within_a_step_of_litert(kind, tmp_path):
    path = tmp_path / "model.tflite"
    for seed in range(10):
        table = unary_model(kind, seed, path).astype(int)
        assert np.abs(table - FloatOracle(path).run(BYTES.reshape(1, 256))[0]).max() <= 1, seed


def pair(kind, seed):
    """Scales and zero points of two inputs and the output; every third time with exact ties."""
    rng = np.random.default_rng(seed)
    first = 2.0 ** rng.uniform(-9, 0)
    second = first * (1.0 if seed % 3 == 0 else 2.0 ** rng.uniform(-3, 3))
    if kind == "ADD":
        out = first * 2.0 if seed % 3 == 0 else max(first, second) * 2.0 ** rng.uniform(-0.5, 1.5)
    else:
        out = first * second * 2.0 ** (7 if seed % 3 == 0 else rng.uniform(4, 9))
    zeros = rng.integers(-128, 128, 3) if seed % 2 else rng.choice([-128, 0, 7, -3], 3)
    return [Quantization((single(s),), (int(z),), 0) for s, z in zip((first, second, out), zeros, strict=True)]


@pytest.mark.parametrize("kind", ["ADD", "MUL"])
def test_every_pair_of_values_is_what_tflite_micro_computes(kind, tmp_path):
    path = tmp_path / "model.tflite"
    outputs = pairs.add_outputs if kind == "ADD" else pairs.mul_outputs
    for seed in range(12):
        a, b, y = pair(kind, seed)
        x = T((256, 256), "int8", a.scales, a.zero_points)
        inputs = [x, constant(B, "int8", b.scales, b.zero_points)]
        path.write_bytes(write_tflite([Op(kind, inputs, T((256, 256), "int8", y.scales, y.zero_points))]))
        want = Int8Oracle(path).run(A.astype(np.int8))
        np.testing.assert_array_equal(outputs(a, b, y, (-128, 127)), want, err_msg=f"seed {seed}")


def test_the_short_sum_is_found_and_equal_for_every_pair():
    found = 0
    for seed in range(60):
        a, b, y = pair("ADD", seed)
        fast = pairs.fast_add(a, b, y)
        if fast is None:
            continue
        found += 1
        sums = (fast.first * (A << 8) >> 16) + (fast.second * (B << 8) >> 16) + fast.offset
        assert np.abs(sums).max() < 1 << 31
        got = np.clip(sums >> pairs.ADD_BITS, -128, 127)
        np.testing.assert_array_equal(got, pairs.add_outputs(a, b, y, (-128, 127)), err_msg=f"seed {seed}")
    assert found >= 57
