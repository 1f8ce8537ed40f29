"""Reservations: who gets which board when, whatever is booked, cancelled, forgotten or damaged."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from harness.config import Lab
from harness.config.farm import ReservationLimits
from harness.errors import BusyError, ConfigError, ReservationError, ReservedError
from harness.farm.booking import Request, earliest
from harness.farm.calendar import Calendar
from harness.farm.reservation import clean_owner, clean_purpose
from harness.text.times import minute, parse_duration, parse_start, show_length, show_time

NOW = datetime(2026, 11, 21, 13, 0, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
BOARDS = ("bench-1", "bench-2")
MANY = ReservationLimits(max_per_user=1000)


@pytest.fixture
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def calendar(tmp_path, berlin):  # noqa: ARG001
    return Calendar(tmp_path, MANY)


def book(calendar, owner, *, devices=("bench-1",), when=NOW, hours=1.0, after=None, **more):
    start = None if after is None else minute(NOW) + after * HOUR
    request = Request(devices, "nano33", hours * HOUR, owner, start=start, **more)
    return calendar.reserve(request, when)


def at(hours):
    return minute(NOW) + hours * HOUR


def test_a_booking_is_a_file_that_holds_utc_and_whole_minutes(calendar, tmp_path):
    made = book(calendar, "anna", hours=2, purpose="class")
    assert (made.id, made.devices, made.start, made.end) == ("r1", ("bench-1",), at(0), at(2))
    content = json.loads((tmp_path / "reservations" / "r1.json").read_text())
    assert (content["owner"], content["start"], content["end"]) == (
        "anna",
        "2026-11-21T13:00:00.000000+00:00",
        "2026-11-21T15:00:00.000000+00:00",
    )
    assert calendar.all() == (made,)


def test_somebody_else_is_kept_out_and_told_who_until_when_and_what_for(calendar):
    book(calendar, "anna", hours=2, purpose="class")
    book(calendar, "ben", after=3)
    calendar.check("bench-1", "anna", NOW)
    calendar.check("bench-2", "ben", NOW)
    with pytest.raises(ReservedError) as caught:
        calendar.check("bench-1", "ben", NOW)
    expected = "bench-1 is reserved by anna until 16:00 CET (class); free after that, or `hil reserve` another"
    assert str(caught.value) == expected
    assert isinstance(caught.value, BusyError)
    calendar.check("bench-1", "ben", at(2))
    with pytest.raises(ReservedError, match="by ben until 18:00 CET; free"):
        calendar.check("bench-1", "anna", at(3))


def test_it_is_not_called_free_when_others_follow_at_once(calendar):
    book(calendar, "anna")
    book(calendar, "ben", after=1)
    book(calendar, "carl", after=2)
    book(calendar, "ben", after=4)
    with pytest.raises(ReservedError, match="until 15:00 CET; then by others, free from 17:00 CET, or"):
        calendar.check("bench-1", "dora", NOW)
    with pytest.raises(ReservedError, match="until 15:00 CET; free after that"):
        calendar.check("bench-1", "ben", NOW)


def test_a_run_is_warned_of_what_comes(calendar):
    book(calendar, "anna", after=2)
    book(calendar, "ben", after=1)
    assert calendar.until("bench-1", "carl", NOW).start == at(1)
    assert calendar.until("bench-1", "ben", NOW).owner == "anna"
    assert calendar.until("bench-1", "carl", at(2)) is None
    assert calendar.until("bench-2", "carl", NOW) is None


def test_if_none_is_free_the_next_time_is_booked_or_named(calendar):
    book(calendar, "anna", hours=2)
    book(calendar, "anna", devices=("bench-2",), hours=1.5)
    with pytest.raises(
        ReservationError, match=r"no nano33 is free for so long at 14:00 CET; the next time is 15:30 CET"
    ):
        book(calendar, "ben", devices=BOARDS, queue=False)
    queued = book(calendar, "ben", devices=BOARDS)
    assert (queued.devices, queued.start, queued.end) == (("bench-2",), at(1.5), at(2.5))
    both = book(calendar, "carl", devices=BOARDS, count=2)
    assert (both.devices, both.start) == (BOARDS, at(2.5))


@pytest.mark.usefixtures("berlin")
def test_a_queue_of_more_than_seven_days_is_refused(tmp_path):
    calendar = Calendar(tmp_path, ReservationLimits(max_hours=200, max_per_user=9))
    book(calendar, "anna", hours=7 * 24)
    assert book(calendar, "ben").start == at(7 * 24)
    with pytest.raises(ReservationError, match="nor at a time after it that could be booked"):
        book(calendar, "carl")
    assert len(calendar.all()) == 2


def test_the_board_whose_gap_is_tightest_is_taken_then_the_first_by_name(calendar):
    three = ("bench-3", "bench-1", "bench-2")
    assert book(calendar, "anna", devices=three, after=2).devices == ("bench-1",)
    book(calendar, "ben", devices=("bench-3",), after=1)
    # Free from now: bench-1 for 2 h, bench-2 for ever, bench-3 for 1 h.
    assert book(calendar, "carl", devices=three).devices == ("bench-3",)
    assert book(calendar, "carl", devices=three).devices == ("bench-1",)
    assert book(calendar, "carl", devices=three).devices == ("bench-2",)


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


def test_random_bookings_and_changes_never_overlap(calendar):
    rng = random.Random(2)
    when, used_up = NOW, 0
    for step in range(200):
        when += rng.randint(0, 40) * MINUTE
        user = rng.choice("abcd")
        try:
            kind = rng.random()
            if kind < 0.6:
                book(calendar, user, devices=BOARDS, when=when, hours=rng.randint(1, 12) / 4, count=rng.randint(1, 2))
            elif kind < 0.7:
                calendar.cancel(f"r{rng.randint(1, step + 1)}", user, when)
            elif kind < 0.8:
                calendar.extend(f"r{rng.randint(1, step + 1)}", user, 30 * MINUTE, when)
            else:
                calendar.touch(rng.choice(BOARDS), user, when)
        except ReservationError:
            used_up += 1
        for device in BOARDS:
            spans = sorted((one.start, calendar.ends(one, device, when)) for one in calendar.all())
            spans = [(start, end) for start, end in spans if start < end]
            assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans)), step
    assert used_up < 150
    assert any(one.used for one in calendar.all())


def book_many(state, user, rounds):
    calendar = Calendar(state, MANY)
    for _ in range(rounds):
        calendar.reserve(Request(BOARDS, "nano33", HOUR, user), NOW)


def test_processes_that_book_at_once_never_get_the_same_board(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harness.farm.calendar"])
    workers = [context.Process(target=book_many, args=(tmp_path, f"user{number}", 5)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 8
    made = Calendar(tmp_path).all()
    assert sorted(int(one.id[1:]) for one in made) == list(range(1, 41))
    assert len({(one.devices, one.start) for one in made}) == 40
    assert {one.start for one in made} == {at(number) for number in range(20)}  # and none waits longer than needed


@pytest.mark.usefixtures("berlin")
def test_without_a_lock_that_works_the_number_of_the_file_keeps_bookings_apart(tmp_path, monkeypatch):
    """A network folder without locks: another host books between this one's look and its write."""
    monkeypatch.setattr("harness.farm.reservation_files.FileLock", NoLock)
    ours, theirs = Calendar(tmp_path, MANY), Calendar(tmp_path, MANY)
    look, looks = ours._files.read, []

    def look_and_be_overtaken():
        contents = look()
        looks.append(contents)
        if len(looks) == 1:
            book(theirs, "ben")
        return contents

    ours._files.read = look_and_be_overtaken
    assert book(ours, "anna").start == at(1)
    assert [(one.id, one.owner, one.start) for one in theirs.all()] == [("r1", "ben", at(0)), ("r2", "anna", at(1))]
    assert len(looks) == 2


class NoLock:
    def __init__(self, path, **options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def test_a_lock_that_somebody_keeps_is_reported_and_reading_goes_on(calendar, monkeypatch):
    made = book(calendar, "anna")
    monkeypatch.setattr("harness.farm.reservation_files._LOCK_WAIT_S", 0.05)
    # In another thread, because one that waits for itself is another error.
    with calendar._files.locked():
        with ThreadPoolExecutor(1) as pool, pytest.raises(ReservationError, match="being changed by somebody else"):
            pool.submit(book, calendar, "ben").result()
        assert calendar.all() == (made,)


@pytest.mark.usefixtures("berlin")
def test_limits_say_which_and_what_is_possible(tmp_path):
    calendar = Calendar(tmp_path)
    with pytest.raises(ReservationError, match=r"8h1m long; max_hours of .* allows 8h"):
        calendar.reserve(Request(BOARDS, "nano33", 8 * HOUR + MINUTE, "anna"), NOW)
    with pytest.raises(
        ReservationError, match=r"max_days_ahead of .* is 14, so it may begin until Sat 05 Dec 2026 14:00"
    ):
        book(calendar, "anna", after=14 * 24 + 1 / 60)
    with pytest.raises(ReservationError, match="13:59 CET is over; it is 14:00 CET"):
        book(calendar, "anna", after=-1 / 60)
    with pytest.raises(ReservationError, match="3 boards of nano33 are wanted, and there are 2: bench-1, bench-2"):
        book(calendar, "anna", devices=BOARDS, count=3)
    with pytest.raises(ReservationError, match="needs the name of its owner"):
        book(calendar, "\x1b\n")
    assert calendar.all() == ()
    book(calendar, "anna", after=14 * 24)
    book(calendar, "anna", hours=8, after=2)
    with pytest.raises(ReservationError, match=r"anna has r2 \(until .*\), r1 \(until .*\); max_per_user of .* is 2"):
        book(calendar, "anna")
    book(calendar, "ben")
    calendar.cancel("r1", "anna", NOW)
    assert book(calendar, "anna", after=1).id == "r4"


@pytest.mark.usefixtures("berlin")
def test_what_is_over_doesnt_count_against_its_owner(tmp_path):
    calendar = Calendar(tmp_path, ReservationLimits(max_per_user=1))
    book(calendar, "anna")
    calendar.touch("bench-1", "anna", NOW)
    with pytest.raises(ReservationError, match="max_per_user"):
        book(calendar, "anna", when=at(1) - MINUTE)
    assert book(calendar, "anna", when=at(1)).start == at(1)


def test_only_the_owner_cancels_or_who_forces_it_which_is_recorded(calendar):
    book(calendar, "anna", hours=2)
    with pytest.raises(ReservationError, match="r1 is anna's, and you are ben; ask them, or use --force"):
        calendar.cancel("r1", "ben", NOW)
    calendar.touch("bench-1", "anna", NOW)
    calendar.cancel("r1", "ben", at(1), force=True)
    (one,) = calendar.all()
    (change,) = one.changes
    assert (change.by, change.what, change.forced, change.when) == ("ben", "cancelled", True, at(1))
    assert calendar.active("bench-1", at(1)) is None
    with pytest.raises(ReservationError, match="r1 is over"):
        calendar.cancel("r1", "anna", at(1))
    assert book(calendar, "ben", when=at(1) + 20 * MINUTE / 60).start == at(1)


def test_an_owner_needs_no_force_and_none_is_recorded(calendar):
    book(calendar, "anna", after=3)
    assert calendar.cancel("r1", "anna", NOW, force=True).changes[0].forced is False
    assert calendar.current(NOW) == ()
    with pytest.raises(ReservationError, match=r"no reservation is called \.\./r1; known: there are none"):
        calendar.cancel("../r1", "anna", NOW)


def test_a_reservation_is_extended_only_if_nobody_comes_after(calendar):
    book(calendar, "anna", hours=2)
    book(calendar, "ben", after=3)
    with pytest.raises(ReservationError, match="r1 is anna's"):
        calendar.extend("r1", "ben", HOUR, NOW)
    with pytest.raises(
        ReservationError, match=r"can't be extended: bench-1 is booked from 17:00 CET; --for 1h is possible"
    ):
        calendar.extend("r1", "anna", HOUR + MINUTE, NOW)
    longer = calendar.extend("r1", "anna", HOUR, NOW)
    assert (longer.end, calendar.all()[0]) == (at(3), longer)
    with pytest.raises(ReservationError, match="booked from 17:00 CET; so it can't be longer"):
        calendar.extend("r1", "anna", MINUTE, NOW)
    assert calendar.extend("r2", "carl", HOUR, NOW, force=True).changes[0].forced is True
    with pytest.raises(ReservationError, match="r2 would be 8h1m long; max_hours"):
        calendar.extend("r2", "ben", 6 * HOUR + MINUTE, NOW)
    with pytest.raises(ReservationError, match="r1 is over"):
        calendar.extend("r1", "anna", HOUR, at(3))


def test_a_board_that_nobody_uses_for_half_an_hour_is_free_again(calendar):
    book(calendar, "anna", devices=BOARDS, count=2, hours=2, after=1)
    calendar.touch("bench-2", "anna", at(1.2))
    assert calendar.active("bench-1", at(1.5) - MINUTE).owner == "anna"
    assert calendar.active("bench-1", at(1.5)) is None
    assert calendar.active("bench-2", at(1.5)).owner == "anna"
    calendar.touch("bench-1", "anna", at(1.6))  # too late
    with pytest.raises(ReservationError, match="bench-1 of r1 was released, because nobody used it until 15:30 CET"):
        calendar.extend("r1", "anna", HOUR, at(1.6))
    taken = book(calendar, "ben", devices=BOARDS, when=at(1.6))
    assert (taken.devices, taken.start) == (("bench-1",), at(1.6))


def test_only_its_owner_in_its_time_uses_a_reservation(calendar):
    book(calendar, "anna", after=1)
    calendar.touch("bench-1", "anna", at(0.9))
    calendar.touch("bench-1", "ben", at(1.1))
    calendar.touch("bench-2", "anna", at(1.1))
    assert calendar.all()[0].used == {}
    calendar.touch("bench-1", "anna", at(1.1))
    calendar.touch("bench-1", "anna", at(1.2))
    assert calendar.all()[0].used == {"bench-1": at(1.1)}


def test_a_slow_clock_doesnt_take_back_what_was_released_and_booked(calendar):
    book(calendar, "anna", hours=2)
    book(calendar, "ben", when=at(0.5))
    calendar.touch("bench-1", "anna", at(0.4))
    assert calendar.all()[0].used == {}
    assert calendar.active("bench-1", at(0.6)).owner == "ben"


def test_zero_minutes_keep_a_board_for_who_doesnt_come(tmp_path):
    calendar = Calendar(tmp_path, ReservationLimits(no_show_min=0))
    made = book(calendar, "anna", hours=2)
    assert calendar.active("bench-1", at(1.9)) == made
    assert calendar.use_before(made) is None


def test_a_damaged_file_is_named_and_ignored_and_its_number_not_used_again(calendar, tmp_path):
    book(calendar, "anna")
    folder = tmp_path / "reservations"
    good = json.loads((folder / "r1.json").read_text())
    damage = [
        '{"id": "r2", "own',
        "[]",
        json.dumps({**good, "id": "r9"}),
        json.dumps({**good, "id": "r5", "end": good["start"]}),
        json.dumps({**good, "id": "r6", "start": "2026-11-21T13:00:00"}),
        json.dumps({**good, "id": "r7", "devices": "bench-1"}),
        json.dumps({**good, "id": "r8", "devices": []}),
        json.dumps({"id": "r9"}),
        json.dumps({**good, "id": "r10", "changes": ["x"]}),
        json.dumps({**good, "id": "r11", "start": "0001-01-01T00:00:00+14:00"}),
    ]
    for number, text in enumerate(damage, 2):
        (folder / f"r{number}.json").write_text(text)
    assert [one.id for one in calendar.all()] == ["r1"]
    assert {path.name for path in calendar.damaged()} == {f"r{number}.json" for number in range(2, 12)}
    assert book(calendar, "ben").id == "r12"


def test_a_folder_that_cannot_be_read_is_not_an_empty_calendar(tmp_path):
    (tmp_path / "reservations").write_text("")
    with pytest.raises(ReservationError, match=r"the reservations in .*/reservations can't be read: .*Not a directory"):
        Calendar(tmp_path).check("bench-1", "anna", NOW)
    with pytest.raises(ReservationError, match=r"can't be changed"):
        book(Calendar(tmp_path), "anna")


def test_what_is_long_over_is_put_aside_and_its_number_not_used_again(calendar, tmp_path):
    book(calendar, "anna")
    assert book(calendar, "ben", when=NOW + timedelta(days=40)).id == "r2"
    assert [one.id for one in calendar.all()] == ["r2"]
    assert (tmp_path / "reservations" / "past" / "r1.json").is_file()
    (tmp_path / "reservations" / "r2.json").unlink()
    assert book(calendar, "ben").id == "r2"
    (tmp_path / "reservations" / "r2.json").unlink()
    (tmp_path / "reservations" / "past" / "r7.json").write_text("{}")
    assert book(calendar, "ben").id == "r8"


def test_hostile_names_are_made_harmless_also_when_the_file_was_written_by_hand(calendar, tmp_path):
    made = book(calendar, "an\x1b[31mna\n", purpose="a\x00b\u202ec\r\n" + "x" * 500)
    assert made.owner == "an [31mna"
    assert made.purpose.startswith("a b c xxx")
    assert len(made.purpose) == 200
    calendar.check("bench-1", "an\x1b[31mna\n", NOW)
    path = tmp_path / "reservations" / "r1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "owner": "ev\x9bil", "purpose": "\x1b]0;x\x07"}))
    assert (calendar.all()[0].owner, calendar.all()[0].purpose) == ("ev il", "]0;x")
    assert len(clean_owner("x" * 100)) == 64
    assert clean_purpose("<b>\u2066&") == "<b> &"  # HTML is escaped where it is written


def test_the_lab_sets_the_limits(tmp_path):
    path = tmp_path / "devices.yaml"
    path.write_text("farm: {state: state, reservations: {max_hours: 1, no_show_min: 5}}\n")
    calendar = Calendar.of(Lab.load(path))
    with pytest.raises(ReservationError, match="allows 1h"):
        book(calendar, "anna", hours=2)
    made = book(calendar, "anna")
    assert calendar.use_before(made) == at(0) + 5 * MINUTE
    path.write_text("farm: {reservations: {max_hours: 0}}\n")
    with pytest.raises(ConfigError, match=r"farm\.reservations\.max_hours"):
        Lab.load(path)
    with pytest.raises(ValidationError):
        ReservationLimits(no_show_min=-1)


@pytest.mark.parametrize(
    ("text", "minutes"), [("90m", 90), ("2h", 120), ("1h30m", 90), ("1d", 1440), (" 1d2h3m ", 1563), ("0h5m", 5)]
)
def test_lengths(text, minutes):
    assert parse_duration(text) == minutes * MINUTE
    assert parse_duration(show_length(minutes * MINUTE)) == minutes * MINUTE


@pytest.mark.parametrize("text", ["", "0h", "2", "1.5h", "30m1h", "-1h", "2 h", "9999999h", "\x1b[2J", "٣h"])
def test_what_is_no_length(text):
    with pytest.raises(ReservationError, match="is not a length of time") as caught:
        parse_duration(text)
    assert str(caught.value).isprintable()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-22 14:00", "2026-11-22T13:00"),
        ("2026-07-01T14:00", "2026-07-01T12:00"),
        ("2026-11-22T14:00+05:30", "2026-11-22T08:30"),
        ("2026-11-22T14:00Z", "2026-11-22T14:00"),
        ("2026-11-22 14:00:59", "2026-11-22T13:00"),
        ("+1h30m", "2026-11-21T14:30"),
        # The clocks change on 29 March and 25 October 2026.
        ("2026-03-29 01:59", "2026-03-29T00:59"),
        ("2026-03-29 03:00", "2026-03-29T01:00"),
        ("2026-10-25 01:59", "2026-10-24T23:59"),
        ("2026-10-25 03:00", "2026-10-25T02:00"),
        ("2026-10-25T02:30+02:00", "2026-10-25T00:30"),
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30"),
    ],
)
def test_times_are_read_as_local_ones(text, utc):
    assert parse_start(text, NOW) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tomorrow", "is not a time"),
        ("2026-11-22", "is not a time"),
        ("2026-02-30 10:00", "is not a time"),
        ("9999-12-31 23:59", "is not a time"),
        ("0001-01-01 00:00+14:00", "is not a time"),
        ("+x", '"x" is not a length'),
        ("2026-03-29 02:30", "there is no 02:30 on 2026-03-29: the clocks go forward"),
        ("2026-10-25 02:30", r"comes twice .* write 2026-10-25T02:30\+02:00 or 2026-10-25T02:30\+01:00"),
    ],
)
def test_what_is_no_time_and_hours_that_the_clocks_skip_or_repeat(text, why):
    with pytest.raises(ReservationError, match=why):
        parse_start(text, NOW)


def test_over_a_change_of_clocks_a_booking_is_as_long_as_was_asked(calendar):
    when = parse_start("2026-10-25 01:30", NOW)
    made = book(calendar, "anna", when=when, hours=2)
    assert (made.end - made.start) == 2 * HOUR
    assert (show_time(made.start, when), show_time(made.end, when)) == ("01:30 CEST", "02:30 CET")
    assert book(calendar, "ben", when=when).start == made.end
    spring = parse_start("2027-03-28 01:30", NOW)
    assert show_time(book(calendar, "anna", when=spring).end, spring) == "03:30 CEST"
