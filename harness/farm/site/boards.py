"""The boards of a lab: who holds them, how they are, who has reserved them. Nothing is opened, and nothing written."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from filelock import Timeout

from harness.boards.discover import BY_LOCATION, attached_ports, attached_probes
from harness.boards.leases import is_on
from harness.boards.matching import match_devices
from harness.config.state import is_here
from harness.farm.calendar import Calendar
from harness.farm.labgrid import Labgrid
from harness.farm.site.model import Board, Change, Held, Reserved
from harness.farm.site.values import DAMAGE, moment, number, text, tried
from harness.files.json_file import read_json
from harness.files.json_lines import read_lines
from harness.locks.holder import Holder
from harness.locks.lease_files import LeaseFiles, is_locked, lease_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from harness.config import Device, Lab
    from harness.farm.site.model import BoardState, Doing
    from harness.health.book import HealthBook
    from harness.health.rules import Health
    from harness.health.trial import Trial

_TRIALS, _CHANGES = 60, 40
_GUARD_S = 0.5
#: So far ahead reservations are shown.
_AHEAD = timedelta(days=14)


@dataclass(frozen=True)
class Source:
    """Where boards are looked for.

    Attributes:
        lab: the boards.
        state: the state folder.
        book: tells the boards' health.
        when: now.
        missing: why boards of this host can't be reached, by name.
        labgrid: who holds boards in labgrid, likewise.
        doing: what the running night does with them, by name.
        gone: why nothing can be told of any board; "" if the state folder is as it should be.
    """

    lab: Lab
    state: Path
    book: HealthBook
    when: datetime
    missing: Mapping[str, str] = field(default_factory=dict)
    labgrid: Mapping[str, str] = field(default_factory=dict)
    doing: Mapping[str, Doing] = field(default_factory=dict)
    gone: str = ""


def boards(source: Source, unknown: list[str]) -> tuple[Board, ...]:
    """Return the boards of devices.yaml; what can't be read is added to `unknown`."""
    held = tried(holders, [], unknown)
    reserved = reservations(source, unknown)
    well = health(source, unknown)
    return tuple(_board(device, source, held, reserved.get(device.name, []), well) for device in source.lab.devices)


def holders() -> list[Holder]:
    """Return who holds what on this host; what a crashed process left is passed over and stays where it is."""
    held = []
    for path in sorted(lease_folder().glob("*.json")):
        files = LeaseFiles(path.parent, path.stem)
        found = Holder.parse(read_json(path))
        if found is None:
            continue
        try:
            with files.guard(_GUARD_S):  # a run that takes it just now would meet our look at the lock
                found = Holder.parse(read_json(path)) or found  # it may be the next one's by now
                if is_locked(files.lock_path(found.generation)):
                    held.append(found)
        except (Timeout, OSError):  # whose files aren't ours to open; what they say is believed
            held.append(found)
    return held


def reservations(source: Source, unknown: list[str]) -> dict[str, list[Reserved]]:
    """Return the reservations of each board in the coming two weeks, by their start."""
    calendar, found = Calendar.of(source.lab), dict[str, list[Reserved]]()
    for one in tried(lambda: calendar.reservations(source.when, source.when + _AHEAD), [], unknown):
        for device in one.devices:
            found.setdefault(device, []).append(Reserved(one.id, one.owner, one.purpose, one.start, one.end))
    unknown += [calendar.warning] if calendar.warning else []
    return found


def labgrid_holders(lab: Lab, unknown: list[str]) -> dict[str, str]:
    """Return who has boards in labgrid, as `host/user` by the boards' names; it takes half a second for each board."""
    labgrid, found = Labgrid(lab.farm.labgrid), dict[str, str]()
    for device in lab.devices:
        if device.labgrid is None:
            continue
        try:
            holder = labgrid.holder(device.labgrid)
        except DAMAGE as error:
            unknown.append(f"who has boards in labgrid can't be told: {error}")
            break  # the next one would wait as long
        found |= {device.name: holder} if holder else {}
    return found


def health(source: Source, unknown: list[str]) -> dict[str, Health]:
    """Return the health of each board; a board of which it can't be told is left out, and named in `unknown`."""
    names = [device.name for device in source.lab.devices]
    found: dict[str, Health] = {}
    if not source.gone:
        known = tried(lambda: {one.health.device: one.health for one in source.book.all()}, {}, unknown)
        for name in names:
            try:  # nothing is known of it, or one of the others is damaged
                found[name] = known[name] if name in known else source.book.summary(name).health
            except DAMAGE:
                continue
    untold = [name for name in names if name not in found]
    unknown += [f"the health of {listed(untold)} can't be told"] if untold else []
    return found


def history(source: Source, unknown: list[str]) -> dict[str, tuple[list[Trial], list[Change]]]:
    """Return the last cases and checks of each board, and what became of its quarantines; the newest first."""
    trials = tried(source.book.trials, (), unknown)[::-1]
    lines = tried(lambda: read_lines(source.state / "quarantine" / "history.jsonl"), [], unknown)[::-1]
    found = {}
    for device in source.lab.devices:
        own = [one for one in lines if one.get("device") == device.name][:_CHANGES]
        changes = [
            Change(moment(one.get("when")), text(one.get("what")), text(one.get("by")), text(one.get("reason")))
            for one in own
        ]
        found[device.name] = ([trial for trial in trials if trial.device == device.name][:_TRIALS], changes)
    return found


def missing_boards(lab: Lab) -> dict[str, str]:
    """Return why boards of this host can't be reached, by name, by what is plugged in.

    Raises:
        ProbeError: what is plugged in can't be listed.
    """
    here = [device for device in lab.devices if device.hardware and is_here(device)]
    missing = {}
    for match in match_devices(here, attached_probes(), attached_ports()) if here else ():
        device, probe = match.device, match.device.probe
        # A probe with pyOCD's type in front, like `remote:HOST`, is in no list.
        if probe is not None and not match.probes and (":" not in probe or probe.startswith(BY_LOCATION)):
            missing[device.name] = f"its probe {probe} is not attached"
        elif device.port is not None and not match.ports:
            missing[device.name] = "its serial port is not attached"
    return missing


def listed(names: Sequence[str]) -> str:
    """Return names as a person lists them; of more than four the first four."""
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} others"


def _board(
    device: Device, source: Source, held: Sequence[Holder], reserved: Sequence[Reserved], well: Mapping[str, Health]
) -> Board:
    lease = _held([holder for holder in held if is_on(holder, device)])
    active = next((one for one in reserved if one.start <= source.when), None)
    obstacles: list[tuple[BoardState, str]] = []
    quarantine = None
    try:
        quarantine = source.book.quarantined(device.name)
    except DAMAGE:
        obstacles.append(("unknown", "its quarantine file is damaged, so no run uses it"))
    if source.gone:
        obstacles.append(("unknown", source.gone))
    if quarantine is not None:
        obstacles.append(("quarantined", quarantine.reason))
    if lease is not None:
        silent = "; it shows no sign of life, so the next run takes over" if lease.expired else ""
        obstacles.append(("held", f"by {lease.owner or 'a run that left no name'}{silent}"))
    if device.name in source.labgrid:
        obstacles.append(("held", f"by {source.labgrid[device.name]} in labgrid"))
    if device.name in source.missing:
        obstacles.append(("missing", source.missing[device.name]))
    if active is not None:
        obstacles.append(("reserved", f"by {active.owner}"))
    if not is_here(device):
        obstacles.append(("elsewhere", f"attached to {device.host}"))
    state, why = obstacles[0] if obstacles else ("free", "")
    return Board(
        name=device.name,
        kind=device.kind.name,
        tags=device.tags,
        backend=device.backend or ("hardware" if device.hardware else "virtual"),
        host=device.host,
        state=state,
        why=why,
        held=lease,
        health=well.get(device.name),
        quarantine=quarantine,
        reservations=tuple(reserved),
        doing=source.doing.get(device.name),
    )


def _held(held: Sequence[Holder]) -> Held | None:
    """Put the locks on one board together: its probe and its port. The oldest heartbeat counts."""
    if not held:
        return None
    oldest = min(held, key=lambda holder: holder.beat_s)
    return Held(
        owner=oldest.owner,
        purpose=oldest.purpose,
        host=oldest.host,
        pid=number(oldest.pid) or 0,
        run=oldest.run,
        since=moment(min(holder.since for holder in held)),
        heartbeat=moment(oldest.heartbeat),
        expired=oldest.state(time.monotonic()) == "expired",
    )
