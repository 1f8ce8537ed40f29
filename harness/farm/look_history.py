"""What is known of one board: its last cases, how it got into and out of quarantine, who has booked it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.farm.facts import line, moment
from harness.farm.look_boards import DAMAGE, Book
from harness.files.json_lines import read_lines
from harness.health.book import HealthBook

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from harness.config import Lab
    from harness.farm.seen import BookingSeen
    from harness.health.trial import Trial

_EVENTS, _CHANGES = 60, 40


@dataclass(frozen=True)
class EventSeen:
    """A case or a health check on a board; `ok` if the infrastructure worked, whatever the answers were."""

    when: datetime
    host: str
    purpose: str
    run: str
    suite: str
    variant: str
    ok: bool
    error: str
    reason: str
    attempts: int
    retransmissions: int | None


@dataclass(frozen=True)
class ChangeSeen:
    """A line of the quarantine's log: quarantined, released, passed a test, failed a test."""

    when: datetime | None
    what: str
    by: str
    reason: str


@dataclass(frozen=True)
class History:
    """What is known of a board, the newest first; bookings by their start. `unknown` is what can't be read."""

    events: tuple[EventSeen, ...]
    changes: tuple[ChangeSeen, ...]
    bookings: tuple[BookingSeen, ...]
    unknown: tuple[str, ...]


def board_history(lab: Lab, state: Path, results: Path, device: str, when: datetime) -> History:
    """Read what is known of a board of devices.yaml.

    Args:
        lab: the boards.
        state: the state folder.
        results: the results folder.
        device: a board's name.
        when: now.
    """
    unknown: list[str] = []
    events: list[EventSeen] = []
    changes: list[ChangeSeen] = []
    try:
        judged = HealthBook(state, lab.farm.health, results, devices=lab.devices, clock=lambda: when)
        own = [trial for trial in judged.trials() if trial.device == device]
        events = [_seen(trial) for trial in reversed(own[-_EVENTS:])]
    except DAMAGE as error:
        unknown.append(line(str(error)))
    try:
        changes = _changes(state, device)
    except DAMAGE as error:
        unknown.append(line(str(error)))
    book = Book(lab, state, results, when)
    return History(
        tuple(events), tuple(changes), tuple(book.bookings(device)), tuple(dict.fromkeys((*unknown, *book.unknown)))
    )


def _seen(event: Trial) -> EventSeen:
    return EventSeen(
        when=event.when,
        host=line(event.host, 64),
        purpose=line(event.purpose, 20),
        run=line(event.run, 100),
        suite=line(event.suite, 80),
        variant=line(event.variant, 80),
        ok=event.ok,
        error=line(event.error, 60),
        reason=line(event.reason),
        attempts=event.attempts,
        retransmissions=event.retransmissions,
    )


def _changes(state: Path, device: str) -> list[ChangeSeen]:
    entries = read_lines(state / "quarantine" / "history.jsonl")
    own = [entry for entry in entries if entry.get("device") == device]
    return [
        ChangeSeen(moment(one.get("when")), line(one.get("what"), 60), line(one.get("by"), 64), line(one.get("reason")))
        for one in reversed(own[-_CHANGES:])
    ]
