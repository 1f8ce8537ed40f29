"""What people give in place of a .tflite file: a model in C is taken, anything else is named with the way to go."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from engine.tflite_writer import Op, T, constant, write_tflite
from harness.build import parse_tflite, plan_memory
from harness.build.interpreters import installed, open_interpreter
from harness.build.model_file import read_model
from harness.cli import main
from harness.errors import ConfigError

MODEL = Path(__file__).parents[1] / "engine" / "data" / "chain00_int8.tflite"
CONTENT = MODEL.read_bytes()


def zipped(*names):
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


def array(values, head="const unsigned char g_model[]", end="};"):
    return f"{head} = {{\n  {values}\n{end}\n"


HEX = ", ".join(f"0x{byte:02X}" for byte in CONTENT)


@pytest.mark.parametrize(
    "source",
    [
        array(HEX) + f"const unsigned int g_model_len = {len(CONTENT)};",
        array(", ".join(map(str, CONTENT)) + ",", "alignas(16) const std::uint8_t g_model[12]"),
        array(
            ", ".join(map(str, np.frombuffer(CONTENT, np.int8).tolist())),
            'static const signed char g_model[N] __attribute__((section(".x"), aligned(4)))',
        ),
        array("1, 2, 3", "const int8_t labels[]") + "// int old[] = {1};\n/* also {0x1c} */\n" + array(HEX),
    ],
)
def test_a_model_in_a_c_array_is_taken(tmp_path, source):
    path = tmp_path / "model_data.cc"
    path.write_text(source)
    assert read_model(path) == CONTENT
    graph, same = parse_tflite(path), parse_tflite(MODEL)
    assert (graph.sha256, graph.source, len(graph.operators)) == (same.sha256, "model_data.cc", len(same.operators))
    runner, other = (open_interpreter(file, installed()) for file in (path, MODEL))
    tensor = np.arange(runner.input.size).astype(runner.input.dtype)
    np.testing.assert_array_equal(runner.run(tensor), other.run(tensor))


def test_of_several_arrays_one_is_named(tmp_path):
    path = tmp_path / "models.h"
    second = CONTENT[:-1] + b"\x07"
    path.write_text(array(HEX) + array(", ".join(map(str, second)), "const char other[]") + array("1", "int few[]"))
    with pytest.raises(ConfigError, match=rf"2 models: g_model \({len(CONTENT):,} B\), other .*models\.h:g_model$"):
        read_model(path)
    assert read_model(Path(f"{path}:other")) == second
    with pytest.raises(ConfigError, match=r"has no array mine; there are g_model, other, few"):
        read_model(Path(f"{path}:mine"))
    with pytest.raises(ConfigError, match=r"the array few is no \.tflite file; those that are: g_model \("):
        read_model(Path(f"{path}:few"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.tflite", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS pointer.*git lfs pull"),
        ("m.tflite", b"\n<!DOCTYPE html><html>", "web page.*Download the file itself"),
        ("m.tflite", b"<html lang=en>", "web page"),
        ("m.tflite", b"", "is empty. Download"),
        ("m.tflite", bytes(3000), "nothing but zeros"),
        ("m.tflite", b"something else", r"bytes 4 to 7 are b'thin', not b'TFL3'.*docs/bring-your-own-model.md"),
        ("m.pte", b"\x10\0\0\0ET12eh00" + bytes(40), r"ExecuTorch program.*litert-torch"),
        ("m.onnx", b"\x08\x08\x12\x07pytorch", "ONNX model.*onnx2tf"),
        ("m.ort", b"\x10\0\0\0ORTM" + bytes(40), "ONNX Runtime"),
        ("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5.*from_keras_model"),
        ("m.keras", zipped("config.json", "model.weights.h5"), "Keras model.*from_keras_model"),
        ("m.pb", b"\x08\x01\x12", "TensorFlow graph.*from_saved_model"),
        ("m.pt", zipped("m/data.pkl", "m/version"), "PyTorch file.*litert-torch"),
        ("m.pth", b"\x80\x02\x8a\n", "pickle.*litert-torch"),
        ("m.zip", zipped("readme", "a/b.tflite"), "holds a/b.tflite. Unpack"),
        ("m.zip", zipped("a.tflite")[:30], "zip archive that is cut short"),
        ("m.tflite.gz", gzip.compress(CONTENT), "gzip.*Unpack"),
        ("m.elf", b"\x7fELF" + bytes(60), "ELF file"),
        ("m.tflite", CONTENT[:700], r"damaged or cut short \(700 B\)"),
        ("m.cc", array(HEX, end="").encode(), "array g_model has no end: the file is cut short"),
        ("m.h", b"extern const unsigned char g_model[];", "only declares g_model. Give the source"),
        ("m.c", b"int main(void) { return 0; }", "there are no arrays. .*--engine-dir"),
        ("m.c", array("300, 2").encode(), "there are g_model"),
    ],
)
def test_another_file_is_named_with_the_way_to_go_in_one_line(tmp_path, monkeypatch, name, content, words):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    for command in (
        ["build", name, "--board", "nano33"],
        ["try", name, "--board", "nano33"],
        ["init", "--model", name],
    ):
        done = CliRunner().invoke(main, command)
        said = done.stderr.splitlines()[-1]
        assert (done.exit_code, said.startswith(f"hil: {name}: "), done.stderr.count("hil: ")) == (1, True, 1), said
        with pytest.raises(ConfigError, match=words) as caught:
            parse_tflite(Path(name))
        assert said == f"hil: {caught.value}"
    assert not list(tmp_path.rglob("*.elf")) or name == "m.elf"


def test_folders(tmp_path):
    with pytest.raises(ConfigError, match=r"is a folder. Give the .tflite file in it"):
        read_model(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    with pytest.raises(ConfigError, match=r"is a SavedModel. Export it by .*from_saved_model"):
        read_model(tmp_path)


def image(dtype="int8"):
    return T((1, 4, 4, 2), dtype, () if dtype == "float32" else (0.1,))


def conv(dtype, weights, before):
    options = {"Padding": 0, "StrideW": 1, "StrideH": 1, "DilationWFactor": 1, "DilationHFactor": 1}
    filters = constant(np.ones((2, 1, 1, 2)), weights, (0.1,))
    return Op("CONV_2D", [before, filters, None], image(dtype), options)


def test_legacy_uint8_and_dynamic_range_are_one_reason_each_that_says_how_to_convert_again(tmp_path):
    path = tmp_path / "m.tflite"

    def reasons(operators):
        path.write_bytes(write_tflite(operators))
        with pytest.raises(ConfigError) as caught:
            plan_memory(parse_tflite(path))
        return str(caught.value).splitlines()

    old = [conv("uint8", "uint8", image("uint8"))]
    old.append(conv("uint8", "uint8", old[0].output))
    old.append(Op("MAXIMUM", [old[1].output, old[0].output], image("uint8")))
    (line,) = reasons(old)
    assert "operators 0, 1 (CONV_2D); operator 2 (MAXIMUM): legacy uint8 quantization. Needed: full int8" in line
    assert "representative_dataset" in line
    dynamic = [conv("float32", "int8", image("float32"))]
    dynamic.append(Op("SIGN", [dynamic[0].output], image("float32")))
    title, first, second = reasons(dynamic)
    assert title.endswith("m.tflite: can't be compiled, for 2 reasons:")
    assert "(dynamic-range quantization). Needed: full int8" in first
    assert "operator 1 (SIGN): no kernel. Needed: other layers in its place" in second
    dynamic[0].inputs[0].shape = (1, -1, 4, 2)
    (line,) = reasons(dynamic)
    assert "its input, tensor 0 (t0) has no fixed shape: [1, -1, 4, 2]." in line
    assert line.endswith("It also has operators without a kernel: SIGN.")
