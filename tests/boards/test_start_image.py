"""Who answers on the serial line: the image that was flashed, on the board that the probe is on."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from harness.boards.opening import VirtualBoard
from harness.boards.probe import ProbeBoard
from harness.boards.start_image import restart_image, start_image
from harness.boards.virtual import VirtualNrf52840
from harness.cli.doctor.device import start_findings
from harness.errors import ConfigError, FlashError, ImageError
from harness.link.client import Link
from harness.link.timing import Timing


def over(board):
    """A link that waits briefly for the unasked INFO of a board that was reset: the one that answers here wasn't."""
    return Link(board.link(), board.name, Timing(boot=0.2))


@contextmanager
def crossed(nano33, image, **kind):
    """The probe of one board and the port of another, both with the same image."""
    changed = nano33.kind.model_copy(update=kind)
    mine, theirs = (nano33.model_copy(update={"name": name, "kind": changed}) for name in ("mine", "theirs"))
    with VirtualNrf52840(mine.name) as twin, VirtualBoard(theirs) as other:
        start_image(other, image, Link(other.link(), other.name))
        other.link().close()
        with ProbeBoard("mixed", changed, "virtual", twin.probe_uid, other.port) as mixed:
            mixed.flash(image)
            yield mixed, twin, other.twin


@pytest.mark.slow
@pytest.mark.parametrize("force", [False, True])
def test_crossed_boards_with_the_same_image_are_told_by_their_chips(nano33, image, force):
    with crossed(nano33, image) as (mixed, mine, theirs):
        words = rf"mixed: chip {mine.chip_id:016X} is behind its probe .* chip {theirs.chip_id:016X} answers"
        with pytest.raises(ConfigError, match=words):
            start_image(mixed, image, over(mixed), force=force)


@pytest.mark.slow
@pytest.mark.parametrize("force", [False, True])
def test_where_chips_have_no_id_a_reset_must_reach_who_answers(nano33, image, force):
    with (
        crossed(nano33, image, chip_id=None) as (mixed, *_),
        pytest.raises(FlashError, match=r"mixed: the board was reset, but what answers .* was not \(boot nonce"),
    ):
        start_image(mixed, image, over(mixed), force=force)


def test_a_board_without_a_chip_id_is_reset_twice_and_then_trusted(nano33, image):
    kind = nano33.kind.model_copy(update={"chip_id": None})
    with VirtualBoard(nano33.model_copy(update={"kind": kind})) as board:
        board.flash(image)
        boots = board.twin.machine.boots
        assert restart_image(board, image, Link(board.link(), board.name)).build_id == image.build_id
        assert board.twin.machine.boots == boots + 2


def test_a_counter_of_another_frequency_than_the_kind_says(nano33, image):
    kind = nano33.kind.model_copy(update={"clock_hz": 16_000_000})
    with (
        VirtualBoard(nano33.model_copy(update={"kind": kind})) as board,
        pytest.raises(ImageError, match=r"counter runs at 64000000 Hz, but a .* at 16000000 Hz \(`clock_hz`"),
    ):
        start_image(board, image, Link(board.link(), board.name))


def test_hil_doctor_tells_crossed_boards_too(nano33, image):
    with crossed(nano33, image) as (mixed, *_), pytest.raises(ConfigError, match="the port belongs to another board"):
        list(start_findings(mixed, nano33, over(mixed), None))
