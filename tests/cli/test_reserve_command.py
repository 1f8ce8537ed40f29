"""`hil reserve`, as a user types it."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.commands.reserve import book, show_calendar
from harness.config import Lab
from harness.errors import ReservationError

LAB = """
farm: {state: state, reservations: {max_per_user: 5}}
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


def test_every_selector_and_tag_has_to_match(hil):
    assert ok(hil("nano33", "--tag", "ble", "--tag", "window", "--for", "2h")).startswith("r1: bench-1 for anna from ")
    assert "bench-2" in ok(hil("ble", "nano33", "--for", "30m"))
    assert "bench-3" in ok(hil("bench-3", "--for", "30m"))
    assert [one["selector"] for one in reservations(hil)] == ["nano33 and ble and window", "ble and nano33", "bench-3"]
    assert "is bench-3 and ble; only what stands under `devices:`" in refused(hil("bench-3", "ble", "--for", "1h"))
    assert 'no device has the tag "nano33"' in refused(hil("--tag", "nano33", "--for", "1h"))
    assert 'no device, kind or tag is called "wifi"' in refused(hil("wifi", "--for", "1h"))
    assert "say which boards" in refused(hil("--for", "1h"))


def test_a_kind_without_a_configured_board_cannot_be_lent(hil, folder):
    (folder / "devices.yaml").unlink()
    assert "everybody has a virtual board of their own" in refused(hil("nano33", "--for", "1h"))


def test_what_was_booked_is_as_long_as_asked_and_for_whom(hil):
    shown = ok(hil("nano33", "--for", "1h30m", "--from", "+2h", "--count", "2", "--purpose", "class", "--as", "ben"))
    assert re.search(r"^r1: bench-1, bench-2 for ben from .* until .* \(class\)$", shown, re.MULTILINE)
    assert "A board that isn't used before" in shown
    assert "LATER" not in shown
    (one,) = reservations(hil)
    length = datetime.fromisoformat(one["end"]) - datetime.fromisoformat(one["start"])
    assert (one["owner"], length, one["devices"]) == ("ben", timedelta(minutes=90), ["bench-1", "bench-2"])
    assert (one["changes"][0]["by"], one["changes"][0]["what"]) == ("anna", "booked for ben")
    assert one["until"] == {name: one["end"].replace(".000000", "") for name in one["devices"]}


def test_a_queued_booking_says_clearly_that_it_begins_later(hil):
    ok(hil("bench-1", "--for", "2h"))
    assert "no bench-1 is free for so long at" in refused(hil("bench-1", "--for", "1h", "--no-queue", user="ben"))
    shown = ok(hil("bench-1", "--for", "1h", user="ben"))
    assert "It begins LATER, at " in shown
    first, second = reservations(hil)
    assert second["start"] == first["end"]


def test_rights_to_cancel_and_extend(hil):
    ok(hil("bench-1", "--for", "1h"))
    assert "r1 is anna's, and you are ben" in refused(hil("--cancel", "r1", user="ben"))
    assert "r1 is anna's, and you are ben" in refused(hil("--extend", "r1", "--for", "1h", user="ben"))
    assert "bench-1 for anna from" in ok(hil("--extend", "r1", "--for", "30m"))
    assert "bench-1 can be reserved by others again" in ok(hil("--cancel", "r1", "--force", user="ben"))
    assert "r1 is over" in refused(hil("--cancel", "r1"))
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


def test_the_calendar_has_a_table_for_each_local_day_and_the_zone(folder, capsys):
    lab = Lab.load(folder / "devices.yaml")
    book(lab, ["bench-1"], [], "1h", SATURDAY, start="2026-10-24 23:00", owner="ben")
    book(lab, ["bench-2"], [], "4h", SATURDAY, start="2026-10-25 00:30", purpose="night <b>")
    book(lab, ["bench-2"], [], "1h", SATURDAY, start="2026-10-25 12:00")
    book(lab, ["bench-1"], [], "4h", SATURDAY, start="2026-10-25 22:00")
    capsys.readouterr()
    show_calendar(lab, [], [], SATURDAY)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip() and "──" not in line]
    heading = ["board", "from", "until", "who", "purpose", "id"]
    late = ["Sun", "25", "Oct", "2026", "22:00", "CET"]
    assert lines == [
        ["Saturday", "24", "October", "2026"],
        heading,
        ["bench-1", "23:00", "CEST", "Sun", "25", "Oct", "2026", "00:00", "CEST", "ben", "r1"],
        ["Sunday", "25", "October", "2026"],
        heading,
        ["bench-1", "22:00", "CET", "Mon", "26", "Oct", "2026", "02:00", "CET", "anna", "r4"],
        ["bench-2", "00:30", "CEST", "03:30", "CET", "anna", "night", "<b>", "r2"],
        ["12:00", "CET", "13:00", "CET", "anna", "r3"],
        ["Monday", "26", "October", "2026"],
        heading,
        ["bench-1", *late, "02:00", "CET", "anna", "r4"],
    ]
    show_calendar(lab, ["bench-2"], [], SATURDAY)
    assert "bench-1" not in capsys.readouterr().out
    show_calendar(lab, [], [], SATURDAY + timedelta(days=3))
    assert capsys.readouterr().out.startswith("Nothing is reserved")


def test_hours_that_the_clocks_skip_or_repeat_are_refused(folder):
    lab = Lab.load(folder / "devices.yaml")
    with pytest.raises(ReservationError, match="comes twice"):
        book(lab, ["bench-1"], [], "1h", SATURDAY, start="2026-10-25 02:15")
    book(lab, ["bench-1"], [], "1h", SATURDAY, start="2026-10-25T02:15+01:00")


def test_what_others_see_has_no_control_characters(hil, folder):
    ok(hil("bench-1", "--for", "1h", "--purpose", "a\x1b[2Jb\nc", "--as", "e\x9bve"))
    assert "\x1b" not in hil("--list").output
    text = (folder / "state" / "reservations" / "r1.json").read_text()
    assert '"a [2Jb c"' in text
    assert '"e ve"' in text


def test_a_damaged_file_is_reported_by_name_and_the_rest_shown(hil, folder):
    ok(hil("bench-1", "--for", "1h"))
    (folder / "state" / "reservations" / "r2.json").write_text("{")
    shown = ok(hil("--list"))
    assert "reservations/r2.json is damaged and ignored" in shown
    assert "bench-1" in shown
    assert ok(hil("bench-2", "--for", "1h")).splitlines()[1].startswith("r3: bench-2")
