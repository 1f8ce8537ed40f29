"""Where images lie: arenas in a memory of their own, code in RAM, and what is too much for any."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from elftools.elf.elffile import ELFFile

from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.cli import main
from harness.config import Device, shipped_kinds
from harness.image.elf import load_image
from harness.link.client import Link
from harness.measure.memory import measure_peak_ram

MODEL = Path(__file__).parents[3] / "firmware" / "models" / "japanese_vowels" / "japanese_vowels_student_int8.tflite"
CARD = """{"model": "far", "engine": "test", "input": {"shape": [1, 4], "dtype": "float32"},
 "output": {"shape": [1, 4], "dtype": "float32"}}"""
ENGINE = """
#include "hil_card.h"
#include "hil_model.h"
static float arena[ARENA / 4] __attribute__((section(".arena"), aligned(16)));
static volatile char other[OTHER];
int hil_model_setup(struct hil_model *model)
{
    *model = (struct hil_model){.card = hil_card, .card_bytes = HIL_CARD_BYTES, .input = arena, .input_bytes = 16,
                                .output = arena + ARENA / 4 - 4, .output_bytes = 16};
    return other[OTHER - 1];
}
int hil_model_invoke(void)
{
    for (int i = 0; i < 4; ++i) arena[ARENA / 4 - 4 + i] = 2 * arena[i];
    return 0;
}
"""

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("toolchain")]


@pytest.fixture
def build(tmp_path, kept_objects):
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "card.json").write_text(CARD)
    (tmp_path / "engine" / "engine.c").write_text(ENGINE)

    def build(kind, *what):
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}.elf"
        command = ["build", "--board", kind, "--objects", str(kept_objects), "-o", str(out), *map(str, what)]
        result = CliRunner().invoke(main, command)
        return result.output, load_image(out, shipped_kinds()[kind]) if result.exit_code == 0 else None

    def build_engine(kind, arena, other=1):
        return build(kind, "--engine-dir", tmp_path / "engine", "-D", f"ARENA={arena}", "-D", f"OTHER={other}")

    build.engine = build_engine
    return build


def start(board, image):
    link = Link(board.link(), board.name)
    start_image(board, image, link)
    board.twin.watch_stack(*image.stack)
    return link


def open_kind(name):
    return open_board(Device(name=name, kind=shipped_kinds()[name]), "virtual")


@pytest.mark.parametrize(
    ("name", "arena", "memory", "place"),
    [
        ("nucleo_h743zi", 100_000, "DTCM", None),
        ("nucleo_h743zi", 0x80000, "AXI SRAM", 0x24000000),
        ("b_l475e_iot01a", 0x18000, "SRAM1", 0x20000000),
    ],
)
def test_an_arena_that_leaves_no_room_has_a_memory_of_its_own(build, toolchain, name, arena, memory, place):
    said, image = build.engine(name, arena)
    assert f"arena {arena:,} in {memory}), and the stack" in said
    assert image.arena_address == place or place is None
    values = np.array([1, -2, 3.5, 4], "<f4")
    with open_kind(name) as board:
        link = start(board, image)
        assert link.infer(values.tobytes()).output == (2 * values).tobytes()
        assert board.read_memory(image.arena_address + arena - 16, 16) == (2 * values).tobytes()
        ram = measure_peak_ram(board, image, link)
        assert ram.stack_bytes == image.stack[1] - (board.twin.lowest_write & ~3)
    size = [toolchain.gcc.removesuffix("gcc") + "size", image.path]
    sizes = subprocess.run(size, capture_output=True, text=True, check=True).stdout.split()
    assert ram.static_bytes + ram.arena_bytes == int(sizes[-5]) + int(sizes[-4])  # data and bss
    assert (ram.arena_bytes, ram.total_bytes) == (arena, ram.static_bytes + arena + ram.stack_bytes)


@pytest.mark.parametrize(
    ("name", "arena", "other", "told"),
    [
        ("nucleo_h743zi", 0x80010, 1, r"AXISRAM: the image needs 524,304 B, there are 524,288 B: 16 B too many\."),
        ("b_l475e_iot01a", 0x18010, 1, r"SRAM1: the image needs 98,320 B, there are 98,304 B: 16 B too many\."),
        # All in SRAM1 it lacks less than with its variables in SRAM2.
        ("b_l475e_iot01a", 32_000, 64_000, r"RAM \(SRAM1\): the image needs 9\d,\d{3} B, there are 90,112 B"),
        (
            "b_l475e_iot01a",
            0x18000,
            23_000,
            r"RAM \(SRAM2\): only [\d,]+ of 24,576 B are left for the stack, [\d,]+ B too few\.",
        ),
    ],
)
def test_what_is_too_large_names_the_memory_and_the_bytes(build, name, arena, other, told):
    said, image = build.engine(name, arena, other)
    assert image is None
    assert re.search(told, said)


def test_a_pico_runs_in_ram_what_it_copied_from_flash(build):
    images = [build("pico", MODEL, "--no-check", "--code-in", where)[1] for where in ("flash", "ram")]
    tensor = np.arange(images[0].card.input_bytes, dtype=np.uint8).tobytes()
    results, static = [], []
    for image in images:
        with open_kind("pico") as board:
            link = start(board, image)
            results.append(link.infer(tensor))
            ram = measure_peak_ram(board, image, link)
            assert ram.stack_bytes == image.stack[1] - (board.twin.lowest_write & ~3)
            static.append(ram.static_bytes)
            if image is images[1]:
                with image.path.open("rb") as file:
                    copied = next(s for s in ELFFile(file).iter_segments() if s["p_vaddr"] == 0x20000000)
                board.twin.machine.memory.flash[copied["p_paddr"] - 0x10000000 :] = 0
                assert link.infer(tensor) == results[1]
    assert results[0].output == results[1].output
    assert results[0].ticks == results[1].ticks
    assert copied["p_filesz"] <= static[1] - static[0] < copied["p_filesz"] + 16
    assert [shipped_kinds()["pico"].code_memory(image.code_address) for image in images] == ["flash", "RAM"]
    assert images[1].card.engine == "tinyml-hil (kernels for the Cortex-M0+, code and weights in RAM)"
