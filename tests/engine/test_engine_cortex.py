"""The same chains as Cortex-M4F machine code: the DSP and FPU instructions, not their portable twins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.oracles import FloatOracle, Int8Oracle, assert_close, random_inputs
from engine.targets import FIRMWARE, CortexModel
from harness.build import parse_tflite

DATA = Path(__file__).parent / "data"
INT8 = sorted(DATA.glob("*_int8.tflite"))
FLOAT = sorted(DATA.glob("*_float32.tflite"))
FASHION = FIRMWARE / "models" / "fashion_mnist"
IMAGES = Path(__file__).parents[2] / "suites" / "data" / "fashion_mnist_test1000.npz"


#: The plain kernels are the same C that the host runs on all of them: here on one chain and one with branches.
PLAIN = ("branch00_int8", "chain00_int8", "branch00_float32", "chain00_float32")


def compiled(paths):
    fast = [pytest.param(path, False, id=f"{path.stem}-fast") for path in paths]
    plain = [path for path in paths if path.stem in PLAIN]
    return fast + [pytest.param(path, True, id=f"{path.stem}-plain", marks=pytest.mark.slow) for path in plain]


@pytest.mark.parametrize(("path", "plain"), compiled(INT8))
def test_int8_is_equal_to_tflite_micro(path, plain, cortex_kernels, tmp_path):
    graph, oracle = parse_tflite(path), Int8Oracle(path)
    model = CortexModel(graph, tmp_path, cortex_kernels, plain=plain)
    for values in random_inputs(graph, 4):
        np.testing.assert_array_equal(model(values), oracle.run(values).reshape(graph.output.shape))


@pytest.mark.parametrize(("path", "plain"), compiled(FLOAT))
def test_float32_is_close_to_litert(path, plain, cortex_kernels, tmp_path):
    graph, oracle = parse_tflite(path), FloatOracle(path)
    model = CortexModel(graph, tmp_path, cortex_kernels, plain=plain)
    for values in random_inputs(graph, 3):
        assert_close(model(values), oracle.run(values).reshape(graph.output.shape))


@pytest.mark.parametrize("name", ["int8", "int16x8", "int4"])
def test_fashion_mnist_in_integers_is_equal_to_tflite_micro(name, cortex_kernels, tmp_path):
    path = FASHION / f"fashion_mnist_{name}.tflite"
    graph, oracle = parse_tflite(path), Int8Oracle(path)
    model = CortexModel(graph, tmp_path, cortex_kernels)
    given = graph.input.quantization
    images = np.rint(np.load(IMAGES)["images"][:5] / (255 * given.scale)) + given.zero
    for image in images.astype(graph.input.dtype).reshape(-1, 1, 28, 28, 1):
        np.testing.assert_array_equal(model(image), oracle.run(image))


def test_fashion_mnist_float32_is_close_to_litert(cortex_kernels, tmp_path):
    path = FASHION / "fashion_mnist_float32.tflite"
    graph, oracle = parse_tflite(path), FloatOracle(path)
    model = CortexModel(graph, tmp_path, cortex_kernels)
    for image in np.load(IMAGES)["images"][:3].reshape(-1, 1, 28, 28, 1).astype(np.float32) / 255:
        assert_close(model(image), oracle.run(image))


@pytest.mark.parametrize(("name", "times"), [("int8", 4.0), ("int16x8", 3.0), ("int4", 4.0), ("float32", 1.5)])
def test_the_fast_kernels_are_faster_than_plain_c(name, times, cortex_kernels, tmp_path):
    graph = parse_tflite(FASHION / f"fashion_mnist_{name}.tflite")
    counts = {}
    for plain in (False, True):
        model = CortexModel(graph, tmp_path / str(plain), cortex_kernels, plain=plain)
        model(np.zeros(graph.input.shape, graph.input.dtype))
        counts[plain] = model.instructions
        assert 0 < model.stack_bytes < 1_000
    assert counts[True] > times * counts[False]
