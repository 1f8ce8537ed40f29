"""Which board a case gets: not one that is reserved or out of use, and another one if the first fails."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from harness.config.state import now, username
from harness.errors import BoardError, BusyError, LeaseLostError, QuarantinedError, ReservedError
from harness.farm.booking import Booking, cancel, reserve
from harness.farm.calendar import Calendar
from harness.farm.lab_access import LabAccess
from harness.health.book import open_book
from harness.locks.waiting import Patience
from harness.run.options import Options, SharedRun
from harness.run.session import Session
from harness.store import load_results
from harness.store.attempts import attempts_of
from harness.store.folders import run_name
from harness.store.runs import finish_shared
from harness.text.times import minute

HANGS = 'faults: ["board.hang,inference=3,times=0"]'
VANISHES = 'faults: ["swd.unplug,after=12,times=0"]'


def build(options):
    return Session.build(options, LabAccess.of(options))


@pytest.fixture
def make(tmp_path):
    """Make a bench of virtual boards; each is given what else stands in its entry."""
    with contextlib.ExitStack() as opened:

        def bench(*boards, retries=0, **options):
            entries = (f"  b{n}: {{kind: nano33, backend: virtual, {more}}}\n" for n, more in enumerate(boards, 1))
            (tmp_path / "devices.yaml").write_text("devices:\n" + "".join(entries))
            chosen = Options(
                ("nano33",), "auto", tmp_path / "devices.yaml", tmp_path / "results", 3, retries, **options
            )
            return opened.enter_context(contextlib.closing(build(chosen)))

        yield bench


def measure(bench, suite, variant="int8"):
    return bench.measure(bench.targets[0], suite, suite.variant(variant), None)[0]


def trials(bench):
    """What this run, and the others in its results folder, have told of the boards."""
    return open_book(bench.lab, bench.options.results_dir).trials()


def test_a_case_whose_board_fails_goes_to_the_next_one(make, suite):
    bench = make(HANGS, "")
    row = measure(bench, suite)
    assert (row["device"], row["status"], row["attempts"], row["pool"]) == ("b2", "complete", 2, "nano33")
    assert [(trial.device, trial.ok) for trial in trials(bench)] == [("b1", False), ("b2", True)]
    bench.close()
    assert load_results(bench.run.path).samples["device"].unique().tolist() == ["b2"]


@pytest.mark.slow
def test_a_case_that_fails_on_three_boards_is_not_tried_on_a_fourth(make, suite):
    bench = make(HANGS, HANGS, HANGS, "")
    with pytest.raises(BoardError):
        measure(bench, suite)
    assert bench.run.rows[0]["status"] == "failed"
    assert bench.run.rows[0]["attempts"] == 3
    assert {trial.device for trial in trials(bench)} == {"b1", "b2", "b3"}


def test_a_board_in_quarantine_is_left_out_of_its_pool(make, suite):
    bench = make("", "")
    open_book(bench.lab).quarantine("b1", "smells of smoke", "ana")
    assert measure(bench, suite)["device"] == "b2"
    assert any("NOT USED: quarantined" in line and "smells of smoke" in line for line in bench.header())


def test_a_case_without_a_board_that_is_fit_is_skipped(make, suite):
    bench = make("")
    open_book(bench.lab).quarantine("b1", "smells of smoke", "ana")
    with pytest.raises(QuarantinedError, match=r"quarantined .* by ana: smells of smoke.*hil release b1"):
        measure(bench, suite)
    assert (bench.run.rows[0]["status"], bench.run.rows[0]["attempts"]) == ("skipped", 0)


def book(bench, owner, start=None):
    wish = Booking(("b1",), minute(start or now()), timedelta(hours=1), owner, "class")
    return reserve(Calendar(bench.lab), wish, now())


def test_somebody_elses_reservation_is_respected_and_ones_own_used(make, suite):
    bench = make("")
    mine = book(bench, "anna")
    with pytest.raises(ReservedError, match=r"b1 is reserved by anna"):
        measure(bench, suite)
    cancel(Calendar(bench.lab), mine.id, "anna", now())
    book(bench, username())
    assert measure(bench, suite)["status"] == "complete"


@pytest.mark.slow
def test_who_waits_has_a_reserved_board_when_the_reservation_ends(make, suite):
    said = []

    def give_up(text):  # once somebody is seen to wait for it
        said.append(text)
        cancel(Calendar(bench.lab), mine.id, "anna", now())

    bench = make("", patience=Patience(60.0, give_up))
    mine = book(bench, "anna")
    assert any("     reserved by anna until " in line for line in bench.header())
    assert measure(bench, suite)["status"] == "complete"
    (line,) = said
    assert line.startswith("waiting: b1 is reserved by anna until ")

    bench = make("", patience=Patience(0.2))
    book(bench, "anna")
    with pytest.raises(BusyError, match=r"b1 is reserved by anna until .*; waited 0.2 s"):
        measure(bench, suite)


def test_a_reservation_that_begins_soon_is_announced(make):
    bench = make("")
    book(bench, "anna", now() + timedelta(hours=2))
    assert any("reserved by anna from" in line for line in bench.header())
    device = bench.devices[0]
    bench.access.permit(device, 60)
    with pytest.raises(ReservedError, match=r"reserved by anna from .* too soon for what takes 9000 s"):
        bench.access.permit(device, 9000)


@pytest.mark.slow
@pytest.mark.parametrize(("times", "status"), [(1, "complete"), (3, "failed")])
def test_a_case_whose_board_is_taken_away_is_begun_again(make, suite, tmp_path, monkeypatch, times, status):
    monkeypatch.setenv("HIL_LEASES", str(tmp_path / "leases"))
    left = [times]

    def take_away(stage, done, _total):
        if stage == "measure" and done == 1 and left[0]:
            left[0] -= 1
            # As somebody who clears up would, but at once: just now this process may be showing that it is alive.
            (tmp_path / "leases").rename(tmp_path / f"cleared {left[0]}")
            time.sleep(0.2)  # the port is guarded ten times a second

    bench = make("")
    with contextlib.suppress(LeaseLostError):
        bench.measure(bench.targets[0], suite, suite.variant("int8"), take_away)
    (row,) = bench.run.rows
    assert (row["status"], row["attempts"], row["device"]) == (status, min(times + 1, 3), "b1")
    assert {trial.ok for trial in trials(bench)} <= {True}  # no fault of the board


def test_a_twin_that_nobody_configured_is_nobodys(suite, tmp_path):
    options = Options(("nano33",), "virtual", None, tmp_path / "results", 3, 0)
    with contextlib.closing(build(options)) as bench:
        assert not bench.devices[0].lab
        assert measure(bench, suite)["pool"] is None


@pytest.mark.slow
def test_faults_that_a_run_injects_are_not_held_against_the_board(make, suite):
    bench = make("", virtual_faults=("board.hang,inference=3,times=0",))
    with pytest.raises(BoardError):
        measure(bench, suite)
    assert trials(bench) == ()


@pytest.mark.slow
def test_a_session_that_measures_nothing_is_no_success(make, tmp_path, root):
    open_book(make("").lab).quarantine("b1", "smells of smoke", "ana")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(root / "suites" / "japanese_vowels.yaml")]
    command += ["--device", "b1", "-k", "int8_qat"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    assert "1 skipped" in done.stdout
    assert "Nothing was measured: every case was skipped, for the reasons above." in done.stdout
    assert "`hil release b1` takes it back" in done.stdout


@pytest.mark.slow
def test_workers_that_want_each_others_boards_do_not_wait_for_ever(tmp_path, suite):
    (tmp_path / "devices.yaml").write_text(
        "devices:\n" + "".join(f"  b{n}: {{kind: nano33, backend: virtual}}\n" for n in (1, 2))
    )
    path, meeting = tmp_path / "results" / run_name(), threading.Barrier(2)

    def work(turn):
        shared = SharedRun(path, f"w{turn}", turn)
        where = tmp_path / "devices.yaml", tmp_path / "results"
        with contextlib.closing(build(Options(("all",), "auto", *where, 3, 0, each=True, shared=shared))) as bench:
            order = bench.targets if turn == 0 else bench.targets[::-1]
            bench.measure(order[0], suite, suite.variant("int8"), None, number=2 * turn)
            meeting.wait(60)
            bench.measure(order[1], suite, suite.variant("int8"), None, number=2 * turn + 1)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    finish_shared(path)
    cases = load_results(path).cases
    assert cases["device"].tolist() == ["b1", "b2", "b2", "b1"]
    assert (cases["status"] == "complete").all()


@pytest.mark.slow
def test_from_a_board_that_fails_a_case_goes_to_no_other_one_that_has_failed(tmp_path, suite):
    bad = f"{{kind: nano33, backend: virtual, {VANISHES}}}"
    (tmp_path / "devices.yaml").write_text(
        f"devices:\n  b1: {bad}\n  b2: {bad}\n  b3: {{kind: nano33, backend: virtual}}\n"
    )
    path, where = tmp_path / "results" / run_name(), (tmp_path / "devices.yaml", tmp_path / "results")

    def bench(writer):
        return build(Options(("nano33",), "auto", *where, 3, 0, shared=SharedRun(path, writer)))

    def failures():
        return [attempt["device"] for attempt in attempts_of(path) if attempt["outcome"] == "failed"]

    with contextlib.closing(bench("one")) as first, contextlib.closing(bench("two")) as second:
        assert first.measure(first.targets[0], suite, suite.variant("int8"), None, number=0)[0]["device"] == "b3"
        assert failures() == ["b1", "b2"]
        with ThreadPoolExecutor(1) as pool:
            case = pool.submit(
                lambda: second.measure(second.targets[0], suite, suite.variant("float32"), None, number=1)
            )
            while not case.done() and len(failures()) < 3:
                time.sleep(0.05)
            with pytest.raises(TimeoutError):
                case.result(3)
            first.boards.close()  # which held the only good board
            row = case.result(60)[0]
        assert (row["device"], row["status"], row["attempts"]) == ("b3", "complete", 2)
        assert failures() == ["b1", "b2", "b1"]


def test_who_has_claimed_a_case_does_not_wait_for_a_board_of_the_same_run(tmp_path, suite):
    """The one who holds the board may wait for this very case."""
    (tmp_path / "devices.yaml").write_text("devices:\n  b1: {kind: nano33, backend: virtual}\n")
    path, where = tmp_path / "results" / run_name(), (tmp_path / "devices.yaml", tmp_path / "results")

    def bench(writer):
        return build(Options(("b1",), "auto", *where, 1, 0, shared=SharedRun(path, writer, waits=False)))

    with contextlib.closing(bench("one")) as first, contextlib.closing(bench("two")) as second:
        first.measure(first.targets[0], suite, suite.variant("int8"), None, number=0, final=False)
        with pytest.raises(BusyError, match="b1: the virtual board is in use"):
            second.measure(second.targets[0], suite, suite.variant("int8"), None, number=1, final=False)
