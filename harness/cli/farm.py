"""What is about sharing boards: leases, reservations, health, quarantine, and the nights."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import LAB, load_lab


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--janitor", is_flag=True, help="Free what jobs that have died still lock in labgrid.")
@LAB
def leases(as_json: bool, janitor: bool, lab: str | None) -> None:  # noqa: FBT001 (click passes it)
    """Show who uses which board of this computer, since when, and which are free."""
    from harness.commands.leases import free_dead_places, show_leases

    if janitor:
        free_dead_places(load_lab(lab))
    else:
        show_leases(load_lab(lab), as_json=as_json)


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only boards with this tag, too.")
@click.option("--for", "length", metavar="LENGTH", help="How long: 90m, 2h, 1h30m, 1d.")
@click.option("--from", "start", metavar="TIME", help='From when on: "2026-11-22 14:00" or +30m (default: now).')
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="How many boards.")
@click.option("--purpose", default="", metavar="TEXT", help="What for; others see it.")
@click.option("--queue/--no-queue", default=True, help="If none is free then: book the next time, or fail (--queue).")
@click.option("--as", "owner", metavar="USER", help="Book for somebody else.")
@click.option("--list", "listing", is_flag=True, help="Show what is reserved.")
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
    hil reserve --extend r17 --for 30m
    hil reserve --cancel r17
    """  # noqa: D301 (click reads the \b)
    from harness.commands import reserve as commands
    from harness.locks.state import now

    context = click.get_current_context()
    given = {name for name in context.params if context.get_parameter_source(name) is not _DEFAULT}
    mode = (
        "listing"
        if listing
        else "cancelled"
        if cancelled is not None
        else "extended"
        if extended is not None
        else "booking"
    )
    _reject_others(mode, given)
    loaded, when = load_lab(lab), now()
    if mode == "listing":
        show = commands.print_json if as_json else commands.show_calendar
        show(loaded, selectors, tags, when)
    elif cancelled is not None:
        commands.cancel(loaded, cancelled, when, force=force)
    elif length is None:
        raise click.UsageError("say for how long: --for 2h")
    elif extended is not None:
        commands.extend(loaded, extended, length, when, force=force)
    else:
        commands.book(
            loaded,
            selectors,
            tags,
            length,
            when,
            start=start,
            count=count,
            purpose=purpose,
            queue=queue,
            owner=owner,
        )


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
_OPTIONS = {
    "selectors": "SELECTOR",
    "tags": "--tag",
    "length": "--for",
    "start": "--from",
    "count": "--count",
    "purpose": "--purpose",
    "queue": "--queue/--no-queue",
    "owner": "--as",
    "as_json": "--json",
    "cancelled": "--cancel",
    "extended": "--extend",
    "force": "--force",
}


def _reject_others(mode: str, given: set[str]) -> None:
    """See that nothing was said that would be ignored."""
    name, known = _MODES[mode]
    wrong = [_OPTIONS[one] for one in _OPTIONS if one in given - known]
    if wrong:
        raise click.UsageError(f"{', '.join(wrong)} can't be said with {name}")


@click.group()
def farm() -> None:
    """Set up a farm of several computers (docs/farm.md)."""


@farm.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
def certs(folder: Path, hosts: tuple[str, ...]) -> None:
    """Make certificates in DIR for the computers of a farm (default: this one).

    DIR/HOST is copied to each HOST and named there by `farm: {certificates: ...}`. DIR/ca-key.pem stays where it is:
    who has it can make certificates, and who has a certificate can run code on every computer of the farm.
    """
    from harness.farm.certificates import make_certificates
    from harness.locks.state import hostname

    for made in make_certificates(folder, hosts or (hostname(),)):
        click.echo(f"{made}: copy it to that computer, where only the farm's user may read it")


@farm.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8786, show_default=True)
@click.option(
    "--certificates", type=click.Path(path_type=Path), metavar="DIR", help="Default: `farm: {certificates: ...}`."
)
@click.option("--dashboard", type=int, metavar="PORT", help="Show Dask's dashboard on this port of this computer.")
@LAB
def scheduler(host: str, port: int, certificates: Path | None, dashboard: int | None, lab: str | None) -> None:
    """Run the scheduler of a farm, with TLS unless it listens to this computer only."""
    from harness.farm.scheduler import run_scheduler

    run_scheduler(host, port, certificates or load_lab(lab).farm.certificates, dashboard, click.echo)
