from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.build import parse_tflite, plan_memory
from harness.build.emit import layer_table_json
from harness.image.layer_table import parse_layers

DATA = Path(__file__).parents[1] / "engine" / "data"
MODELS = Path(__file__).parents[2] / "firmware" / "models"


def planned(stem):
    graph = parse_tflite(DATA / f"{stem}.tflite")
    return graph, plan_memory(graph)


def table(graph, plan, **options):
    return parse_layers(layer_table_json(graph, plan, **options).encode(), "here")


@pytest.mark.parametrize("stem", [f"chain0{n}_{kind}" for n in range(8) for kind in ("int8", "float32")])
def test_one_entry_per_kernel_call_that_is_a_layer(stem):
    graph, plan = planned(stem)
    layers = table(graph, plan)
    assert [spec.operator for spec in layers] == [step.operator.index for step in plan.steps]
    assert [spec.kernel for spec in layers] == [step.kernel for step in plan.steps]
    assert [spec.output for spec in layers] == [step.output.shape for step in plan.steps]
    assert sum(spec.macs for spec in layers) == plan.macs
    assert sum(spec.parameters for spec in layers) == plan.parameters


def test_bytes_moved_are_inputs_outputs_and_constants():
    graph, plan = planned("chain00_int8")
    for spec, step in zip(table(graph, plan), plan.steps, strict=True):
        constants = sum(array.bytes() for array in step.arrays)
        assert spec.bytes_moved == step.inputs[0].bytes + step.output.bytes + constants


def test_bytes_moved_by_hand():
    model = MODELS / "fashion_mnist" / "fashion_mnist_int8.tflite"
    graph = parse_tflite(model)
    moved = {spec.kind: spec.bytes_moved for spec in table(graph, plan_memory(graph))}
    assert moved["MAX_POOL_2D"] == 28 * 28 * 8 + 14 * 14 * 8
    assert moved["MEAN"] == 7 * 7 * 96 + 96
    # Of each output: bias, multiplier, rounding and shift, a word each.
    assert moved["FULLY_CONNECTED"] == 96 + 10 + 96 * 10 + 10 * 16
    assert moved["SOFTMAX"] == 10 + 10


def test_pieces_of_a_layer_are_summed():
    graph, plan = planned("chain00_int8")
    first, second, *others = plan.steps
    pieces = replace(plan, steps=(first, second, first, second, *others))
    whole, patched = table(graph, plan), table(graph, pieces)
    assert len(whole) == len(patched)
    for before, after in zip(whole[:2], patched[:2], strict=True):
        assert (after.macs, after.bytes_moved) == (2 * before.macs, 2 * before.bytes_moved)
        assert (after.operator, after.kernel, after.output) == (before.operator, before.kernel, before.output)
    assert whole[2:] == patched[2:]


def test_plain_kernels_have_names_and_constants_of_their_own():
    graph, plan = planned("chain00_int8")
    fast, plain = table(graph, plan), table(graph, plan, plain=True)
    for step, one, other in zip(plan.steps, fast, plain, strict=True):
        assert other.kernel == (f"{one.kernel}_plain" if step.has_plain else one.kernel)
        assert (one.macs, one.parameters) == (other.macs, other.parameters)
    assert any(step.has_plain for step in plan.steps)


def test_the_same_model_gives_the_same_text_in_ascii():
    text = layer_table_json(*planned("chain04_int8"))
    assert text == layer_table_json(*planned("chain04_int8"))
    assert text.isascii()
    assert list(json.loads(text)) == ["version", "layers"]
