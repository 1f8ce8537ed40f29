"""The boards of a lab: who holds them, how they are, who has reserved them. Nothing is opened, and nothing written."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from filelock import Timeout

from harness.boards.discover import BY_LOCATION, attached_ports, attached_probes
from harness.boards.leases import is_on
from harness.boards.matching import match_devices
from harness.config.state import is_here
from harness.farm.calendar import Calendar
from harness.farm.labgrid import Labgrid
from harness.farm.site.values import DAMAGE, moment, number, text, tried
from harness.files.json_file import read_json
from harness.files.json_lines import read_lines
from harness.health.rules import Health
from harness.locks.holder import Holder
from harness.locks.lease_files import LeaseFiles, is_locked, lease_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from harness.config import Device, Lab
    from harness.farm.site.nights import Doing
    from harness.health.book import HealthBook
    from harness.health.quarantine import Quarantine
    from harness.health.trial import Trial

_TRIALS, _CHANGES = 60, 40
_GUARD_S = 0.5
#: So far ahead reservations are shown.
_AHEAD = timedelta(days=14)

BoardState = Literal["free", "held", "reserved", "quarantined", "elsewhere", "missing", "unknown"]


@dataclass(frozen=True)
class Held:
    """Who holds a board on this host. `expired` if that process shows no sign of life."""

    owner: str
    purpose: str
    host: str
    pid: int
    run: str | None
    since: datetime | None
    heartbeat: datetime | None
    expired: bool


@dataclass(frozen=True)
class Reserved:
    """A reservation, as far as one board goes."""

    id: str
    owner: str
    purpose: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Change:
    """A line of the quarantine's log: quarantined, released, passed a test, failed a test."""

    when: datetime | None
    what: str
    by: str
    reason: str


@dataclass(frozen=True)
class Board:
    """A board.

    Attributes:
        host: None for any.
        state: what it can be used for now; `why` in words, "" for a free one.
        health: None if it can't be told.
        quarantine: None if it is in use.
        reservations: from now on, by their start; the first may have begun.
        doing: in the night that runs.
        trials: its last cases and checks, the newest first; `changes`: what became of its quarantines, likewise.
    """

    name: str
    kind: str
    tags: tuple[str, ...]
    backend: str
    host: str | None
    state: BoardState
    why: str
    held: Held | None
    health: Health | None
    quarantine: Quarantine | None
    reservations: tuple[Reserved, ...]
    doing: Doing | None
    trials: list[Trial] = field(repr=False)
    changes: list[Change] = field(repr=False)


@dataclass(frozen=True)
class Source:
    """What is known of boards before each is looked at.

    Attributes:
        trials: of all boards, the oldest first.
        health: of each board, by its name, as all of them say together; None if it can't be told.
        missing: why boards of this host can't be reached, by name; `labgrid`: who holds them there, likewise.
        doing: what the running night does with them, by name.
        gone: why nothing can be told of any board; "" if the state folder is as it should be.
    """

    lab: Lab
    state: Path
    book: HealthBook
    when: datetime
    trials: Sequence[Trial]
    health: Mapping[str, Health] | None
    missing: Mapping[str, str]
    labgrid: Mapping[str, str]
    doing: Mapping[str, Doing]
    gone: str


def boards(source: Source, unknown: list[str], untold: list[str]) -> tuple[Board, ...]:
    """Return the boards of devices.yaml; what can't be read is added to `unknown`, or to `untold` if it is history."""
    held = tried(_holders, [], unknown)
    calendar, reserved = Calendar(source.lab), dict[str, list[Reserved]]()
    for one in tried(lambda: calendar.reservations(source.when, source.when + _AHEAD), [], unknown):
        for device in one.devices:
            reserved.setdefault(device, []).append(Reserved(one.id, one.owner, one.purpose, one.start, one.end))
    unknown += [calendar.warning] if calendar.warning else []
    lines = tried(lambda: read_lines(source.state / "quarantine" / "history.jsonl"), [], untold)[::-1]
    found = tuple(_board(device, source, held, reserved.get(device.name, []), lines) for device in source.lab.devices)
    untold = [board.name for board in found if board.health is None]
    unknown += [f"the health of {listed(untold)} can't be told"] if untold else []
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


def _holders() -> list[Holder]:
    """Return who holds what on this host; what a crashed process left is passed over and stays where it is."""
    held = []
    for path in sorted(lease_folder().glob("*.json")):
        files, found = LeaseFiles(path.parent, path.stem), Holder.parse(read_json(path))
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


def _board(
    device: Device, source: Source, held: Sequence[Holder], reserved: Sequence[Reserved], log: Sequence[dict[str, Any]]
) -> Board:
    name, lease = device.name, _held([holder for holder in held if is_on(holder, device)])
    health = None if source.health is None or source.gone else source.health.get(name, Health(name))
    quarantine, damaged = None, ""
    try:
        quarantine = source.book.quarantined(name)
    except DAMAGE:
        health, damaged = None, "its quarantine file is damaged, so no run uses it"
    if health is not None and quarantine is not None:
        health = replace(health, state="quarantined")
    silent = "; it shows no sign of life, so the next run takes over" if lease is not None and lease.expired else ""
    active = next((one for one in reserved if one.start <= source.when), None)
    labgrid = source.labgrid.get(name)
    obstacles: tuple[tuple[BoardState, str | None], ...] = (
        ("unknown", damaged or source.gone or None),
        ("quarantined", quarantine.reason if quarantine else None),
        ("held", f"by {lease.owner or 'a run that left no name'}{silent}" if lease else None),
        ("held", f"by {labgrid} in labgrid" if labgrid else None),
        ("missing", source.missing.get(name)),
        ("reserved", f"by {active.owner}" if active else None),
        ("elsewhere", None if is_here(device) else f"attached to {device.host}"),
    )
    state, why = next(((state, why) for state, why in obstacles if why is not None), ("free", ""))
    changes = [
        Change(moment(one.get("when")), text(one.get("what")), text(one.get("by")), text(one.get("reason")))
        for one in [one for one in log if one.get("device") == name][:_CHANGES]
    ]
    return Board(
        name=name,
        kind=device.kind.name,
        tags=device.tags,
        backend=device.backend or ("hardware" if device.hardware else "virtual"),
        host=device.host,
        state=state,
        why=why,
        held=lease,
        health=health,
        quarantine=quarantine,
        reservations=tuple(reserved),
        doing=source.doing.get(name),
        trials=[trial for trial in reversed(source.trials) if trial.device == name][:_TRIALS],
        changes=changes,
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
