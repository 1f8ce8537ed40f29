"""`hil reserve`, as a user types it."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from harness.cli import main

LAB = """
farm: {state: state}
devices:
  bench-1: {kind: nano33, tags: [ble, window]}
  bench-2: {kind: nano33, tags: [ble]}
  bench-3: {kind: nano33, backend: virtual}
"""
#: Before the night in which the clocks of Berlin go back.
SATURDAY = datetime(2026, 10, 24, 20, 0, 40, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIL_USER", "anna")
    (tmp_path / "devices.yaml").write_text(LAB)
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def hil(folder):  # noqa: ARG001 (commands run in it)
    return lambda *arguments, user="anna": CliRunner().invoke(main, ["reserve", *arguments], env={"HIL_USER": user})


def ok(result):
    assert result.exit_code == 0, result.output
    return result.output


def refused(result, code=1):
    assert result.exit_code == code, result.output
    return result.output


def reservations(hil, *selectors):
    return json.loads(ok(hil("--list", "--json", *selectors)))["reservations"]


def booked(hil, *arguments, user="anna"):
    """Reserve, and return the id and the line that says what."""
    line = ok(hil(*arguments, user=user)).splitlines()[-1]
    return line.partition(":")[0], line


def test_every_selector_and_tag_has_to_match(hil):
    assert ": bench-1 for anna from " in booked(hil, "nano33", "--tag", "ble", "--tag", "window", "--for", "2h")[1]
    assert ": bench-2 for anna from " in booked(hil, "ble", "nano33", "--for", "30m")[1]
    assert ": bench-3 for anna from " in booked(hil, "bench-3", "--for", "30m")[1]
    assert sorted(one["devices"] for one in reservations(hil)) == [["bench-1"], ["bench-2"], ["bench-3"]]
    assert [one["devices"] for one in reservations(hil, "window")] == [["bench-1"]]
    assert "is bench-3 and ble; only what stands under `devices:`" in refused(hil("bench-3", "ble", "--for", "1h"))
    assert 'no device has the tag "nano33"' in refused(hil("--tag", "nano33", "--for", "1h"))
    assert 'no device, kind or tag is called "wifi"' in refused(hil("wifi", "--for", "1h"))
    assert "say which boards" in refused(hil("--for", "1h"))


def test_a_kind_without_a_configured_board_cannot_be_lent(hil, folder):
    (folder / "devices.yaml").unlink()
    assert "everybody has a virtual board of their own" in refused(hil("nano33", "--for", "1h"))


def test_what_was_booked_is_as_long_as_asked_and_for_whom(hil):
    options = ("--for", "1h30m", "--from", "+2h", "--count", "2", "--purpose", "class", "--as", "ben")
    name, line = booked(hil, "nano33", *options)
    assert re.search(r"^[0-9a-f]{6}: bench-1, bench-2 for ben from .* until .* \(class\)$", line)
    assert "LATER" not in line
    (one,) = reservations(hil)
    length = datetime.fromisoformat(one["end"]) - datetime.fromisoformat(one["start"])
    assert (one["id"], one["owner"], length) == (name, "ben", timedelta(minutes=90))
    assert (one["devices"], one["purpose"]) == (["bench-1", "bench-2"], "class")


def test_a_queued_booking_says_clearly_that_it_begins_later(hil):
    ok(hil("bench-1", "--for", "2h"))
    assert "none of bench-1 is free for 1h at" in refused(hil("bench-1", "--for", "1h", "--no-queue", user="ben"))
    assert "It begins LATER, at " in ok(hil("bench-1", "--for", "1h", user="ben"))
    first, second = reservations(hil)
    assert second["start"] == first["end"]
    assert "is over; it is " in refused(hil("bench-1", "--for", "1h", "--from", "2000-01-01 10:00"))


def test_rights_to_cancel_and_extend(hil):
    name, _ = booked(hil, "bench-1", "--for", "1h")
    assert f"{name} is anna's, and you are ben" in refused(hil("--cancel", name, user="ben"))
    assert f"{name} is anna's, and you are ben" in refused(hil("--extend", name, "--for", "1h", user="ben"))
    assert "bench-1 for anna from" in ok(hil("--extend", name, "--for", "30m"))
    assert "bench-1 can be reserved by others again" in ok(hil("--cancel", name, "--force", user="ben"))
    assert f"no reservation that isn't over is called {name}" in refused(hil("--cancel", name))
    assert reservations(hil) == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nano33"], "say for how long"),
        (["--extend", "r1"], "say for how long"),
        (["--list", "--for", "2h"], "--for can't be said with --list"),
        (["--cancel", "r1", "--as", "ben"], "--as can't be said with --cancel"),
        (["--cancel", "r1", "--extend", "r1"], "--extend can't be said with --cancel"),
        (["nano33", "--for", "1h", "--json"], "--json can't be said with a new reservation"),
        (["nano33", "--for", "1h", "--force"], "--force can't be said with a new reservation"),
        (["nano33", "--for", "1h", "--count", "0"], "--count"),
    ],
)
def test_nothing_that_was_said_is_ignored(hil, arguments, why):
    assert why in refused(hil(*arguments), 2)


def test_the_calendar_has_a_table_for_each_local_day_and_the_zone(hil, monkeypatch):
    monkeypatch.setattr("harness.config.state.now", lambda: SATURDAY)
    names = [
        booked(hil, "bench-1", "--for", "1h", "--from", "2026-10-24 23:00", "--as", "ben")[0],
        booked(hil, "bench-2", "--for", "4h", "--from", "2026-10-25 00:30", "--purpose", "night <b>")[0],
        booked(hil, "bench-2", "--for", "1h", "--from", "2026-10-25 12:00", "--purpose", "x")[0],
        booked(hil, "bench-1", "--for", "4h", "--from", "2026-10-25 22:00", "--purpose", "x")[0],
    ]
    lines = [line.split() for line in ok(hil("--list")).splitlines() if line.strip() and "──" not in line]
    heading = ["board", "from", "until", "who", "purpose", "id"]
    assert lines == [
        ["Saturday", "24", "October", "2026"],
        heading,
        [
            "bench-1",
            "23:00",
            "CEST",
            "Sun",
            "25",
            "Oct",
            "2026",
            "00:00",
            "CEST",
            "ben",
            "reserved",
            "by",
            "ben",
            names[0],
        ],
        ["Sunday", "25", "October", "2026"],
        heading,
        ["bench-1", "22:00", "CET", "Mon", "26", "Oct", "2026", "02:00", "CET", "anna", "x", names[3]],
        ["bench-2", "00:30", "CEST", "03:30", "CET", "anna", "night", "<b>", names[1]],
        ["12:00", "CET", "13:00", "CET", "anna", "x", names[2]],
        ["Monday", "26", "October", "2026"],
        heading,
        ["bench-1", "Sun", "25", "Oct", "2026", "22:00", "CET", "02:00", "CET", "anna", "x", names[3]],
    ]
    assert "bench-1" not in ok(hil("--list", "bench-2"))
    monkeypatch.setattr("harness.config.state.now", lambda: SATURDAY + timedelta(days=3))
    assert ok(hil("--list")).startswith("Nothing is reserved")


def test_hours_that_the_clocks_repeat_are_refused_unless_it_is_said_which(hil, monkeypatch):
    monkeypatch.setattr("harness.config.state.now", lambda: SATURDAY)
    assert "comes twice" in refused(hil("bench-1", "--for", "1h", "--from", "2026-10-25 02:15"))
    ok(hil("bench-1", "--for", "1h", "--from", "2026-10-25T02:15+01:00"))


def test_what_others_see_has_no_control_characters(hil, folder):
    ok(hil("bench-1", "--for", "1h", "--purpose", "a\x1b[2Jb\nc", "--as", "e\x9bve"))
    assert "\x1b" not in hil("--list").output
    text = (folder / "state" / "reservations.ics").read_text()
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert ok(hil("--cancel", reservations(hil)[0]["id"], user="e\x9bve"))


def test_a_damaged_calendar_is_named(hil, folder):
    ok(hil("bench-1", "--for", "1h"))
    (folder / "state" / "reservations.ics").write_text("{")
    assert "state/reservations.ics is damaged" in refused(hil("--list"))
    assert "state/reservations.ics is damaged" in refused(hil("bench-2", "--for", "1h"))
