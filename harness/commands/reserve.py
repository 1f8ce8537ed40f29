"""`hil reserve`: book boards, give them back, keep them longer, and look at the calendar."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from harness.cli.tables import print_table
from harness.errors import ConfigError
from harness.farm.booking import Request
from harness.farm.calendar import Calendar
from harness.farm.reservation import to_json
from harness.locks.state import username
from harness.text.times import minute, parse_duration, parse_start, show_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.config import Lab
    from harness.farm.reservation import Reservation


def boards_of(lab: Lab, selectors: Sequence[str], tags: Sequence[str]) -> list[str]:
    """Return the names of the boards that every selector (device, kind, tag or "all") and every tag means.

    Raises:
        ConfigError: one of them means nothing, no board of devices.yaml has them all, or none was given.
    """
    if not selectors and not tags:
        raise ConfigError(f"say which boards, by name, kind or tag. {lab.known()}")
    wanted = [{device.name for device in lab.select([selector])} for selector in selectors]
    for tag in tags:
        wanted.append({device.name for device in lab.devices if tag in device.tags})
        if not wanted[-1]:
            raise ConfigError(f'no device has the tag "{tag}".\n{lab.known()}')
    names = [device.name for device in lab.devices if all(device.name in found for found in wanted)]
    if not names:
        raise ConfigError(
            f"no board of {lab.path or 'a devices.yaml, which is missing here,'} is {_and(selectors, tags)}; only what "
            f"stands under `devices:` can be reserved, and everybody has a virtual board of their own.\n{lab.known()}"
        )
    return names


def book(
    lab: Lab,
    selectors: Sequence[str],
    tags: Sequence[str],
    length: str,
    when: datetime,
    *,
    start: str | None = None,
    count: int = 1,
    purpose: str = "",
    queue: bool = True,
    owner: str | None = None,
) -> None:
    """Book boards and say which, from when until when.

    Raises:
        ConfigError: no such boards are configured.
        ReservationError: what is wanted can't be had; says what can.
    """
    calendar = _calendar(lab)
    user = username()
    request = Request(
        devices=boards_of(lab, selectors, tags),
        selector=_and(selectors, tags),
        length=parse_duration(length),
        owner=owner or user,
        start=None if start is None else parse_start(start, when),
        count=count,
        purpose=purpose,
        queue=queue,
        by=user,
    )
    made = calendar.reserve(request, when)
    wanted = minute(when) if request.start is None else request.start
    if made.start > wanted:
        click.echo(
            f"Not at {show_time(wanted, when)}: too few boards are free then. It begins LATER, at "
            f"{show_time(made.start, when)} (hil reserve --cancel {made.id} if that won't do)."
        )
    click.echo(f"{made.id}: {_sentence(made, when)}")
    deadline = calendar.use_before(made)
    if deadline is not None:
        click.echo(f"A board that isn't used before {show_time(deadline, when)} is free for others again.")


def cancel(lab: Lab, reservation_id: str, when: datetime, *, force: bool) -> None:
    """Give boards back.

    Raises:
        ReservationError: that isn't possible.
    """
    ended = _calendar(lab).cancel(reservation_id, username(), when, force=force)
    click.echo(f"{ended.id}: {', '.join(ended.devices)} can be reserved by others again")


def extend(lab: Lab, reservation_id: str, length: str, when: datetime, *, force: bool) -> None:
    """Keep boards for longer.

    Raises:
        ReservationError: that isn't possible.
    """
    longer = _calendar(lab).extend(reservation_id, username(), parse_duration(length), when, force=force)
    click.echo(f"{longer.id}: {_sentence(longer, when)}")


def show_calendar(lab: Lab, selectors: Sequence[str], tags: Sequence[str], when: datetime) -> None:
    """Print a table for each day that has reservations, in local time; a board's rows stand together.

    Raises:
        ConfigError: no such boards are configured.
    """
    calendar, wanted = _chosen(lab, selectors, tags)
    days: dict[datetime, list[tuple[str, datetime, Reservation]]] = {}
    for one, device, end in _spans(calendar, wanted, when):
        for day in _days(max(one.start, minute(when)), end):
            days.setdefault(day, []).append((device, end, one))
    if not days:
        click.echo("Nothing is reserved: every board is free. `hil reserve NAME --for 2h` takes one.")
    for day, entries in sorted(days.items()):
        entries.sort(key=lambda entry: (entry[0], entry[2].start))
        names = [device for device, _, _ in entries]
        rows = [
            (
                None if number and names[number - 1] == device else device,
                show_time(one.start, day),
                show_time(end, day),
                one.owner,
                one.purpose,
                one.id,
            )
            for number, (device, end, one) in enumerate(entries)
        ]
        blank = [("" if cell is None else cell for cell in row) for row in rows]
        columns = ("board", "from", "until", "who", "purpose", "id")
        print_table(f"{day:%A %d %B %Y}", columns, (tuple(row) for row in blank))


def print_json(lab: Lab, selectors: Sequence[str], tags: Sequence[str], when: datetime) -> None:
    """Print the reservations that aren't over as JSON; times are UTC, `until` is each board's.

    Raises:
        ConfigError: no such boards are configured.
    """
    calendar, wanted = _chosen(lab, selectors, tags)
    found: dict[str, dict[str, object]] = {}
    for one, device, end in _spans(calendar, wanted, when):
        entry = found.setdefault(one.id, {**to_json(one), "until": {}})
        entry["until"] = {**dict(entry["until"]), device: end.isoformat()}  # type: ignore[call-overload]
    click.echo(json.dumps({"reservations": list(found.values())}, indent=2))


def _chosen(lab: Lab, selectors: Sequence[str], tags: Sequence[str]) -> tuple[Calendar, set[str] | None]:
    """Return the calendar and the boards to show, None for all: also those that left devices.yaml."""
    names = set(boards_of(lab, selectors, tags)) if selectors or tags else None
    return _calendar(lab), names


def _spans(calendar: Calendar, wanted: set[str] | None, when: datetime) -> Iterable[tuple[Reservation, str, datetime]]:
    """Return reservation, board and end for each board that somebody has now or later."""
    for one in calendar.current(when):
        for device in one.devices:
            end = calendar.ends(one, device, when)
            if end > max(when, one.start) and (wanted is None or device in wanted):
                yield one, device, end


def _calendar(lab: Lab) -> Calendar:
    calendar = Calendar.of(lab)
    for path in calendar.damaged():
        click.echo(f"hil: {path} is damaged and ignored: what it reserved isn't known. Mend or remove it", err=True)
    return calendar


def _days(start: datetime, end: datetime) -> list[datetime]:
    """Return the local days that a span touches, each as an aware time at its beginning."""
    first, last = start.astimezone().date(), (end - timedelta(microseconds=1)).astimezone().date()
    dates = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [datetime(date.year, date.month, date.day).astimezone() for date in dates]


def _sentence(one: Reservation, when: datetime) -> str:
    purpose = f" ({one.purpose})" if one.purpose else ""
    boards = ", ".join(one.devices)
    return f"{boards} for {one.owner} from {show_time(one.start, when)} until {show_time(one.end, when)}{purpose}"


def _and(selectors: Sequence[str], tags: Sequence[str]) -> str:
    return " and ".join([*selectors, *tags])
