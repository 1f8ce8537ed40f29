"""`hil build`, from a .tflite file or an engine's folder to what the virtual board answers."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import harness
from engine.tflite_writer import Op, T, constant, write_tflite
from harness.build import interpreters, lower_values, parse_tflite
from harness.build.operators import KINDS
from harness.cli import main
from harness.image.elf import load_image

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "engine" / "data"
MODEL = ROOT / "firmware" / "models" / "fashion_mnist" / "fashion_mnist_int8.tflite"
BOARD = ("--board", "nano33")


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["build", *map(str, arguments)])


@pytest.fixture
def objects(kept_objects):
    """Return the option that keeps compiled kernels, for tests that are not about how they are compiled."""
    return ("--objects", kept_objects)


def test_help_has_an_example(build):
    text = build("--help").output
    assert "\n  hil build model.tflite --board nano33 -o model.elf\n" in text
    assert "\n  hil flash model.elf --device nano33\n" in text


def test_a_model_becomes_an_image_and_says_what_it_takes(build, objects, toolchain, nano33, tmp_path):
    result = build(MODEL, *BOARD, *objects, "-o", "new/folder/model.elf", "--name", "mine")
    assert result.exit_code == 0, result.output
    image = load_image(tmp_path / "new" / "folder" / "model.elf", nano33.kind)
    assert image.card.model == "mine"
    assert image.card.tflite_sha256 == hashlib.sha256(MODEL.read_bytes()).hexdigest()
    out = result.output
    assert f"Flash: {image.flash_bytes:,} of {nano33.kind.flash.size:,} B" in out
    assert f"static {image.ram_static_bytes:,}, arena {image.ram_arena_bytes:,}" in out
    assert f"{image.card.macs:,} MACs" in out
    assert image.build_id in out
    assert toolchain.version in out
    for operator in parse_tflite(MODEL).operators:
        assert re.search(rf"^ *{operator.index} +{operator.kind} ", out, re.MULTILINE), operator.kind
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["model.elf"]


@pytest.mark.slow
@pytest.mark.usefixtures("toolchain")
@pytest.mark.parametrize(
    ("patches", "expected"),
    [
        (["--patches", "3x3@4"], {"rows": 3, "columns": 3, "layers": 4, "cached": False, "streamed": False}),
        (
            ["--patches", "7x1@4", "--keep-overlap", "--stream-input"],
            {"rows": 7, "columns": 1, "layers": 4, "cached": True, "streamed": True},
        ),
    ],
)
def test_a_model_is_cut_into_the_patches_that_were_asked_for(build, objects, nano33, tmp_path, patches, expected):
    result = build(MODEL, *BOARD, *objects, "-o", "model.elf", *patches)
    assert result.exit_code == 0, result.output
    image = load_image(tmp_path / "model.elf", nano33.kind)
    assert image.card.patches.model_dump() == expected
    assert image.card.sent_bytes == (784 if "--stream-input" not in patches else 252)
    assert f"({image.ram_arena_bytes:,} and {image.card.sent_bytes:,}) instead of" in result.output


@pytest.mark.slow
@pytest.mark.usefixtures("toolchain")
def test_patches_that_are_chosen_make_the_arena_smaller(build, objects, nano33, tmp_path):
    for options in (["--patches", "auto"], ["--patches", "2x1"]):
        result = build(MODEL, *BOARD, *objects, "-o", "model.elf", *options)
        assert result.exit_code == 0, result.output
        assert load_image(tmp_path / "model.elf", nano33.kind).ram_arena_bytes < 7_840


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--patches", "some"], "write auto, 3x3 (rows x columns), or 3x3@5 (through 5 layers)"),
        (["--patches", "3x3@9"], "9 layers can't be patched"),
        (["--patches", "2x2", "--keep-overlap"], "no such patches take less than the whole model's arena"),
        (["--keep-overlap"], "--keep-overlap and --stream-input go with --patches"),
    ],
)
def test_patches_that_cannot_be_are_refused(build, options, message):
    result = build(MODEL, *BOARD, "-o", "model.elf", *options)
    assert result.exit_code != 0
    assert message in result.output


@pytest.mark.slow
@pytest.mark.usefixtures("toolchain")
def test_the_image_runs_a_suite_on_the_virtual_board_like_the_shipped_one(build, objects, tmp_path):
    result = build(MODEL, *BOARD, *objects, "-o", tmp_path / "images" / "nano33" / "mine.elf")
    assert result.exit_code == 0, result.output
    shipped = (ROOT / "suites" / "fashion_mnist.yaml").read_text()
    text = shipped[: shipped.index("images: ")] + (
        "images: images\nvariants:\n  mine: {image: mine, technique: built by hil build}\n"
        f"  int8: {{image: {ROOT}/firmware/prebuilt/nano33/fashion_mnist_int8.elf, technique: shipped}}\n"
    )
    (tmp_path / "suite.yaml").write_text(text.replace("file: data/", f"file: {ROOT}/suites/data/"))
    results = harness.benchmark(
        tmp_path / "suite.yaml", backend="virtual", samples=20, results_dir=tmp_path / "results"
    )
    assert results.cases["status"].tolist() == ["complete", "complete"]
    ran = dict(list(results.samples.groupby("variant", observed=True)))
    assert [len(ran[name]) for name in ("mine", "int8")] == [20, 20]
    for column in ("prediction", "ticks", "output_crc"):
        assert list(ran["mine"][column]) == list(ran["int8"][column])


@pytest.mark.slow
@pytest.mark.usefixtures("toolchain")
def test_the_image_is_called_after_the_model_and_lies_here(build, objects, tmp_path):
    odd = tmp_path / "my möd*l (1).tflite"
    odd.write_bytes((DATA / "chain00_int8.tflite").read_bytes())
    result = build(odd, *BOARD, *objects)
    assert result.exit_code == 0, result.output
    assert "The model is called my_m_d_l_1_," in result.output
    assert load_image(tmp_path / "my_m_d_l_1_.elf").card.model == "my_m_d_l_1_"
    (tmp_path / "folder").mkdir()
    assert build(DATA / "chain00_float32.tflite", *BOARD, *objects, "-o", "folder").exit_code == 0
    assert (tmp_path / "folder" / "chain00_float32.elf").is_file()


def test_emitting_c_compiles_nothing(build, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    result = build(DATA / "chain00_int8.tflite", *BOARD, "--emit-c", "new/c")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "new" / "c").iterdir()) == ["model.c", "model_config.h"]
    assert re.search(r"[\d,]+ MACs, [\d,]+ parameters, arena [\d,]+ B", result.output)


def test_plain_kernels_are_in_the_table(build):
    result = build(MODEL, *BOARD, "--plain", "--emit-c", "c")
    assert result.exit_code == 0, result.output
    assert "hil_conv_s8_plain" in result.output


@pytest.mark.slow
@pytest.mark.usefixtures("toolchain")
def test_plain_kernels_are_in_the_image(build, objects, tmp_path):
    result = build(MODEL, *BOARD, *objects, "--plain", "-o", "plain.elf")
    assert result.exit_code == 0, result.output
    names = {name for _, _, name in load_image(tmp_path / "plain.elf").functions}
    assert {name for name in names if name.startswith("hil_conv")} == {"hil_conv1x1_s8_plain", "hil_conv_s8_plain"}


@pytest.mark.slow
@pytest.mark.usefixtures("toolchain")
@pytest.mark.parametrize(("kind", "count"), [("RESHAPE", 1), ("NEG", 129)])
def test_models_of_no_layers_and_of_too_many_to_tell_apart_become_images(build, objects, tmp_path, kind, count):
    tensors = [T((1, 8), "float32"), *(T((8,), "float32") for _ in range(count))]
    operators = [Op(kind, [before], after) for before, after in itertools.pairwise(tensors)]
    (tmp_path / "model.tflite").write_bytes(write_tflite(operators))
    result = build("model.tflite", *BOARD, *objects, "--check")
    assert result.exit_code == 0, result.output
    assert "equal bit for bit" in result.output
    assert load_image(tmp_path / "model.elf").layers is None


def test_every_unsupported_operator_comes_before_any_table(build):
    result = build(DATA / "unsupported.tflite", *BOARD)
    assert result.exit_code == 1
    assert result.output.startswith("hil: unsupported.tflite: operator 1 (SIGN): no kernel. Needed: other layers")
    assert "docs/engine.md lists the operators that there are" in result.output


def test_without_a_compiler_the_table_comes_and_how_to_install_one(build, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/nonexistent")
    result = build(MODEL, *BOARD)
    assert result.exit_code == 1
    assert "952,736 MACs" in result.output
    assert "arm-none-eabi-gcc isn't installed" in result.output
    assert "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi" in result.output
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_board_lists_the_known_ones(build):
    result = build(MODEL, "--board", "nano34")
    assert result.exit_code == 1
    assert 'no kind of board is called "nano34"; did you mean "nano33"? Known: ' in result.output


def test_a_model_that_is_too_large_for_a_board_of_the_lab(build, tmp_path):
    """The lab may know that less of the flash is free; nothing is compiled."""
    (tmp_path / "devices.yaml").write_text(
        "boards:\n  nano33:\n    flash: {start: 0x10000, size: 0x4000}\n    ram: {start: 0x20000000, size: 0x2000}\n"
    )
    result = build(MODEL, *BOARD)
    assert result.exit_code == 1
    assert "fashion_mnist_int8.tflite doesn't fit nano33" in result.output
    assert "flash: weights and other constants alone take 17," in result.output
    assert "Most is in use at operator " in result.output
    assert not (tmp_path / "fashion_mnist_int8.elf").exists()


def test_damaged_files_are_errors_of_ours(build, tmp_path):
    whole = MODEL.read_bytes()
    for name, content, says in (
        ("text.tflite", b"no model at all", "is not a .tflite file"),
        ("cut.tflite", whole[: len(whole) // 2], "is damaged or cut short"),
        ("empty.tflite", b"", "is empty"),
    ):
        (tmp_path / name).write_bytes(content)
        result = build(name, *BOARD)
        assert result.exit_code == 1
        assert result.output.startswith(f"hil: {name}: {says}")
    assert build("none.tflite", *BOARD).output.startswith("hil: none.tflite: can't be read: No such file")


def test_an_output_that_cannot_be_written_is_known_before_compiling(build, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")  # a compiler would be the next thing to be missed
    (tmp_path / "file").touch()
    result = build(MODEL, *BOARD, "-o", "file/model.elf")
    assert result.exit_code == 1
    assert "because file is not a folder" in result.output
    assert "because file is not a folder" in build(MODEL, *BOARD, "--emit-c", "file").output
    if os.geteuid() != 0:  # root may write everywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        assert "can't be written: Permission denied" in build(MODEL, *BOARD, "-o", "locked/m.elf").output


@pytest.mark.parametrize("name", ["a b", "", "-x", "ü", "x" * 65])
def test_a_name_that_no_suite_could_use_is_refused(build, name):
    result = build(MODEL, *BOARD, "--name", name)
    assert result.exit_code == 1
    assert "suites and results use the name" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        [*BOARD],
        [MODEL],
        [MODEL, *BOARD, "--engine-dir", "x"],
        [MODEL, *BOARD, "--heap", "100"],
        ["--engine-dir", "x", *BOARD, "--plain"],
        ["--engine-dir", "x", *BOARD, "--emit-c", "y"],
    ],
)
def test_wrong_usage_is_2(build, arguments):
    assert build(*arguments).exit_code == 2


def test_a_missing_engine_folder(build):
    result = build("--engine-dir", "none", *BOARD)
    assert result.exit_code == 1
    assert "none: is not a folder" in result.output


def numbers(header, name):
    """The array of that name in a C header."""
    found = re.search(rf" {name}((?:\[\d+\])+) = \{{(.*?)\}};", header, re.DOTALL)
    shape = [int(size) for size in re.findall(r"\d+", found[1])]
    return np.array([float(word) for word in re.findall(r"-?\d[\d.e+-]*", found[2])]).reshape(shape)


@pytest.mark.slow
def test_the_example_of_an_own_engine_predicts_what_its_weights_say(build, toolchain, tmp_path):
    example = tmp_path / "examples" / "own_engine"
    shutil.copytree(ROOT / "examples" / "own_engine", example, ignore=shutil.ignore_patterns("build"))
    shutil.copytree(ROOT / "suites" / "data", tmp_path / "suites" / "data")
    readme = (example / "README.md").read_text()
    command = re.search(r"^    hil (build --engine-dir .*)$", readme, re.MULTILINE)[1]
    result = build(*command.split()[1:])
    assert result.exit_code == 0, result.output
    assert "warning" not in result.output
    results = harness.benchmark(example / "suite.yaml", backend="virtual", results_dir=tmp_path / "results")
    assert list(results.cases["status"]) == ["complete"]

    header = (example / "engine" / "weights.h").read_text()
    data = np.load(tmp_path / "suites" / "data" / "fashion_mnist_test1000.npz")
    blocks = data["images"].astype(int).reshape(-1, 14, 2, 14, 2).sum(axis=(2, 4)).reshape(-1, 196)
    hidden = np.maximum(blocks @ numbers(header, "hidden_weights").T + numbers(header, "hidden_bias"), 0)
    expected = (hidden @ numbers(header, "weights").T + numbers(header, "bias")).argmax(axis=1)
    assert list(results.samples["prediction"]) == expected.tolist()
    accuracy = (expected == data["labels"]).mean()
    assert results.cases["accuracy"].item() == accuracy
    assert f"{100 * accuracy:.1f} %" in readme
    if "(15:12.2.rel1-1)" in toolchain.version:  # another compiler makes other code
        assert f"{results.cases['ticks_median'].item():,.0f} instructions" in readme


@pytest.fixture
def product(tmp_path):
    """A model of one MUL of its input with a constant."""
    x = T((1, 8), "float32")
    weights = constant(np.linspace(-2, 2, 8, dtype=np.float32)[np.newaxis], "float32")
    path = tmp_path / "product.tflite"
    path.write_bytes(write_tflite([Op("MUL", [x, weights], T((1, 8), "float32"))]))
    return path


@pytest.mark.usefixtures("toolchain")
def test_an_image_is_compared_with_an_interpreter(build, objects, product):
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert, the oracle of float32 models, isn't installed")
    result = build(product, *BOARD, *objects)
    assert result.exit_code == 0, result.output
    assert re.search(r"\nChecked: 4 made-up inputs on the virtual board and in litert [\d.]+: ", result.output)


@pytest.mark.usefixtures("toolchain")
def test_a_miscompiled_image_is_never_written(build, objects, product, monkeypatch, tmp_path):
    """The compiler is made to err as it did when it took the old field of an operator's code for the new one."""
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert, the oracle of float32 models, isn't installed")

    def wrong(node):
        step = lower_values.binary(node)
        return replace(step, kernel=step.kernel.replace("mul", "add"))

    monkeypatch.setitem(KINDS, "MUL", replace(KINDS["MUL"], lower={"float32 to float32": wrong}))
    (tmp_path / "product.elf").write_bytes(b"of yesterday")
    result = build(product, *BOARD, *objects)
    assert result.exit_code == 1
    assert re.search(
        r"product\.tflite: the image doesn't compute what litert [\d.]+ does: on made-up input 0", result.output
    )
    assert (tmp_path / "product.elf").read_bytes() == b"of yesterday"
    result = build(product, *BOARD, *objects, "--no-check")
    assert result.exit_code == 0
    assert "product.elf: not compared with an interpreter (--no-check)." in result.output


@pytest.mark.usefixtures("toolchain")
def test_litert_alone_is_enough_for_an_int8_model(build, objects, monkeypatch):
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert, the oracle of float32 models, isn't installed")
    monkeypatch.setitem(interpreters.PACKAGES, "tflite-micro", "no-such-package")
    result = build(DATA / "chain00_int8.tflite", *BOARD, *objects)
    assert result.exit_code == 0, result.output
    assert re.search(r"and in litert [\d.]+: (equal bit for bit|within \d+ steps)\.", result.output)


@pytest.mark.usefixtures("toolchain")
def test_without_an_interpreter_the_image_is_made_and_how_to_install_one_said(build, objects, monkeypatch, tmp_path):
    for name in interpreters.PACKAGES:
        monkeypatch.setitem(interpreters.PACKAGES, name, "no-such-package")
    result = build(DATA / "chain00_int8.tflite", *BOARD, *objects)
    assert result.exit_code == 0, result.output
    assert (
        "chain00_int8.elf: not compared with an interpreter, as none is installed: pip install --pre" in result.output
    )
    assert (tmp_path / "chain00_int8.elf").is_file()
    result = build(DATA / "chain00_int8.tflite", *BOARD, *objects, "--check")
    assert result.exit_code == 1
    assert "--check: not compared with an interpreter" in result.output
