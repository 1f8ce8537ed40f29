"""Random chains of layers, compiled for the host, compute what the reference interpreters compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.oracles import FloatOracle, Int8Oracle, assert_close, random_inputs
from engine.targets import HostModel, compile_kernels, compiler, host_flags, prefix
from harness.build import parse_tflite, plan_memory
from harness.build.sizes import layer_sizes

DATA = Path(__file__).parent / "data"
INT8 = sorted(DATA.glob("*_int8.tflite"))
FLOAT = sorted(DATA.glob("*_float32.tflite"))


def test_there_are_models():
    assert len(INT8) == len(FLOAT) == 17


@pytest.mark.parametrize("plain", [False, True], ids=["fast", "plain"])
@pytest.mark.parametrize("path", INT8, ids=lambda path: path.stem)
def test_int8_is_equal_to_tflite_micro(path, plain, host_kernels, tmp_path):
    graph, oracle = parse_tflite(path), Int8Oracle(path)
    model = HostModel(graph, tmp_path, host_kernels, plain=plain)
    for values in random_inputs(graph, 20):
        np.testing.assert_array_equal(model(values), oracle.run(values).reshape(graph.output.shape))


def test_the_turns_of_a_loop_share_their_weights():
    graph = parse_tflite(DATA / "gru_float32.tflite")
    plan = plan_memory(graph)
    layers = [step for step in plan.steps if step.operator.kind == "FULLY_CONNECTED"]
    assert [len(layers), len({id(step.arrays[0]) for step in layers})] == [4 + 3 + 1, 3]  # the first state is known
    once = {id(array): array.bytes() for step in plan.steps for array in step.arrays}
    assert sum(layer.flash_bytes for layer in layer_sizes(graph, plan)) == sum(once.values())
    weights = (3 * 15 + 15) + (5 * 15 + 15) + (20 * 3 + 3)
    assert weights < plan.parameters < 1.2 * weights  # and the first turn's part of the state


@pytest.mark.slow
@pytest.mark.parametrize("path", INT8[1::2], ids=lambda path: path.stem)
def test_every_layer_of_int8_is_equal_to_tflite_micro(path, host_kernels, tmp_path):
    graph, oracle = parse_tflite(path), Int8Oracle(path)
    for count in range(1, len(graph.operators) + 1):
        part = prefix(graph, count)
        model = HostModel(part, tmp_path / str(count), host_kernels)
        for values in random_inputs(graph, 5):
            oracle.run(values)
            want = oracle.tensor(part.output.index).reshape(part.output.shape)
            np.testing.assert_array_equal(model(values), want, err_msg=f"after operator {count - 1}")


@pytest.mark.parametrize(
    "plain", [pytest.param(False, id="fast"), pytest.param(True, id="plain", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("path", FLOAT, ids=lambda path: path.stem)
def test_float32_is_close_to_litert(path, plain, host_kernels, tmp_path):
    graph, oracle = parse_tflite(path), FloatOracle(path)
    model = HostModel(graph, tmp_path, host_kernels, plain=plain)
    for values in random_inputs(graph, 20):
        assert_close(model(values), oracle.run(values).reshape(graph.output.shape))


@pytest.mark.slow
@pytest.mark.parametrize("path", [INT8[10], FLOAT[10]], ids=lambda path: path.stem)
def test_no_undefined_behaviour(path, tmp_path):
    graph = parse_tflite(path)
    checks = ["-fsanitize=undefined,bounds", "-fno-sanitize-recover=all"]
    kernels = compile_kernels(compiler("gcc"), host_flags(checks), tmp_path)
    model = HostModel(graph, tmp_path, kernels, extra=checks)
    model(random_inputs(graph, 1)[0])  # the process would end here
