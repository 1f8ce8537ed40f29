"""The book: events in files, read back by other processes and hosts, and rules applied to all boards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.made_events import START, Night
from harness.config import Lab
from harness.config.health import HealthRules
from harness.errors import ConfigError, QuarantinedError, StoreError
from harness.files.json_lines import append_line, read_lines
from harness.health import book as health_module
from harness.health.book import HealthBook
from harness.health.event import as_line


class Clock:
    """Tells the time that it is given."""

    def __init__(self):
        self.now = START + timedelta(hours=5)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def book(tmp_path, clock):
    return HealthBook(tmp_path, clock=clock)


@pytest.fixture
def night():
    return Night()


def fail(book, night, device, image="int8", times=1):
    for _ in range(times):
        book.record(night(device, image, "LinkError"))


def test_events_of_all_hosts_come_back_in_the_order_of_time(book, night, tmp_path):
    made = [night("b", host="two"), night("a", host="one"), night("a", host="two")]
    for event in made:
        book.record(event)
    assert HealthBook(tmp_path).events() == tuple(made)
    assert (tmp_path / "health" / "two" / "a.jsonl").is_file()


def test_torn_lines_and_lines_of_others_are_left_out(book, night, tmp_path):
    book.record(night("a"))
    path = tmp_path / "health" / "rack" / "a.jsonl"
    append_line(path, {"something": "else"})
    with path.open("ab") as file:
        file.write(b'{"crc":"00000000","record":{"torn')
    book.record(night("a"))
    assert [event.case for event in book.events()] == [0, 1]


@pytest.mark.parametrize("field", ["device", "host"])
def test_a_name_that_is_a_path_is_refused(book, night, tmp_path, field):
    with pytest.raises(ConfigError, match="can't be the name of a file"):
        book.record(replace(night("a"), **{field: "../../etc"}))
    assert list(tmp_path.iterdir()) == []


def test_compacting_leaves_500_events_of_90_days(book, night, tmp_path, clock):
    path = tmp_path / "health" / "rack" / "a.jsonl"
    append_line(path, as_line(night("a", when=clock.now - timedelta(days=91))))
    for _ in range(510):
        append_line(path, as_line(night("a")))
    book.compact("rack", "a")
    assert [line["case"] for line in read_lines(path)] == list(range(11, 511))
    clock.now += timedelta(days=91)
    book.compact("rack", "a")
    assert read_lines(path) == []


def test_a_large_file_is_compacted_by_itself(book, night, tmp_path, monkeypatch):
    monkeypatch.setattr(health_module, "_LARGE_BYTES", 10_000)
    monkeypatch.setattr(health_module, "_MOST_EVENTS", 5)
    for _ in range(40):
        book.record(night("a"))
    assert (tmp_path / "health" / "rack" / "a.jsonl").stat().st_size <= 10_000
    assert book.events()[-1].case == 39


def test_review_quarantines_the_bad_board_and_says_so_once(book, night):
    book.record(night("good"))
    fail(book, night, "bad", times=3)
    (made,) = book.review()
    assert (made.device, made.by, made.evidence) == ("bad", "rules", ("night#1", "night#2", "night#3"))
    assert book.review() == ()
    with pytest.raises(QuarantinedError, match="3 cases failed in a row"):
        book.check("bad")
    book.check("good")
    assert {one.health.device: one.health.state for one in book.all()} == {"bad": "quarantined", "good": "well"}


def test_a_siblings_success_shows_that_earlier_failures_were_the_boards(book, night):
    fail(book, night, "bad", "new", times=3)
    assert book.review() == ()
    book.record(night("good", "new"))
    assert [made.device for made in book.review()] == ["bad"]


def test_a_bad_image_quarantines_nobody(book, night):
    for device in ("a", "b", "c"):
        fail(book, night, device, "bad", times=5)
    assert book.review() == ()


def test_several_grounds_are_one_quarantine_with_each_case_once(book, night):
    book.record(night("good"))
    fail(book, night, "bad", times=6)
    (made,) = book.review()
    assert "6 cases failed in a row" in made.reason
    assert "; 0 of the last 6 cases worked" in made.reason
    assert len(made.evidence) == len(set(made.evidence)) == 6


def test_a_released_board_begins_anew(book, night, clock):
    book.record(night("good"))
    fail(book, night, "bad", times=3)
    book.review()
    book.release("bad", "bob", "new cable")
    assert book.review() == ()
    assert book.summary("bad").health.in_a_row == 0
    later = Night(clock.now + timedelta(hours=1))
    clock.now += timedelta(hours=2)
    fail(book, later, "bad", times=2)
    assert book.review() == ()
    fail(book, later, "bad")
    assert [made.device for made in book.review()] == ["bad"]


def test_tests_release_and_due_lists(book, night, clock):
    book.record(night("good"))
    fail(book, night, "bad", times=3)
    book.review()
    assert book.due() == ()
    clock.now += timedelta(hours=1)
    assert [found.device for found in book.due()] == ["bad"]
    assert book.tested("bad", ok=True, reason="x") is not None
    clock.now += timedelta(hours=1)
    assert book.tested("bad", ok=True, reason="x") is None
    assert book.quarantined("bad") is None
    assert book.review() == ()


def test_a_release_counts_for_what_a_host_with_another_clock_has_recorded(book, night, clock):
    book.record(night("good"))
    fail(book, night, "bad", times=3)
    assert [made.device for made in book.review()] == ["bad"]
    clock.now = START - timedelta(hours=1)  # of the computer on which it is released
    book.release("bad", "ada", "new cable")
    assert book.review() == ()


def test_a_damaged_file_keeps_the_rules_from_no_other_board(book, night, tmp_path):
    for device in ("good", "odd"):
        book.record(night(device))
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "quarantine" / "odd.json").write_text("{")
    fail(book, night, "bad", times=3)
    assert [made.device for made in book.review()] == ["bad"]
    assert [found.device for found in book.ledger.all()] == ["bad"]
    with pytest.raises(StoreError, match=r"odd\.json is damaged"):
        book.check("odd")


def test_a_board_that_only_a_person_knows_is_listed(book):
    book.quarantine("shelf", "no cable", "ada")
    (judged,) = book.all()
    assert (judged.health.device, judged.health.state, judged.health.cases) == ("shelf", "quarantined", 0)


def test_the_rules_come_from_devices_yaml(tmp_path, night, clock):
    (tmp_path / "devices.yaml").write_text("farm: {health: {failures_in_a_row: 2, retest_hours: [0.5]}}\n")
    book = HealthBook(tmp_path, Lab.load(tmp_path / "devices.yaml").farm.health, clock)
    book.record(night("good"))
    fail(book, night, "bad", times=2)
    (made,) = book.review()
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
