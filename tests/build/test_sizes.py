from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.build import parse_tflite, plan_memory
from harness.build.choose_patches import choose_patches
from harness.build.graph import Graph, Operator, Quantization, Tensor
from harness.build.sizes import check_plan, check_regions, explain, layer_sizes
from harness.build.stage import Patches
from harness.build.toolchain import Region
from harness.config import Region as Addresses
from harness.config.board import Ram
from harness.errors import ConfigError

ROOT = Path(__file__).parents[2]
MODELS = sorted((ROOT / "firmware" / "models").glob("*/*.tflite")) + sorted(
    (ROOT / "tests" / "engine" / "data").glob("chain*.tflite")
)


def planned(path):
    graph = parse_tflite(path)
    plan = plan_memory(graph)
    return graph, plan


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_the_layers_add_up_to_the_model(path):
    graph, plan = planned(path)
    for plain in (False, True):
        check_sums(graph, plan, plain=plain)


def check_sums(graph, plan, *, plain):
    layers = layer_sizes(graph, plan, plain=plain)
    assert [layer.operator for layer in layers] == sorted({step.operator.index for step in plan.steps})
    assert sum(layer.macs for layer in layers) == plan.macs
    arrays = {id(array): array.bytes(plain=plain) for step in plan.steps for array in step.arrays}
    assert sum(layer.flash_bytes for layer in layers) == sum(arrays.values())
    # No layer can use more than there is; what the busiest doesn't use is gaps and what kernels read too far.
    peak = max(layer.arena_bytes for layer in layers)
    assert 0.8 * plan.arena_bytes < peak <= plan.arena_bytes


@pytest.mark.parametrize("name", ["fashion_mnist_int8", "fashion_mnist_float32"])
@pytest.mark.parametrize("patched", [False, True])
def test_the_busiest_layer_of_the_shipped_models_fills_the_arena(name, patched):
    graph, plan = planned(ROOT / f"firmware/models/fashion_mnist/{name}.tflite")
    if patched:
        plan = plan_memory(graph, choose_patches(graph))
        assert len(plan.steps) > len(graph.operators)
    layers = layer_sizes(graph, plan)
    assert 0.94 * plan.arena_bytes < max(layer.arena_bytes for layer in layers) <= plan.arena_bytes
    assert [layer.operator for layer in layers] == [operator.index for operator in graph.operators]
    assert sum(layer.macs for layer in layers) == plan.macs


def test_copying_patches_is_part_of_the_layer_that_needs_it():
    graph, whole = planned(ROOT / "firmware/models/fashion_mnist/fashion_mnist_int8.tflite")
    patched = plan_memory(graph, Patches(3, 3, 4))
    kernels = [[layer.kernel for layer in layer_sizes(graph, plan)] for plan in (whole, patched)]
    assert patched.steps[0].kernel == "hil_copy_rows"
    assert kernels[0] == kernels[1]


def test_a_layer_counts_what_it_reads_writes_and_scratches():
    graph, plan = planned(ROOT / "firmware/models/fashion_mnist/fashion_mnist_int8.tflite")
    first = layer_sizes(graph, plan)[0]
    assert (first.kind, first.shape) == ("CONV_2D", (1, 28, 28, 8))
    read_ahead = plan.steps[0].overread_bytes
    x = plan.places[graph.input.index] + 28 * 28 + read_ahead  # the output begins before the input and overwrites it
    assert first.arena_bytes == x - plan.places[first.tensors[0].index] + first.scratch_bytes
    assert first.arena_bytes < 28 * 28 + 28 * 28 * 8
    assert sorted(t.bytes for t in first.tensors) == [28 * 28, 28 * 28 * 8]


def test_a_tensor_that_is_needed_later_counts_in_between():
    """Two pools in a row between a tensor and its second reader; all of the same size."""

    def tensor(index):
        return Tensor(index, f"t{index}", (1, 1, 10, 8), "int8", Quantization((1.0,), (0,), 0), None)

    options = {"Padding": 1, "StrideH": 1, "StrideW": 1, "FilterHeight": 1, "FilterWidth": 1}
    tensors = tuple(tensor(index) for index in range(4))
    pools = ((0, 1), (1, 2), (1, 3))
    operators = tuple(Operator(i, "MAX_POOL_2D", (x,), (y,), options) for i, (x, y) in enumerate(pools))
    graph = Graph("made by hand", "0" * 64, tensors, operators, tensors[:1], tensors[3:])
    layers = layer_sizes(graph, plan_memory(graph))
    assert [{t.index for t in layer.tensors} for layer in layers] == [{0, 1}, {1, 2}, {1, 3}]
    assert [layer.arena_bytes for layer in layers] == [160, 160, 160]


def test_a_renamed_tensor_lives_until_its_new_name_is_read():
    def tensor(index, shape):
        return Tensor(index, f"t{index}", shape, "int8", Quantization((1.0,), (0,), 0), None)

    options = {"Padding": 1, "StrideH": 1, "StrideW": 1, "FilterHeight": 1, "FilterWidth": 1}
    shapes = ((1, 1, 10, 8), (1, 2, 5, 8), (1, 1, 10, 8), (1, 2, 5, 8))
    tensors = tuple(tensor(i, shape) for i, shape in enumerate(shapes))
    operators = (
        Operator(0, "RESHAPE", (0,), (1,), {}),
        Operator(1, "MAX_POOL_2D", (0,), (2,), options),
        Operator(2, "MAX_POOL_2D", (1,), (3,), options),
    )
    graph = Graph("made by hand", "0" * 64, tensors, operators, tensors[:1], tensors[3:])
    assert [layer.arena_bytes for layer in layer_sizes(graph, plan_memory(graph))] == [160, 160]


def test_what_is_larger_than_the_board_is_said_with_its_reasons(nano33):
    graph, plan = planned(ROOT / "firmware/models/fashion_mnist/fashion_mnist_int8.tflite")
    layers = layer_sizes(graph, plan)
    check_plan(graph, plan, layers, nano33.kind)
    small = nano33.kind.model_copy(
        update={"flash": Addresses(start=0, size=17_000), "ram": Ram(start=0x20000000, size=7_000)}
    )
    with pytest.raises(ConfigError) as caught:
        check_plan(graph, plan, layers, small)
    text = str(caught.value)
    flash = sum(layer.flash_bytes for layer in layers)
    assert text.startswith("fashion_mnist_int8.tflite doesn't fit nano33")
    assert f"{flash:,} B, there are 17,000 B: {flash - 17_000:,} B too many" in text
    assert f"{plan.arena_bytes:,} B, there are 7,000 B: {plan.arena_bytes - 7_000:,} B too many" in text
    peak = max(layers, key=lambda layer: layer.arena_bytes)
    assert f"Most is in use at operator {peak.operator} ({peak.kind}" in text
    assert f"tensor {peak.tensors[0].index} " in text
    heaviest = max(layers, key=lambda layer: layer.flash_bytes)
    assert f"operator {heaviest.operator} ({heaviest.kind}, output" in text


def test_a_region_that_is_too_small_is_named(nano33):
    check_regions("x", nano33.kind, [Region("RAM", 100, 100)], [])
    with pytest.raises(ConfigError, match=r"(?s)x doesn't fit nano33.*DMARAM: the image needs 101 B.*1 B too many"):
        check_regions("x", nano33.kind, [Region("RAM", 9, 10), Region("DMARAM", 101, 100)], [])


def test_shared_constants_count_once():
    graph, plan = planned(ROOT / "firmware/models/fashion_mnist/fashion_mnist_int8.tflite")
    step = plan.steps[0]
    twice = type(plan)((step, *plan.steps), plan.offsets, (plan.scratch[0], *plan.scratch), plan.arena_bytes)
    sizes = layer_sizes(graph, twice)
    assert sizes[0].flash_bytes == layer_sizes(graph, plan)[0].flash_bytes
    assert sizes[0].macs == 2 * step.macs
    assert len(sizes) == len(plan.steps)


def test_a_model_without_layers_has_nothing_to_explain():
    assert explain((), 0) == []
    tensor = Tensor(0, "t", (1, 4), "int8", Quantization((1.0,), (0,), 0), None)
    graph = Graph("made by hand", "0" * 64, (tensor,), (), (tensor,), (tensor,))
    assert layer_sizes(graph, plan_memory(graph)) == ()


def test_plain_kernels_have_constants_of_their_own():
    """The fast kernels fill runs up to four weights; the plain ones don't."""
    graph, plan = planned(ROOT / "firmware/models/fashion_mnist/fashion_mnist_int8.tflite")
    conv = next(step for step in plan.steps if step.kernel == "hil_conv_s8")
    index = conv.operator.index
    plain = next(layer for layer in layer_sizes(graph, plan, plain=True) if layer.operator == index)
    weights = graph.tensors[conv.operator.inputs[1]]
    channels = len(np.asarray(weights.data))
    assert plain.kernel == "hil_conv_s8_plain"
    assert plain.flash_bytes == weights.elements + 16 * channels
