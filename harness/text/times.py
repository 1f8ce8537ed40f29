"""Times as people write and read them: local, with the zone's name. Files hold UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from harness.errors import ReservationError

_DURATION = re.compile(r"(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?")
_DATE_AND_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}.*", re.DOTALL)


def minute(when: datetime) -> datetime:
    """Return the whole minute that a time is in, in UTC. Reservations begin and end on those, as they are printed."""
    return when.astimezone(UTC).replace(second=0, microsecond=0)


def parse_duration(text: str) -> timedelta:
    """Return the length that `90m`, `2h`, `1h30m` or `1d` means; a day is 24 hours, also when the clocks change.

    Raises:
        ReservationError: it is something else, or nothing.
    """
    found = _DURATION.fullmatch(text.strip())
    days, hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    length = timedelta(days=days, hours=hours, minutes=minutes)
    if not length:
        raise ReservationError(f'"{_shown(text)}" is not a length of time; write it as 90m, 2h, 1h30m or 1d')
    return length


def parse_start(text: str, when: datetime) -> datetime:
    """Return the time that `2026-11-22 14:00` (local), `2026-11-22T14:00+01:00` or `+30m` (from now) means, in UTC.

    Args:
        text: what the user wrote.
        when: the time from which `+30m` counts.

    Raises:
        ReservationError: it is something else, or an hour that the change of clocks leaves out or has twice.
    """
    text = text.strip()
    if text.startswith("+"):
        return minute(when) + parse_duration(text[1:])
    try:
        said = datetime.fromisoformat(text) if _DATE_AND_TIME.fullmatch(text) else None
        if said is not None:
            return minute(said if said.tzinfo is not None else _from_local(said))
    except (ValueError, OverflowError, OSError):  # no such day, or none that the system's clock knows
        pass
    raise ReservationError(
        f'"{_shown(text)}" is not a time; write it as "2026-11-22 14:00" (local), with its zone as '
        '"2026-11-22T14:00+01:00", or as +30m from now'
    )


def _from_local(said: datetime) -> datetime:
    """Return a local time in UTC, if the clocks show it once."""
    first, second = (said.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone().replace(tzinfo=None) != said:
        raise ReservationError(f"there is no {said:%H:%M} on {said:%Y-%m-%d}: the clocks go forward then")
    if first != second:
        choices = " or ".join(time.astimezone().isoformat(timespec="minutes") for time in (first, second))
        raise ReservationError(f"{said:%H:%M} comes twice on {said:%Y-%m-%d}, when the clocks go back; write {choices}")
    return first


def show_time(when: datetime, now: datetime) -> str:
    """Return a time as a person reads it, `16:00 CET`, with the day in front if that isn't today's."""
    local, today = when.astimezone(), now.astimezone()
    return f"{local:%H:%M %Z}" if local.date() == today.date() else f"{local:%a %d %b %Y %H:%M %Z}"


def show_length(length: timedelta) -> str:
    """Return a length as `parse_duration` reads it, in whole minutes, for example `1h30m`."""
    minutes = int(length.total_seconds()) // 60
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{number}{unit}" for number, unit in ((days, "d"), (hours, "h"), (rest, "m")) if number]
    return "".join(parts) or "0m"


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:60])
