"""Engines of the user's own: C, C++, libraries, a heap, and what is said when something is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.build.making import Making
from harness.build.own_engine import OwnEngine, make_engine_image
from harness.build.sources import target_for
from harness.cli import main
from harness.errors import ConfigError, MeasurementError
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.memory import measure_peak_ram

ROOT = Path(__file__).parents[2]
CARD = {
    "model": "echo",
    "engine": "test",
    "input": {"shape": [1, 4], "dtype": "float32"},
    "output": {"shape": [1, 4], "dtype": "float32"},
}
SETUP = """
static float arena[8] __attribute__((section(".arena"), aligned(16)));
int hil_model_setup(struct hil_model *model)
{
    model->card = hil_card;
    model->card_bytes = HIL_CARD_BYTES;
    model->input = arena;
    model->input_bytes = 16;
    model->output = arena + 4;
    model->output_bytes = 16;
    return 0;
}
"""
HEADERS = '#include "hil_card.h"\n#include "hil_model.h"\n'
INVOKE = "int hil_model_invoke(void) { for (int i = 0; i < 4; ++i) arena[4 + i] = FACTOR * arena[i]; return 0; }\n"


@pytest.fixture
def making(toolchain, nano33, kept_objects):
    return Making(target_for(nano33.kind, [nano33.kind], ROOT / "firmware"), toolchain, kept=kept_objects)


def write_engine(folder, files, card=CARD):
    folder.mkdir(parents=True, exist_ok=True)
    if card is not None:
        (folder / "card.json").write_text(json.dumps(card))
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def run(image, device, values):
    """Flash, start, run once; return the output, and the peak RAM."""
    with open_board(device, "virtual") as board:
        link = Link(board.link(), board.name, Timing(baud=device.kind.baud))
        start_image(board, image, link)
        result = link.infer(np.array(values, "<f4").tobytes())
        return np.frombuffer(result.output, "<f4").tolist(), measure_peak_ram(board, image, link)


def test_an_engine_in_c_runs(making, nano33, tmp_path):
    folder = write_engine(tmp_path / "e", {"engine.c": HEADERS + SETUP + INVOKE})
    made = make_engine_image(OwnEngine(folder, defines=("FACTOR=3.0f",)), making, tmp_path / "e.elf")
    assert made.image.card.board == "nano33"
    assert made.image.card.model == "echo"
    assert made.image.ram_arena_bytes == 32
    assert run(made.image, nano33, [1, 2, -3, 0.5])[0] == [3, 6, -9, 1.5]


def test_an_engine_that_knows_what_it_used_of_its_arena(making, nano33, tmp_path):
    ram = {}
    for name, used in {"silent": "", "told": "20", "boast": "36"}.items():
        told = f"uint32_t hil_model_arena_used(void) {{ return {used}; }}" if used else ""
        code = "#define FACTOR 2\n" + HEADERS + SETUP + INVOKE + told
        made = make_engine_image(
            OwnEngine(write_engine(tmp_path / name, {"engine.c": code})), making, tmp_path / "e.elf"
        )
        if name == "boast":
            with pytest.raises(MeasurementError, match=r"says 36 bytes, but the section \.arena has 32"):
                run(made.image, nano33, [1, 2, 3, 4])
        else:
            ram[name] = run(made.image, nano33, [1, 2, 3, 4])[1]
    assert (ram["silent"].arena_bytes, ram["told"].arena_bytes) == (32, 20)
    assert ram["told"].total_bytes == ram["told"].static_bytes + 20 + ram["told"].stack_bytes


def test_the_image_is_the_same_from_another_folder(making, tmp_path):
    images = []
    for name in ("a", "another one"):
        folder = write_engine(tmp_path / name, {"engine.c": "#define FACTOR 2\n" + HEADERS + SETUP + INVOKE})
        images.append(make_engine_image(OwnEngine(folder), making, tmp_path / f"{name}.elf").image.sha256)
    assert images[0] == images[1]


CXX = (
    HEADERS
    + """
#include <algorithm>
struct Layer {
    virtual ~Layer() {}
    virtual float operator()(float x) const = 0;
};
struct Scale : Layer {
    float factor;
    Scale(float f) : factor(f) {}
    float operator()(float x) const override { return std::min(factor * x, 100.0f); }
};
static volatile float five = 5.0f;
static Scale scale(five); /* a constructor that must run at boot */
static const Layer &layer = scale;
"""
    + SETUP
    + "int hil_model_invoke(void) { for (int i = 0; i < 4; ++i) arena[4 + i] = layer(arena[i]); return 0; }\n"
)


def test_an_engine_in_cxx_has_its_static_objects(making, nano33, tmp_path):
    if making.toolchain.gxx is None:
        pytest.skip("arm-none-eabi-g++ isn't installed")
    folder = write_engine(tmp_path / "e", {"src/engine.cpp": CXX})
    made = make_engine_image(OwnEngine(folder), making, tmp_path / "e.elf")
    assert run(made.image, nano33, [1, 2, -3, 50])[0] == [5, 10, -15, 100]


def test_cxx_without_a_compiler_for_it(making, tmp_path):
    folder = write_engine(tmp_path / "e", {"engine.cc": CXX})
    lone = replace(making, toolchain=replace(making.toolchain, gxx=None))
    with pytest.raises(ConfigError, match=r"(?s)engine\.cc is C\+\+.*apt-get install libstdc"):
        make_engine_image(OwnEngine(folder), lone, tmp_path / "e.elf")


HEAP = (
    HEADERS
    + "#include <stdlib.h>\n"
    + SETUP
    + """
int hil_model_invoke(void)
{
    static float *copy;
    if (!copy && !(copy = malloc(1000 * sizeof *copy)))
        return 1;
    for (int i = 0; i < 4; ++i) copy[996 + i] = arena[i];
    for (int i = 0; i < 4; ++i) arena[4 + i] = copy[999 - i];
    return 0;
}
"""
)


def test_a_heap_is_counted_as_heap(making, nano33, tmp_path):
    folder = write_engine(tmp_path / "e", {"engine.c": HEAP})
    without = write_engine(tmp_path / "none", {"engine.c": "#define FACTOR 1\n" + HEADERS + SETUP + INVOKE})
    plain = make_engine_image(OwnEngine(without), making, tmp_path / "n.elf").image
    made = make_engine_image(OwnEngine(folder, heap_bytes=8_000), making, tmp_path / "e.elf")
    output, ram = run(made.image, nano33, [1, 2, 3, 4])
    assert output == [4, 3, 2, 1]
    assert 4_000 <= ram.heap_bytes < 4_200
    assert made.image.heap[1] - made.image.heap[0] == pytest.approx(8_000, abs=8)
    assert made.image.ram_static_bytes - plain.ram_static_bytes < 3_000  # malloc's own, without the heap


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            HEAP,
            r"nothing defines: _sbrk\n\S+engine\.c calls malloc\(\), which needs _sbrk\.\n.*a heap with --heap BYTES",
        ),
        (
            "#include <stdlib.h>\n#define FACTOR (arena[0] > 9 ? (abort(), 1) : 2)\n" + HEADERS + SETUP + INVOKE,
            r"\S+engine\.c calls abort\(\), which needs _exit, _getpid, _kill, _sbrk\.\n.*void abort\(void\) \{ __b",
        ),
        (
            "#include <unistd.h>\n#define FACTOR write(1, arena, 4)\n" + HEADERS + SETUP + INVOKE,
            r"\S+engine\.c calls write\(\), which needs _write\.\n.*no operating system",
        ),
        (
            "int ours(void);\n#define FACTOR ours()\n" + HEADERS + SETUP + INVOKE,
            r"nothing defines: ours\n\S+engine\.c calls ours\.$",
        ),
    ],
)
def test_what_nothing_defines_is_named_with_who_calls_it(making, tmp_path, source, says):
    folder = write_engine(tmp_path / "e", {"engine.c": source})
    with pytest.raises(ConfigError, match=f"(?s){says}"):
        make_engine_image(OwnEngine(folder), making, tmp_path / "e.elf")


@pytest.mark.slow
def test_only_what_changed_is_compiled_again(making, tmp_path):
    """Against builds of the same sources that keep nothing."""
    files = {
        "engine.c": HEADERS + '#include "f.h"\n' + SETUP + INVOKE,
        "f.h": "#define FACTOR 2\n",
        "other.c": "int x;\n",
    }
    folder = write_engine(tmp_path / "e", files | {"include/f.h": "", "warns.c": "static int unused;\n"})
    kept = replace(making, kept=tmp_path / "kept")
    log = []

    def build(**more):
        engine = OwnEngine(folder, **more)
        made = make_engine_image(engine, kept, tmp_path / "kept.elf")
        assert made.image.sha256 == make_engine_image(engine, making, tmp_path / "new.elf").image.sha256
        assert "unused" in made.warnings
        now = {path.name.split("-")[0]: path.stat().st_mtime_ns for path in kept.kept.glob("e-*/*.o")}
        log.append(now)
        return {name for name in now if now[name] != log[max(len(log) - 2, 0)].get(name)}, made.image.sha256

    os.utime(folder / "f.h", (0, 0))  # a source that changes while it is compiled is not kept
    for name in ("engine.c", "other.c", "warns.c"):
        os.utime(folder / name, (0, 0))
    first = build()[1]
    assert build() == (set(), first)
    (folder / "f.h").write_text("#define FACTOR 3\n")
    os.utime(folder / "f.h", (0, 0))
    changed, image = build()
    assert (changed, image != first) == ({"engine"}, True)
    (folder / "f.h").unlink()  # another one comes to light
    (folder / "include/f.h").write_text("#define FACTOR 2\n")
    os.utime(folder / "include/f.h", (0, 0))
    assert build() == ({"engine", "other", "warns"}, first)
    assert build(defines=("X",))[0] == {"engine", "other", "warns"}
    write_engine(folder, {}, {**CARD, "model": "another"})
    assert build(defines=("X",))[0] == {"engine"}  # what is made of the card is a header of it


INTERPRETER = (
    HEADERS
    + '#include "hil_layers.h"\n'
    + SETUP.replace("return 0", "return FAILS")
    + """
struct Operator {
    const char *name;
    virtual void run(float *x) const = 0;
};
struct Add : Operator {
    void run(float *x) const override { for (int i = 0; i < 4; ++i) x[i] += 1.0f; }
} add;
struct Repeat : Operator {
    int times;
    void run(float *x) const override;
} repeat;

static void run(const Operator &one, float *x)
{
    hil_layer_begin(one.name);
    one.run(x);
    hil_layer_end();
}

void Repeat::run(float *x) const
{
    for (int i = 0; i < times; ++i) ::run(add, x);
}

int hil_model_invoke(void)
{
    add.name = "ADD";
    repeat.name = "REPEAT_AN_OPERATOR_MANY_TIMES_OVER";
    repeat.times = 50;
    for (int i = 0; i < 4; ++i) arena[4 + i] = arena[i];
    run(add, arena + 4);
    run(repeat, arena + 4);
    run(add, arena + 4);
    return 0;
}
"""
)


@pytest.fixture(scope="module")
def interpreters(toolchain, nano33, kept_objects, tmp_path_factory):
    """An interpreter in C++, built to set itself up, and to fail."""
    if toolchain.gxx is None:
        pytest.skip("arm-none-eabi-g++ isn't installed")
    making = Making(target_for(nano33.kind, [nano33.kind], ROOT / "firmware"), toolchain, kept=kept_objects)
    place = tmp_path_factory.mktemp("interpreter")
    folder = write_engine(place / "e", {"engine.cc": INTERPRETER})

    def make(status):
        engine = OwnEngine(folder, defines=(f"FAILS={status}",))
        return make_engine_image(engine, making, place / f"{status}.elf").image.path

    return make(0), make(-12)


def test_layers_that_an_interpreter_names(interpreters):
    done = CliRunner().invoke(
        main, ["profile", str(interpreters[0]), "--device", "nano33", "--backend", "virtual", "--json"]
    )
    profile = json.loads(done.output)
    first, second, third = profile["layers"]
    assert [layer["kind"] for layer in (first, second, third)] == [
        "ADD",
        "REPEAT_AN_OPERATOR_MANY_TIMES_OVER"[:31],
        "ADD",
    ]
    assert abs(first["instructions"] - third["instructions"]) <= 2  # the same, called from another place
    assert 50 * first["instructions"] < second["instructions"] < 150 * first["instructions"]
    outside = profile["rest"]["instructions"]
    assert 20 < outside < 100  # copying the input
    total = profile["total"]["instructions"]
    assert total == sum(layer["instructions"] for layer in profile["layers"]) + outside
    # What an ordinary inference spends on 53 pairs of calls that return at once, a profiled one spends on counting.
    assert abs(total - profile["inference"]["instructions"]) < 53 * 20


@pytest.mark.parametrize(
    "command", [("flash",), ("profile",), ("doctor", "--image")], ids=["flash", "profile", "doctor"]
)
def test_a_setup_that_fails_is_told_by_every_command(interpreters, command):
    name, *option = command
    arguments = [name, *option, str(interpreters[1]), "--device", "nano33", "--backend", "virtual"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code != 0
    assert "the engine's setup failed with -12; look in" in " ".join(f"{done.output} {done.exception}".split())


def test_tensors_larger_than_the_card_says_are_told(making, nano33, tmp_path):
    source = "#define FACTOR 1\n" + HEADERS + SETUP.replace("output_bytes = 16", "output_bytes = 20") + INVOKE
    folder = write_engine(tmp_path / "e", {"engine.c": source})
    made = make_engine_image(OwnEngine(folder), making, tmp_path / "e.elf")
    with pytest.raises(MeasurementError, match=r"nano33: the engine's setup gave larger tensors than its card\.json"):
        run(made.image, nano33, [1, 2, 3, 4])


def test_a_heap_that_does_not_fit(making, tmp_path):
    folder = write_engine(tmp_path / "e", {"engine.c": HEAP})
    with pytest.raises(ConfigError, match=r"(?s)doesn't fit nano33.*RAM: the image needs"):
        make_engine_image(OwnEngine(folder, heap_bytes=300_000), making, tmp_path / "e.elf")


def test_libraries_and_header_folders_are_found(making, nano33, toolchain, tmp_path):
    folder = write_engine(
        tmp_path / "e",
        {
            "engine.c": '#include "inc.h"\n#include "far.h"\n' + HEADERS + SETUP + INVOKE.replace("FACTOR", "factor()"),
            "include/inc.h": "float factor(void);\n",
        },
    )
    write_engine(tmp_path / "headers", {"far.h": "/* empty */\n"}, card=None)
    source = tmp_path / "factor.c"
    source.write_text("float factor(void) { return 7; }\n")
    cpu = making.target.cpu
    subprocess.run([toolchain.gcc, *cpu, "-c", source, "-o", tmp_path / "factor.o"], check=True)
    archiver = shutil.which("arm-none-eabi-ar")
    subprocess.run([archiver, "rcs", folder / "libfactor.a", tmp_path / "factor.o"], check=True)
    engine = OwnEngine(folder, includes=(tmp_path / "headers",))
    made = make_engine_image(engine, making, tmp_path / "e.elf")
    assert run(made.image, nano33, [1, 2, 3, 4])[0] == [7, 14, 21, 28]


def test_a_card_and_sizes_of_the_engines_own(making, nano33, tmp_path):
    card = json.dumps({"card": 1, "board": "nano33", **CARD})
    own = (
        '#include "hil_model.h"\n#include "model_config.h"\n'
        f'__attribute__((section(".hil_card"), used)) static const char hil_card[] = {json.dumps(card)};\n'
        "#define HIL_CARD_BYTES (sizeof hil_card - 1)\n#define FACTOR 2\n" + SETUP + INVOKE
    )
    config = "#define HIL_INPUT_BYTES 16u\n#define HIL_OUTPUT_BYTES 16u\n"
    folder = write_engine(tmp_path / "e", {"engine.c": own, "model_config.h": config}, card=None)
    made = make_engine_image(OwnEngine(folder), making, tmp_path / "e.elf")
    assert run(made.image, nano33, [1, 2, 3, 4])[0] == [2, 4, 6, 8]


@pytest.mark.parametrize(
    ("files", "card", "says"),
    [
        ({}, CARD, r"holds no source \(\.c, "),
        ({"engine.c": "int x;"}, None, r"lacks card\.json"),
        (
            {"engine.c": "int x;", "model_config.h": "#define HIL_INPUT_BYTES 4u\n#define HIL_OUTPUT_BYTES 4u\n"},
            None,
            "nothing defines",
        ),
        (
            {"engine.c": "int x;"},
            CARD,
            r"(?s)nothing defines: hil_model_invoke, hil_model_setup\n.*An engine must define",
        ),
        ({"engine.c": "int x"}, CARD, r"engine\.c can't be compiled"),
        ({"engine.c": "int x;"}, {**CARD, "board": "other"}, 'says board "other", but --board is nano33'),
        ({"engine.c": "int x;"}, {"model": "x"}, r"card\.json: the model card is wrong at engine: Field required"),
        ({"engine.c": "int x;"}, [], r"card\.json: must be a JSON object"),
        (
            {"engine.c": "int x;"},
            {**CARD, "output": {"shape": [70_000], "dtype": "int8", "scale": 1.0, "zero_point": 0}},
            r"card\.json: an output of 70,000 B",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_said(making, tmp_path, files, card, says):
    folder = write_engine(tmp_path / "e", files, card)
    with pytest.raises(ConfigError, match=says):
        make_engine_image(OwnEngine(folder), making, tmp_path / "e.elf")
    assert not (tmp_path / "e.elf").exists()


def test_an_image_without_a_card_is_refused(making, tmp_path):
    config = "#define HIL_INPUT_BYTES 16u\n#define HIL_OUTPUT_BYTES 16u\n"
    source = '#include "hil_model.h"\n#define FACTOR 1\nstatic const char hil_card[1];\n#define HIL_CARD_BYTES 1\n'
    folder = write_engine(tmp_path / "e", {"engine.c": source + SETUP + INVOKE, "model_config.h": config}, card=None)
    with pytest.raises(ConfigError, match=r"no model card.*Add card\.json"):
        make_engine_image(OwnEngine(folder), making, tmp_path / "e.elf")


def test_a_card_that_is_no_json(making, tmp_path):
    folder = write_engine(tmp_path / "e", {"engine.c": "int x;"}, None)
    (folder / "card.json").write_text("{model: echo}")
    with pytest.raises(ConfigError, match=r"card\.json: can't be read as JSON"):
        make_engine_image(OwnEngine(folder), making, tmp_path / "e.elf")


def test_odd_characters_of_a_card_arrive_unchanged(making, tmp_path):
    card = {**CARD, "model": 'a"b\\c??=d\u00fc'}
    folder = write_engine(tmp_path / "e", {"engine.c": "#define FACTOR 1\n" + HEADERS + SETUP + INVOKE}, card)
    made = make_engine_image(OwnEngine(folder), making, tmp_path / "e.elf")
    assert made.image.card.model == card["model"]


def test_what_is_left_out_is_not_part_of_an_engine(tmp_path):
    folder = write_engine(tmp_path / "e", {"a.c": "", "a_f16.c": "", "tests/deep/t.c": "", "src/b.c": ""})
    engine = OwnEngine(folder, excludes=("*_f16.c", "tests/*"))
    assert [path.relative_to(folder).as_posix() for path in engine.files(".c")] == ["a.c", "src/b.c"]


def test_hidden_files_are_not_part_of_an_engine(tmp_path):
    folder = write_engine(tmp_path / "e", {"b.c": "", "a/x.cc": "", ".git/hook.c": "", ".c": "", "note.txt": ""})
    assert [path.relative_to(folder).as_posix() for path in OwnEngine(folder).files(".c", ".cc")] == ["a/x.cc", "b.c"]
