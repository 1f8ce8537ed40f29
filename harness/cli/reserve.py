"""`hil reserve`: reserve boards, give them back, keep them longer, and look at the calendar."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from harness.cli.options import LAB, load_lab
from harness.cli.tables import print_table
from harness.errors import ConfigError
from harness.text.times import minute, parse_duration, parse_start, show_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.config import Lab
    from harness.farm.booking import Booking
    from harness.farm.calendar import Calendar, Reservation

#: How far ahead `--list` looks.
_LISTED = timedelta(days=31)
_DEFAULT = click.core.ParameterSource.DEFAULT
#: What can be said with each thing that the command does, and its name for messages.
_MODES = {
    "listing": ("--list", {"listing", "as_json", "selectors", "tags", "lab"}),
    "cancelled": ("--cancel", {"cancelled", "force", "lab"}),
    "extended": ("--extend", {"extended", "length", "force", "lab"}),
    "booking": (
        "a new reservation",
        {"selectors", "tags", "length", "start", "count", "purpose", "queue", "owner", "lab"},
    ),
}


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only boards with this tag, too.")
@click.option("--for", "length", metavar="LENGTH", help="How long: 90m, 2h, 1h30m, 1d.")
@click.option("--from", "start", metavar="TIME", help='From when on: "2026-11-22 14:00" or +30m (default: now).')
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="How many boards.")
@click.option("--purpose", default="", metavar="TEXT", help="What for; others see it.")
@click.option("--queue/--no-queue", default=True, help="If none is free then: book the next time, or fail (--queue).")
@click.option("--as", "owner", metavar="USER", help="Book for somebody else.")
@click.option("--list", "listing", is_flag=True, help="Show what is reserved in the coming month.")
@click.option("--json", "as_json", is_flag=True, help="With --list: print JSON.")
@click.option("--cancel", "cancelled", metavar="ID", help="Give a reservation back.")
@click.option("--extend", "extended", metavar="ID", help="With --for: keep it for so much longer.")
@click.option("--force", is_flag=True, help="With --cancel or --extend: though it is somebody else's; recorded.")
@LAB
def reserve(
    selectors: tuple[str, ...],
    tags: tuple[str, ...],
    length: str | None,
    start: str | None,
    count: int,
    purpose: str,
    queue: bool,  # noqa: FBT001 (click passes it)
    owner: str | None,
    listing: bool,  # noqa: FBT001 (click passes it)
    as_json: bool,  # noqa: FBT001 (click passes it)
    cancelled: str | None,
    extended: str | None,
    force: bool,  # noqa: FBT001 (click passes it)
    lab: str | None,
) -> None:
    """Reserve boards that match every SELECTOR (device, kind or tag) for a span of time.

    \b
    hil reserve nano33 --tag ble --for 2h
    hil reserve nano33 --for 90m --from "2026-11-22 14:00" --count 4 --purpose class
    hil reserve --list
    hil reserve --extend 3fa91c --for 30m
    hil reserve --cancel 3fa91c

    They are events of the lab's calendar, which also holds what people enter with a calendar program.
    """  # noqa: D301 (click reads the \b)
    from harness.config.state import now, state_folder, username
    from harness.farm.booking import Booking, cancel, extend
    from harness.farm.booking import reserve as book
    from harness.farm.calendar import Calendar

    modes = {"listing": listing, "cancelled": cancelled is not None, "extended": extended is not None}
    mode = next((name for name, said in modes.items() if said), "booking")
    _reject_others(mode)
    loaded, when, user = load_lab(lab), now(), username()
    calendar = Calendar.of(loaded)
    if mode == "listing":
        _list(loaded, calendar, selectors, tags, when, as_json=as_json)
        return
    state_folder(loaded)  # where the calendar's file may have to be made
    if cancelled is not None:
        ended = cancel(calendar, cancelled, user, when, force=force)
        click.echo(f"{ended.id}: {', '.join(ended.devices)} can be reserved by others again")
    elif length is None:
        raise click.UsageError("say for how long: --for 2h")
    elif extended is not None:
        click.echo(_sentence(extend(calendar, extended, user, parse_duration(length), when, force=force), when))
    else:
        wanted = minute(when) if start is None else parse_start(start, when)
        wish = Booking(boards_of(loaded, selectors, tags), wanted, parse_duration(length), owner or user, purpose)
        made = book(calendar, wish, when, count=count, queue=queue)
        if made.start > wanted:
            click.echo(
                f"Not at {show_time(wanted, when)}: too few boards are free then. It begins LATER, at "
                f"{show_time(made.start, when)} (hil reserve --cancel {made.id} if that won't do)."
            )
        click.echo(_sentence(made, when))
    _warn(calendar)


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
            f"no board of {lab.path or 'a devices.yaml, which is missing here,'} is {' and '.join([*selectors, *tags])}"
            "; only what stands under `devices:` can be reserved, and everybody has a virtual board of their own.\n"
            f"{lab.known()}"
        )
    return names


def _reject_others(mode: str) -> None:
    """See that nothing was said that would be ignored."""
    context = click.get_current_context()
    name, known = _MODES[mode]
    wrong = [
        parameter.opts[0] if isinstance(parameter, click.Option) else "SELECTOR"
        for parameter in context.command.params
        if parameter.name
        and context.get_parameter_source(parameter.name) is not _DEFAULT
        and parameter.name not in known
    ]
    if wrong:
        raise click.UsageError(f"{', '.join(wrong)} can't be said with {name}")


def _list(
    lab: Lab, calendar: Calendar, selectors: Sequence[str], tags: Sequence[str], when: datetime, *, as_json: bool
) -> None:
    """Print a table for each day that has reservations, in local time; a board's rows stand together."""
    wanted = set(boards_of(lab, selectors, tags)) if selectors or tags else {device.name for device in lab.devices}
    found = [one for one in calendar.reservations(when, when + _LISTED) if wanted.intersection(one.devices)]
    _warn(calendar)
    if as_json:
        click.echo(json.dumps({"reservations": [_as_json(one) for one in found]}, indent=2))
        return
    days: dict[datetime, list[tuple[str, Reservation]]] = {}
    for one in found:
        for day in _days(max(one.start, minute(when)), min(one.end, when + _LISTED)):
            days.setdefault(day, []).extend((device, one) for device in one.devices if device in wanted)
    if not days:
        click.echo("Nothing is reserved: every board is free. `hil reserve NAME --for 2h` takes one.")
    for day, entries in sorted(days.items()):
        columns = ("board", "from", "until", "who", "purpose", "id")
        entries.sort(key=lambda entry: (entry[0], entry[1].start))
        print_table(f"{day:%A %d %B %Y}", columns, _rows(day, entries))


def _rows(day: datetime, entries: Sequence[tuple[str, Reservation]]) -> Iterable[tuple[str, ...]]:
    from harness.farm.booking import short_id

    before = ""
    for device, one in entries:
        shown, before = ("" if device == before else device), device
        yield shown, show_time(one.start, day), show_time(one.end, day), one.owner, one.purpose, short_id(one.id)


def _as_json(one: Reservation) -> dict[str, object]:
    from harness.farm.booking import short_id

    times = {"start": one.start.isoformat(), "end": one.end.isoformat()}
    return {"id": short_id(one.id), "owner": one.owner, "devices": one.devices, **times, "purpose": one.purpose}


def _days(start: datetime, end: datetime) -> list[datetime]:
    """Return the local days that a span touches, each as an aware time at its beginning."""
    first, last = start.astimezone().date(), (end - timedelta(microseconds=1)).astimezone().date()
    dates = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [datetime(date.year, date.month, date.day).astimezone() for date in dates]


def _sentence(one: Booking, when: datetime) -> str:
    purpose = f" ({one.purpose})" if one.purpose else ""
    until = show_time(one.start + one.length, when)
    return (
        f"{one.id}: {', '.join(one.devices)} for {one.owner} from {show_time(one.start, when)} until {until}{purpose}"
    )


def _warn(calendar: Calendar) -> None:
    if calendar.warning is not None:
        click.echo(f"hil: {calendar.warning}", err=True)
