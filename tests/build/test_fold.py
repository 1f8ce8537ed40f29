from __future__ import annotations

import numpy as np
import pytest

from harness.build.fold import dequantize, fold_constants
from harness.build.graph import Graph, Operator, Quantization, Tensor


def graph_of(source, reader="FULLY_CONNECTED", position=1):
    """A DEQUANTIZE of a constant, read by a layer."""
    x = Tensor(0, "x", (1, 3), "float32", None, None)
    weights = Tensor(2, "weights", source.shape, "float32", None, None)
    y = Tensor(3, "y", (1, 2), "float32", None, None)
    inputs = (0, 2) if position == 1 else (2, 0)
    operators = (Operator(0, "DEQUANTIZE", (1,), (2,), {}), Operator(1, reader, inputs, (3,), {}))
    return Graph("made by hand", "0" * 64, (x, source, weights, y), operators, x, y)


def int8(zeros=(0, 0)):
    data = np.array([[1, -2, 3], [4, 5, -128]], np.int8)
    return Tensor(1, "stored", (2, 3), "int8", Quantization((0.5, 2.0), zeros, 0), data)


def test_symmetric_weights_stay_int8():
    graph = fold_constants(graph_of(int8()))
    assert [operator.index for operator in graph.operators] == [1]
    weights = graph.tensors[2]
    assert (weights.dtype, weights.dequantized, weights.index) == ("int8", True, 2)
    np.testing.assert_array_equal(weights.data, int8().data)


@pytest.mark.parametrize(
    ("zeros", "reader", "position"), [((0, 3), "FULLY_CONNECTED", 1), ((0, 0), "ADD", 1), ((0, 0), "CONV_2D", 0)]
)
def test_other_int8_constants_become_float32(zeros, reader, position):
    weights = fold_constants(graph_of(int8(zeros), reader, position)).tensors[2]
    assert (weights.dtype, weights.dequantized) == ("float32", False)
    low, high = zeros
    want = [[0.5 * (q - low) for q in (1, -2, 3)], [2.0 * (q - high) for q in (4, 5, -128)]]
    np.testing.assert_array_equal(weights.data, np.array(want, np.float32))


def test_float16_becomes_float32():
    values = np.array([[0.1, 2.5]], np.float16)
    weights = fold_constants(graph_of(Tensor(1, "stored", (1, 2), "float16", None, values))).tensors[2]
    assert weights.data.dtype == np.float32
    np.testing.assert_array_equal(weights.data, values.astype(np.float32))


def test_a_dequantize_of_an_input_stays():
    graph = graph_of(int8())
    tensors = (*graph.tensors[:1], Tensor(1, "computed", (2, 3), "int8", int8().quantization, None), *graph.tensors[2:])
    computed = Graph(graph.source, graph.sha256, tensors, graph.operators, graph.input, graph.output)
    assert fold_constants(computed).operators == graph.operators


def test_what_has_no_values_is_an_error():
    with pytest.raises(ValueError, match="no quantized constant"):
        dequantize(Tensor(1, "stored", (2,), "int8", None, np.zeros(2, np.int8)))
