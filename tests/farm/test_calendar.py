"""Which board is whose when, as calendars say it: against the dates that RFC 5545 itself gives for its examples."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.config import Lab
from harness.errors import BusyError, ConfigError, ReservationError, ReservedError
from harness.farm import calendar_url
from harness.farm.calendar import Calendar

DEVICES = """\
farm: {{calendar: "{}", state: state}}
devices:
  bench-1: {{kind: nano33, backend: virtual, tags: [ble]}}
  bench-2: {{kind: nano33, backend: virtual, tags: [ble, window]}}
"""
#: Of RFC 5545, 3.6.5: New York's clocks changed on the last Sunday of October and the first of April.
NEW_YORK = """\
BEGIN:VTIMEZONE
TZID:America/New_York
BEGIN:STANDARD
DTSTART:19671029T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:-0400
TZOFFSETTO:-0500
TZNAME:EST
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19870405T020000
RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=4
TZOFFSETFROM:-0500
TZOFFSETTO:-0400
TZNAME:EDT
END:DAYLIGHT
END:VTIMEZONE
"""
#: Examples of RFC 5545, 3.8.5.3, and the days that stand there behind "==>"; all at 9:00 in New York.
EXAMPLES = {
    "every other week": (
        "19970902",
        "RRULE:FREQ=WEEKLY;INTERVAL=2;WKST=SU",
        "1997-09-02 1997-09-16 1997-09-30 1997-10-14 | 1997-10-28 1997-11-11 1997-11-25 1997-12-09 1997-12-23",
    ),
    "weekly on Tuesday and Thursday for five weeks": (
        "19970902",
        "RRULE:FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
        "1997-09-02 1997-09-04 1997-09-09 1997-09-11 1997-09-16 1997-09-18 1997-09-23 1997-09-25 1997-09-30 1997-10-02",
    ),
    "every Friday the 13th, but the first day": (
        "19970902",
        "EXDATE;TZID=America/New_York:19970902T090000\nRRULE:FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
        "| 1998-02-13 1998-03-13 1998-11-13",
    ),
    "monthly on the second-to-last weekday": (
        "19970929",
        "RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
        "1997-09-29 | 1997-10-30 1997-11-27 1997-12-30 1998-01-29 1998-02-26 1998-03-30",
    ),
}
NOW = datetime(2026, 11, 21, 13, 0, 20, tzinfo=UTC)
ANNA = "ORGANIZER;CN=Anna Blum:mailto:anna@example.org"
PRIVATE = "private-0815"


@pytest.fixture(autouse=True)
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def event(when, *lines, uid="1", location="bench-1", organizer=ANNA):
    return ["BEGIN:VEVENT", f"UID:{uid}", f"LOCATION:{location}", organizer, *when.splitlines(), *lines, "END:VEVENT"]


def ics(*events, zones=""):
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:test",
        *zones.splitlines(),
        *(line for event_lines in events for line in event_lines),
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(line for line in lines[:-1] if line) + "\r\n"


def calendar(folder, text, said="lab.ics"):
    if text is not None:
        (folder / "lab.ics").write_bytes(text.encode() if isinstance(text, str) else text)
    (folder / "devices.yaml").write_text(DEVICES.format(said))
    return Calendar(Lab.load(folder / "devices.yaml"))


def spans(found):
    return [(f"{one.start:%m-%d %H:%M}", f"{one.end:%m-%d %H:%M}", *one.devices) for one in found]


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("zones", ["", NEW_YORK], ids=["its zone is known", "its zone is defined"])
def test_recurring_events_are_when_the_rfc_says(tmp_path, example, zones):
    first, rule, days = EXAMPLES[example]
    when = f"DTSTART;TZID=America/New_York:{first}T090000\nDURATION:PT1H"
    found = calendar(tmp_path, ics(event(when, *rule.splitlines()), zones=zones)).reservations(
        datetime(1997, 8, 1, tzinfo=UTC), datetime(1999, 1, 1, tzinfo=UTC)
    )
    summer, _, winter = days.partition("|")
    expected = [f"{day} 13:00" for day in summer.split()] + [f"{day} 14:00" for day in winter.split()]
    assert [f"{one.start:%Y-%m-%d %H:%M}" for one in found][: len(expected)] == expected
    assert {one.end - one.start for one in found} == {timedelta(hours=1)}
    assert len(found) == len(expected) or "UNTIL" not in rule


def test_one_of_a_series_is_moved_to_another_room_and_one_cancelled(tmp_path):
    at = "DTSTART;TZID=Europe/Berlin:{0}T100000\nDTEND;TZID=Europe/Berlin:{0}T120000"
    moved = "RECURRENCE-ID;TZID=Europe/Berlin:20261116T100000"
    off = "RECURRENCE-ID;TZID=Europe/Berlin:20261102T100000"
    text = ics(
        event(at.format(20261019), "RRULE:FREQ=WEEKLY;COUNT=6", "EXDATE;TZID=Europe/Berlin:20261109T100000"),
        event(at.format(20261117), moved, location="Room 5"),
        event(at.format(20261102), off, "STATUS:CANCELLED"),
    )
    found = calendar(tmp_path, text).reservations(NOW - timedelta(days=60), NOW + timedelta(days=60))
    assert spans(found) == [  # 25 October is when the clocks go back
        ("10-19 08:00", "10-19 10:00", "bench-1"),
        ("10-26 09:00", "10-26 11:00", "bench-1"),
        ("11-23 09:00", "11-23 11:00", "bench-1"),
    ]


def test_an_event_names_boards_by_device_kind_or_tag(tmp_path):
    when = "DTSTART:20261122T{0:02}0000Z\nDTEND:20261122T{0:02}3000Z"
    places = ["bench-2", "NANO33", "window\\, bench-1", "Room 5\\, ble", "all", "Room 5", "bench", ""]
    events = [event(when.format(hour), uid=str(hour), location=place) for hour, place in enumerate(places)]
    free = event(when.format(9), "TRANSP:TRANSPARENT", uid="free")
    found = calendar(tmp_path, ics(*events, free)).reservations(NOW, NOW + timedelta(days=2))
    both = ("bench-1", "bench-2")
    assert [tuple(sorted(one.devices)) for one in found] == [("bench-2",), both, both, both, both]


def test_days_and_times_without_a_zone_are_this_computers(tmp_path):
    text = ics(
        event("DTSTART;VALUE=DATE:20261122\nDTEND;VALUE=DATE:20261124", uid="days"),
        event("DTSTART:20261125T100000\nDTEND:20261125T110000", uid="floating"),
    )
    found = calendar(tmp_path, text).reservations(NOW, NOW + timedelta(days=9))
    assert spans(found) == [("11-21 23:00", "11-23 23:00", "bench-1"), ("11-25 09:00", "11-25 10:00", "bench-1")]


def test_somebody_else_is_kept_out_and_told_who_until_when_and_what_for(tmp_path):
    soon = "DTSTART:20261121T170000Z\nDTEND:20261121T180000Z"
    then = "DTSTART:20261121T150000Z\nDTEND:20261121T160000Z"
    lab = calendar(
        tmp_path,
        ics(
            event("DTSTART:20261121T120000Z\nDTEND:20261121T150000Z", "SUMMARY:class \x1b[2J"),
            event(then, uid="2", organizer="ORGANIZER:mailto:ben@example.org"),
            event(soon, uid="3", organizer=""),
        ),
    )
    for name in ("anna", "Anna@Example.org", "anna blum"):
        lab.check("bench-1", name, NOW)
    lab.check("bench-2", "carl", NOW)
    with pytest.raises(ReservedError) as caught:
        lab.check("bench-1", "carl", NOW)
    assert str(caught.value) == (
        "bench-1 is reserved by Anna Blum until 16:00 CET (class \\x1b[2J); then by others, free from 17:00 CET, or "
        "`hil reserve` another"
    )
    assert isinstance(caught.value, BusyError)
    with pytest.raises(ReservedError, match=r"until 16:00 CET .*; free after that"):
        lab.check("bench-1", "ben", NOW)
    assert lab.next("bench-1", "anna", NOW).owner == "ben@example.org"
    lab.check("bench-1", "anna", NOW, seconds=2 * 3600 - 30)
    with pytest.raises(ReservedError, match=r"by ben@example\.org from 16:00 CET on, too soon for what takes 7200 s"):
        lab.check("bench-1", "anna", NOW, seconds=7200)
    with pytest.raises(ReservedError, match="by an event without an organizer until 19:00 CET"):
        lab.check("bench-1", "anna", NOW + timedelta(hours=4.5))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is damaged"),
        (b"\xff\x00", "is damaged"),
        ("<!doctype html><html></html>", "is damaged"),
        (ics(event("DTSTART:20261122T100000Z"))[:-20], "is damaged"),
        ("BEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\n", "doesn't begin with BEGIN:VCALENDAR"),
        (ics(event("DTSTART:soon\nDTEND:20261122T100000Z")), "event 1: DTSTART"),
        (ics(event("DTSTART:20261122T100000Z\nDTEND:20261122T110000Z", "RRULE:FREQ=NEVER")), "event 1: RRULE"),
        (ics(event("DTSTART:20261122T100000Z\nDTEND:20261121T110000Z")), "event 1 ends before it begins"),
        (
            ics(event("DTSTART;TZID=Nowhere:20261122T100000\nDTEND;TZID=Nowhere:20261122T110000")),
            "the time zone Nowhere",
        ),
        (ics(event("DTEND:20261122T110000Z")), "event 1 has no DTSTART"),
        (ics(event("DTSTART:20261122T100000Z\nDURATION:PT1S", "RRULE:FREQ=SECONDLY")), "more often than each hour"),
        (None, "isn't there, so nobody knows"),
    ],
)
def test_a_calendar_that_cannot_be_understood_is_no_empty_one(tmp_path, text, why):
    with pytest.raises(ReservationError, match=why) as caught:
        calendar(tmp_path, text).check("bench-1", "anna", NOW)
    assert str(tmp_path / "lab.ics") in str(caught.value)


def test_a_change_of_the_file_is_seen_at_once(tmp_path):
    lab = calendar(tmp_path, ics())
    lab.check("bench-1", "ben", NOW)
    calendar(tmp_path, ics(event("DTSTART:20261121T120000Z\nDTEND:20261121T150000Z")))
    with pytest.raises(ReservedError):
        lab.check("bench-1", "ben", NOW)


@pytest.fixture
def server():
    """Serves `server.text` as `/PRIVATE.ics`; `server.asked` are the status codes of its answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.server.code)
            self.send_response(self.server.code)
            self.end_headers()
            self.wfile.write(self.server.text.encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.asked, http.code = [], 200
        http.text = ics(event("DTSTART:20261121T120000Z\nDTEND:20261121T150000Z"))
        http.url = f"http://127.0.0.1:{http.server_port}/{PRIVATE}.ics"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield http
        http.shutdown()


def test_a_url_is_asked_once_a_minute(tmp_path, server, monkeypatch):
    assert reserved_by_url(tmp_path, server) == "Anna Blum"
    assert reserved_by_url(tmp_path, server) == "Anna Blum"
    assert server.asked == [200]
    monkeypatch.setattr(calendar_url, "_FRESH", timedelta())
    server.text = ics()
    assert reserved_by_url(tmp_path, server) is None
    assert server.asked == [200, 200]


def test_while_a_url_is_away_its_last_copy_counts_and_says_its_age(tmp_path, server, monkeypatch):
    assert reserved_by_url(tmp_path, server) == "Anna Blum"
    monkeypatch.setattr(calendar_url, "_FRESH", timedelta())
    for server.code, server.text in ((500, ""), (200, "<html>Sign in</html>")):
        lab = url_calendar(tmp_path, server)
        assert lab.active("bench-1", NOW).owner == "Anna Blum"
        assert lab.warning.startswith("the calendar at http://127.0.0.1/... can't be fetched (")
        assert "which is 0m old" in lab.warning
        assert PRIVATE not in lab.warning
    server.code, server.text = 200, ics()
    lab = url_calendar(tmp_path, server)
    assert (lab.active("bench-1", NOW), lab.warning) == (None, None)


def test_a_url_that_was_never_reached_lends_no_board(tmp_path, server):
    server.code = 404
    with pytest.raises(ReservationError, match=r"at http://127.0.0.1/... can't be fetched \(HTTP Error 404") as caught:
        reserved_by_url(tmp_path, server)
    assert PRIVATE not in str(caught.value)
    server.url = "ftp://lab/a.ics"
    with pytest.raises(ConfigError, match="neither a file nor http"):
        reserved_by_url(tmp_path, server)


def url_calendar(folder, server):
    return calendar(folder, None, server.url)


def reserved_by_url(folder, server):
    found = url_calendar(folder, server).active("bench-1", NOW)
    return None if found is None else found.owner
