"""Models with several inputs and outputs, and with state: step by step what TFLite Micro computes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.targets import FIRMWARE, HostModel, compiler
from engine.tflite_writer import Op, T, constant, write_tflite
from harness.boards.opening import open_board
from harness.build import parse_tflite, plan_memory
from harness.build.check import check_image, run_sequence
from harness.build.emit import card_json
from harness.build.interpreters import open_interpreter
from harness.build.making import Making, make_model_image
from harness.build.sources import target_for
from harness.build.toolchain import find_toolchain
from harness.config import Lab
from harness.errors import ConfigError

NO_MASKS = {"BeginMask": 0, "EndMask": 0, "EllipsisMask": 0, "NewAxisMask": 0, "ShrinkAxisMask": 0}


def int8(*shape):
    return T(shape, "int8", (0.05,), (3,))


def handle(name, kind="VAR_HANDLE"):
    variable = T((), "resource")
    return variable, Op(kind, [], variable, {"Container": "", "SharedName": name})


def beginning(**values):
    """The subgraph that gives variables their first values."""
    operators = []
    for name, value in values.items():
        variable, make = handle(name)
        operators += [make, Op("ASSIGN_VARIABLE", [variable, value], [])]
    return operators


def streaming():
    """A convolution in time, one step at once, beside a delay of one step; its first values are no zeros.

    The delayed value is read before it is overwritten, and used after.
    """
    rng = np.random.default_rng(5)
    x, old, window, kept, y = int8(1, 1, 1, 6), int8(1, 3, 1, 6), int8(1, 4, 1, 6), int8(1, 3, 1, 6), int8(1, 1, 1, 6)
    late, total, flag = int8(1, 1, 1, 6), int8(1, 1, 1, 6), T((1, 1, 1, 6), "uint8", (0.05,), (131,))
    line, make_line = handle("line")
    delay, make_delay = handle("delay")
    weights = constant(rng.integers(-127, 128, (1, 4, 1, 6)), "int8", (0.01,) * 6, axis=3)
    bias = constant(np.zeros(6), "int32", (0.0005,) * 6)
    options = {"Padding": 1, "StrideH": 1, "StrideW": 1, "DepthMultiplier": 1, "FusedActivationFunction": 0}
    operators = [
        Op("CALL_ONCE", [], [], {"InitSubgraphIndex": 1}),
        make_line,
        make_delay,
        Op("READ_VARIABLE", [line], old),
        Op("READ_VARIABLE", [delay], late),
        Op("ASSIGN_VARIABLE", [delay, x], []),
        Op("CONCATENATION", [old, x], window, {"Axis": 1}),
        Op("STRIDED_SLICE", [window, *(constant(n, "int32") for n in ([0, 1, 0, 0], [1, 4, 1, 6], [1] * 4))], kept,
           NO_MASKS),
        Op("ASSIGN_VARIABLE", [line, kept], []),
        Op("DEPTHWISE_CONV_2D", [window, weights, bias], y, {**options, "DilationHFactor": 1, "DilationWFactor": 1}),
        Op("ADD", [y, late], total, {"FusedActivationFunction": 0}),
        Op("QUANTIZE", [total], flag),
    ]  # fmt: skip
    first = constant(rng.integers(-128, 128, (1, 3, 1, 6)), "int8", (0.05,), (3,))
    once = beginning(line=first, delay=constant(np.full((1, 1, 1, 6), 3), "int8", (0.05,), (3,)))
    return write_tflite(operators, inputs=[x], outputs=[flag, late], once=once)


def pairs():
    """Two inputs; the first output is read again for the second one, which could take its place."""
    a, b, total, product = (int8(1, 10) for _ in range(4))
    operators = [Op("ADD", [a, b], total, {"FusedActivationFunction": 0})]
    operators.append(Op("MUL", [total, b], product, {"FusedActivationFunction": 0}))
    return write_tflite(operators, inputs=[a, b], outputs=[total, product])


@pytest.fixture(params=[pairs, streaming], ids=lambda make: make.__name__)
def model(request, tmp_path):
    pytest.importorskip("tflite_micro", reason="tflite-micro, the oracle of int8 models, isn't installed")
    path = tmp_path / f"{request.param.__name__}.tflite"
    path.write_bytes(request.param())
    return parse_tflite(path), path


def steps_for(graph, count):
    rng = np.random.default_rng(3)
    return [[rng.integers(-128, 128, t.shape).astype(np.int8) for t in graph.inputs] for _ in range(count)]


@pytest.mark.parametrize("plain", [False, True], ids=["fast", "plain"])
def test_every_step_is_equal_to_tflite_micro(model, plain, host_kernels, tmp_path):
    graph, path = model
    oracle, ours = open_interpreter(path, ["tflite-micro"]), HostModel(graph, tmp_path, host_kernels, plain=plain)
    for _ in range(2):  # a reset gives the first state again
        oracle.reset()
        ours.reset()
        for step in steps_for(graph, 12):
            for got, want in zip(ours(*step), oracle.infer(step), strict=True):
                np.testing.assert_array_equal(got.ravel(), want)


def test_the_card_lists_tensors_and_counts_the_state(model):
    graph, _ = model
    card = json.loads(card_json(graph, plan_memory(graph), board="nano33", name="m"))
    names = [tensor["name"] for tensor in card["outputs"]]
    assert len(set(names)) == len(names) == 2
    if graph.state:
        assert card["input"]["shape"] == [1, 1, 1, 6]
        assert card["state_bytes"] == 18 + 2 + 6 + 2  # each from a word on
        assert card["outputs"][0]["dtype"] == "uint8"
    else:
        assert len(card["inputs"]) == 2
        assert "state_bytes" not in card


def test_an_initialisation_that_computes_is_refused(tmp_path):
    x, variable = int8(1, 4), handle("v")
    begin, make = handle("v")
    operators = [Op("CALL_ONCE", [], [], {"InitSubgraphIndex": 1}), variable[1]]
    operators += [Op("READ_VARIABLE", [variable[0]], old := int8(1, 4)), Op("ADD", [x, old], int8(1, 4))]
    once = [make, Op("READ_VARIABLE", [begin], other := int8(1, 4)), Op("ASSIGN_VARIABLE", [begin, other], [])]
    (tmp_path / "m.tflite").write_bytes(write_tflite(operators, x, once=once))
    with pytest.raises(ConfigError, match=r"operator 1 \(READ_VARIABLE\) of its initialisation .* something else"):
        parse_tflite(tmp_path / "m.tflite")


@pytest.mark.slow
def test_an_image_does_the_same_on_the_board(model, tmp_path):
    graph, path = model
    compiler("arm-none-eabi-gcc")
    lab = Lab.load(None)
    device = lab.select(["nano33"])[0]
    making = Making(target_for(device.kind, lab.kinds, FIRMWARE), find_toolchain(), strict=True)
    image = make_model_image(graph, plan_memory(graph), making, tmp_path / "m.elf", "m").image
    assert image.card.state_bytes == plan_memory(graph).state_bytes
    assert "equal bit for bit" in check_image(image, path, graph, device.kind)
    steps, oracle = steps_for(graph, 6), open_interpreter(path, ["tflite-micro"])
    want = [oracle.infer(step) for step in steps]
    with open_board(device, "virtual") as board:
        got = run_sequence(board, image, steps, anew=False)
    for number, rows in enumerate(got):
        np.testing.assert_array_equal(rows, np.stack([outputs[number] for outputs in want]))
