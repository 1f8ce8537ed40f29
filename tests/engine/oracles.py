"""What the reference interpreters compute: TFLite Micro for int8 models, LiteRT for float32 ones."""

from __future__ import annotations

import numpy as np
import pytest

from harness.build.interpreters import open_interpreter


class Int8Oracle:
    """TFLite Micro's interpreter, with every tensor kept."""

    def __init__(self, path):
        reason = "tflite-micro, the oracle of int8 models, isn't installed"
        runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason=reason)
        keep = runtime.InterpreterConfig.kPreserveAllTensors
        self._interpreter = runtime.Interpreter.from_file(str(path), arena_size=1 << 21, intrepreter_config=keep)

    def run(self, values):
        self._interpreter.set_input(values, 0)
        self._interpreter.invoke()
        return self._interpreter.get_output(0)

    def reset(self):
        self._interpreter.reset()

    def tensor(self, index):
        return self._interpreter.GetTensor(index, 0)["tensor_data"]


class FloatOracle:
    """LiteRT's interpreter. State is kept from one run to the next."""

    def __init__(self, path):
        pytest.importorskip("ai_edge_litert", reason="ai-edge-litert, the oracle of float32 models, isn't installed")
        self._interpreter = open_interpreter(path, ["litert", "tflite-micro"])

    def run(self, values):
        return self._interpreter.infer([values])[0].reshape(self._interpreter.output.shape)

    def reset(self):
        self._interpreter.reset()


def oracle_of(graph, path):
    """TFLite Micro's interpreter for a model that computes in integers, LiteRT's for the others."""
    computed = [graph.tensors[operator.outputs[0]].dtype for operator in graph.operators]
    return Int8Oracle(path) if {"int8", "int16"} & {*computed} else FloatOracle(path)


def random_inputs(graph, count, seed=7):
    """Inputs over the whole range, and beyond it for float."""
    rng = np.random.default_rng(seed)
    shape = (count, *graph.input.shape)
    if graph.input.dtype != "float32":
        limits = np.iinfo(graph.input.dtype)
        values = rng.integers(limits.min, limits.max + 1, shape).astype(limits.dtype)
        values[0], values[-1] = limits.min, limits.max
        return values
    return rng.uniform(-2, 2, shape).astype(np.float32)


def assert_close(got, want, tolerance=1e-4):
    """Equal to `tolerance` of the greatest output."""
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * max(1.0, float(np.abs(want).max())))
