"""What operators of any rank come down to, and that everything that can't be compiled is named at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.build import parse_tflite, plan_memory
from harness.build.fold import fold_constants
from harness.build.graph import Graph, Operator, Quantization, Tensor
from harness.errors import ConfigError

DATA = Path(__file__).parents[1] / "engine" / "data"


def error_of(graph):
    with pytest.raises(ConfigError) as caught:
        plan_memory(graph)
    return str(caught.value)


def with_operators(graph, changes):
    operators = tuple(replace(o, **changes.get(o.index, {})) for o in graph.operators)
    return replace(graph, operators=operators)


def test_every_unsupported_operator_is_named_with_what_is_needed():
    graph = parse_tflite(DATA / "chain00_int8.tflite")
    last = graph.operators[-1].index
    text = error_of(with_operators(graph, {0: {"kind": "SIGN"}, last: {"kind": "CUSTOM Mine"}}))
    assert f"operator 0 (SIGN); operator {last} (CUSTOM Mine): no kernel. Needed: other layers" in text
    assert len(text.splitlines()) == text.count(graph.source) == 1
    text = error_of(with_operators(graph, {0: {"kind": "SIGN"}, last: {"kind": "CUSTOM ethos-u"}}))
    assert "can't be compiled, for 2 reasons:\n  operator 0 (SIGN): no kernel." in text
    assert f"  operator {last} (CUSTOM ethos-u): compiled by Vela for an Arm Ethos-U. Needed: the .tflite file" in text


def test_one_problem_stands_on_one_line():
    text = error_of(parse_tflite(DATA / "unsupported.tflite"))
    assert text.splitlines()[0].startswith("unsupported.tflite: operator 1 (SIGN): no kernel.")


def test_an_operator_of_broken_options_is_named_beside_others():
    graph = parse_tflite(DATA / "chain00_int8.tflite")
    conv = next(o.index for o in graph.operators if o.kind == "CONV_2D")
    last = graph.operators[-1].index
    text = error_of(with_operators(graph, {conv: {"options": {}}, last: {"inputs": ()}}))
    assert f"operator {conv} (CONV_2D): damaged (KeyError('Padding'))" in text
    assert f"operator {last} ({graph.operators[-1].kind}): no first input or output" in text


def test_a_tensor_of_another_type_is_no_obstacle_to_naming_operators():
    graph = parse_tflite(DATA / "chain00_int8.tflite")
    first, last = graph.operators[0], graph.operators[-1]
    tensors = tuple(replace(t, dtype="int16") if t.index == last.outputs[0] else t for t in graph.tensors)
    graph = replace(graph, tensors=tensors, outputs=(tensors[last.outputs[0]],))
    text = error_of(with_operators(graph, {first.index: {"kind": "SIGN"}}))
    assert "operator 0 (SIGN)" in text
    assert f"operator {last.index} ({last.kind}): no kernel for int8 to int16" in text


def tensor(index, shape, data=None, dtype="float32"):
    return Tensor(index, f"t{index}", tuple(shape), dtype, None, None if data is None else np.array(data))


def call_of(kind, first, second, output):
    """The one kernel call of an operator of two inputs."""
    options = {"FusedActivationFunction": 0}
    operator = Operator(0, kind, (0, 1), (2,), options)
    tensors = (first, second, tensor(2, output))
    (step,) = plan_memory(Graph("made by hand", "0" * 64, tensors, (operator,), (first,), tensors[2:])).steps
    return step.fields


@pytest.mark.parametrize(
    ("shape", "axes", "span"),
    [
        ((1, 4, 5, 6), [1, 2], (20, 6)),
        ((1, 4, 5, 6), [2, 1], (20, 6)),
        ((1, 4, 5, 6), [-3], (4, 30)),
        ((1, 1, 5, 6), [2], (5, 6)),
        ((1, 7, 3), [1], (7, 3)),
        ((1, 7, 3), [-1, -2], (21, 1)),
        ((1, 4, 1, 6), [1, 3], (24, 1)),
    ],
)
def test_means_over_neighbouring_axes(shape, axes, span):
    fields = call_of("MEAN", tensor(0, shape), tensor(1, [len(axes)], axes), (span[1],))
    assert (fields["pixels"], fields["channels"]) == span


@pytest.mark.parametrize(
    ("shape", "axes", "kept", "over"),
    [
        ((1, 4, 5, 6), [1, 3], ("{1, 1, 1, 5}", "{0, 0, 0, 6}"), ("{1, 1, 4, 6}", "{0, 0, 30, 1}")),
        ((2, 4, 5), [1], ("{1, 1, 2, 5}", "{0, 0, 20, 1}"), ("{1, 1, 1, 4}", "{0, 0, 0, 5}")),
    ],
)
def test_other_means_take_steps(shape, axes, kept, over):
    count = int(np.prod([n for d, n in enumerate(shape) if d not in axes]))
    fields = call_of("MEAN", tensor(0, shape), tensor(1, [len(axes)], axes), (count,))
    assert (fields["kept"], fields["kept_step"], fields["over"], fields["over_step"]) == (*kept, *over)


def test_a_mean_over_computed_axes_is_refused():
    with pytest.raises(ConfigError, match=r"operator 0 \(MEAN\): input 1 isn't known"):
        call_of("MEAN", tensor(0, (1, 4, 5)), tensor(1, [1], None, "int32"), (1,))


@pytest.mark.parametrize(
    ("shape", "period"), [((1, 2, 3, 4), 24), ((2, 3, 4), 24), ((4,), 4), ((1, 1, 3, 4), 12), ((1,), 1), ((), 1)]
)
def test_a_second_input_repeats(shape, period):
    second = tensor(1, shape, np.ones(shape, np.float32))
    assert call_of("ADD", tensor(0, (1, 2, 3, 4)), second, (1, 2, 3, 4))["period"] == period


@pytest.mark.parametrize(
    ("shape", "count", "step"),
    [((1, 2, 3, 1), "{1, 1, 6, 4}", "{0, 0, 1, 0}"), ((1, 2, 1, 4), "{1, 2, 3, 4}", "{0, 4, 0, 1}")],
)
def test_other_second_inputs_take_steps(shape, count, step):
    second = tensor(1, shape, np.ones(shape, np.float32))
    fields = call_of("ADD", tensor(0, (1, 2, 3, 4)), second, (1, 2, 3, 4))
    assert (fields["count"], fields["second"]) == (count, step)


def test_inputs_that_dont_fit_each_other_are_refused():
    with pytest.raises(ConfigError, match=r"operator 0 \(ADD\): shapes \[1, 2, 3, 4\], \[3\] to \[1, 2, 3, 4\]"):
        call_of("ADD", tensor(0, (1, 2, 3, 4)), tensor(1, (3,), np.ones(3, np.float32)), (1, 2, 3, 4))


def test_dimensions_without_padding_are_joined():
    pads = [[0, 0], [1, 2], [3, 0], [0, 0]]
    fields = call_of("PAD", tensor(0, (1, 4, 5, 6)), tensor(1, (4, 2), pads, "int32"), (1, 7, 8, 6))
    assert (fields["in"], fields["before"], fields["out"]) == ("{1, 1, 4, 30}", "{0, 0, 1, 18}", "{1, 1, 7, 48}")


def dequantized(source, reader="FULLY_CONNECTED", position=1):
    """What becomes of a constant behind a DEQUANTIZE that a layer reads; and the operators that are left."""
    x, y = tensor(0, (1, 3)), tensor(3, (1, 2))
    inputs = (0, 2) if position == 1 else (2, 0)
    operators = (Operator(0, "DEQUANTIZE", (1,), (2,), {}), Operator(1, reader, inputs, (3,), {}))
    tensors = (x, source, tensor(2, source.shape), y)
    folded = fold_constants(Graph("made by hand", "0" * 64, tensors, operators, (x,), (y,)))
    return folded.tensors[2], [operator.index for operator in folded.operators]


def int8(zeros=(0, 0)):
    data = np.array([[1, -2, 3], [4, 5, -128]], np.int8)
    return Tensor(1, "stored", (2, 3), "int8", Quantization((0.5, 2.0), zeros, 0), data)


def test_symmetric_weights_stay_int8():
    weights, left = dequantized(int8())
    assert left == [1]
    assert (weights.dtype, weights.dequantized, weights.index) == ("int8", True, 2)
    np.testing.assert_array_equal(weights.data, int8().data)


@pytest.mark.parametrize(
    ("zeros", "reader", "position"), [((0, 3), "FULLY_CONNECTED", 1), ((0, 0), "ADD", 1), ((0, 0), "CONV_2D", 0)]
)
def test_other_int8_constants_become_float32(zeros, reader, position):
    weights, _ = dequantized(int8(zeros), reader, position)
    assert (weights.dtype, weights.dequantized) == ("float32", False)
    low, high = zeros
    want = [[0.5 * (q - low) for q in (1, -2, 3)], [2.0 * (q - high) for q in (4, 5, -128)]]
    np.testing.assert_array_equal(weights.data, np.array(want, np.float32))


def test_float16_becomes_float32():
    values = np.array([[0.1, 2.5]], np.float16)
    weights, _ = dequantized(Tensor(1, "stored", (1, 2), "float16", None, values))
    assert weights.data.dtype == np.float32
    np.testing.assert_array_equal(weights.data, values.astype(np.float32))


def test_a_dequantize_of_an_input_stays():
    assert dequantized(replace(int8(), data=None))[1] == [0, 1]
