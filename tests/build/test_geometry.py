from __future__ import annotations

import numpy as np
import pytest

from harness.build.geometry import mean_span, padding_of, repeat_period
from harness.build.graph import Graph, Operator, Tensor
from harness.errors import ConfigError


def tensor(index, shape, data=None):
    return Tensor(index, f"t{index}", tuple(shape), "float32", None, None if data is None else np.array(data))


def graph_of(*tensors, kind="PAD"):
    operator = Operator(0, kind, (0, 1), (len(tensors) - 1,), {})
    return Graph("made by hand", "0" * 64, tensors, (operator,), tensors[0], tensors[-1]), operator


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
    graph, operator = graph_of(tensor(0, shape), tensor(1, [len(axes)], axes), kind="MEAN")
    assert mean_span(graph, operator, graph.input) == span


@pytest.mark.parametrize(("shape", "axes"), [((1, 4, 5, 6), [1, 3]), ((2, 4, 5), [1]), ((1, 4, 5), None)])
def test_other_means_are_refused(shape, axes):
    graph, operator = graph_of(tensor(0, shape), tensor(1, [1], axes), kind="MEAN")
    with pytest.raises(ConfigError, match=r"operator 0 \(MEAN\).*Needed: one image"):
        mean_span(graph, operator, graph.input)


@pytest.mark.parametrize(
    ("shape", "period"), [((1, 2, 3, 4), 24), ((2, 3, 4), 24), ((4,), 4), ((1, 1, 3, 4), 12), ((1,), 1), ((), 1)]
)
def test_a_second_input_repeats(shape, period):
    graph, operator = graph_of(tensor(0, (1, 2, 3, 4)), tensor(1, shape), kind="ADD")
    assert repeat_period(graph, operator, graph.tensors[0], graph.tensors[1]) == period


@pytest.mark.parametrize("shape", [(1, 2, 3, 1), (3,), (1, 2, 1, 4)])
def test_other_second_inputs_are_refused(shape):
    graph, operator = graph_of(tensor(0, (1, 2, 3, 4)), tensor(1, shape), kind="ADD")
    with pytest.raises(ConfigError, match=r"operator 0 \(ADD\): inputs of shapes \[1, 2, 3, 4\]"):
        repeat_period(graph, operator, graph.tensors[0], graph.tensors[1])


def test_dimensions_without_padding_are_joined():
    pads = [[0, 0], [1, 2], [3, 0], [0, 0]]
    graph, operator = graph_of(tensor(0, (1, 4, 5, 6)), tensor(1, (4, 2), pads), tensor(2, (1, 7, 8, 6)))
    padding = padding_of(graph, operator, graph.input, graph.output)
    assert (padding.size, padding.before, padding.out) == ((1, 1, 4, 30), (0, 0, 1, 18), (1, 1, 7, 48))
