from __future__ import annotations

from pathlib import Path

import pytest

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


def test_another_kind_of_file(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"this is no FlatBuffer at all")
    with pytest.raises(ConfigError, match=r"is not a \.tflite file"):
        parse_tflite(path)


@pytest.mark.parametrize("keep", [9, 40, 400, 1_500, 3_000])
def test_a_file_cut_short_is_an_error_of_ours(tmp_path, keep):
    content = (DATA / "chain00_int8.tflite").read_bytes()
    assert keep < len(content)
    path = tmp_path / "cut.tflite"
    path.write_bytes(content[:keep])
    with pytest.raises(ConfigError, match="damaged or cut short"):
        plan_memory(parse_tflite(path))


def test_an_unsupported_operator_is_named():
    with pytest.raises(ConfigError, match=r"operator 1 \(SIN\): no kernel for float32.*Needed: a kernel"):
        plan_memory(parse_tflite(DATA / "unsupported.tflite"))
