"""Every operator by itself, with random shapes and quantization, computes what the reference interpreters compute."""

from __future__ import annotations

import numpy as np
import pytest

from engine.oracles import Int8Oracle, assert_close, oracle_of, random_inputs
from engine.random_models import MAKERS, random_model
from engine.targets import CortexModel, HostModel, prefix
from harness.build import parse_tflite, plan_memory

KINDS = sorted(MAKERS)


def check(model, oracle, graph, count, seed):
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


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_operator_on_the_host(kind, dtype, random_graph, host_kernels, tmp_path):
    graph, oracle = random_graph(kind, 1, dtype)
    for plain in (False, True):
        model = HostModel(graph, tmp_path / str(plain), host_kernels, plain=plain)
        check(model, oracle, graph, 10, 1)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_more_of_an_operator_on_a_cortex_m4(kind, dtype, random_graph, cortex_kernels, tmp_path):
    for seed in range(2, 6):
        graph, oracle = random_graph(kind, seed, dtype)
        for plain in (False, True):
            model = CortexModel(graph, tmp_path / f"{seed}{plain}", cortex_kernels, plain=plain)
            check(model, oracle, graph, 2, seed)
            assert model.stack_bytes < 1_244  # what TFLite Micro takes


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
