"""Each kind of board whose images aren't committed: built, flashed by pyOCD and run, beside the Nano 33."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.cli import main
from harness.config import Device, shipped_kinds
from harness.errors import BoardFaultError, FlashError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.frame import Reply, Request
from harness.measure.memory import measure_peak_ram

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "firmware" / "models" / "fashion_mnist" / "fashion_mnist_int8.tflite"
KINDS = ("nrf52840dk", "microbit_v2", "b_l475e_iot01a", "nucleo_h743zi", "nucleo_l4r5zi", "pico")
SOFTDEVICE = struct.pack("<III", 12, 0x51B1E5DB, 0x1C000)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("toolchain")]


def open_kind(name, link="uart"):
    probe = "virtual" if link == "probe" else None
    return open_board(Device(name=name, kind=shipped_kinds()[name], link=link, probe=probe), "virtual")


def measured(board, image, inputs):
    """Run inputs on a board that was just switched on; return outputs, ticks, and stack by paint and by the watch."""
    link = Link(board.link(), board.name)
    info = start_image(board, image, link)
    bottom, top = image.stack
    board.twin.watch_stack(bottom, top)
    results = []
    for tensor in inputs:
        before = board.twin.instructions()
        results.append(link.infer(tensor.tobytes()))
        (ticks,) = results[-1].ticks
        assert ticks < board.twin.instructions() - before < 1.05 * ticks
    stack = measure_peak_ram(board, image).stack_bytes
    assert info.chip_id == board.twin.chip_id
    assert info.counter_hz == board.kind.clock_hz
    assert stack == top - (board.twin.lowest_write & ~3)
    assert not board.notes
    return [result.output for result in results], [result.ticks for result in results], stack


@pytest.fixture(scope="module")
def inputs(suite, prebuilt):
    return load_image(prebuilt / "fashion_mnist_int8.elf").card.input.encode(suite.load_data(2).real())


@pytest.fixture(scope="module")
def expected(inputs, prebuilt):
    with open_kind("nano33") as board:
        return measured(board, load_image(prebuilt / "fashion_mnist_int8.elf"), inputs)


@pytest.fixture(scope="module")
def build(tmp_path_factory, kept_objects):
    made = {}

    def build(name):
        if name not in made:
            path = tmp_path_factory.mktemp(name) / "fashion_mnist_int8.elf"
            command = ["build", str(MODEL), "--board", name, "--objects", str(kept_objects), "--no-check"]
            result = CliRunner().invoke(main, [*command, "-o", str(path)])
            assert result.exit_code == 0, result.output
            made[name] = load_image(path, shipped_kinds()[name])
        return made[name]

    return build


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_computes_and_counts_the_same_in_each_run_and_over_each_link(name, build, inputs, expected):
    image = build(name)
    inputs = inputs[: 1 if name == "pico" else None]  # it takes ten times as long
    runs = []
    for link in ("uart", "probe"):
        with open_kind(name, link) as board:
            runs.append(measured(board, image, inputs))
    assert runs[0] == runs[1]
    outputs, _, stack = runs[0]
    assert outputs == expected[0][: len(inputs)]
    assert 100 < stack < 1244


@pytest.mark.parametrize("name", ["b_l475e_iot01a", "pico"])  # which keep 1 and 32 bytes between two receptions
def test_a_board_left_in_the_middle_of_a_payload_is_brought_to_a_header(name, build):
    with open_kind(name) as board:
        image, line = build(name), board.link()
        start_image(board, image, Link(line, name))
        for missing in (1, 100, 788):
            left, other = Link(line, name), Link(line, name)
            left.connect(after_reset=False)
            seq = left._wire.next_seq()
            left._wire.announce(Request.WRITE, seq, 784, 0)
            assert left._wire.receive(seq, {Reply.CREDIT}, 60).type == Reply.CREDIT
            line.write(b"\x55" * (788 - missing))
            other._wire.recover()
            again = Link(line, name)
            assert again.connect(after_reset=False) == left.info
            assert again.counters.recoveries == 0
            assert again.stats().damaged_payloads > 0


@pytest.mark.parametrize(
    ("name", "told", "kind"),
    [  # the one has caches that DMA must not see, the other no register that tells why
        ("nucleo_h743zi", r"undefined instruction.*CFSR 0x00010000, HFSR 0x40000000", "usage fault UNDEFINSTR"),
        ("pico", r"CFSR 0x00000000, HFSR 0x00000000", "hard fault"),
    ],
)
def test_a_crash_is_told_over_each_link_by_the_fault_handler_which_then_sleeps(build, name, told, kind):
    image = build(name)
    for line in ("uart", "probe"):
        with open_kind(name, line) as board:
            link = Link(board.link(), board.name)
            start_image(board, image, link)
            core = board._session.target
            core.halt()
            core.write32(image.stack[0], 0xDE00DE00)
            core.write_core_register("pc", image.stack[0])
            core.resume()
            with pytest.raises(BoardFaultError, match=told):
                link.infer(bytes(784))
            assert board.twin.crash.kind == kind


def test_a_softdevice_that_keeps_flash_from_being_erased_is_named_and_a_mass_erase_helps(build):
    with open_kind("microbit_v2") as board:
        flash = board.twin.machine.memory.flash
        flash[0x3000 : 0x3000 + len(SOFTDEVICE)] = memoryview(SOFTDEVICE)
        image = build("microbit_v2")
        with pytest.raises(FlashError, match=r"below its end, 0x1C000.* pyocd erase --mass --target nrf52833"):
            board.flash(image)
        board.reconnect()
        board._session.target.mass_erase()
        assert set(bytes(flash)) == {0xFF}
        board.flash(image)
        assert board.contains(image)
