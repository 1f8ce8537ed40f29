"""The agent as a task of other programs: examples/other_main, built by the documented command, on the virtual board.

FreeRTOS is a stand-in of ours (tests/fakes/rtos), and an Arduino core is declared only: its sketch is compiled.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest

from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.errors import MeasurementError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.interrupts import interrupt_columns
from harness.measure.memory import measure_peak_ram

pytestmark = pytest.mark.slow

INPUT = (np.arange(784) % 251).astype(np.uint8).tobytes()
CLOCK_HZ, TICK_HZ = 64_000_000, 1000
HANDLER = 5  # instructions of the example's SysTick_Handler: three to load and add, a store, a return


@pytest.fixture(scope="module")
def built(root, tmp_path_factory, toolchain):  # noqa: ARG001 - skips where there is no compiler
    folder = tmp_path_factory.mktemp("other_main")
    command = [sys.executable, root / "examples" / "other_main" / "build.py", "-o", folder]
    programs = ["bare_metal", "bare_metal_no_tick", "freertos", "arduino", "--freertos", root / "tests/fakes/rtos"]
    done = subprocess.run([*command, *programs], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    return folder


class Running:
    """A program on the virtual board."""

    def __init__(self, board, image):
        self.board, self.image = board, image
        self.link = Link(board.link(), board.name, Timing(baud=board.kind.baud))
        start_image(board, image, self.link)

    def counts(self) -> list[int]:
        """Instructions of each of 32 inferences on one input."""
        result = self.link.infer(INPUT, 32)
        self.output = result.output
        return list(result.ticks)

    def word(self, name: str) -> int:
        return int.from_bytes(self.board.read_memory(self.image.symbols[name], 4), "little")


@pytest.fixture
def run(nano33):
    @contextmanager
    def start(path):
        with open_board(nano33, "virtual") as board:
            yield Running(board, load_image(path, nano33.kind))

    return start


@pytest.fixture(scope="module")
def alone(root, nano33):
    """Instructions and output of an inference in the image that has the agent's own main()."""
    with open_board(nano33, "virtual") as board:
        path = root / "firmware" / "prebuilt" / "nano33" / "fashion_mnist_int8.elf"
        program = Running(board, load_image(path, nano33.kind))
        (count,) = set(program.counts())
        return count, program.output


def test_without_interrupts_another_program_measures_the_same(built, alone, run):
    with run(built / "bare_metal_no_tick.elf") as program:
        assert set(program.counts()) == {alone[0]}
        assert program.output == alone[1]
        assert interrupt_columns(program.link.stats()) == {"interrupts_per_inference": 0}
        symbols = program.image.symbols
        bottom, top = symbols["main_stack_bottom"], symbols["main_stack_top"]
        program.board.twin.watch_stack(bottom, top)  # slow
        program.link.infer(INPUT)
        ram = measure_peak_ram(program.board, program.image, program.link)
        assert ram.stack_bytes == top - program.board.twin.lowest_write
        assert ram.heap_bytes is ram.total_bytes is None


def test_a_tick_adds_its_handler_and_is_counted(built, alone, run):
    count = alone[0]
    with run(built / "bare_metal.elf") as program:
        found, stats = Counter(program.counts()), program.link.stats()
        assert program.output == alone[1]
    assert stats.inferences == 32
    # One may fall between the count and the reading of the counter, outside of what is timed.
    more = HANDLER * stats.interrupts - sum((ticks - count) * times for ticks, times in found.items())
    assert more in (0, HANDLER, 2 * HANDLER)
    each = count * TICK_HZ // CLOCK_HZ
    assert {(ticks - count) // HANDLER for ticks in found} <= {each, each + 1}


def test_a_task_of_an_operating_system_is_measured_with_what_interrupts_it(built, alone, run):
    count = alone[0]
    with run(built / "freertos.elf") as program:
        worked = program.word("works")
        assert all(ticks > count for ticks in program.counts())
        assert program.output == alone[1]
        each = interrupt_columns(program.link.stats())["interrupts_per_inference"]
        # A tick each millisecond; every tenth wakes the task, which takes the processor, and gives it back.
        assert each == pytest.approx(count * (TICK_HZ + 2 * TICK_HZ / 10) / CLOCK_HZ, abs=1)
        assert program.word("works") >= worked + 32 * count * 100 // CLOCK_HZ


def patched(image, out, **words):
    """Write an image whose program tells the agent another clock, or another stack."""
    content = bytearray(image.path.read_bytes())
    told = {"counter_hz": CLOCK_HZ, "stack": image.symbols["agent_stack"]}
    place = content.index(struct.pack("<3I", image.symbols["board_milliseconds"], *told.values()))
    struct.pack_into("<2I", content, place + 4, *(told | words).values())
    out.write_bytes(content)
    return out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"counter_hz": 60_000_000}, "differ by more than 5 %"),
        ({"stack": 0x20000000}, "doesn't run on the stack that the program names"),
    ],
)
def test_what_the_program_has_wrong_is_refused(built, nano33, run, tmp_path, words, said):
    image = load_image(built / "freertos.elf", nano33.kind)
    path = patched(image, tmp_path / "wrong.elf", **words)
    with pytest.raises(MeasurementError, match=said), run(path):
        pass


def test_a_stack_that_is_not_told_is_not_known(built, nano33, run, tmp_path):
    image = load_image(built / "freertos.elf", nano33.kind)
    with run(patched(image, tmp_path / "untold.elf", stack=0)) as program:
        program.link.infer(INPUT)
        ram = measure_peak_ram(program.board, image, program.link)
    assert ram.stack_bytes is None
    assert "it wasn't told its stack" in ram.reason


def test_the_sketch_compiles(built, root, toolchain):
    sketch = built / "sketch"
    cpu = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-DHIL_PROGRAM", "-fsyntax-only"]
    strict = ["-Wall", "-Wextra", "-Werror"]
    core = [f"-I{root / 'tests' / 'fakes' / 'arduino'}"]
    compiled = [
        [toolchain.gcc, *cpu, *strict, "-std=gnu11", *sorted((sketch / "src").glob("[ahm]*.c"))],
        [toolchain.gxx or toolchain.gcc, *cpu, *strict, *core, "-x", "c++", sketch / "sketch.ino"],
    ]
    for command in compiled:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
