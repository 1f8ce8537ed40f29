"""Every operator by itself, with random shapes and quantization, computes what the reference interpreters compute."""

from __future__ import annotations

import numpy as np
import pytest

from engine.oracles import Int8Oracle, assert_close, oracle_of, random_inputs
from engine.random_models import FLOAT_ONLY, INT16, MAKERS, MOVED, WITH_WEIGHTS, random_model
from engine.targets import CortexModel, HostModel, prefix
from engine.tflite_writer import Op, T, constant, write_tflite
from harness.build import parse_tflite, plan_memory
from harness.build.stage import Patches
from harness.errors import ConfigError

CASES = [
    *((kind, dtype) for kind in sorted(MAKERS) for dtype in ("int8", "float32")[kind in FLOAT_ONLY :]),
    *((kind, "int16") for kind in INT16),
    *((kind, dtype) for kind in WITH_WEIGHTS for dtype in ("int4", "int8_weights")),
    ("CONV_2D", "float16_weights"),
    ("CONV_DILATED", "int8_weights"),
]


def check(model, oracle, graph, count, seed):
    """Inferences one after the other, between which recurrent layers keep their state."""
    oracle.reset()
    for values in random_inputs(graph, count, seed):
        want = oracle.run(values).reshape(graph.output.shape)
        if isinstance(oracle, Int8Oracle):
            np.testing.assert_array_equal(model(values), want)
        else:
            assert_close(model(values), want, tolerance=1e-5)


@pytest.fixture
def random_graph(tmp_path):
    def make(kind, seed, dtype):
        path = tmp_path / f"{kind}.tflite"
        path.write_bytes(random_model(kind, seed, dtype))
        graph = parse_tflite(path)
        return graph, oracle_of(graph, path)

    return make


def ways(graph):
    """Fast and plain, where they differ."""
    return (False, True) if any(step.has_plain for step in plan_memory(graph).steps) else (False,)


#: Moves and reductions of float32 differ from those of int8 in the size of a value.
TWINS = {
    *((kind, "float32") for kind in (*MOVED, "SHAPE", "ARG_MAX", "ARG_MIN", "REDUCE_MAX", "COMPARISONS")),
    *((kind, "float32") for kind in ("CONV_GROUPED", "DEPTHWISE_DILATED", "ELU", "SPACE_TO_BATCH_ND")),
    *((kind, "int16") for kind in INT16 if kind not in (*WITH_WEIGHTS, "ADD", "SOFTMAX", "TANH")),
}


@pytest.mark.parametrize(
    ("kind", "dtype"), [pytest.param(*case, marks=[pytest.mark.slow] if case in TWINS else []) for case in CASES]
)
def test_an_operator_on_the_host(kind, dtype, random_graph, host_kernels, tmp_path):
    graph, oracle = random_graph(kind, 1, dtype)
    for plain in ways(graph):
        model = HostModel(graph, tmp_path / str(plain), host_kernels, plain=plain)
        check(model, oracle, graph, 10, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "dtype"), CASES)
def test_more_of_an_operator_on_a_cortex_m4(kind, dtype, random_graph, cortex_kernels, tmp_path):
    for seed in range(2, 4 if dtype in ("int16", "int4") else 6):
        graph, oracle = random_graph(kind, seed, dtype)
        for plain in ways(graph):
            model = CortexModel(graph, tmp_path / f"{seed}{plain}", cortex_kernels, plain=plain)
            check(model, oracle, graph, 2, seed)
            assert model.stack_bytes < 1_244  # what TFLite Micro takes
        if ways(graph) == (False,):
            break  # the host runs the same C


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ADD", "MUL", "CONCATENATION"])
def test_every_tensor_of_an_int8_model(kind, random_graph, host_kernels, tmp_path):
    for seed in range(4):
        graph, oracle = random_graph(kind, seed, "int8")
        for count in range(1, len(graph.operators) + 1):
            part = prefix(graph, count)
            if not plan_memory(part).steps:  # a RESHAPE alone computes nothing
                continue
            model = HostModel(part, tmp_path / f"{seed}{count}", host_kernels)
            for values in random_inputs(graph, 3, seed):
                oracle.run(values)
                want = oracle.tensor(part.output.index).reshape(part.output.shape)
                np.testing.assert_array_equal(model(values), want, err_msg=f"seed {seed}, operator {count - 1}")


def test_int8_weights_take_a_quarter_of_the_flash(random_graph):
    def constants(dtype):
        graph, _ = random_graph("FULLY_CONNECTED", 3, dtype)
        return sum(
            array.bytes() for step in plan_memory(graph).steps for array in step.arrays if array.name == "weights"
        )

    assert 0 < 4 * constants("int8_weights") == constants("float32")


def test_int4_of_several_scales_is_as_the_same_weights_in_int8(host_kernels, tmp_path):
    """Of such a matrix TFLite Micro takes int8 weights only."""
    rng = np.random.default_rng(3)
    values, scales = rng.integers(-8, 8, (5, 19)), tuple(2.0 ** rng.uniform(-5, -3, 5))
    graphs = []
    for dtype in ("int4", "int8"):
        x, y = T((1, 19), "int8", (0.05,), (-7,)), T((1, 5), "int8", (0.4,), (9,))
        bias = constant([40, -3, 0, 7, -90], "int32", tuple(0.05 * scale for scale in scales))
        path = tmp_path / f"{dtype}.tflite"
        path.write_bytes(write_tflite([Op("FULLY_CONNECTED", [x, constant(values, dtype, scales), bias], y)]))
        graphs.append(parse_tflite(path))
    oracle = Int8Oracle(tmp_path / "int8.tflite")
    for plain in (False, True):
        check(HostModel(graphs[0], tmp_path / str(plain), host_kernels, plain=plain), oracle, graphs[0], 5, 3)
    stored = [plan_memory(graph).steps[0].arrays[0].bytes(plain=True) for graph in graphs]
    assert stored == [48, 95]


def test_int8_weights_without_a_dequantize_are_refused(tmp_path):
    x, y = T((1, 4), "float32"), T((1, 3), "float32")
    weights = constant(np.ones((3, 4)), "int8", (0.5,))
    path = tmp_path / "dynamic.tflite"
    path.write_bytes(write_tflite([Op("FULLY_CONNECTED", [x, weights, None], y)]))
    with pytest.raises(ConfigError, match=r"operator 0 \(FULLY_CONNECTED\): int8 weights .*dynamic-range"):
        plan_memory(parse_tflite(path))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_flattening_costs_nothing(dtype, random_graph):
    """Its shape is known, and a permutation is one of the weights behind it."""
    graph, _ = random_graph("SHAPE", 1, dtype)
    steps = plan_memory(graph).steps
    assert [step.operator.kind for step in steps] == ["RELU", "FULLY_CONNECTED"]
    assert steps[1].kernel.startswith("hil_fully_connected")


@pytest.mark.parametrize("seed", [316, 318, 320])
def test_a_depthwise_layer_in_patches_is_the_whole_one(seed, random_graph, host_kernels, tmp_path):
    graph, _ = random_graph("DEPTHWISE_CONV_2D", seed, "int8")
    window = plan_memory(graph).steps[0].window
    patches = Patches(min(3, window.out_h), min(2, window.out_w), 1)
    whole = HostModel(graph, tmp_path / "whole", host_kernels)
    patched = HostModel(graph, tmp_path / "patched", host_kernels, patches=patches)
    for values in random_inputs(graph, 5, seed):
        np.testing.assert_array_equal(patched(values), whole(values))
