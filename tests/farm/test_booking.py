"""What `hil reserve` writes: never one board to two, however many ask at once, and nothing of others is lost."""

from __future__ import annotations

import multiprocessing
import random
from datetime import UTC, datetime, timedelta

import pytest
from filelock import FileLock

from harness.config import Lab
from harness.errors import ReservationError
from harness.farm.booking import Booking, cancel, earliest, extend, reserve
from harness.farm.calendar import Calendar
from harness.text.times import minute

NOW = datetime(2026, 11, 21, 13, 0, 20, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
BOARDS = ("bench-1", "bench-2")
DEVICES = """\
farm: {calendar: lab.ics, state: state}
devices:
  bench-1: {kind: nano33, backend: virtual}
  bench-2: {kind: nano33, backend: virtual}
"""
#: As a calendar program writes it, with what the harness has no use for.
CLASS = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Calendar 1.0//EN
X-WR-CALNAME:Lab
BEGIN:VEVENT
UID:class@example.org
DTSTAMP:20261001T080000Z
DTSTART;TZID=Europe/Berlin:20261019T150000
DTEND;TZID=Europe/Berlin:20261019T170000
RRULE:FREQ=WEEKLY;BYDAY=MO,SA
SUMMARY:Embedded systems
LOCATION:bench-1
ORGANIZER;CN=Anna:mailto:anna@example.org
X-COLOR:teal
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:bring boards
TRIGGER:-PT15M
END:VALARM
END:VEVENT
END:VCALENDAR
"""


def at(hours):
    return minute(NOW) + hours * HOUR


def lab_calendar(folder):
    (folder / "devices.yaml").write_text(DEVICES)
    return Calendar(Lab.load(folder / "devices.yaml"))


@pytest.fixture
def calendar(tmp_path):
    return lab_calendar(tmp_path)


def book(calendar, owner, *, devices=("bench-1",), hours=1.0, after=0.0, **more):
    return reserve(calendar, Booking(devices, at(after), hours * HOUR, owner), NOW, **more)


def test_a_reservation_fits_between_the_events_of_a_calendar_program(calendar, tmp_path):
    (tmp_path / "lab.ics").write_text(CLASS.replace("\n", "\r\n"))
    with pytest.raises(ReservationError, match=r"none of bench-1 is free for 2h at .*; the next time is 16:00 UTC"):
        book(calendar, "ben", hours=2, queue=False)
    assert book(calendar, "ben", hours=2).start == at(3)  # the class is from 14:00 UTC to 16:00
    assert book(calendar, "ben", devices=BOARDS, hours=2).devices == ("bench-2",)
    text = (tmp_path / "lab.ics").read_bytes().decode().replace("\r\n", "\n")
    assert set(CLASS.splitlines()) <= set(text.splitlines())
    assert [one.owner for one in calendar.reservations(at(0), at(6))] == ["ben", "Anna", "ben"]


def test_only_ones_own_events_that_do_not_recur_can_be_changed(calendar, tmp_path):
    (tmp_path / "lab.ics").write_text(CLASS.replace("\n", "\r\n"))
    mine = book(calendar, "ben", devices=("bench-2",))
    for change in (lambda **more: cancel(calendar, **more), lambda **more: extend(calendar, length=HOUR, **more)):
        with pytest.raises(ReservationError, match=f"{mine.id} is ben's, and you are carl"):
            change(event_id=mine.id, user="carl", when=NOW)
        with pytest.raises(ReservationError, match=r"class@example\.org recurs: change it with a calendar program"):
            change(event_id="class@example.org", user="anna", when=NOW)
        with pytest.raises(ReservationError, match=f"no reservation .* is called nope; known: {mine.id}, class@"):
            change(event_id="nope", user="ben", when=NOW)
    assert extend(calendar, mine.id, "ben", HOUR, NOW).length == 2 * HOUR
    other = book(calendar, "carl", devices=("bench-2",), after=3)
    with pytest.raises(ReservationError, match=r"bench-2 is reserved from 16:00 UTC; --for 1h is possible"):
        extend(calendar, mine.id, "ben", 2 * HOUR, NOW)
    cancel(calendar, other.id, "ben", NOW, force=True)
    assert "COMMENT:cancelled by ben" in (tmp_path / "lab.ics").read_text()
    assert extend(calendar, mine.id, "ben", 2 * HOUR, NOW).length == 4 * HOUR


def test_what_is_long_over_is_removed_and_what_others_wrote_stays(calendar, tmp_path):
    (tmp_path / "lab.ics").write_text(CLASS.replace("\n", "\r\n"))
    old = book(calendar, "ben", devices=("bench-2",))
    text = (tmp_path / "lab.ics").read_text()
    assert old.id in text
    reserve(calendar, Booking(("bench-2",), at(24 * 33), HOUR, "ben"), NOW + 33 * 24 * HOUR)
    text = (tmp_path / "lab.ics").read_text()
    assert old.id not in text
    assert "class@example.org" in text


def test_a_damaged_calendar_is_not_written_over(calendar, tmp_path):
    (tmp_path / "lab.ics").write_text("BEGIN:VCALENDAR\nBEGIN:VEV")
    with pytest.raises(ReservationError, match=r"lab\.ics is damaged"):
        book(calendar, "ben")
    assert (tmp_path / "lab.ics").read_text() == "BEGIN:VCALENDAR\nBEGIN:VEV"


def test_a_lock_that_somebody_keeps_is_reported_and_reading_goes_on(calendar, tmp_path, monkeypatch):
    book(calendar, "anna")
    monkeypatch.setattr("harness.farm.booking._LOCK_WAIT_S", 0.05)
    with FileLock(tmp_path / ".lab.ics.lock"), pytest.raises(ReservationError, match="was being changed by somebody"):
        book(calendar, "ben")
    assert calendar.active("bench-1", NOW).owner == "anna"


def book_many(folder, user, rounds):
    calendar = Calendar(Lab.load(folder / "devices.yaml"))
    for _ in range(rounds):
        book(calendar, user, devices=BOARDS)


def test_processes_that_book_at_once_never_get_the_same_board(calendar, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harness.farm.booking"])
    workers = [context.Process(target=book_many, args=(tmp_path, f"user{number}", 3)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4
    made = calendar.reservations(at(0), at(48))
    assert len({(one.devices, one.start) for one in made}) == 12
    assert {one.start for one in made} == {at(number) for number in range(6)}  # and none waits longer than needed


def test_the_board_whose_gap_is_tightest_is_taken_then_the_first_by_name():
    taken = {"b1": [], "b2": [(at(2), at(3))], "b3": [(at(5), at(6))], "b0": []}
    assert earliest(taken, at(0), at(9), HOUR, 1) == (at(0), ("b2",))
    assert earliest(taken, at(0), at(9), 3 * HOUR, 1) == (at(0), ("b3",))
    assert earliest(taken, at(0), at(9), 7 * HOUR, 1) == (at(0), ("b0",))


def brute_force(taken, start, latest, length, count):
    """Try every step of the raster that random_case uses."""
    begin = start
    while begin <= latest:
        end = begin + length
        free = [name for name, spans in taken.items() if all(end <= a or b <= begin for a, b in spans)]
        if len(free) >= count:
            return begin, free
        begin += 10 * MINUTE
    return None


def random_case(rng):
    taken = {}
    for number in range(rng.randint(1, 4)):
        spans, cursor = [], 0
        for _ in range(rng.randint(0, 6)):
            begin = cursor + rng.randint(0, 8)
            cursor = begin + rng.randint(1, 12)
            spans.append((at(0) + begin * 10 * MINUTE, at(0) + cursor * 10 * MINUTE))
        rng.shuffle(spans)
        taken[f"b{number}"] = spans
    start = at(0) + rng.randint(0, 30) * 10 * MINUTE
    return taken, start, start + rng.randint(0, 60) * 10 * MINUTE, rng.randint(1, 15) * 10 * MINUTE


def test_the_queue_finds_the_earliest_time_on_random_calendars():
    rng = random.Random(1)
    later = none = 0
    for _ in range(1000):
        taken, start, latest, length = random_case(rng)
        count = rng.randint(1, len(taken))
        found, expected = (
            earliest(taken, start, latest, length, count),
            brute_force(taken, start, latest, length, count),
        )
        assert (found is None) == (expected is None)
        if found is None:
            none += 1
        else:
            assert found[0] == expected[0]
            assert len(set(found[1])) == count
            assert set(found[1]) <= set(expected[1])
            later += found[0] > start
    assert later > 100
    assert none > 20
