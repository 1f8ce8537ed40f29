"""Everything that can't be compiled is named at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.build import parse_tflite, plan_memory
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
    text = error_of(with_operators(graph, {0: {"kind": "SIN"}, last: {"kind": "CUSTOM Mine"}}))
    assert "can't be compiled, for 2 reasons" in text
    for index, kind in ((0, "SIN"), (last, "CUSTOM Mine")):
        assert f"  operator {index} ({kind}): no kernel for int8 to int8. Needed: a kernel" in text
    assert text.count(graph.source) == 1
    assert "Operators with kernels: " in text


def test_one_problem_stands_on_one_line():
    text = error_of(parse_tflite(DATA / "unsupported.tflite"))
    assert text.splitlines()[0].startswith("unsupported.tflite: operator 1 (SIN): no kernel for float32 to float32.")


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
    graph = replace(graph, tensors=tensors, output=tensors[last.outputs[0]])
    text = error_of(with_operators(graph, {first.index: {"kind": "SIN"}}))
    assert "operator 0 (SIN)" in text
    assert f"operator {last.index} ({last.kind}): no kernel for int8 to int16" in text
    assert "its output is int16. Needed: int8 or float32." in text
