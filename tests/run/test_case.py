"""Whole cases on the virtual board: what is recorded when all goes well, and when firmware fails."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
import pytest

from harness.boards.opening import VirtualBoard
from harness.boards.probe import ProbeBoard
from harness.boards.start_image import start_image
from harness.config import load_suite
from harness.errors import (
    BoardFaultError,
    BoardResetError,
    FlashError,
    ImageError,
    LinkError,
    MeasurementError,
)
from harness.image.elf import load_image
from harness.link.client import Link
from harness.measure.memory import measure_peak_ram
from harness.measure.twin_estimate import twin_columns
from harness.run.case import run_case
from harness.store import Run, load_results

GOOD = 4  # inferences that a misbehaving image answers, the warm-up included


@pytest.fixture
def measure(board, tmp_path, root):
    """Run one image on Fashion-MNIST inputs, and return its row and samples even if the case fails."""

    data_file = f"file: {root}/suites/data/fashion_mnist_test1000.npz"

    def measure(image, samples=10, error=None, match=None, retries=0, **options):
        suite_path = tmp_path / "suite.yaml"
        suite_path.write_text(
            textwrap.dedent(f"""
                task: fashion
                inputs: {{{data_file}, array: images, scale: 0.00392156862745098}}
                labels: {{{data_file}, array: labels}}
                classes: {options.pop("classes", [f"c{n}" for n in range(10)])}
                variants: {{one: {{image: {image}, technique: t}}}}
            """)
        )
        suite = load_suite(suite_path)
        data = suite.load_data()
        with Run.create(tmp_path / "results", {"seed": 0}) as run:
            arguments = (board, suite, suite.variants[0], data, run)
            if error is None:
                run_case(*arguments, samples=samples, retries=retries, **options)
            else:
                with pytest.raises(error, match=match):
                    run_case(*arguments, samples=samples, retries=retries, **options)
        results = load_results(run.path)
        return results.cases.iloc[0], results.samples, run

    return measure


def failed(row, samples, recorded, *, stopped=False):
    """Held against how many samples there must be; a board that stopped may have had some that it had not yet sent."""
    assert row.status == "failed"
    assert row.reason
    assert row[["accuracy", "accuracy_low", "ticks_median", "ticks_max", "ram_peak_bytes"]].isna().all()
    assert len(samples) == row.samples
    assert row.samples <= recorded if stopped else row.samples == recorded


def test_a_case_and_its_repetition(measure, prebuilt, board, root):
    image = load_image(prebuilt / "fashion_mnist_int8.elf")
    row, samples, _ = measure(image.path, samples=20)
    assert row.status == "complete"
    assert (row.samples, row.attempts, row.retransmissions) == (20, 1, 0)
    assert (row.backend, row.counter) == ("virtual", "instructions")
    assert row[["latency_us_median", "energy_uj"]].isna().all()
    assert (row.image_sha256, row.build_id) == (image.sha256, image.build_id)
    assert row.board_uid == f"{board.twin.chip_id:016X}"
    assert row.ram_arena_bytes == image.ram_arena_bytes
    assert (row.code_memory, row.arena_memory) == ("flash", "RAM")
    assert row.ram_peak_bytes == row.ram_static_bytes + row.ram_arena_bytes + row.ram_stack_bytes + row.ram_heap_bytes
    labels = np.load(root / "suites/data/fashion_mnist_test1000.npz")["labels"]
    assert sorted(labels[samples["sample"]].tolist()) == sorted(list(range(10)) * 2)
    assert samples["label"].tolist() == labels[samples["sample"]].tolist()
    assert (row.samples_asked, row.classes, row.classes_seen, row.majority_share) == (20, 10, 10, 0.1)
    assert (row.inputs_min, row.inputs_max, row.inputs_saturated, row.inputs_range_of) == (0, 1, 0, "one")
    assert (samples.label == samples.prediction).mean() == row.accuracy
    again = measure(image.path, samples=24)[1]  # a smaller choice is part of a larger one: the same inputs are paired
    both = samples.merge(again, on="sample", suffixes=("", "_again"))
    assert len(both) == 20
    for column in ("label", "prediction", "ticks", "output_crc"):
        assert both[column].tolist() == both[f"{column}_again"].tolist()


def test_estimated_cycles_stand_beside_instructions_and_repeat(measure, prebuilt):
    names = ("int8", "int8", "float32")
    integer, again, floats = (measure(prebuilt / f"fashion_mnist_{name}.elf", 5)[0] for name in names)
    names = [f"estimated_cycles_{name}" for name in ("median", "p95", "min", "max")]
    assert integer[names].tolist() == again[names].tolist()
    for row, error in ((integer, "no published measurement on this flash"), (floats, "float code")):
        assert row.estimated_cycles_error == f"not validated: {error}"
        assert row.cycle_model == "cortex-m4-1"
        assert pd.isna(row.estimated_cycles_reason)
        assert row.estimated_cycles_min <= row.estimated_cycles_median <= row.estimated_cycles_max
    # An instruction takes a cycle at least, and these a good deal less than three with their waits for flash.
    assert 1.3 < integer.estimated_cycles_median / integer.ticks_median < 2.2
    assert 2.0 < floats.estimated_cycles_median / floats.ticks_median < 3.0
    assert 0.3 < integer.estimated_cycles_median / floats.estimated_cycles_median < 0.5


@pytest.mark.slow
def test_a_real_board_repeats_some_inputs(measure, prebuilt, board):
    names = [f"estimated_cycles_{name}" for name in ("median", "p95", "min", "max", "error")] + ["cycle_model"]
    emulated = measure(prebuilt / "fashion_mnist_int8.elf", samples=22, twin_estimate=True)[0]
    board.backend = "hardware"  # the twin behind the code path of real boards
    row, samples, _ = measure(prebuilt / "fashion_mnist_int8.elf", samples=22, twin_estimate=True)
    assert row[names].tolist() == emulated[names].tolist()  # of another twin, beside the board
    assert row.samples == 22
    assert samples.groupby("repeat").size().tolist() == [22, 20, 20, 20, 20]
    first = samples[samples["repeat"] == 0]
    assert (first.label == first.prediction).mean() == row.accuracy
    assert samples.groupby("sample").ticks.nunique().eq(1).all()


def test_a_board_has_no_estimate_unless_asked_and_none_of_code_that_answers_otherwise(measure, prebuilt, board):
    image = load_image(prebuilt / "fashion_mnist_int8.elf")
    board.backend = "hardware"
    row = measure(image.path, samples=2)[0]
    assert row[[name for name in row.index if "estimated" in name]].isna().all()
    columns = twin_columns(board.kind, image, [(bytes(784),)], b"another output")
    reason = "on the virtual board: the first input gives another output than on the board"
    assert columns == {"estimated_cycles_reason": reason}
    columns = twin_columns(board.kind.model_copy(update={"twin": None}), image, [(bytes(784),)], b"")
    assert "has no virtual board" in columns["estimated_cycles_reason"]


def test_the_inputs_of_a_case_are_told_by_their_digest(measure, prebuilt):
    two, three = (measure(prebuilt / "fashion_mnist_int8.elf", samples=count)[0] for count in (2, 3))
    assert len(two.inputs_sha256) == 64
    assert two.inputs_sha256 != three.inputs_sha256


def test_the_first_input_is_measured_layer_by_layer(measure, prebuilt, board):
    image = load_image(prebuilt / "fashion_mnist_int8.elf")
    row, samples, run = measure(image.path, samples=3)
    layers = load_results(run.path).layers
    assert layers.operator.tolist() == [spec.kind for spec in image.layers]
    assert layers.macs.sum() == image.card.macs
    assert (layers.ticks > 0).all()
    assert abs(layers.ticks.sum() - samples.ticks[0]) <= 16
    # The stack is that of inferences, without the marks of layers, which need more.
    link = Link(board.link(), board.name)
    start_image(board, image, link)
    data = bytes(link.info.input_bytes)
    link.infer(data)
    assert row.ram_stack_bytes == measure_peak_ram(board, image, link).stack_bytes
    link.profile(data)
    assert row.ram_stack_bytes < measure_peak_ram(board, image, link).stack_bytes


def test_an_image_whose_layers_answer_otherwise_is_no_result(measure, root):
    row, samples, _ = measure(
        root / "tests/images/wrong.elf", error=MeasurementError, match="the engine's two ways to run the model differ"
    )
    failed(row, samples, 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fashion_mnist_int8", "fashion_mnist_float32"])
def test_stack_figure_is_the_lowest_address_that_the_emulator_saw(board, suite, prebuilt, name):
    """The firmware's paint against the emulator's own watch on every write."""
    image = load_image(prebuilt / f"{name}.elf")
    link = Link(board.link(), board.name)
    start_image(board, image, link)
    bottom, top = image.stack
    board.twin.watch_stack(bottom, top)
    inputs = image.card.input.encode(suite.load_data(2).real())
    for tensor in inputs:
        link.infer(tensor.tobytes())
    measured = measure_peak_ram(board, image)
    assert measured.stack_bytes == top - (board.twin.lowest_write & ~3)
    assert 100 < measured.stack_bytes < 1244
    assert link.stats().stack_used_bytes == measured.stack_bytes


def test_bus_fault(measure, root):
    row, samples, run = measure(
        root / "tests/images/fault.elf",
        error=BoardFaultError,
        match=r"bus error, address 0x30000000 at PC 0x[0-9A-F]+.* in hil_model_invoke",
    )
    failed(row, samples, GOOD - 1, stopped=True)
    assert "0x30000000" in (run.path / "logs" / "nano33.log").read_text()


@pytest.mark.slow
def test_hang_in_an_inference(measure, root):
    row, samples, _ = measure(
        root / "tests/images/hang.elf", error=LinkError, match=r"running at PC 0x[0-9A-F]+ in hil_model_invoke"
    )
    failed(row, samples, GOOD - 1, stopped=True)


def test_reset_in_the_middle_is_retried_and_then_reported(measure, root):
    row, samples, _ = measure(
        root / "tests/images/restart.elf",
        error=BoardResetError,
        match=r"was reset in the middle .*attempt 2 of 2",
        retries=1,
    )
    failed(row, samples, GOOD - 1, stopped=True)
    assert row.attempts == 2


def test_garbage_between_the_answers_changes_nothing(measure, root):
    row, samples, _ = measure(root / "tests/images/babble.elf")
    assert row.status == "complete"
    assert len(samples) == 10
    clean = measure(root / "tests/images/fail.elf", samples=GOOD - 1)[1]
    both = samples.merge(clean, on="sample", suffixes=("", "_clean"))
    assert len(both) == GOOD - 1
    assert both["output_crc"].tolist() == both["output_crc_clean"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["garbage", "silent"])
def test_firmware_that_never_answers(measure, root, name):
    row, samples, _ = measure(root / f"tests/images/{name}.elf", error=LinkError, match="doesn't answer as it should")
    failed(row, samples, 0)


def test_inference_that_fails_is_not_retried(measure, root):
    row, samples, _ = measure(
        root / "tests/images/fail.elf", error=MeasurementError, match="the engine reports", retries=2
    )
    failed(row, samples, GOOD - 1)
    assert row.attempts == 1


@pytest.mark.slow
def test_stack_that_reached_its_bottom_has_no_figure(measure, root):
    row, samples, _ = measure(
        root / "tests/images/overflow.elf", samples=5, error=(MeasurementError, BoardFaultError, LinkError)
    )
    failed(row, samples, len(samples))


def test_interruption_keeps_what_was_measured(measure, prebuilt):
    def interrupt(stage, done, _total):
        if stage == "measure" and done == 6:
            raise KeyboardInterrupt

    row, samples, _ = measure(prebuilt / "fashion_mnist_int8.elf", error=KeyboardInterrupt, on_progress=interrupt)
    failed(row, samples, 6)
    assert row.reason == "interrupted after 6 samples"


def test_classes_that_are_not_the_model_s(measure, prebuilt):
    row, samples, _ = measure(
        prebuilt / "fashion_mnist_int8.elf",
        classes=[f"c{n}" for n in range(12)],
        error=ImageError,
        match="has 10 outputs, but .* lists 12 classes",
    )
    failed(row, samples, 0)


@pytest.mark.slow
def test_port_of_another_board_than_the_probe(nano33, prebuilt):
    """Probe and port of two boards are swapped: the image that was flashed is not the one that answers."""
    int8, float32 = (load_image(prebuilt / f"fashion_mnist_{name}.elf") for name in ("int8", "float32"))
    with VirtualBoard(nano33) as one, VirtualBoard(nano33) as other:
        start_image(other, float32, Link(other.link(), "other"))
        port = other.port
        other.link().close()
        with ProbeBoard("mixed", nano33.kind, "virtual", one.twin.probe_uid, port) as mixed:
            link = Link(mixed.link(), "mixed")
            with pytest.raises(FlashError, match=r"running firmware has build id .*another board than the probe"):
                start_image(mixed, int8, link)
