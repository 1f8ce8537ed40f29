"""Opening the probe of parts that are locked, unknown or lost, and flashing over bad wires."""

from __future__ import annotations

import pytest
from pyocd.core import exceptions

from harness.boards.opening import open_board
from harness.boards.probe import ProbeBoard
from harness.boards.start_image import start_image
from harness.boards.virtual import VirtualNrf52840
from harness.errors import ConfigError, FlashError, ProbeError
from harness.link.client import Link

BOOTLOADER = bytes(range(256))


@pytest.fixture
def twin():
    with VirtualNrf52840("locked") as twin:
        yield twin


def open_twin(twin, kind, **options):
    return ProbeBoard("bench", kind, "virtual", twin.probe_uid, twin.port, **options)


def test_locked_part_is_not_erased(twin, nano33):
    twin.machine.memory.flash[:256] = memoryview(BOOTLOADER)
    twin.dap.locked = True
    with pytest.raises(ProbeError, match=r"bench: the nRF52840 .* is locked .*bootloader included.*--allow-mass-erase"):
        open_twin(twin, nano33.kind)
    assert twin.dap.locked
    assert bytes(twin.machine.memory.flash[:256]) == BOOTLOADER


def test_locked_part_is_erased_when_the_user_says_so(twin, nano33, image):
    twin.machine.memory.flash[:256] = memoryview(BOOTLOADER)
    twin.dap.locked = True
    with open_twin(twin, nano33.kind, unlock=True) as board:
        assert not twin.dap.locked
        assert board.read_memory(0, 256) == b"\xff" * 256
        assert board.notes == [board.notes[0]]
        assert "erased whole" in board.notes[0]
        board.flash(image)


def test_permission_to_erase_erases_nothing_that_is_open(twin, nano33):
    twin.machine.memory.flash[:256] = memoryview(BOOTLOADER)
    with open_twin(twin, nano33.kind, unlock=True) as board:
        assert board.read_memory(0, 256) == BOOTLOADER
        assert board.notes == []


def test_target_that_pyocd_does_not_know(twin, nano33):
    kind = nano33.kind.model_copy(update={"pyocd_target": "nrf99999"})
    with pytest.raises(ConfigError, match=r"doesn't know the target 'nrf99999'.*`pyocd pack install nrf99999`"):
        open_twin(twin, kind)


def test_bad_wires_are_tried_once_more_with_a_slower_clock(nano33, image):
    with open_board(nano33, "virtual") as board:
        link = Link(board.link(), board.name)
        start = board.twin.dap.transfers

        def fail_once(_name):
            if board.twin.dap.transfers == start + 200:
                raise exceptions.TransferError("bad parity")

        board.twin.dap.before_transfer = fail_once
        assert start_image(board, image, link).build_id == image.build_id
        assert len(board.notes) == 1
        assert "bad parity" in board.notes[0]
        assert "100 kHz" in board.notes[0]
        assert board._session.options.get("frequency") == 100_000
        for segment in image.segments:
            assert bytes(board.twin.machine.memory.read(segment.address, len(segment.data))) == segment.data


def test_wires_that_stay_bad_are_reported(nano33, image):
    with open_board(nano33, "virtual") as board:

        def fail(_name):
            raise exceptions.TransferError("bad parity")

        board.twin.dap.before_transfer = fail
        with pytest.raises((FlashError, ProbeError), match=r"nano33: .*\(SWD at 100 kHz; at full speed: .*bad parity"):
            board.flash(image)
        with pytest.raises(ProbeError, match=r"nano33: the probe .* is not open"):
            board.crash_report()
