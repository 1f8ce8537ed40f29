from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tflite

from engine import tflite_writer
from engine.tflite_writer import Op, T, constant, write_tflite
from harness.build import parse_tflite, plan_memory
from harness.errors import ConfigError

DATA = Path(__file__).parents[1] / "engine" / "data"


def test_a_model_as_data():
    graph = parse_tflite(DATA / "chain00_int8.tflite")
    assert graph.source == "chain00_int8.tflite"
    assert graph.input.dtype == graph.output.dtype == "int8"
    assert graph.input.quantization is not None
    assert graph.operators[0].inputs[0] == graph.input.index
    assert graph.operators[-1].outputs == (graph.output.index,)
    weights = [t for t in graph.tensors if t.data is not None]
    assert weights
    assert all(t.data.shape == t.shape for t in weights)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.tflite: can't be read"):
        parse_tflite(tmp_path / "none.tflite")


@pytest.mark.parametrize("keep", [9, 40, 400, 1_500, 3_000])
def test_a_file_cut_short_is_an_error_of_ours(tmp_path, keep):
    content = (DATA / "chain00_int8.tflite").read_bytes()
    assert keep < len(content)
    path = tmp_path / "cut.tflite"
    path.write_bytes(content[:keep])
    with pytest.raises(ConfigError, match="damaged or cut short"):
        plan_memory(parse_tflite(path))


def test_an_unsupported_operator_is_named():
    with pytest.raises(ConfigError, match=r"operator 1 \(SIGN\): no kernel.*Needed: other layers"):
        plan_memory(parse_tflite(DATA / "unsupported.tflite"))


def image(shape=(1, 4, 4, 2), scale=0.1, zero=0):
    return T(shape, "int8", (scale,), (zero,))


def refused(tmp_path, operators, message, **options):
    path = tmp_path / "model.tflite"
    path.write_bytes(write_tflite(operators, **options))
    with pytest.raises(ConfigError, match=re.escape(message)):
        plan_memory(parse_tflite(path))


def test_an_operator_is_what_the_greater_of_its_two_codes_says(tmp_path, monkeypatch):
    """AI Edge Quantizer sets the new field only, old converters the old one only."""

    def write(old, new):
        def code(b, _kind):
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, old)
            tflite.OperatorCodeAddBuiltinCode(b, new)
            return tflite.OperatorCodeEnd(b)

        monkeypatch.setattr(tflite_writer, "_code", code)
        x = image()
        path = tmp_path / "model.tflite"
        path.write_bytes(write_tflite([Op("MUL", [x, x], image())]))
        return parse_tflite(path).operators[0].kind

    mul = tflite.BuiltinOperator.MUL
    assert [write(0, mul), write(mul, 0), write(mul, mul)] == ["MUL"] * 3
    with pytest.raises(ConfigError, match=r"operator 0: its two codes, 18 and 22, contradict each other"):
        write(mul, tflite.BuiltinOperator.RESHAPE)
    with pytest.raises(ConfigError, match="operator 0: its code is missing"):
        write(127, 0)


def test_options_of_another_operator_are_refused(tmp_path, monkeypatch):
    x = image()
    monkeypatch.setitem(tflite_writer.TABLES, "MUL", "AddOptions")
    message = "operator 0 (MUL): its options are AddOptions, not MulOptions"
    refused(tmp_path, [Op("MUL", [x, x], image())], message)


IMAGE = image()
FILTERS = constant(np.ones((3, 1, 1, 2)), "int8", (0.1,))
CONV = {"Padding": 0, "StrideW": 1, "StrideH": 1, "DilationWFactor": 1, "DilationHFactor": 1}


def conv(filters=FILTERS, output=None, **options):
    return [Op("CONV_2D", [image(), filters, None], output or image((1, 4, 4, 3)), {**CONV, **options})]


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        (conv(replace(FILTERS, scales=(0.1, 0.1, float("nan")))), "tensor 1 (t1) has scale nan"),
        (conv(replace(FILTERS, scales=(float("inf"),))), "tensor 1 (t1) has scale inf"),
        (conv(replace(FILTERS, scales=(-0.1,))), "scale -0.1"),
        (conv(replace(FILTERS, scales=(0.1,) * 3, axis=4)), "3 scales along dimension 4"),
        (conv(replace(FILTERS, scales=(0.1,) * 2)), "2 scales along dimension 0"),
        (conv(output=image((1, 4, 4, 3), zero=99999)), "zero point 99,999, but int8 goes from -128 to 127"),
        (conv(replace(FILTERS, shape=(3, 1, 1, 3))), "takes 9 B, but the file has 6"),
        (conv(replace(FILTERS, shape=(3, 1, 1, 0))), "has no fixed shape: [3, 1, 1, 0]"),
        (conv(output=image((1, 4, 4, 5))), "don't give an output of [1, 4, 4, 5]"),
        (conv(StrideW=0), "operator 0 (CONV_2D): its option StrideW is 0"),
        (conv(Padding=7), "its option Padding is 7"),
        ([Op("ADD", [image(), None], image())], "operator 0 (ADD) lacks an input"),
        ([Op("ADD", [image()], image())], "operator 0 (ADD) has 1 inputs"),
        ([Op("RELU", [image()], image()), Op("DEQUANTIZE", [], image())], "operator 1 (DEQUANTIZE) has 0 inputs"),
        ([Op("RELU", [image()], image((1, 4, 4, 3)))], "don't give an output of [1, 4, 4, 3]"),
        ([Op("CONCATENATION", [IMAGE, IMAGE], image((1, 4, 4, 4)), {"Axis": 4})], "don't give an output"),
        ([Op("RESHAPE", [image()], image((1, 40)))], "operator 0 (RESHAPE): inputs of shapes [1, 4, 4, 2]"),
    ],
)
def test_what_no_converter_writes_is_refused_in_words(tmp_path, operators, message):
    refused(tmp_path, operators, message)


def test_what_is_read_before_it_is_written_or_written_twice_is_refused(tmp_path):
    x, y, z = image(), image(), image()
    late = [Op("ADD", [x, y], z), Op("RELU", [x], y)]
    refused(tmp_path, [*late, Op("RELU", [z], image())], "operator 0 (ADD) reads tensor 1 before anything wrote it")
    twice = [Op("RELU", [x], y), Op("RELU6", [x], y)]
    refused(tmp_path, twice, "operator 1 (RELU6) writes tensor 1, which has its values already")


def test_a_constant_behind_a_reshape_is_a_constant(tmp_path):
    x, flat = image(), image((32,))
    weights = constant(np.ones((2, 16)), "int8", (0.1,))
    operators = [Op("RESHAPE", [weights], flat), Op("RESHAPE", [x], image((32,)))]
    operators.append(Op("ADD", [operators[1].output, flat], image((32,))))
    path = tmp_path / "model.tflite"
    path.write_bytes(write_tflite(operators, start=x))
    assert [step.kernel for step in plan_memory(parse_tflite(path)).steps] == ["hil_add_constant_s8"]


def test_an_output_that_nothing_computes_is_refused(tmp_path):
    x, values = image(), constant(np.ones((1, 4)), "int8", (0.1,))
    operators = [Op("RELU", [x], image()), Op("DEQUANTIZE", [values], T((1, 4), "float32"))]
    refused(tmp_path, operators, "its output is a constant")


def test_a_vector_longer_than_the_file_ends_at_once(tmp_path):
    """Shapes are read number by number; a damaged length must not make that an hour."""
    content = bytearray((DATA / "chain00_int8.tflite").read_bytes())
    model = tflite.Model.GetRootAsModel(content, 0)
    tensor = model.Subgraphs(0).Tensors(0)
    vector = tensor._tab.Vector(tensor._tab.Offset(4)) - 4
    struct.pack_into("<I", content, vector, 1 << 31)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="damaged or cut short"):
        parse_tflite(path)
