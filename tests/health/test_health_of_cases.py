"""Real cases on virtual boards, written into the book as a run does: the bad board is told from the bad image."""

from __future__ import annotations

from contextlib import suppress

import pytest

from harness.boards.opening import open_board
from harness.config import Device
from harness.errors import HilError, QuarantinedError
from harness.health.book import HealthBook
from harness.health.case_events import Part, event_of_part
from harness.locks.state import now
from harness.run.case import begin_case, run_case
from harness.store import Run


@pytest.fixture
def case(tmp_path, suite, nano33):
    """Run a variant on a board with or without a fault, and write into the book what it says about the board."""
    data = suite.load_data(2)

    def case(run, device, variant, *faults):
        device = Device(name=device, kind=nano33.kind, backend="virtual")
        record = begin_case(run, device.name, device.kind, "virtual", suite, suite.variant(variant))
        error = None
        with suppress(HilError):
            try:
                with open_board(device, "virtual", faults) as board:
                    run_case(board, suite, suite.variant(variant), data, run, retries=0, record=record)
            except HilError as caught:
                error = caught
                raise
        part = Part(record, run.path.name, device, "virtual", suite, suite.variant(variant))
        event = event_of_part(part, error, host="rack", when=now())
        HealthBook(tmp_path / "state").record(event)
        return event

    with Run.create(tmp_path / "results", {"harness_version": "0.1.0"}) as run:
        yield lambda *arguments: case(run, *arguments)


@pytest.mark.slow
def test_a_night_with_a_bad_board_and_a_bad_image(case, tmp_path):
    broken = "board.hardfault,times=0,inference=2"
    for device in ("bench-1", "bench-2"):
        assert case(device, "int8").ok
        for _ in range(3):
            assert not case(device, "student_int8", broken).ok, "stands for an image that stops on every board"
    for variant in ("int8", "student_int8", "int8"):
        event = case("bench-3", variant, broken)
        assert (event.error, event.ticks_median) == ("BoardFaultError", None)
    book = HealthBook(tmp_path / "state")
    assert book.review() == (), "two failures of the board and one of the image"
    case("bench-3", "int8", broken)
    (made,) = book.review()
    assert made.device == "bench-3"
    assert "3 cases failed in a row" in made.reason
    assert len(made.evidence) == 3
    with pytest.raises(QuarantinedError, match="bus error"):
        book.check("bench-3")
    for device in ("bench-1", "bench-2"):
        book.check(device)
        health = book.summary(device).health
        assert (health.state, health.excused, health.rate.ok, health.rate.cases) == ("well", 3, 1, 1)
        assert "is suspect: it failed on bench-1, bench-2, bench-3 and has worked on none" in health.notes[0]
