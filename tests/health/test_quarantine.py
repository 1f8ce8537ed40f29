"""Out of use and back: by rules, by tests, by people."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from fakes.made_trials import Clock
from harness.config.health import HealthRules
from harness.errors import ConfigError, QuarantinedError, StoreError
from harness.files.json_lines import read_lines
from harness.health import quarantine
from harness.health.quarantine import Ledger

HOUR = timedelta(hours=1)
GROUND = ("3 cases failed\x1b[2J in a row", ("night#1", "night#2"))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(tmp_path, clock):
    return Ledger(tmp_path, HealthRules(), clock)


def history(tmp_path):
    return [(line["what"], line["by"]) for line in read_lines(tmp_path / "quarantine" / "history.jsonl")]


def test_a_board_in_use_passes_and_a_test_of_it_changes_nothing(ledger, tmp_path):
    ledger.check("bench-1")
    assert ledger.quarantined("bench-1") is ledger.released("bench-1") is None
    assert ledger.all_quarantined() == ledger.due() == ()
    assert ledger.tested("bench-1", ok=False, reason="x") is None
    assert history(tmp_path) == []


def test_the_refusal_says_why_since_when_and_what_helps(ledger):
    ledger.quarantine_by_rules("bench-1", *GROUND)
    text = (
        r"^bench-1: quarantined since 2026-03-01 22:00 UTC by rules: 3 cases failed\\x1b\[2J in a row\. To use it: it "
        r"is tested again after 2026-03-01 23:00 UTC, or `hil release bench-1` takes it back$"
    )
    with pytest.raises(QuarantinedError, match=text):
        ledger.check("bench-1")
    ledger.check("bench-2")


def test_it_is_read_back_as_it_was_written(ledger, tmp_path):
    made = ledger.quarantine_by_rules("bench-1", *GROUND)
    made = ledger.tested("bench-1", ok=False, reason="x")
    assert Ledger(tmp_path, HealthRules()).quarantined("bench-1") == made
    assert made.evidence == GROUND[1]


def test_the_rules_do_not_begin_it_twice(ledger, clock):
    first = ledger.quarantine_by_rules("bench-1", *GROUND)
    clock.now += HOUR
    assert ledger.quarantine_by_rules("bench-1", "other", ()) is None
    assert ledger.quarantined("bench-1") == first


def test_tests_are_due_after_one_hour_four_hours_and_then_daily_and_soon_after_one_that_passed(ledger, clock):
    ledger.quarantine_by_rules("bench-1", *GROUND)
    waits = []
    for _ in range(5):
        begun, after = clock.now, ledger.quarantined("bench-1").retest_after
        clock.now = after - timedelta(seconds=1)
        assert ledger.due() == ()
        clock.now = after
        assert [found.device for found in ledger.due()] == ["bench-1"]
        waits.append((after - begun) / HOUR)
        ledger.tested("bench-1", ok=False, reason="no answer")
    assert waits == [1, 4, 24, 24, 24]
    assert ledger.tested("bench-1", ok=True, reason="x").retest_after == clock.now + HOUR


def test_two_passed_tests_in_a_row_release_it(ledger, tmp_path, clock):
    ledger.quarantine_by_rules("bench-1", *GROUND)
    for number, ok in enumerate((True, False, True), 1):
        found = ledger.tested("bench-1", ok=ok, reason="x")
        assert (found.passed, len(found.tests)) == (int(ok), number)
    clock.now += 9 * HOUR
    assert ledger.tested("bench-1", ok=True, reason="x") is None
    ledger.check("bench-1")
    assert ledger.released("bench-1") == clock.now
    assert history(tmp_path) == [
        ("quarantined", "rules"),
        ("passed a test", "test"),
        ("failed a test", "test"),
        ("passed a test", "test"),
        ("passed a test", "test"),
        ("released", "test"),
    ]


def test_what_a_person_says_overrides_the_rules_and_only_a_person_lifts_it(ledger, tmp_path, clock):
    ledger.quarantine_by_rules("bench-1", *GROUND)
    ledger.quarantine("bench-1", "smells burnt", "ada")
    for _ in range(5):
        assert ledger.tested("bench-1", ok=True, reason="x").person
    clock.now += 1000 * HOUR
    assert ledger.due() == ()
    with pytest.raises(QuarantinedError, match=r"by ada: smells burnt\. To use it: `hil release bench-1`"):
        ledger.check("bench-1")
    ledger.release("bench-1", "bob", "new cable")
    ledger.check("bench-1")
    assert history(tmp_path)[-1] == ("released", "bob")


def test_who_is_not_quarantined_cannot_be_released_and_a_person_gives_a_reason(ledger):
    with pytest.raises(ConfigError, match="bench-1 is not quarantined"):
        ledger.release("bench-1", "bob")
    with pytest.raises(ConfigError, match="say why"):
        ledger.quarantine("bench-1", " ", "bob")


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", ".", ".x", "-a", "a\n", "x" * 65, "\u00e9", ""])
def test_a_name_that_is_a_path_is_refused(ledger, name, tmp_path):
    for act in (ledger.quarantined, ledger.check, lambda device: ledger.quarantine(device, "x", "x")):
        with pytest.raises(ConfigError, match="can't be the name of a file"):
            act(name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"released": null}', '{"since": 1, "retest_after": null}'])
def test_a_damaged_file_is_an_error_and_no_free_board(ledger, tmp_path, damage):
    ledger.quarantine_by_rules("bench-1", *GROUND)
    (tmp_path / "quarantine" / "bench-1.json").write_text(damage)
    with pytest.raises(StoreError, match=r"bench-1\.json is .*remove it"):
        ledger.check("bench-1")


@pytest.mark.parametrize(
    "wrong",
    [{"released": True}, {"released": {"by": "ada"}}, {"since": "yesterday"}, {"since": 1}, {"person": "no"}],
)
def test_a_value_that_makes_no_sense_is_an_error_and_no_free_board(ledger, tmp_path, wrong):
    ledger.quarantine_by_rules("bench-1", *GROUND)
    path = tmp_path / "quarantine" / "bench-1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **wrong}))
    with pytest.raises(StoreError, match=rf"bench-1\.json is not a quarantine's file: {min(wrong)}.*remove it"):
        ledger.check("bench-1")


def test_a_file_that_is_made_while_it_is_looked_for_is_not_damaged(ledger, tmp_path, monkeypatch):
    read, others = quarantine.read_json, Ledger(tmp_path, HealthRules())

    def read_too_early(path):
        content = read(path)
        with monkeypatch.context() as patch:
            patch.setattr(quarantine, "read_json", read)
            others.quarantine_by_rules("bench-1", *GROUND)
        return content

    monkeypatch.setattr(quarantine, "read_json", read_too_early)
    assert ledger.quarantined("bench-1").reason.startswith("3 cases failed")


def test_a_hostile_file_is_shown_harmless(ledger, tmp_path):
    ledger.quarantine_by_rules("bench-1", *GROUND)
    path = tmp_path / "quarantine" / "bench-1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "reason": "\x1b[2J", "by": "\u202eroot"}))
    assert "\x1b" not in ledger.quarantined("bench-1").text
    assert "\u202e" not in ledger.quarantined("bench-1").text
