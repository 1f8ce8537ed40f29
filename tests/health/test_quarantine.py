"""Out of use and back: by rules, by tests, by people."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from fakes.made_events import START
from harness.config.health import HealthRules
from harness.errors import ConfigError, QuarantinedError, StoreError
from harness.files.json_lines import read_lines
from harness.health import quarantine
from harness.health.quarantine import Ledger
from harness.health.rules import Ground

HOUR = timedelta(hours=1)
GROUND = Ground("3 cases failed\x1b[2J in a row", ("night#1", "night#2"))


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path, HealthRules())


def history(tmp_path):
    return [(line["what"], line["by"]) for line in read_lines(tmp_path / "quarantine" / "history.jsonl")]


def test_a_board_in_use_passes(ledger):
    ledger.check("bench-1")
    assert ledger.get("bench-1") is ledger.released("bench-1") is None
    assert ledger.all() == ledger.due(START) == ()


def test_the_refusal_says_why_since_when_and_what_helps(ledger):
    ledger.by_rules("bench-1", GROUND, START)
    text = (
        r"^bench-1: quarantined since 2026-03-01 22:00 UTC by rules: 3 cases failed\\x1b\[2J in a row\. To use it: it "
        r"is tested again after 2026-03-01 23:00 UTC, or `hil release bench-1` takes it back$"
    )
    with pytest.raises(QuarantinedError, match=text):
        ledger.check("bench-1")
    ledger.check("bench-2")


def test_it_is_read_back_as_it_was_written(ledger, tmp_path):
    made = ledger.by_rules("bench-1", GROUND, START)
    assert Ledger(tmp_path, HealthRules()).get("bench-1") == made
    assert made.evidence == GROUND.evidence


def test_the_rules_do_not_begin_it_twice(ledger):
    first = ledger.by_rules("bench-1", GROUND, START)
    assert ledger.by_rules("bench-1", Ground("other", ()), START + HOUR) is None
    assert ledger.get("bench-1") == first


def test_tests_are_due_after_one_hour_four_hours_and_then_daily(ledger):
    ledger.by_rules("bench-1", GROUND, START)
    now, waits = START, []
    for _ in range(5):
        after = ledger.get("bench-1").retest_after
        assert ledger.due(after - timedelta(seconds=1)) == ()
        assert [found.device for found in ledger.due(after)] == ["bench-1"]
        waits.append((after - now) / HOUR)
        now = after
        ledger.tested("bench-1", now, ok=False, reason="no answer")
    assert waits == [1, 4, 24, 24, 24]


def test_two_passed_tests_in_a_row_release_it(ledger, tmp_path):
    ledger.by_rules("bench-1", GROUND, START)
    for hour, ok in enumerate((True, False, True), 1):
        found = ledger.tested("bench-1", START + hour * HOUR, ok=ok, reason="x")
        assert (found.passed, len(found.tests)) == (int(ok), hour)
    assert ledger.tested("bench-1", START + 9 * HOUR, ok=True, reason="x") is None
    ledger.check("bench-1")
    assert ledger.released("bench-1") == START + 9 * HOUR
    assert history(tmp_path) == [
        ("quarantined", "rules"),
        ("passed a test", "test"),
        ("failed a test", "test"),
        ("passed a test", "test"),
        ("passed a test", "test"),
        ("released", "test"),
    ]


def test_after_a_passed_test_the_second_one_follows_soon(ledger):
    ledger.by_rules("bench-1", GROUND, START)
    for _ in range(4):
        ledger.tested("bench-1", START, ok=False, reason="x")
    assert ledger.tested("bench-1", START, ok=True, reason="x").retest_after == START + HOUR


def test_what_a_person_says_only_a_person_lifts(ledger, tmp_path):
    ledger.by_person("bench-1", "smells burnt", "ada", START)
    for _ in range(5):
        assert ledger.tested("bench-1", START, ok=True, reason="x") is not None
    assert ledger.due(START + 1000 * HOUR) == ()
    with pytest.raises(QuarantinedError, match=r"by ada: smells burnt\. To use it: `hil release bench-1`"):
        ledger.check("bench-1")
    ledger.release("bench-1", "bob", "new cable", START + HOUR)
    ledger.check("bench-1")
    assert history(tmp_path)[-1] == ("released", "bob")


def test_a_person_overrides_the_rules(ledger):
    ledger.by_rules("bench-1", GROUND, START)
    ledger.by_person("bench-1", "keep out", "ada", START + HOUR)
    assert ledger.get("bench-1").person
    assert ledger.by_rules("bench-1", GROUND, START + 2 * HOUR) is None


def test_a_test_of_a_board_in_use_changes_nothing(ledger, tmp_path):
    assert ledger.tested("bench-1", START, ok=False, reason="x") is None
    assert ledger.get("bench-1") is None
    assert history(tmp_path) == []


def test_who_is_not_quarantined_cannot_be_released_and_a_person_gives_a_reason(ledger):
    with pytest.raises(ConfigError, match="bench-1 is not quarantined"):
        ledger.release("bench-1", "bob", "", START)
    with pytest.raises(ConfigError, match="say why"):
        ledger.by_person("bench-1", " ", "bob", START)


@pytest.mark.parametrize("name", ["../x", "a/b", ".", ""])
def test_a_name_that_is_a_path_is_refused(ledger, name, tmp_path):
    for act in (ledger.get, ledger.check, lambda device: ledger.by_person(device, "x", "x", START)):
        with pytest.raises(ConfigError, match="can't be the name of a file"):
            act(name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"released": null}', '{"since": 1, "retest_after": null}'])
def test_a_damaged_file_is_an_error_and_no_free_board(ledger, tmp_path, damage):
    ledger.by_rules("bench-1", GROUND, START)
    (tmp_path / "quarantine" / "bench-1.json").write_text(damage)
    with pytest.raises(StoreError, match=r"bench-1\.json is .*remove it"):
        ledger.check("bench-1")


def test_a_file_that_is_made_while_it_is_looked_for_is_not_damaged(ledger, tmp_path, monkeypatch):
    read, others = quarantine.read_json, Ledger(tmp_path, HealthRules())

    def read_too_early(path):
        content = read(path)
        with monkeypatch.context() as patch:
            patch.setattr(quarantine, "read_json", read)
            others.by_rules("bench-1", GROUND, START)
        return content

    monkeypatch.setattr(quarantine, "read_json", read_too_early)
    assert ledger.get("bench-1").reason.startswith("3 cases failed")


@pytest.mark.parametrize("released", [True, {"by": "ada"}, {"when": 3}, {"when": "yesterday"}])
def test_a_release_that_cant_be_read_is_an_error(ledger, tmp_path, released):
    ledger.by_rules("bench-1", GROUND, START)
    path = tmp_path / "quarantine" / "bench-1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "released": released}))
    with pytest.raises(StoreError, match=r"bench-1\.json is not a quarantine's file.*remove it"):
        ledger.released("bench-1")


def test_a_hostile_file_is_shown_harmless(ledger, tmp_path):
    ledger.by_rules("bench-1", GROUND, START)
    path = tmp_path / "quarantine" / "bench-1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "reason": "\x1b[2J", "by": "\u202eroot"}))
    assert "\x1b" not in ledger.get("bench-1").text
    assert "\u202e" not in ledger.get("bench-1").text
