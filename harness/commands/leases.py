"""`hil leases`: who holds which board of this computer."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from harness.boards.leases import is_on
from harness.cli.tables import print_table
from harness.errors import ConfigError, HilError
from harness.farm.access import Access
from harness.farm.labgrid import Labgrid
from harness.farm.labgrid_inventory import ask_inventory
from harness.farm.labgrid_janitor import janitor
from harness.locks.holder import since_words
from harness.locks.listing import list_leases
from harness.locks.state import is_here, state_folder, username
from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from harness.config import Device, Lab
    from harness.locks.holder import Holder


def show_leases(lab: Lab, *, as_json: bool) -> None:
    """Print who holds what since when, and which devices this user may have; what a crash left is removed."""
    held, crashed = list_leases()
    monotonic_s = time.monotonic()
    free = [device.name for device in free_devices(lab, held)]
    kept = {**_placed(lab, free), **_kept(lab)}
    free = [name for name in free if name not in kept]
    if as_json:
        content = {
            "leases": [{**holder.as_json(), "state": holder.state(monotonic_s)} for holder in held],
            "crashed": [holder.as_json() for holder in crashed],
            "free": free,
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
    if lab.devices:
        for name, why in kept.items():
            click.echo(f"{name}: {printable(why)}")
        click.echo(f"Free ({lab.path}): {', '.join(free) or 'none'}")


def _kept(lab: Lab) -> dict[str, str]:
    """Return the boards of this host that a run of this user can't have now, whether held or not, each with why."""
    kept: dict[str, str] = {}
    access = Access(lab)
    for device in lab.devices:
        if not is_here(device):
            continue
        try:
            if access.book is not None:
                access.book.check(device.name)
            access.permit(device)
        except HilError as error:
            kept[device.name] = str(error).removeprefix(f"{device.name}: ").removeprefix(f"{device.name} is ")
    return kept


def _placed(lab: Lab, names: Collection[str]) -> dict[str, str]:
    """Return which of the boards labgrid says are somebody's, or can't be asked about, each with why."""
    if lab.farm.engine != "labgrid" or not names:
        return {}
    try:
        found = ask_inventory(lab).devices
    except HilError as error:
        return dict.fromkeys(names, f"unknown: {error}")
    held = [entry for entry in found if entry.holder is not None and entry.device.name in names]
    return {entry.device.name: f"held in labgrid by {entry.holder}" for entry in held}


def free_dead_places(lab: Lab) -> None:
    """Free the places in labgrid that jobs which have died still lock, and say which.

    Raises:
        ConfigError: the farm isn't shared by labgrid, or its client isn't installed.
        FarmError: the coordinator doesn't answer.
    """
    if lab.farm.engine != "labgrid":
        raise ConfigError("--janitor is for farms with `farm: labgrid` in devices.yaml; other locks free themselves")
    released = janitor(Labgrid(lab.farm.labgrid, username()), state_folder(lab))
    for entry in released:
        click.echo(f"Freed {entry.place} of {entry.holder}: {entry.reason}")
    if not released:
        click.echo("No place is held by a job that has died.")


def free_devices(lab: Lab, held: Iterable[Holder]) -> list[Device]:
    """Return the configured devices of this host that nobody holds."""
    held = list(held)
    here = [device for device in lab.devices if is_here(device)]
    return [device for device in here if not any(is_on(holder, device) for holder in held)]


def _by_run(leases: Iterable[Holder]) -> list[list[Holder]]:
    """Put the leases of one run on one board together: its probe and its port."""
    groups: dict[tuple[str, str, int], list[Holder]] = {}
    for holder in leases:
        groups.setdefault((holder.device, holder.host, holder.pid), []).append(holder)
    return list(groups.values())


def _row(group: list[Holder], monotonic_s: float) -> tuple[str | None, ...]:
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
