"""`hil leases`: who holds which board of this computer."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from harness.cli.options import LAB, load_lab
from harness.cli.tables import print_table
from harness.errors import HilError
from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from harness.config import Device, Lab
    from harness.locks.holder import Holder


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@LAB
def leases(as_json: bool, lab: str | None) -> None:  # noqa: FBT001 (click passes it)
    """Show who uses which board of this computer, since when, and which are free."""
    from harness.boards.leases import is_on
    from harness.config.state import is_here
    from harness.locks.lease_files import list_leases

    loaded, (held, crashed), monotonic_s = load_lab(lab), list_leases(), time.monotonic()
    here = [device for device in loaded.devices if is_here(device)]
    free = [device for device in here if not any(is_on(holder, device) for holder in held)]
    kept = _kept(loaded, here, free)
    names = [device.name for device in free if device.name not in kept]
    if as_json:
        content = {
            "leases": [{**holder.as_json(), "state": holder.state(monotonic_s)} for holder in held],
            "crashed": [holder.as_json() for holder in crashed],
            "free": names,
            "kept": kept,
        }
        click.echo(json.dumps(content, indent=2))
        return
    if held:
        columns = ("device", "kind", "holds", "owner", "purpose", "process", "since", "last heartbeat", "state")
        print_table("Boards in use", columns, [_row(group, monotonic_s) for group in _by_run(held)])
        if any(holder.state(monotonic_s) == "expired" for holder in held):
            click.echo("Expired: that process is stopped or hangs; the next run that asks for the board takes it over.")
    else:
        click.echo("No board is held.")
    for group in _by_run(crashed):
        first = group[0]
        click.echo(
            f"{first.device}: process {first.pid} of {first.owner} ({first.purpose}) ended without releasing it; "
            "what it left was cleaned up."
        )
    if loaded.devices:
        for name, why in kept.items():
            click.echo(f"{name}: {printable(why)}")
        click.echo(f"Free ({loaded.path}): {', '.join(names) or 'none'}")


def _kept(lab: Lab, here: Iterable[Device], free: Container[Device]) -> dict[str, str]:
    """Return the boards of this host that a run of this user can't have now, whether held or not, each with why."""
    from harness.farm.lab_access import LabAccess
    from harness.farm.labgrid import Labgrid

    kept: dict[str, str] = {}
    access, labgrid = LabAccess(lab), Labgrid(lab.farm.labgrid)
    for device in here:
        try:
            access.check(device)
            access.permit(device)
            holder = labgrid.holder(device.labgrid) if device.labgrid and device in free else None
            if holder is not None:
                kept[device.name] = f"held in labgrid by {holder}"
        except HilError as error:
            kept[device.name] = str(error).removeprefix(f"{device.name}: ").removeprefix(f"{device.name} is ")
    return kept


def _by_run(leases: Iterable[Holder]) -> list[list[Holder]]:
    """Put the leases of one run on one board together: its probe and its port."""
    groups: dict[tuple[str, str, int], list[Holder]] = {}
    for holder in leases:
        groups.setdefault((holder.device, holder.host, holder.pid), []).append(holder)
    return list(groups.values())


def _row(group: list[Holder], monotonic_s: float) -> tuple[str | None, ...]:
    from harness.locks.holder import since_words

    first = min(group, key=lambda holder: holder.since)
    oldest = min(group, key=lambda holder: holder.beat_s)
    what = ", ".join(holder.what if holder.what == "virtual" else f"{holder.what} {holder.key}" for holder in group)
    return (
        first.device,
        first.kind or None,
        what,
        first.owner,
        first.purpose,
        f"{first.pid} on {first.host}",
        since_words(first.since),
        f"{max(0.0, monotonic_s - oldest.beat_s):.0f} s ago",
        oldest.state(monotonic_s),
    )
