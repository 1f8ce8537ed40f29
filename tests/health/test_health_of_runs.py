"""Sessions on virtual boards, one of which is bad: what becomes of it, held against the Parquet files by hand."""

from __future__ import annotations

import contextlib
import json
import math

import pyarrow.parquet as pq
import pytest

from harness.config import Lab
from harness.errors import BoardError, HilError, QuarantinedError
from harness.farm.lab_access import LabAccess
from harness.health.book import open_book
from harness.run.options import Options
from harness.run.session import Session

#: The bad board stops in the middle of every case.
BOARDS = """\
farm: {state: state}
devices:
  good: {kind: nano33, backend: virtual}
  bad: {kind: nano33, backend: virtual, faults: ["board.hardfault,times=0,inference=2"]}
"""

#: The smallest images.
VARIANTS = ("student_int8", "student_distilled_int8", "small_input_int8")


@pytest.fixture
def session(tmp_path):
    """Open a session on one of the boards, as `pytest` does."""
    (tmp_path / "devices.yaml").write_text(BOARDS)

    @contextlib.contextmanager
    def session(device, **more):
        options = Options((device,), "auto", tmp_path / "devices.yaml", tmp_path / "results", 3, 1, **more)
        with contextlib.closing(Session.build(options, LabAccess.of(options))) as made:
            yield made

    return session


def measure(session, suite, *variants):
    for variant in variants:
        with contextlib.suppress(BoardError):
            session.measure(session.targets[0], suite, suite.variant(variant), None)


def wilson(ok, cases, z=1.959963984540054):
    """Wilson's interval, from the formula in his paper (1927)."""
    share, spread = ok / cases, 1 + z * z / cases
    half = z * math.sqrt(share * (1 - share) / cases + z * z / (4 * cases * cases)) / spread
    middle = (share + z * z / (2 * cases)) / spread
    return middle - half, middle + half


@pytest.mark.slow
def test_a_bad_board_is_quarantined_in_the_middle_of_its_run_and_the_verdict_can_be_computed_by_hand(
    session, suite, tmp_path
):
    with session("good") as one:
        measure(one, suite, *VARIANTS)
    with session("bad") as two:
        measure(two, suite, *VARIANTS)
        with pytest.raises(QuarantinedError, match="3 cases failed in a row"):
            two.measure(two.targets[0], suite, suite.variant("student_int8"), None)
    book = open_book(Lab.load(tmp_path / "devices.yaml"), tmp_path / "results")
    judged = {one.health.device: one for one in book.all()}

    attempts = pq.read_table(two.run.path / "attempts.parquet").to_pylist()
    assert [(row["case"], row["device"], row["stage"], row["error"]) for row in attempts] == [
        (case, "bad", "measure", "BoardFaultError") for case in range(3) for _ in range(2)
    ]
    bad, found = judged["bad"].health, judged["bad"].quarantine
    assert (bad.state, bad.cases, bad.in_a_row, bad.attempts) == ("quarantined", 3, 3, 2.0)
    assert (bad.rate.ok, bad.rate.cases, bad.failures) == (0, 3, {"other": 1.0})
    assert (bad.rate.low, bad.rate.high) == pytest.approx(wilson(0, 3))
    assert found.evidence == tuple(f"{two.run.path.name}#{case}" for case in range(3))
    assert f"the last: {attempts[-1]['reason'].partition('. ')[0]}" in found.reason
    assert bad.last.when == attempts[-1]["ended"]

    rows = pq.read_table(one.run.path / "attempts.parquet").to_pylist()
    cases = pq.read_table(one.run.path / "cases.parquet").to_pylist()
    good = judged["good"].health
    assert (good.state, good.cases, good.attempts, judged["good"].quarantine) == ("well", 3, len(rows) / 3, None)
    assert (good.last.ticks_median, good.last.board_uid) == (cases[-1]["ticks_median"], rows[-1]["board_uid"])
    assert good.last.image_sha256 == cases[-1]["image_sha256"]
    assert (good.rate.low, good.rate.high) == pytest.approx(wilson(3, 3))
    assert json.loads((tmp_path / "state" / "quarantine" / "bad.json").read_text())["by"] == "rules"


def test_faults_that_a_run_injects_are_not_held_against_its_board(session, suite, tmp_path):
    with session("good", virtual_faults=("swd.stuck=0x10400,times=0",)) as one, pytest.raises(HilError):
        one.measure(one.targets[0], suite, suite.variant("int8"), None)
    assert open_book(Lab.load(tmp_path / "devices.yaml"), tmp_path / "results").trials() == ()


@pytest.mark.slow
def test_a_night_with_a_bad_board_and_a_bad_image(tmp_path, suite):
    """The image that stops on every board is stood for by a fault that all boards have while it runs."""
    broken = "board.hardfault,times=0,inference=2"

    def night(device, variant, *faults):
        faulty = "".join(f", faults: ['{fault}']" for fault in faults)
        (tmp_path / "devices.yaml").write_text(
            f"farm: {{state: state}}\ndevices: {{{device}: {{kind: nano33, backend: virtual{faulty}}}}}\n"
        )
        options = Options((device,), "auto", tmp_path / "devices.yaml", tmp_path / "results", 2, 0)
        with contextlib.closing(Session.build(options, LabAccess.of(options))) as one:
            measure(one, suite, variant)

    def book():
        boards = "".join(f"  bench-{n}: {{kind: nano33, backend: virtual}}\n" for n in (1, 2, 3))
        (tmp_path / "devices.yaml").write_text(f"farm: {{state: state}}\ndevices:\n{boards}")
        return open_book(Lab.load(tmp_path / "devices.yaml"), tmp_path / "results")

    for device in ("bench-1", "bench-2"):
        night(device, "int8")
        for _ in range(3):
            night(device, "student_int8", broken)
    for variant in ("int8", "student_int8", "int8"):
        night("bench-3", variant, broken)
    assert book().review() == (), "two failures of the board and one of the image"
    night("bench-3", "int8", broken)
    (made,) = book().review()
    assert made.device == "bench-3"
    assert "3 cases failed in a row" in made.reason
    assert len(made.evidence) == 3
    with pytest.raises(QuarantinedError, match="bus error"):
        book().check("bench-3")
    for device in ("bench-1", "bench-2"):
        book().check(device)
        health = book().summary(device).health
        assert (health.state, health.excused, health.rate.ok, health.rate.cases) == ("well", 3, 1, 1)
        assert "is suspect: it failed on bench-1, bench-2, bench-3 and has worked on none" in health.notes[0]
