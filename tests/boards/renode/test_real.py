"""On a real Renode: the same firmware, held against the virtual board. Skipped, saying so, where there is none."""

from __future__ import annotations

import os

import pytest

from fakes.small_suite import write_small_suite
from harness.bench import Bench
from harness.boards.renode import RenodeBoard, find_renode
from harness.boards.renode.find import HOW_TO_GET_IT
from harness.config import load_suite
from harness.crosscheck import crosscheck
from harness.image import load_image
from harness.link.client import Link
from harness.options import Options
from harness.starting import restart_image, start_image

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
    assert len(set(nonces)) == len(nonces)


@pytest.mark.usefixtures("renode")
def test_images_that_begin_alike_need_one_attempt_each(root, tmp_path):
    suite = load_suite(root / "suites" / "fashion_mnist.yaml")
    bench = Bench.build(Options(("nano33",), "renode", None, tmp_path, samples=2, retries=0))
    bench.suites = {suite.path: suite}
    try:
        for name in ("sparse_int8", "student_int8"):
            row, _ = bench.measure(bench.targets[0], suite, suite.variant(name), None)
            assert (row["status"], row["attempts"]) == ("complete", 1)
    finally:
        bench.close()


@pytest.mark.usefixtures("renode")
def test_it_says_what_the_virtual_board_says(root, tmp_path):
    checks, _ = crosscheck(
        [write_small_suite(tmp_path / "suite.yaml", root)],
        "nano33",
        ("virtual", "renode"),
        samples=20,
        results_dir=tmp_path,
        lab_file=None,
    )
    assert [check for check in checks if check.equal is not True] == []
    assert len(checks) == 8


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
