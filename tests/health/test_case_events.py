"""A case that went from board to board says of each of them what happened there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.made_events import START
from harness.config import Device
from harness.errors import BusyError, LinkError
from harness.health.case_events import Part, event_of_part
from harness.image.elf import load_image
from harness.run.case import begin_case
from harness.store import Run


@pytest.fixture
def part(tmp_path, suite, nano33):
    """A case that has begun on bench-1."""
    one = Device(name="bench-1", kind=nano33.kind, backend="virtual")
    variant = suite.variant("int8")
    with Run.create(tmp_path, {"harness_version": "0.1.0"}) as run:
        record = begin_case(run, one.name, one.kind, "virtual", suite, variant)
        yield Part(record, run.path.name, one, "virtual", suite, variant)


def on(part, name):
    return replace(part, device=part.device.model_copy(update={"name": name}))


def event(part, error=None):
    return event_of_part(part, error, host="rack", when=START)


def test_a_failure_that_is_handed_on_names_board_image_and_its_own_attempts(part, prebuilt):
    part.record.restart("first attempt failed")
    first = event(part, LinkError("gone"))
    assert (first.device, first.outcome, first.error, first.attempts) == ("bench-1", "failed", "LinkError", 2)
    assert first.image_sha256 == load_image(prebuilt / "fashion_mnist_int8.elf").sha256
    assert (first.run, first.case, first.suite, first.variant) == (part.run, 0, "fashion_mnist", "int8")
    part.record.hand_on("next: another board")
    part.record.finish(status="complete", device="bench-2", ticks_median=7.0, retransmissions=1)
    second = event(on(part, "bench-2"))
    assert (second.device, second.outcome, second.attempts, second.ticks_median) == ("bench-2", "ok", 1, 7.0)


def test_the_last_board_of_a_case_has_its_row(part):
    part.record.finish(status="failed", reason="gone", board_uid="AB", retransmissions=9)
    last = event(part, LinkError("gone"))
    assert (last.board_uid, last.retransmissions, last.attempts) == ("AB", 9, 1)


def test_a_board_that_could_not_be_opened_ran_no_image(part):
    assert event(replace(part, opened=False), LinkError("no port")).image_sha256 is None
    assert event(part, BusyError("taken")) is None


def test_a_row_that_another_board_wrote_is_not_this_boards_success(part):
    part.record.finish(status="complete", device="bench-2", ticks_median=7.0)
    assert event(part) is None


def test_the_twin_of_a_real_board_is_left_out(part):
    real = part.device.model_copy(update={"backend": None, "probe": "1"})
    assert event(replace(part, device=real), LinkError("gone")) is None
