"""The boards of a lab as a visitor sees them: who holds them, how they are, who has booked them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from filelock import Timeout

from harness.boards.leases import is_on
from harness.errors import HilError
from harness.farm.calendar import Calendar
from harness.farm.facts import line, moment, number, read_facts
from harness.farm.seen import BoardSeen, BookingSeen, HealthSeen, LeaseSeen, QuarantineSeen
from harness.health.book import HealthBook
from harness.locks.holder import Holder
from harness.locks.lease_files import LeaseFiles, is_locked, lease_folder
from harness.locks.state import is_here

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from harness.config import Device, Lab
    from harness.farm.calendar import Reservation
    from harness.farm.seen import BoardState, Doing
    from harness.health.book import Judged
    from harness.health.quarantine import Quarantine

#: What reading files that somebody else may have damaged can raise.
DAMAGE = (HilError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)
_GUARD_S = 0.5


def held_leases(folder: Path | None = None) -> list[Holder]:
    """Return who holds what on this host; what a crashed process left is passed over and stays where it is.

    Args:
        folder: of the leases; default: `lease_folder()`.
    """
    held = []
    for path in sorted((folder or lease_folder()).glob("*.json")):
        files = LeaseFiles(path.parent, path.stem)
        found = Holder.parse(read_facts(path))
        if found is None:
            continue
        try:
            with files.guard(_GUARD_S):  # a run that takes it just now would meet our look at the lock
                found = Holder.parse(read_facts(path)) or found  # it may be the next one's by now
                if is_locked(files.lock_path(found.generation)):
                    held.append(found)
        except (Timeout, OSError):  # whose files aren't ours to open; what they say is believed
            held.append(found)
    return held


class Book:
    """What the state folder says about boards.

    A part that can't be read is left out, and named in `unknown` once it was asked for.

    Args:
        lab: the boards and the rules.
        state: the state folder.
        when: now.
        gone: why nothing can be told of any board; "" if the folder is as it should be.
    """

    def __init__(self, lab: Lab, state: Path, when: datetime, gone: str = "") -> None:
        self.unknown: list[str] = []
        self._when, self._gone = when, gone
        self._health = HealthBook(state, lab.farm.health, lambda: when)
        self._bookings = self._read_bookings(lab)

    def health(self, device: str) -> HealthSeen | None:
        """Return a board's health, None if it can't be told."""
        judged = self._judged_of(device)
        if judged is None:
            return None
        health = judged.health
        rate = health.rate
        return HealthSeen(
            state=health.state,
            cases=health.cases,
            ok=None if rate is None else rate.ok,
            counted=None if rate is None else rate.cases,
            low=None if rate is None else rate.low,
            high=None if rate is None else rate.high,
            attempts=health.attempts,
            retransmissions=health.retransmissions,
            in_a_row=health.in_a_row,
            notes=tuple(line(note) for note in health.notes),
            last=None if health.last is None else health.last.when,
        )

    def quarantine(self, device: str) -> QuarantineSeen | None:
        """Return a board's quarantine, None if it is in use; a file that can't be read has become an `unknown`."""
        found = self._quarantine_of(device)
        if found is None:
            return None
        return QuarantineSeen(
            line(found.reason), line(found.by, 64), found.since, found.retest_after, len(found.tests), found.passed
        )

    def unreadable(self, device: str) -> str:
        """Return why it can't be told if a board is quarantined, "" if it can."""
        try:
            self._health.quarantined(device)
        except DAMAGE:
            return "its quarantine file is damaged, so no run uses it"
        return self._gone

    def bookings(self, device: str) -> list[BookingSeen]:
        """Return the reservations of a board from now on, by their start; the first may have begun."""
        return [
            BookingSeen(line(one.id), line(one.owner, 64), line(one.purpose), one.start, one.end)
            for one in self._bookings
            if device in one.devices
        ]

    def _read_bookings(self, lab: Lab) -> Sequence[Reservation]:
        try:
            return Calendar.of(lab).reservations(self._when, self._when + timedelta(days=31))
        except DAMAGE as error:
            self.unknown.append(line(str(error)))
            return ()

    @cached_property
    def _judged(self) -> Mapping[str, Judged] | None:
        try:
            return {one.health.device: one for one in self._health.all()}
        except DAMAGE as error:
            self.unknown.append(line(str(error)))
            return None

    def _judged_of(self, device: str) -> Judged | None:
        if self._gone:
            return None
        if self._judged is not None and device in self._judged:
            return self._judged[device]
        try:  # nothing is known of it, or one of the others is damaged
            return self._health.summary(device)
        except DAMAGE:
            return None

    def _quarantine_of(self, device: str) -> Quarantine | None:
        try:
            return self._health.quarantined(device)
        except DAMAGE:
            return None


@dataclass(frozen=True)
class Elsewhere:
    """What is known of boards from elsewhere, by their names.

    Attributes:
        missing: why boards of this host can't be reached.
        holders: who holds boards in labgrid.
        doing: what the running night does with them.
    """

    missing: Mapping[str, str]
    holders: Mapping[str, str]
    doing: Mapping[str, Doing]


def look_at(device: Device, book: Book, held: Sequence[Holder], elsewhere: Elsewhere, when: datetime) -> BoardSeen:
    """Return what is to be said of a board of devices.yaml.

    Args:
        device: the board.
        book: of the state folder.
        held: from `held_leases`.
        elsewhere: what else is known of it.
        when: now.
    """
    bookings = book.bookings(device.name)
    active = next((one for one in bookings if one.start <= when), None)
    lease = _lease([holder for holder in held if is_on(holder, device)])
    quarantine = book.quarantine(device.name)
    state, why = _state(device, quarantine, lease, active, elsewhere)
    unreadable = book.unreadable(device.name)
    if unreadable:
        state, why = "unknown", unreadable
    return BoardSeen(
        name=device.name,
        kind=device.kind.name,
        tags=device.tags,
        backend=device.backend or ("hardware" if device.hardware else "virtual"),
        host=device.host,
        state=state,
        why=why,
        lease=lease,
        health=book.health(device.name),
        quarantine=quarantine,
        reservation=active,
        booked=next((one for one in bookings if one.start > when), None),
        doing=elsewhere.doing.get(device.name),
    )


def _state(
    device: Device,
    quarantine: QuarantineSeen | None,
    lease: LeaseSeen | None,
    active: BookingSeen | None,
    elsewhere: Elsewhere,
) -> tuple[BoardState, str]:
    """Say what a board can be used for: the gravest obstacle."""
    found: list[tuple[BoardState, str]] = []
    if quarantine is not None:
        found.append(("quarantined", quarantine.reason))
    if lease is not None:
        silent = "; it shows no sign of life, so the next run takes over" if lease.expired else ""
        found.append(("held", f"by {lease.owner or 'a run that left no name'}{silent}"))
    if device.name in elsewhere.holders:
        found.append(("held", f"by {elsewhere.holders[device.name]} in labgrid"))
    if device.name in elsewhere.missing:
        found.append(("missing", elsewhere.missing[device.name]))
    if active is not None:
        found.append(("reserved", f"by {active.owner}"))
    if not is_here(device):
        found.append(("elsewhere", f"attached to {device.host}"))
    return found[0] if found else ("free", "")


def _lease(held: Sequence[Holder]) -> LeaseSeen | None:
    """Put the leases on one board together: its probe and its port. The oldest heartbeat counts."""
    if not held:
        return None
    now_s = time.monotonic()
    oldest = min(held, key=lambda holder: holder.beat_s)
    return LeaseSeen(
        owner=line(oldest.owner, 64),
        purpose=line(oldest.purpose, 100),
        host=line(oldest.host, 64),
        pid=number(oldest.pid) or 0,
        run=line(oldest.run, 100) or None,
        holds=tuple(dict.fromkeys(line(holder.what, 20) for holder in held)),
        since=moment(min(holder.since for holder in held)),
        heartbeat=moment(oldest.heartbeat),
        expired=oldest.state(now_s) == "expired",
    )
