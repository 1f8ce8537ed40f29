"""What `hil reserve` writes into the lab's calendar file: new events, cancelled and longer ones."""

from __future__ import annotations

import contextlib
import secrets
import stat
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from harness.config.state import hostname
from harness.errors import ReservationError
from harness.farm.calendar import parse_calendar, read_file, shown_user, utc
from harness.files.json_file import make_folder, write_file
from harness.text.escape import one_line
from harness.text.times import minute, show_length, show_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from icalendar import Component

    from harness.farm.calendar import Calendar

#: From when until when a board is somebody's, the end excluded.
Span = tuple[datetime, datetime]
#: How long after the wanted time a reservation may begin if nothing is free then.
_QUEUE = timedelta(days=7)
#: What `hil reserve` wrote is removed so long after its end.
_KEPT = timedelta(days=31)
_OURS = "@tinyml-hil"
_LOCK_WAIT_S = 30.0
#: All users of the lab must be able to open the lock.
_LOCK_MODE = 0o666
_EMPTY = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tinyml-hil//hil reserve//EN\r\nEND:VCALENDAR\r\n"


@dataclass(frozen=True)
class Booking:
    """What somebody wants to reserve, or has reserved.

    Attributes:
        devices: names of the boards that would do, or that were chosen.
        start: from when on, UTC.
        length: for how long.
        owner: the user that it is for.
        purpose: what for.
        id: of the event; "" if there is none yet.
    """

    devices: Sequence[str]
    start: datetime
    length: timedelta
    owner: str
    purpose: str = ""
    id: str = ""


def reserve(calendar: Calendar, wish: Booking, when: datetime, *, count: int = 1, queue: bool = True) -> Booking:
    """Reserve boards at the wanted time or, if `queue` allows it, the first time within a week that fits.

    Args:
        calendar: of the lab.
        wish: what is wanted.
        when: now.
        count: how many of the boards, all for the same time.
        queue: whether a later time will do.

    Raises:
        ReservationError: the boards aren't free; says when they are.
    """
    if wish.start < minute(when):
        raise ReservationError(f"{show_time(wish.start, when)} is over; it is {show_time(when, when)}")
    if not 1 <= count <= len(wish.devices):
        names = ", ".join(sorted(wish.devices)) or "none"
        raise ReservationError(f"{count} boards are wanted, and there are {len(wish.devices)}: {names}")
    latest = wish.start + _QUEUE
    with _changing(calendar) as document:
        taken: dict[str, list[Span]] = {device: [] for device in wish.devices}
        for one in calendar.reservations(wish.start, latest + wish.length):
            for device in set(one.devices) & taken.keys():
                taken[device].append((one.start, one.end))
        found = earliest(taken, wish.start, latest, wish.length, count)
        if found is None or (found[0] > wish.start and not queue):
            raise _none_free(wish, when, None if found is None else found[0])
        purpose = one_line(wish.purpose)[:200]
        made = Booking(found[1], found[0], wish.length, shown_user(wish.owner), purpose, secrets.token_hex(3))
        _drop_old(document, when)
        document.add_component(_event(made, when))
    return made


def cancel(calendar: Calendar, event_id: str, user: str, when: datetime, *, force: bool = False) -> Booking:
    """Cancel a reservation; the event stays as a cancelled one.

    Raises:
        ReservationError: there is none of that name, or it is somebody else's and `force` isn't given.
    """
    with _changing(calendar) as document:
        event, booking = _found(calendar, document, event_id, user, when, force=force)
        event["STATUS"] = "CANCELLED"
        event.add("COMMENT", f"cancelled by {shown_user(user)}")
        _touch(event, when)
    return booking


def extend(
    calendar: Calendar, event_id: str, user: str, length: timedelta, when: datetime, *, force: bool = False
) -> Booking:
    """Let a reservation end later.

    Raises:
        ReservationError: as `cancel`, it is over, or one of its boards is reserved by then.
    """
    with _changing(calendar) as document:
        event, old = _found(calendar, document, event_id, user, when, force=force)
        end = old.start + old.length
        for one in calendar.reservations(end, end + length):
            shared = sorted(set(one.devices) & set(old.devices))
            if shared and one.id != str(event["UID"]):
                possible = one.start - end
                advice = (
                    f"--for {show_length(possible)} is possible" if possible > timedelta() else "it can't be longer"
                )
                raise ReservationError(
                    f"{old.id} can't be extended: {shared[0]} is reserved from {show_time(one.start, when)}; {advice}"
                )
        event.pop("DURATION", None)
        event.pop("DTEND", None)
        event.add("DTEND", end + length)
        event.add("COMMENT", f"extended by {shown_user(user)}")
        _touch(event, when)
    return Booking(old.devices, old.start, old.length + length, old.owner, old.purpose, old.id)


def earliest(
    taken: Mapping[str, Sequence[Span]], start: datetime, latest: datetime, length: timedelta, count: int
) -> tuple[datetime, tuple[str, ...]] | None:
    """Return the first time from `start` on at which `count` boards are free together for `length`, and which ones.

    Boards only become free when a span ends, so no other times than those ends need a look. Of more boards than
    needed those with the least free time around the booking are taken, then by name, so that long gaps stay whole.

    Args:
        taken: the spans of each board that may be booked.
        start: the earliest time that is wanted.
        latest: the latest one, included.
        length: how long the boards are wanted for.
        count: how many boards.

    Returns:
        None if there is no such time up to `latest`.
    """
    ends = {end for spans in taken.values() for _, end in spans if start < end <= latest}
    for begin in sorted({start, *ends}):
        gaps = sorted(
            (gap, device)
            for device, spans in taken.items()
            if (gap := _gap(spans, start, begin, begin + length)) is not None
        )
        if len(gaps) >= count:
            return begin, tuple(sorted(device for _, device in gaps[:count]))
    return None


def _gap(spans: Sequence[Span], first: datetime, begin: datetime, end: datetime) -> timedelta | None:
    """Return how long a board is free around a booking, counted from `first` on; None if it is taken meanwhile."""
    if any(other < end and begin < other_end for other, other_end in spans):
        return None
    before = max((other_end for _, other_end in spans if other_end <= begin), default=first)
    after = min((other for other, _ in spans if other >= end), default=None)
    return timedelta.max if after is None else after - max(before, first)


def _none_free(wish: Booking, when: datetime, later: datetime | None) -> ReservationError:
    wanted = f"none of {', '.join(sorted(wish.devices))} is free for {show_length(wish.length)} at"
    if later is None:
        return ReservationError(
            f"{wanted} {show_time(wish.start, when)}, nor in the week after it; `hil reserve --list` shows the gaps: "
            "ask for less time or fewer boards"
        )
    return ReservationError(
        f"{wanted} {show_time(wish.start, when)}, or not as many as wanted; the next time is {show_time(later, when)}. "
        "Without --no-queue that is reserved"
    )


@contextlib.contextmanager
def _changing(calendar: Calendar) -> Iterator[Component]:
    """Keep all others from changing the calendar's file, and write it when the `with` ends without an error.

    Raises:
        ReservationError: it is damaged or can't be written, or its lock can't be had.
    """
    path = calendar.file.resolve()  # a link stays one
    try:
        make_folder(path.parent)
        with FileLock(path.with_name(f".{path.name}.lock"), mode=_LOCK_MODE, timeout=_LOCK_WAIT_S):
            content = read_file(path)
            if content is None:
                write_file(path, _EMPTY)
            document = parse_calendar(str(calendar.file), content or _EMPTY)
            yield document
            write_file(path, document.to_ical(), stat.S_IMODE(path.stat().st_mode))
    except Timeout as error:
        raise ReservationError(
            f"the calendar {path} was being changed by somebody else for {_LOCK_WAIT_S:g} s; try again, and look for a "
            "process that hangs there"
        ) from error
    except OSError as error:
        raise ReservationError(f"the calendar {path} can't be changed: {error}") from error


def _event(booking: Booking, when: datetime) -> Component:
    from icalendar import Event, vCalAddress  # noqa: PLC0415 (an extra)

    event = Event()
    event.add("UID", f"{booking.id}{_OURS}")
    event.add("DTSTAMP", when)
    event.add("DTSTART", booking.start)
    event.add("DTEND", booking.start + booking.length)
    event.add("SUMMARY", booking.purpose or f"reserved by {booking.owner}")
    event.add("LOCATION", ",".join(booking.devices))
    address = quote(booking.owner, safe="@")
    organizer = vCalAddress(f"mailto:{address if '@' in address else f'{address}@{quote(hostname())}'}")
    organizer.params["CN"] = booking.owner.replace('"', "'")
    event["ORGANIZER"] = organizer
    return event


def _found(
    calendar: Calendar, document: Component, event_id: str, user: str, when: datetime, *, force: bool
) -> tuple[Component, Booking]:
    """Return the event in the file that is called so, and what it reserves, if `user` may change it."""
    shown = one_line(event_id)
    coming = calendar.reservations(when, when + timedelta(days=3660))
    one = next((one for one in coming if event_id and one.id in (event_id, event_id + _OURS)), None)
    if one is None:
        known = ", ".join(dict.fromkeys(short_id(one.id) for one in coming)) or "there are none"
        raise ReservationError(f"no reservation that isn't over is called {shown}; known: {known}")
    events: list[Any] = [event for event in document.walk("VEVENT") if str(event.get("UID", "")) == one.id]
    if not events:
        raise ReservationError(f"{shown} isn't in {calendar.file}: change it in the calendar that it comes from")
    if len(events) > 1 or "RRULE" in events[0] or "RDATE" in events[0]:
        raise ReservationError(f"{shown} recurs: change it with a calendar program")
    if not one.is_of(user) and not force:
        raise ReservationError(
            f"{shown} is {one.owner}'s, and you are {user}; ask them, or use --force (it is recorded)"
        )
    booking = Booking(one.devices, one.start, one.end - one.start, one.owner, one.purpose, short_id(one.id))
    return events[0], booking


def short_id(event_id: str) -> str:
    """Return what people call an event."""
    return one_line(event_id.removesuffix(_OURS))


def _touch(event: Component, when: datetime) -> None:
    number: Any = event.get("SEQUENCE", 0)
    event["SEQUENCE"] = int(number) + 1
    event.pop("DTSTAMP", None)
    event.add("DTSTAMP", when)


def _drop_old(document: Component, when: datetime) -> None:
    """Remove what `hil reserve` wrote and has long been over; what else is in the file stays."""

    def old(part: Any) -> bool:
        return str(part.get("UID", "")).endswith(_OURS) and "DTEND" in part and utc(part["DTEND"].dt) < when - _KEPT

    document.subcomponents = [part for part in document.subcomponents if not old(part)]
