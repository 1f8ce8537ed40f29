"""Who has reserved which board, and until when: events of iCalendar files (RFC 5545), as every calendar writes them.

An event reserves the boards that its LOCATION names, separated by commas: devices, kinds, tags, or "all". They are its
ORGANIZER's; an event without one keeps everybody away. What is cancelled, or shown as free, reserves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.state import find_state
from harness.errors import ConfigError, ReservationError, ReservedError
from harness.farm.calendar_url import fetch_calendar, shown_url
from harness.text.escape import one_line
from harness.text.times import show_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from icalendar import Component

    from harness.config import Lab

#: How far ahead a run looks.
_AHEAD = timedelta(days=14)
#: A day is somewhere else the day before or after; what lies around the span that was asked for is dropped again.
_AROUND = timedelta(days=1)
_USED = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "LOCATION", "ORGANIZER", "STATUS")
_LARGEST = 16 << 20


@dataclass(frozen=True)
class Reservation:
    """One event, or one of those that a recurring event stands for.

    Attributes:
        id: its UID.
        owner: its organizer, for people; says so if it has none.
        users: the names that count as the organizer's, in lower case: name, address, and what is before the "@".
        devices: names of the boards that it reserves.
        start: from when on, UTC.
        end: until when, UTC, excluded.
        purpose: its summary; may be empty.
    """

    id: str
    owner: str
    users: frozenset[str]
    devices: tuple[str, ...]
    start: datetime
    end: datetime
    purpose: str

    def is_of(self, user: str) -> bool:
        """Whether a user of the harness is its organizer."""
        return shown_user(user).casefold() in self.users


def shown_user(name: str) -> str:
    """Return a user's name as calendars hold it: on one line, of at most 64 characters that do no harm."""
    return one_line(name).strip()[:64]


class Calendar:
    """The reservations of a lab: those in its calendar, and those that `hil reserve` writes.

    Every question takes the time that it is about. File and URL are looked at again with each.

    Args:
        lab: whose boards are meant; `farm: {calendar: ...}`, else a file in the state folder, is its calendar.

    Attributes:
        file: what `hil reserve` writes; read as well if the calendar is at a URL.
        warning: what to tell the user of the last look, None if all is well.
    """

    def __init__(self, lab: Lab) -> None:
        state, said = find_state(lab), lab.farm.calendar
        self._required = said is not None and "://" not in said
        self._url = None if self._required else said
        self.file = Path(said) if said is not None and self._required else state / "reservations.ics"
        self.warning: str | None = None
        self._lab, self._cache = lab, state / "calendar"
        self._read: tuple[tuple[bytes, ...], datetime, datetime, list[Reservation]] | None = None

    def reservations(self, start: datetime, end: datetime) -> list[Reservation]:
        """Return what is reserved at some time from `start` to `end`, by the beginning.

        Raises:
            ReservationError: the calendar is damaged, missing, or its URL was never reached.
            ConfigError: what reads calendars isn't installed.
        """
        contents = self._contents()
        read = self._read
        if read is None or read[0] != tuple(contents.values()) or not read[1] <= start <= end <= read[2]:
            last = max(end, start + _AHEAD) + _AHEAD / 14  # so that not each look expands them anew
            found = [
                one for source, text in contents.items() for one in _expanded(self._lab, source, text, start, last)
            ]
            found.sort(key=lambda one: (one.start, one.id))
            read = self._read = (tuple(contents.values()), start, last, found)
        return [one for one in read[3] if one.start < end and start < one.end]

    def active(self, device: str, when: datetime) -> Reservation | None:
        """Return the reservation that keeps a board at a time: of several the one that began first. Raises as above."""
        return next((one for one in self._of(device, when) if one.start <= when), None)

    def next(self, device: str, user: str, when: datetime) -> Reservation | None:
        """Return somebody else's next reservation of a board in the coming two weeks, None if there is none."""
        return next((one for one in self._of(device, when) if one.start > when and not one.is_of(user)), None)

    def check(self, device: str, user: str, when: datetime, seconds: float = 0.0) -> None:
        """See that nobody else has reserved a board for now, or for a time that begins within so many seconds.

        Raises:
            ReservedError: somebody has; says who, until when, what for, and when it is free.
            ReservationError: as `reservations`.
        """
        now = self.active(device, when)
        if now is not None and not now.is_of(user):
            free = now.end
            for one in self._of(device, when):
                if not one.is_of(user) and one.start <= free:
                    free = max(free, one.end)
            purpose = f" ({now.purpose})" if now.purpose else ""
            after = "free after that" if free == now.end else f"then by others, free from {show_time(free, when)}"
            words = f"{device} is reserved by {now.owner} until {show_time(now.end, when)}{purpose}"
            raise ReservedError(words, f"{after}, or `hil reserve` another", holder=now.id)
        later = self.next(device, user, when) if seconds else None
        if later is not None and later.start < when + timedelta(seconds=seconds):
            raise ReservedError(
                f"{device} is reserved by {later.owner} from {show_time(later.start, when)} on, too soon for what "
                f"takes {seconds:.0f} s"
            )

    def _of(self, device: str, when: datetime) -> list[Reservation]:
        return [one for one in self.reservations(when, when + _AHEAD) if device in one.devices]

    def _contents(self) -> dict[str, bytes]:
        """Return what each source holds, by its name for people."""
        contents = {}
        self.warning = None
        content = read_file(self.file)
        if content is not None:
            contents[str(self.file)] = content
        elif self._required:
            raise ReservationError(
                f"the calendar {self.file}, which devices.yaml names, isn't there, so nobody knows which boards are "
                "reserved; put it there, or begin one with `hil reserve`"
            )
        if self._url is not None:
            contents[shown_url(self._url)], self.warning = fetch_calendar(self._url, self._cache, parse_calendar)
        return contents


def read_file(path: Path) -> bytes | None:
    """Return what is in a calendar's file, None if there is none.

    Raises:
        ReservationError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReservationError(f"the calendar {path} can't be read: {error.strerror or error}") from error
    if len(content) > _LARGEST:
        raise ReservationError(f"the calendar {path} is larger than {_LARGEST >> 20} MB, which none is")
    return content


def parse_calendar(source: str, content: bytes) -> Component:
    """Return the calendar that an iCalendar file holds.

    Args:
        source: what to call the file in messages.
        content: of it.

    Raises:
        ReservationError: it is damaged, or no such file.
        ConfigError: what reads it isn't installed.
    """
    try:
        from icalendar import Calendar as Document  # noqa: PLC0415 (an extra; and it takes a while)
    except ImportError as error:
        raise ConfigError("calendars need the extra `farm`: pip install 'tinyml-hil[farm]'") from error
    try:
        document = Document.from_ical(content)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise _damaged(source, error) from error
    if document.name != "VCALENDAR":
        raise _damaged(source, "it doesn't begin with BEGIN:VCALENDAR")
    return document


def _damaged(source: str, why: object) -> ReservationError:
    said = one_line(str(why))[:200]
    return ReservationError(
        f"the calendar {source} is damaged, so nobody knows which boards are reserved: {said}. Mend or replace it"
    )


def _expanded(lab: Lab, source: str, content: bytes, start: datetime, end: datetime) -> list[Reservation]:
    """Return what a calendar reserves of a lab in a span, each occurrence of a recurring event by itself."""
    document = parse_calendar(source, content)
    boards = _boards_by_name(lab)
    events = document.walk("VEVENT")
    meant = {str(event.get("UID", "")) for event in events if _named(event, boards)}
    for event in events:
        if str(event.get("UID", "")) in meant:
            _require_sound(source, event)
    document.subcomponents = [
        part for part in document.subcomponents if part.name != "VEVENT" or str(part.get("UID", "")) in meant
    ]
    from recurring_ical_events import of  # noqa: PLC0415 (as above)

    found = []
    try:
        for event in of(document).between(start - _AROUND, end + _AROUND):
            devices = _named(event, boards)
            began, ended = utc(event["DTSTART"].dt), utc(event["DTEND"].dt)
            if devices and began < end and start < ended and not _free(event):
                owner, users = _organizer(event)
                name, purpose = str(event.get("UID", "")), one_line(str(event.get("SUMMARY", "")))[:200]
                found.append(Reservation(name, owner, users, devices, began, ended, purpose))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise _damaged(source, error) from error
    return found


def _boards_by_name(lab: Lab) -> dict[str, list[str]]:
    """Return the names of the boards that each word in a LOCATION means, by the word in lower case."""
    found: dict[str, list[str]] = {}
    for device in lab.devices:
        for word in {device.name, device.kind.name, *device.tags, "all"}:
            found.setdefault(word.casefold(), []).append(device.name)
    return found


def _named(event: Component, boards: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    words = [word.strip().casefold() for word in str(event.get("LOCATION", "")).split(",")]
    return tuple(dict.fromkeys(name for word in words for name in boards.get(word, ())))


def _free(event: Component) -> bool:
    return str(event.get("STATUS", "")).upper() == "CANCELLED" or str(event.get("TRANSP", "")).upper() == "TRANSPARENT"


def _require_sound(source: str, event: Any) -> None:
    """Refuse an event of which it isn't known when it is: to guess would lend one board to two."""
    name = f"event {one_line(str(event.get('UID', 'without UID')))[:60]}"
    for key, why in event.errors:
        if key in _USED:
            raise _damaged(source, f"{name}: {key}: {why}")
    for key in ("DTSTART", "DTEND"):
        value: Any = event.get(key)
        zone = value.params.get("TZID") if value is not None else None
        if zone is not None and isinstance(value.dt, datetime) and value.dt.tzinfo is None:
            raise _damaged(source, f"{name}: nothing says what the time zone {zone} is")
    if "DTSTART" not in event:
        raise _damaged(source, f"{name} has no DTSTART")
    if "DTEND" in event and utc(event["DTEND"].dt) < utc(event["DTSTART"].dt):
        raise _damaged(source, f"{name} ends before it begins")
    rule: Any = event.get("RRULE")
    if rule is not None and not {"SECONDLY", "MINUTELY"}.isdisjoint(rule.get("FREQ", ())):
        raise _damaged(source, f"{name} repeats more often than each hour")


def utc(when: date) -> datetime:
    """Return a time in UTC; one without a zone, and the midnight that a day begins at, are this computer's."""
    return (when if isinstance(when, datetime) else datetime.combine(when, time())).astimezone(UTC)


def _organizer(event: Component) -> tuple[str, frozenset[str]]:
    """Return the organizer's name, and all that count as it."""
    said: Any = event.get("ORGANIZER")
    if said is None:
        return "an event without an organizer", frozenset()
    address = str(said).strip()
    if address.lower().startswith("mailto:"):
        address = address[7:]
    common = str(said.params.get("CN", "")).strip()
    users = {shown_user(name).casefold() for name in (address, address.partition("@")[0], common) if name}
    return shown_user(common or address), frozenset(users)
