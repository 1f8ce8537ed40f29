"""The book: runs and checks as they lie in files, read by any process, and rules applied to all boards."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fakes.made_trials import START, Clock, Night, record, write_run
from harness.config import Lab
from harness.config.health import HealthRules
from harness.config.state import now
from harness.errors import ConfigError, QuarantinedError, StoreError
from harness.health.book import HealthBook, open_book
from harness.health.history import Check
from harness.store import Run, recover

ABOUT = {"harness_version": "0.1.0"}


@pytest.fixture
def clock():
    return Clock(START + timedelta(hours=5))


@pytest.fixture
def book(tmp_path, clock):
    return HealthBook(tmp_path / "state", None, tmp_path / "results", clock=clock)


@pytest.fixture
def night():
    return Night()


@pytest.fixture
def tell(tmp_path):
    """Write a run."""
    return lambda *trials: write_run(tmp_path / "results", trials)


def fails(night, device, image="int8", times=1):
    return [night(device, image, "LinkError") for _ in range(times)]


def known(book):
    return [(trial.device, trial.ok) for trial in book.trials()]


def test_the_trials_of_all_runs_come_in_the_order_of_time(book, night, tell):
    a, b, c = night("a"), night("b", "x", "LinkError"), night("a")
    tell(c, a)
    tell(b)
    assert known(book) == [("a", True), ("b", False), ("a", True)]
    assert [trial.when for trial in book.trials()] == [a.when, b.when, c.when]


def test_a_run_counts_while_it_is_written_after_it_was_killed_and_once_it_is_closed(book, night, tmp_path):
    results = tmp_path / "results"
    with Run.create(results, ABOUT) as run:
        record(run, night("a"), 0)
        record(run, night("b", "int8", "LinkError"), 1)
        assert known(book) == [("a", True), ("b", False)]
        record(run, night("b", "int8", "LinkError"), 2, end=False)
        assert known(book) == [("a", True), ("b", False)], "it may be tried again"
        torn = run.path / "journal.jsonl"
        before = torn.read_bytes()
    torn.write_bytes(before + b'{"crc":"00000000","record":{"t":"att')
    for name in ("cases", "attempts"):
        (run.path / f"{name}.parquet").unlink()
    assert known(book) == [("a", True), ("b", False)]
    recover(run.path)
    assert known(book) == [("a", True), ("b", False), ("b", False)]
    (run.path / "attempts.parquet").unlink()
    assert len(known(book)) == 3, "a run that has ended is read once"


def test_a_damaged_run_is_left_out_with_a_warning_and_an_older_one_has_no_attempts(book, night, tell):
    damaged, older = tell(night("a")), tell(night("b"))
    tell(night("c"))
    (damaged / "attempts.parquet").write_bytes(b"PAR1 torn")
    (older / "attempts.parquet").unlink()
    with pytest.warns(UserWarning, match=r"left out: .*attempts\.parquet is damaged"):
        assert known(book) == [("c", True)]


def test_faults_that_a_run_injects_are_nobodys_and_those_of_a_board_in_devices_yaml_its_own(book, night, tmp_path):
    for faults, counts in (
        (["board.hang", "b: swd.locked"], False),
        (["b: board.hang,inference=3", "c: swd.locked"], True),
    ):
        about = {**ABOUT, "config": {"options": {"virtual_faults": faults}}}
        with Run.create(tmp_path / "results", about) as run:
            record(run, night("b", "int8", "LinkError"), 0)
            assert known(book) == [("b", False)] * counts
        assert known(book) == [("b", False)] * counts


def test_only_the_boards_of_the_lab_count_and_on_their_own_backend(tell, tmp_path, monkeypatch):
    night = Night(now() - timedelta(hours=1))
    (tmp_path / "devices.yaml").write_text(
        'farm: {state: state, store: results}\ndevices:\n  real: {kind: nano33, probe: "1"}\n  twin: {kind: nano33}\n'
    )
    tell(night("real"), night("real", backend="virtual"), night("twin", backend="virtual"), night("nano33"))
    monkeypatch.chdir(tmp_path)
    trials = open_book(Lab.load(tmp_path / "devices.yaml")).trials()
    assert [(trial.device, trial.backend) for trial in trials] == [("real", "hardware"), ("twin", "virtual")]


def test_what_is_older_than_the_window_is_not_read(book, night, tell, clock):
    tell(night("a"))
    clock.now += timedelta(days=31)
    assert book.trials() == book.all() == ()


def test_review_quarantines_the_bad_board_and_says_so_once(book, night, tell):
    run = tell(night("good"), *fails(night, "bad", times=3)).name
    (made,) = book.review()
    assert (made.device, made.by, made.evidence) == ("bad", "rules", (f"{run}#1", f"{run}#2", f"{run}#3"))
    assert book.review() == ()
    with pytest.raises(QuarantinedError, match="3 cases failed in a row"):
        book.check("bad")
    book.check("good")
    assert {one.health.device: one.health.state for one in book.all()} == {"bad": "quarantined", "good": "well"}


def test_a_siblings_success_shows_that_earlier_failures_were_the_boards(book, night, tell):
    tell(*fails(night, "bad", "new", times=3))
    assert book.review() == ()
    tell(night("good", "new"))
    assert [made.device for made in book.review()] == ["bad"]


def test_a_bad_image_quarantines_nobody(book, night, tell):
    tell(*(trial for device in "abc" for trial in fails(night, device, "bad", times=5)))
    assert book.review() == ()


def test_several_grounds_are_one_quarantine_with_each_case_once(book, night, tell):
    tell(night("good"), *fails(night, "bad", times=6))
    (made,) = book.review()
    assert "6 cases failed in a row" in made.reason
    assert "; 0 of the last 6 cases worked" in made.reason
    assert len(made.evidence) == len(set(made.evidence)) == 6


def test_a_released_board_begins_anew(book, night, tell, clock):
    tell(night("good"), *fails(night, "bad", times=3))
    book.review()
    book.release("bad", "bob", "new cable")
    assert book.review() == ()
    assert book.summary("bad").health.in_a_row == 0
    later = Night(clock.now + timedelta(hours=1))
    clock.now += timedelta(hours=2)
    tell(*fails(later, "bad", times=2))
    assert book.review() == ()
    tell(*fails(later, "bad"))
    assert [made.device for made in book.review()] == ["bad"]


def test_a_release_counts_for_what_a_host_with_another_clock_has_recorded(book, night, tell, clock):
    tell(night("good"), *fails(night, "bad", times=3))
    assert [made.device for made in book.review()] == ["bad"]
    clock.now = START - timedelta(hours=1)  # of the computer on which it is released
    book.release("bad", "ada", "new cable")
    assert book.review() == ()


def test_checks_count_beside_runs(book, night, tell):
    tell(night("good"), *fails(night, "bad", times=2))
    book.checks.add(Check(night("bad", "int8", "LinkError", purpose="check", run=None), "task"))
    (made,) = book.review()
    assert made.evidence[-1] == "check 2026-03-01T22:03:00.000000+00:00"


def test_a_damaged_file_keeps_the_rules_from_no_other_board(book, night, tell, tmp_path):
    (tmp_path / "state" / "quarantine").mkdir(parents=True)
    (tmp_path / "state" / "quarantine" / "odd.json").write_text("{")
    tell(night("good"), *fails(night, "odd", times=3), *fails(night, "bad", times=3))
    assert [made.device for made in book.review()] == ["bad"]
    assert [found.device for found in book.all_quarantined()] == ["bad"]
    with pytest.raises(StoreError, match=r"odd\.json is damaged"):
        book.check("odd")


def test_a_board_that_only_a_person_knows_is_listed(book):
    book.quarantine("shelf", "no cable", "ada")
    (judged,) = book.all()
    assert (judged.health.device, judged.health.state, judged.health.cases) == ("shelf", "quarantined", 0)


def test_the_rules_come_from_devices_yaml(tmp_path, night, tell, clock):
    (tmp_path / "devices.yaml").write_text("farm: {health: {failures_in_a_row: 2, retest_hours: [0.5]}}\n")
    rules = Lab.load(tmp_path / "devices.yaml").farm.health
    tell(night("good"), *fails(night, "bad", times=2))
    (made,) = HealthBook(tmp_path / "state", rules, tmp_path / "results", clock=clock).review()
    assert made.retest_after == clock.now + timedelta(hours=0.5)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("failures_in_a_row: 0", "failures_in_a_row"),
        ("success_rate: 90", "success_rate"),
        ("retest_hours: []", "retest_hours"),
        ("siblings: 1", "siblings"),
        ("patience: 3", "unknown key|patience"),
    ],
)
def test_rules_that_make_no_sense_are_refused(tmp_path, text, match):
    (tmp_path / "devices.yaml").write_text(f"farm: {{health: {{{text}}}}}\n")
    with pytest.raises(ConfigError, match=match):
        Lab.load(tmp_path / "devices.yaml")


def test_the_defaults_need_no_file():
    assert Lab.load(None).farm.health == HealthRules()
