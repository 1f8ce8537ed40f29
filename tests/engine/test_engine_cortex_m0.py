"""The kernels of the Cortex-M0+, as its machine code."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from engine.oracles import Int8Oracle, assert_close, oracle_of, random_inputs
from engine.random_models import random_model
from engine.targets import (
    CORTEX_M0,
    ENGINE,
    FIRMWARE,
    CortexM0Model,
    compile_kernels,
    compiler,
    cortex_flags,
    host_flags,
    run_compiler,
)
from engine.tflite_writer import Op, T, constant, write_tflite
from harness.build import parse_tflite, plan_memory
from harness.build.sources import engine_of
from harness.config import Lab

FASHION = FIRMWARE / "models" / "fashion_mnist"
INT32 = np.iinfo(np.int32)


@pytest.fixture(scope="module")
def own_kernels(tmp_path_factory):
    """Those that no other core has."""
    gcc, folder = compiler("arm-none-eabi-gcc"), tmp_path_factory.mktemp("m0")
    return compile_kernels(gcc, cortex_flags(CORTEX_M0), folder, "*_m0.c")


def check(path, kernels, folder, seed):
    """Return which kernels were compared with the interpreter, and how many different values there were to compare."""
    graph = parse_tflite(path)
    oracle, model, seen = oracle_of(graph, path), CortexM0Model(graph, folder, kernels), set()
    oracle.reset()
    for values in random_inputs(graph, 4, seed):
        want = oracle.run(values).reshape(graph.output.shape)
        seen.update(want.ravel().tolist())
        if isinstance(oracle, Int8Oracle):
            np.testing.assert_array_equal(model(values), want)
        else:
            assert_close(model(values), want, tolerance=1e-5)
    return [step.kernel for step in plan_memory(graph).steps], len(seen)


@pytest.mark.parametrize(
    ("kernel", "kind", "seed"),
    [
        ("hil_conv_s8", "CONV_2D", 7),
        ("hil_conv_s8", "CONV_2D", 35),
        ("hil_conv1x1_s8", "CONV_2D", 9),
        ("hil_depthwise_3x3_s8", "DEPTHWISE_CONV_2D", 12),
        ("hil_depthwise_s8", "DEPTHWISE_CONV_2D", 53),
        ("hil_depthwise_any_s8", "DEPTHWISE_CONV_2D", 3),
        ("hil_depthwise_any_s8", "DEPTHWISE_CONV_2D", 14),
        ("hil_fully_connected_s8", "FULLY_CONNECTED", 41),
        ("hil_fully_connected_s8", "FULLY_CONNECTED", 56),
    ],
)
def test_a_kernel_is_equal_to_tflite_micro(kernel, kind, seed, own_kernels, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(random_model(kind, seed, "int8"))
    called, different = check(path, own_kernels, tmp_path, seed)
    assert called == [kernel]
    assert different > 4


def test_products_of_two_pixels_at_their_limits(own_kernels, tmp_path):
    """Sums of two products may be -32,512 to 32,768, which the halves of a word can't hold by themselves."""
    extremes = np.array([-128, 127])
    weights = np.stack([np.resize(extremes[[even, odd]], (8, 2)) for even in (0, 1) for odd in (0, 1)]).reshape(4, 16)
    rows = weights[[0, 3, 1, 2, 2, 1]].reshape(6, 1, 1, 16)  # -128 beside what is not negative: others aren't packed
    x, y = T((1, 2, 2, 16), "int8", (0.5,), (3,)), T((1, 2, 2, 6), "int8", (600.0,), (-5,))
    bias = constant(np.arange(6) * 100, "int32", (0.25,))
    options = {"Padding": 1, "StrideW": 1, "StrideH": 1, "DilationWFactor": 1, "DilationHFactor": 1}
    path = tmp_path / "model.tflite"
    path.write_bytes(write_tflite([Op("CONV_2D", [x, constant(rows, "int8", (0.5,)), bias], y, options)]))
    graph, oracle = parse_tflite(path), Int8Oracle(path)
    assert plan_memory(graph).steps[0].kernel == "hil_conv1x1_s8"
    model = CortexM0Model(graph, tmp_path, own_kernels)
    for pattern in range(16):
        pixels = [np.resize(extremes[[pattern >> pixel & 1, 1 - (pattern >> pixel & 1)]], 16) for pixel in range(4)]
        pixels[3] = np.full(16, extremes[pattern & 1])
        pixels[pattern % 3] = np.full(16, -128)
        values = np.array(pixels, np.int8).reshape(x.shape)
        want = oracle.run(values).reshape(graph.output.shape)
        assert len(np.unique(want)) > 4  # not saturated
        np.testing.assert_array_equal(model(values), want)


def test_results_name_the_kernels():
    named = {kind.name: engine_of(kind) for kind in Lab.load(None).kinds}
    assert (named["nano33"], named["pico"]) == ("tinyml-hil", "tinyml-hil (kernels for the Cortex-M0+)")


class _Channel(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_int32) for name in ("bias", "multiplier", "round", "shift"))


def test_products_of_64_bits_are_exact(tmp_path):
    """They are put together from four of 16 bits, in C that any compiler takes for that core's."""
    library = tmp_path / "requantize.so"
    source = [f"-I{ENGINE}", f"-I{FIRMWARE / 'agent'}", ENGINE / "requantize_m0.c", "-shared", "-o", library]
    run_compiler([compiler("gcc"), *host_flags(["-D__ARM_ARCH_6M__"]), *source])
    functions = ctypes.CDLL(str(library))
    functions.hil_requantize_fast.restype = ctypes.c_int8
    rng = np.random.default_rng(1)
    edges = [sign * ((1 << bit) + near) for bit in (0, 15, 16, 30, 31) for near in (-1, 0, 1) for sign in (-1, 1)]
    edges = [value for value in edges if INT32.min <= value <= INT32.max]
    numbers = [*edges, *rng.integers(INT32.min, INT32.max + 1, 150).tolist()]
    for a in numbers:
        for b in numbers:
            high = min((a * b + (1 << 30)) >> 31, INT32.max)
            assert functions.hil_rounding_doubling_high_mul(a, b) == high, (a, b)
            assert functions.hil_smmulr(a, b) == ctypes.c_int32((a * b + (1 << 31)) >> 32).value, (a, b)
    for shift in range(1, 24):
        for multiplier in rng.integers(1 << 30, 1 << 31, 20).tolist():
            channel = _Channel(0, multiplier, (1 << (shift - 1)) + (7 << shift), shift)
            reach = min(150 << shift, (1 << 30) - 1)
            for total in (*rng.integers(-reach, reach + 1, 20).tolist(), reach, -reach):
                high = (2 * total * multiplier + (1 << 31)) >> 32
                want = max(-128, min(127, (high + (high >> 31) + channel.round) >> shift))
                assert functions.hil_requantize_fast(total, ctypes.byref(channel)) == want, (total, multiplier, shift)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        *(("CONV_2D", dtype) for dtype in ("int8", "int16", "int4", "float32", "int8_weights")),
        *(("DEPTHWISE_CONV_2D", dtype) for dtype in ("int8", "int16", "int4")),
        *(("FULLY_CONNECTED", dtype) for dtype in ("int8", "int16", "int4", "float32")),
        *((kind, "int8") for kind in ("ADD", "MUL", "MAX_POOL_2D", "MEAN", "SOFTMAX", "QUANTIZE", "RESIZE_BILINEAR")),
        *((kind, "int8") for kind in ("UNIDIRECTIONAL_SEQUENCE_LSTM", "SVDF", "BATCH_MATMUL")),
    ],
)
def test_operators_on_a_cortex_m0(kind, dtype, cortex_m0_kernels, tmp_path):
    for seed in range(10, 16 if dtype == "int8" else 12):
        path = tmp_path / f"{seed}.tflite"
        path.write_bytes(random_model(kind, seed, dtype))
        check(path, cortex_m0_kernels, tmp_path / str(seed), seed)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "times"), [("int8", 3.0), ("int4", 5.0), ("int16x8", 3.0)])
def test_fashion_mnist_on_a_cortex_m0(name, times, cortex_m0_kernels, tmp_path):
    """Equal to TFLite Micro, and faster than plain C."""
    path = FASHION / f"fashion_mnist_{name}.tflite"
    graph, oracle, counts = parse_tflite(path), Int8Oracle(path), {}
    values = random_inputs(graph, 3)[1]
    for plain in (False, True):
        model = CortexM0Model(graph, tmp_path / str(plain), cortex_m0_kernels, plain=plain)
        np.testing.assert_array_equal(model(values), oracle.run(values).reshape(graph.output.shape))
        counts[plain] = model.instructions
        assert 0 < model.stack_bytes < 1_000
    assert counts[True] > times * counts[False]
