"""The whole way on the virtual board: model to image, flashed, fed over the link, equal to TFLite Micro bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from engine.oracles import Int8Oracle, random_inputs
from engine.random_models import UNARY, random_model
from engine.targets import FIRMWARE, compiler
from harness.boards.opening import open_board
from harness.build import parse_tflite, plan_memory
from harness.build.check import run_sequence
from harness.build.making import Making, make_model_image
from harness.build.sources import target_for
from harness.build.toolchain import find_toolchain
from harness.config import Lab

pytestmark = pytest.mark.slow

#: Each kernel with the operator that calls it; tables and conversions for every function that they compute.
CASES = [
    ("hil_add_s8", "ADD", "int8"),
    ("hil_add_constant_s8", "ADD", "int8"),
    ("hil_mul_s8", "MUL", "int8"),
    ("hil_mul_constant_s8", "MUL", "int8"),
    ("hil_conv_s8", "CONV_2D", "int8"),
    ("hil_conv1x1_s8", "CONV_2D", "int8"),
    ("hil_depthwise_s8", "DEPTHWISE_CONV_2D", "int8"),
    ("hil_depthwise_3x3_s8", "DEPTHWISE_CONV_2D", "int8"),
    ("hil_depthwise_any_s8", "DEPTHWISE_CONV_2D", "int8"),
    ("hil_fully_connected_s8", "FULLY_CONNECTED", "int8"),
    ("hil_average_pool_s8", "AVERAGE_POOL_2D", "int8"),
    ("hil_max_pool_s8", "MAX_POOL_2D", "int8"),
    ("hil_mean_s8", "MEAN", "int8"),
    ("hil_softmax_s8", "SOFTMAX", "int8"),
    ("hil_copy_rows", "CONCATENATION", "int8"),
    ("hil_copy", "TRANSPOSE", "int8"),
    ("hil_copy_listed", "GATHER", "int8"),
    ("hil_copy_constant", "SPLIT", "int8"),
    ("hil_pad_s8", "PAD", "int8"),
    ("hil_pad_s8", "PADV2", "int8"),
    *(("hil_lookup_s8", kind, "int8") for kind in (*UNARY, "QUANTIZE")),
    ("hil_quantize_s8", "QUANTIZE", "float32"),  # and hil_dequantize_s8
]
#: Those that have a plain twin; with the others a plain image would be the same.
HAVE_PLAIN = {
    "hil_add_s8",
    "hil_add_constant_s8",
    "hil_mul_s8",
    "hil_mul_constant_s8",
    "hil_conv_s8",
    "hil_conv1x1_s8",
    "hil_depthwise_s8",
    "hil_depthwise_3x3_s8",
    "hil_depthwise_any_s8",
    "hil_fully_connected_s8",
    "hil_max_pool_s8",
    "hil_mean_s8",
}


def model_that_calls(kernel, kind, dtype, path):
    """The first random model of an operator that calls a kernel; its seed."""
    for seed in range(200):
        path.write_bytes(random_model(kind, seed, dtype))
        graph = parse_tflite(path)
        step = next((step for step in plan_memory(graph).steps if step.kernel == kernel), None)
        if step is not None:
            return graph, seed, step
    raise AssertionError(f"no random model of {kind} calls {kernel}")


@pytest.fixture(scope="module")
def make_image(tmp_path_factory):
    """The one place where images are made; objects that they share are compiled once."""
    compiler("arm-none-eabi-gcc")
    kinds = Lab.load(None).kinds
    target = target_for(next(kind for kind in kinds if kind.name == "nano33"), kinds, FIRMWARE)
    folder = tmp_path_factory.mktemp("images")

    def make(graph, name, *, plain):
        making = Making(target, find_toolchain(), plain=plain, strict=True, kept=folder / f"kept{plain}")
        return make_model_image(graph, plan_memory(graph), making, folder / f"{name}.elf", name).image

    return make


@pytest.fixture(scope="module")
def board():
    device = Lab.load(None).select(["nano33"])[0]
    with open_board(device, "virtual") as opened:
        yield opened


@pytest.mark.parametrize(
    ("kernel", "kind", "dtype", "plain"),
    [*((*case, False) for case in CASES), *((*case, True) for case in CASES if case[0] in HAVE_PLAIN)],
)
def test_a_kernel_on_the_board_is_equal_to_tflite_micro(kernel, kind, dtype, plain, board, make_image, tmp_path):
    path = tmp_path / "model.tflite"
    graph, seed, step = model_that_calls(kernel, kind, dtype, path)
    assert step.has_plain == (kernel in HAVE_PLAIN)
    oracle = Int8Oracle(path)
    image = make_image(graph, f"{kernel}_{kind}_{'plain' if plain else 'fast'}", plain=plain)
    inputs = random_inputs(graph, 5, seed)
    (got,) = run_sequence(board, image, [[values] for values in inputs], anew=True)
    want = np.stack([oracle.run(values).reshape(-1) for values in inputs])
    np.testing.assert_array_equal(got.reshape(want.shape), want)
