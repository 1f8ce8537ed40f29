"""An Uno's firmware on the emulated one: flashed by avrdude through optiboot, measured, and what its figures are."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.api import benchmark
from harness.boards.opening import open_board
from harness.boards.simavr import how_it_is_flashed
from harness.boards.start_image import start_image
from harness.build.interpreters import open_interpreter
from harness.cli import main
from harness.config import Device, shipped_kinds
from harness.errors import BoardError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.measure.memory import measure_peak_ram

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "firmware" / "models" / "meat_fat" / "meat_fat_int8.tflite"
KIND = shipped_kinds()["uno"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("simavr", "avr_gcc")]


@pytest.fixture(scope="module")
def image(tmp_path_factory, kept_objects):
    path = tmp_path_factory.mktemp("uno") / "meat_fat_int8.elf"
    command = ["build", str(MODEL), "--board", "uno", "--objects", str(kept_objects), "--no-check", "-o", str(path)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    return load_image(path, KIND)


@pytest.fixture(scope="module")
def inputs():
    drawn = np.random.default_rng(7)
    return [drawn.integers(-128, 128, 90, dtype=np.int8) for _ in range(5)]


def open_uno():
    return open_board(Device(name="uno", kind=KIND), "virtual")


def measured(board, image, inputs):
    """Flash, and run inputs; return outputs, ticks and stack, each held against what the emulator saw of it."""
    link = Link(board.link(), board.name)
    start_image(board, image, link)
    bottom, top = image.stack
    board.twin.watch_stack(bottom, top)
    results = []
    for data in inputs:
        results.append(link.infer(data.tobytes()))
        (ticks,) = results[-1].ticks
        assert ticks < board.twin.status().pulse < 1.01 * ticks  # between edges of the sync pin, in simavr's own cycles
    stack = measure_peak_ram(board, image, link).stack_bytes
    assert stack == top - (board.twin.lowest_write & ~3)
    assert board.twin.status().lost == 0
    return [result.output for result in results], [result.ticks for result in results], stack


def without(program, folder, monkeypatch):
    """Take a program off PATH, and leave what else is needed."""
    for name in ("avr-gcc", "avrdude", "cc"):
        if name != program and (path := shutil.which(name)) is not None:
            (folder / name).symlink_to(path)
    monkeypatch.setenv("PATH", str(folder))


def test_it_is_flashed_by_avrdude_and_counts_and_computes_the_same_in_each_run(image, inputs, tmp_path, monkeypatch):
    if how_it_is_flashed()[0] is None:
        pytest.skip(how_it_is_flashed()[1])
    with open_uno() as board:
        first = measured(board, image, inputs)
        assert board.crash_report() is None
        board.twin._process.kill()
        with pytest.raises(BoardError):
            Link(board.link(), board.name).connect()
        assert board.ended
        board.reconnect()
        again = measured(board, image, inputs)
        assert "another one was started" in board.notes[-1]
    without("avrdude", tmp_path, monkeypatch)
    with open_uno() as board:
        directly = measured(board, image, inputs)
        assert "directly, not by avrdude: avrdude isn't installed (`apt install avrdude`)" in board.notes[0]
    assert first == again == directly
    outputs, ticks, stack = first
    interpreter = open_interpreter(MODEL, ("tflite-micro", "litert"))
    assert outputs == [interpreter.run(data.reshape(1, 90, 1, 1)).tobytes() for data in inputs]
    assert 50_000 < min(ticks)[0] <= max(ticks)[0] < min(ticks)[0] + 100  # what varies is the input
    assert 100 < stack < 400


def test_its_ticks_are_neither_cycles_nor_instructions_and_give_no_latency(image, tmp_path, root):
    suite = tmp_path / "meat.yaml"
    text = (root / "suites" / "meat_fat.yaml").read_text().partition("variants:")[0]
    text = text.replace("data/meat", f"{root}/suites/data/meat").replace("../firmware/prebuilt", str(tmp_path))
    suite.write_text(f"{text}variants:\n  int8: {{image: meat_fat_int8, technique: int8}}\n")
    for kind, path in (("uno", image.path), ("nano33", root / "firmware/prebuilt/nano33/meat_fat_int8.elf")):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "meat_fat_int8.elf").symlink_to(path)
    lab = tmp_path / "devices.yaml"
    lab.write_text("devices: {u: {kind: uno, backend: virtual}, n: {kind: nano33, backend: virtual}}\n")
    folder = tmp_path / "results"
    found = benchmark(suite, device="all", each=True, samples=3, results_dir=folder, lab_file=lab)
    uno, nano = (found.cases.set_index("device").loc[name] for name in "un")
    assert (uno["status"], uno["counter"], nano["counter"]) == ("complete", "emulated cycles", "instructions")
    assert uno["latency_reason"] == "an emulator counts emulated cycles, not time"
    assert uno[["latency_us_median", "estimated_cycles_median", "energy_uj"]].isna().all()
    assert "this is an ATmega328P; its ticks are simavr's own" in uno["estimated_cycles_reason"]
    assert uno["ticks_median"] > 50_000
    assert uno["score"] == nano["score"]
    command = ["compare", "--device", "n", "--device", "u", "--results-dir", str(folder)]
    compared = " ".join(CliRunner().invoke(main, command).output.split())
    assert "refused: different counters: instructions against emulated cycles" in compared
