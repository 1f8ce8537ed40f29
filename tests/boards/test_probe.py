"""Flash, reset and memory through pyOCD's public interface."""

from __future__ import annotations

import pytest
from pyocd.flash.loader import MemoryLoader

from harness.boards.opening import open_board
from harness.boards.probe import ProbeBoard
from harness.errors import BoardError, FlashError, ImageError, LinkError, ProbeError
from harness.link.client import Link


def test_flash_runs_the_flash_algorithm_on_the_core_and_keeps_what_is_below(board, image):
    bootloader = bytes(range(256)) * 4
    loader = MemoryLoader(board._session, chip_erase="sector")
    loader.add_data(0, bootloader)
    loader.commit()
    before = board.twin.instructions()
    board.flash(image)
    assert board.twin.instructions() - before > len(image.segments[0].data) // 4  # at least one per word
    for segment in image.segments:
        assert board.read_memory(segment.address, len(segment.data)) == segment.data
        assert bytes(board.twin.machine.memory.read(segment.address, len(segment.data))) == segment.data
    assert board.read_memory(0, len(bootloader)) == bootloader


def test_flash_that_was_not_programmed_is_noticed(board, image, monkeypatch):
    monkeypatch.setattr(MemoryLoader, "commit", lambda _: None)
    with pytest.raises(FlashError, match=r"after programming fashion_mnist_int8.elf, flash at 0x10000 reads 0xFF"):
        board.flash(image)


def test_a_single_wrong_bit_is_noticed(board, image, monkeypatch):
    commit = MemoryLoader.commit

    def damage(loader):
        commit(loader)
        board.twin.machine.memory.flash[image.segments[0].address + 4321] ^= 0x10

    monkeypatch.setattr(MemoryLoader, "commit", damage)
    with pytest.raises(FlashError, match=f"flash at 0x{image.segments[0].address + 4321:X} reads"):
        board.flash(image)


def test_image_for_another_board_is_refused_before_anything_is_erased(board, image):
    board.flash(image)
    other = board.kind.model_copy(update={"name": "nano99"})
    board.kind = other
    with pytest.raises(ImageError, match="built for board 'nano33'"):
        board.flash(image)


def test_progress_ends_at_one(board, image):
    seen = []
    board.flash(image, seen.append)
    assert seen[-1] == 1.0
    assert seen == sorted(seen)


@pytest.mark.parametrize("bootloader", [False, True])
def test_reset_starts_the_application_with_and_without_a_bootloader(board, image, bootloader):
    if bootloader:  # one that never leaves: its reset handler branches to itself
        loader = MemoryLoader(board._session, chip_erase="sector")
        loader.add_data(0, bytes.fromhex("00000420 09000000 fee7"))
        loader.commit()
    board.flash(image)
    link = Link(board.link(), board.name)
    board.reset()
    assert link.connect().build_id == image.build_id


def test_reset_of_an_empty_board(board):
    with pytest.raises(BoardError, match=r"no application at 0x10000 .* flash an image first"):
        board.reset()


def test_reading_where_nothing_is(board):
    with pytest.raises(ProbeError, match="reading 16 bytes at 0x30000000 failed"):
        board.read_memory(0x30000000, 16)


def test_waiting_firmware_has_not_crashed(board, image):
    board.flash(image)
    link = Link(board.link(), board.name)
    board.reset()
    link.connect()
    assert board.crash_report() is None


def test_closed_board_lets_go_of_everything(nano33):
    board = open_board(nano33, "virtual")
    port = board.port
    board.link()
    board.close()
    board.close()
    with pytest.raises(ProbeError, match=r"again: .*(is not attached|unknown debug probe type)"):
        ProbeBoard("again", nano33.kind, "virtual", board.probe_uid, port)


def test_port_that_is_not_there(board):
    board.port = "/dev/does-not-exist"
    with pytest.raises(LinkError, match="nano33: serial port /dev/does-not-exist can't be opened"):
        board.link()


def test_a_board_contains_an_image_if_every_byte_is_there(board, image):
    assert not board.contains(image)
    board.flash(image)
    assert board.contains(image)
    flash, last = board.twin.machine.memory.flash, image.segments[-1]
    for address in (image.vectors, image.vectors + 1023, image.vectors + 1024, last.end - 1):
        flash[address] ^= 1
        assert not board.contains(image)
        flash[address] ^= 1
    assert board.contains(image)
    board.twin.inject("swd.fault")
    assert not board.contains(image)  # what can't be read is written
    assert "So the flash could not be compared with fashion_mnist_int8.elf, which is written" in board.notes[-1]
