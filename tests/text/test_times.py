"""Times and lengths as people write and read them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from harness.errors import ReservationError
from harness.text.times import parse_duration, parse_start, show_length

NOW = datetime(2026, 11, 21, 13, 0, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


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
