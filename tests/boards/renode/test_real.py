"""On a real Renode: the same firmware, held against the virtual board. Skipped, saying so, where there is none."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from fakes.small_suite import write_small_suite
from harness.boards.renode import RenodeBoard, find_renode
from harness.boards.renode.find import HOW_TO_GET_IT
from harness.boards.start_image import restart_image, start_image
from harness.cli import main
from harness.config import load_suite
from harness.image.elf import load_image
from harness.link.client import Link
from harness.run.options import Options
from harness.run.session import Session

AIRCR, SYSRESETREQ = 0xE000ED0C, 0x05FA0004  # Armv7-M B3.2.6
UICR_PSELRESET = 0x10001200
USBD_INTEN, USBD_EVENTCAUSE, USBD_ENABLE, USBD_READY = 0x40027300, 0x40027400, 0x40027500, 1 << 11

pytestmark = pytest.mark.renode


@pytest.fixture
def renode(request):
    request.getfixturevalue("users_renode")
    if not hasattr(os, "fork"):
        pytest.skip("the Renode backend is for Linux and macOS")
    found = find_renode()
    if found is None:
        pytest.skip(f"no Renode here, so nothing was run on one. {HOW_TO_GET_IT}")
    return found


def test_firmware_answers_and_counts(renode, nano33, prebuilt):
    image = load_image(prebuilt / "fashion_mnist_int8.elf", nano33.kind)
    with RenodeBoard(nano33, renode) as board:
        link = Link(board.link(), board.name)
        info = start_image(board, image, link)
        first, second = (link.infer(bytes(info.input_bytes)).ticks for _ in range(2))
        assert first == second
        assert board.instructions() > sum(first)
        bottom, top = image.stack
        assert len(board.read_memory(bottom, top - bottom)) == top - bottom
        assert board.crash_report() is None
        process = board._live.process
    assert not process.folder.exists()
    assert not [note for note in board.notes if "was needed" in note]


def test_every_boot_has_a_nonce_of_its_own(renode, nano33, prebuilt):
    nonces = []
    with RenodeBoard(nano33, renode) as board:
        for name in ("int8", "int8", "float32"):
            image = load_image(prebuilt / f"fashion_mnist_{name}.elf", nano33.kind)
            link = Link(board.link(), board.name)
            nonces += [start_image(board, image, link).nonce, restart_image(board, image, link).nonce]
            board._live.write_word(AIRCR, SYSRESETREQ)  # as the firmware itself does
            board.link().drain()
            nonces.append(link.connect().nonce)
    assert len(set(nonces)) == len(nonces)


def test_what_bootloaders_write_and_wait_for(renode, nano33):
    """The page of settings keeps what is written over a reset, and USBD gets ready: without either they never end."""
    with RenodeBoard(nano33, renode) as board:

        def read(address):
            return board._live.number(f"sysbus ReadDoubleWord 0x{address:X}")

        assert read(UICR_PSELRESET) == 0xFFFFFFFF
        board._live.write_word(UICR_PSELRESET, 18)
        assert (read(USBD_ENABLE), read(USBD_EVENTCAUSE)) == (0, 0)
        board._live.write_word(USBD_ENABLE, 1)
        assert (read(USBD_ENABLE), read(USBD_EVENTCAUSE)) == (1, USBD_READY)
        board._live.write_word(USBD_EVENTCAUSE, USBD_READY)
        assert read(USBD_EVENTCAUSE) == 0
        for register, value, expected in ((4, 0x90, 0x90), (4, 0x0F, 0x9F), (8, 0x1F, 0x80)):  # INTENSET, INTENCLR
            board._live.write_word(USBD_INTEN + register, value)
            assert {read(USBD_INTEN + offset) for offset in (0, 4, 8)} == {expected}
        board._live.command("machine Reset")
        assert (read(UICR_PSELRESET), read(USBD_ENABLE), read(USBD_EVENTCAUSE)) == (18, 0, 0)


@pytest.mark.usefixtures("renode")
def test_images_that_begin_alike_need_one_attempt_each(root, tmp_path):
    suite = load_suite(root / "suites" / "fashion_mnist.yaml")
    bench = Session.build(Options(("nano33",), "renode", None, tmp_path, samples=2, retries=0))
    bench.suites = {suite.path: suite}
    try:
        for name in ("sparse_int8", "student_int8"):
            row, _ = bench.measure(bench.targets[0], suite, suite.variant(name), None)
            assert (row["status"], row["attempts"]) == ("complete", 1)
    finally:
        bench.close()


@pytest.mark.usefixtures("renode")
def test_it_says_what_the_virtual_board_says(root, tmp_path):
    suite = write_small_suite(tmp_path / "suite.yaml", root)
    command = ["crosscheck", "nano33", "virtual", "renode", "--suite", suite, "--samples", "20"]
    result = CliRunner().invoke(main, [str(word) for word in (*command, "--results-dir", tmp_path)])
    assert "Verdict: virtual and renode agree in 8 comparisons." in result.output


def test_an_access_to_nothing_is_a_fault(renode, root, nano33):
    from harness.errors import BoardFaultError

    image = load_image(root / "tests/images/fault.elf", nano33.kind)
    with RenodeBoard(nano33, renode) as board:
        link = Link(board.link(), board.name)
        info = start_image(board, image, link)
        bottom, top = image.stack
        with pytest.raises(BoardFaultError):
            for _ in range(9):
                link.infer(bytes(info.input_bytes))
                board.read_memory(bottom, top - bottom)
