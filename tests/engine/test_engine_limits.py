"""Where the fast int8 kernels reach their limits: the greatest sums, and weights that they can't hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.oracles import Int8Oracle, random_inputs
from engine.targets import CortexModel, HostModel
from harness.build import parse_tflite, plan_memory
from harness.build.graph import Graph, Operator, Quantization, Tensor

DATA = Path(__file__).parent / "data"


def fully_connected(weights, bias, real):
    """A graph of one int8 matrix, whose sums are scaled by `real`; zero points 0."""

    def tensor(index, data, shape, dtype, scale):
        return Tensor(index, f"t{index}", shape, dtype, Quantization((scale,), (0,), 0), data)

    outputs, depth = weights.shape
    tensors = (
        tensor(0, None, (1, depth), "int8", 1.0),
        tensor(1, weights, weights.shape, "int8", real),
        tensor(2, bias, bias.shape, "int32", real),
        tensor(3, None, (1, outputs), "int8", 1.0),
    )
    operator = Operator(0, "FULLY_CONNECTED", (0, 1, 2), (3,), {"FusedActivationFunction": 0})
    return Graph("made by hand", "0" * 64, tensors, (operator,), (tensors[0],), (tensors[3],))


def rounded_twice(sums):
    """sums / 2^17 as TFLite rounds: the multiplier 2^30 halves (ties up), then 2^16 divides (ties away from zero)."""
    halves = (sums.astype(np.int64) + 1) >> 1
    rest = halves / 2.0**16
    return np.clip(np.sign(rest) * np.floor(np.abs(rest) + 0.5), -128, 127)


@pytest.mark.parametrize("model", [HostModel, CortexModel])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_greatest_sums_of_a_pair_are_exact(model, sign, tmp_path, host_kernels, cortex_kernels):
    depth = 515  # 515 x 127 x 128 is the last below 2^23
    weights = np.full((6, depth), sign * 127, np.int8)
    weights[1::2] = -127
    bias = np.array([0, 5, -7_000_000, 8_000_000, 100, -100], np.int32)
    graph = fully_connected(weights, bias, 2.0**-17)
    assert plan_memory(graph).steps[0].kernel == "hil_fully_connected_s8"
    run = model(graph, tmp_path, host_kernels if model is HostModel else cortex_kernels)
    for value in (-128, 127, 1):
        x = np.full((1, depth), value, np.int8)
        sums = weights.astype(np.int64) @ x[0].astype(np.int64) + bias
        np.testing.assert_array_equal(run(x)[0], rounded_twice(sums))


@pytest.mark.parametrize("model", [HostModel, CortexModel])
def test_ties_are_rounded_away_from_zero(model, tmp_path, host_kernels, cortex_kernels):
    steps = np.arange(-127, 127)
    near = np.concatenate([steps * 2**17 + 2**16 + d for d in range(-2, 3)]).astype(np.int32)
    graph = fully_connected(np.zeros((len(near), 4), np.int8), near, 2.0**-17)
    assert ".fast = 1" in plan_memory(graph).steps[0].fields["quant"]
    run = model(graph, tmp_path, host_kernels if model is HostModel else cortex_kernels)
    np.testing.assert_array_equal(run(np.zeros((1, 4), np.int8))[0], rounded_twice(near))


def test_sums_beyond_24_bits_take_the_plain_kernel():
    weights = np.full((2, 520), 127, np.int8)
    assert plan_memory(fully_connected(weights, np.zeros(2, np.int32), 0.001)).steps[0].kernel.endswith("_plain")


def test_weights_that_a_pair_cannot_hold_take_the_plain_kernel(tmp_path, host_kernels):
    source = DATA / "chain00_int8.tflite"
    step = next(s for s in plan_memory(parse_tflite(source)).steps if s.kernel.startswith("hil_conv"))
    graph = parse_tflite(source)
    weights = graph.tensors[step.operator.inputs[1]].data
    changed = weights.copy()
    changed[0].flat[0], changed[1].flat[0] = -5, -128
    content = source.read_bytes()
    assert content.count(weights.tobytes()) == 1
    path = tmp_path / "changed.tflite"
    path.write_bytes(content.replace(weights.tobytes(), changed.tobytes()))
    graph, oracle = parse_tflite(path), Int8Oracle(path)
    kernels = {s.operator.index: s.kernel for s in plan_memory(graph).steps}
    assert kernels[step.operator.index] == "hil_conv_s8_plain"
    model = HostModel(graph, tmp_path, host_kernels)
    for values in random_inputs(graph, 10):
        np.testing.assert_array_equal(model(values), oracle.run(values).reshape(graph.output.shape))
