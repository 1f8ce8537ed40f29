"""What the status page shows: plain facts, each of which may be unknown. All text is printable."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any, Literal

from harness.farm.night import NightExit

#: What a night's end is called that failed in nothing.
_VERDICTS = {NightExit.OK: "passed", NightExit.UNCHECKED: "unchecked", NightExit.LEFT: "incomplete"}

BoardState = Literal["free", "held", "reserved", "quarantined", "elsewhere", "missing", "unknown"]


@dataclass(frozen=True)
class LeaseSeen:
    """Who holds a board on this host. `expired` if that process shows no sign of life."""

    owner: str
    purpose: str
    host: str
    pid: int
    run: str | None
    holds: tuple[str, ...]
    since: datetime | None
    heartbeat: datetime | None
    expired: bool


@dataclass(frozen=True)
class HealthSeen:
    """A board's health over the window of the rules.

    Attributes:
        state: well, suspect, quarantined or unknown.
        cases: how many there were, whoever is to blame for failures.
        ok: how many of `counted` cases the infrastructure carried through; None if none counts.
        low: lower end of the 95 % Wilson interval of that share; `high` is the upper one.
        attempts: per case; `retransmissions` likewise, None if there was no link.
        in_a_row: counted failures since the last success.
        notes: what a person should know.
        last: when the newest event was.
    """

    state: str
    cases: int
    ok: int | None
    counted: int | None
    low: float | None
    high: float | None
    attempts: float | None
    retransmissions: float | None
    in_a_row: int
    notes: tuple[str, ...]
    last: datetime | None


@dataclass(frozen=True)
class QuarantineSeen:
    """Why a board is not used, and what brings it back; `passed` of its `tests` since the last failure."""

    reason: str
    by: str
    since: datetime
    retest_after: datetime | None
    tests: int
    passed: int


@dataclass(frozen=True)
class BookingSeen:
    """A reservation, as far as one board goes: `end` is when it stops keeping that one."""

    id: str
    owner: str
    purpose: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Doing:
    """What the night that runs does with a board: state, case and reason as its host says."""

    host: str
    state: str
    case: str
    reason: str


@dataclass(frozen=True)
class BoardSeen:
    """A board.

    Attributes:
        name: in devices.yaml.
        kind: of board; `tags` and `host` as configured, None for any host.
        backend: hardware or virtual.
        state: what it can be used for now; `why` in words, "" for a free one.
        lease: who holds it on this host.
        health: None if it can't be told.
        quarantine: None if it is in use.
        reservation: the one that keeps it now; `booked` the next one.
        doing: in the night that runs.
    """

    name: str
    kind: str
    tags: tuple[str, ...]
    backend: str
    host: str | None
    state: BoardState
    why: str
    lease: LeaseSeen | None
    health: HealthSeen | None
    quarantine: QuarantineSeen | None
    reservation: BookingSeen | None
    booked: BookingSeen | None
    doing: Doing | None


@dataclass(frozen=True)
class HostSeen:
    """A computer in the newest night; `alive` if it showed a sign of life lately."""

    name: str
    state: str
    heartbeat: datetime | None
    alive: bool


@dataclass(frozen=True)
class NightSeen:
    """A night.

    Attributes:
        id: its date, with a number from the second one of a day on.
        state: "running", "stopped" (no host shows a sign of life), or how it ended, as it says itself.
        created: when it was planned; `deadline` is when its time is over, `finished` when it ended.
        run: name of its run's folder.
        total: its cases; `done` of them have an outcome, None if that can't be told.
        gave_up: how often a board couldn't run a case, and it was left to another one.
        counts: outcomes of the cases: complete, failed, skipped; empty until it ended.
        exit_code: of `hil nightly`; None until it ended.
        regressed: whether something was found to be worse than `fail_on` allows; None if that isn't known.
        summary: as `hil nightly` printed it.
        report: whether there is a page.
        hosts: that take part, and what they do with which board.
        problem: what can't be read of it; "" if all can.
    """

    id: str
    state: str
    created: datetime | None
    deadline: datetime | None
    finished: datetime | None
    run: str
    total: int | None
    done: int | None
    gave_up: int
    counts: dict[str, int]
    exit_code: int | None
    regressed: bool | None
    summary: str
    report: bool
    hosts: tuple[HostSeen, ...]
    boards: dict[str, Doing]
    problem: str

    @property
    def verdict(self) -> str:
        """In a word: running, stopped, passed, regressed, failed, incomplete, unchecked or unknown."""
        if self.finished is None and self.state in ("running", "stopped"):
            return self.state
        if self.exit_code is None:
            return "unknown"
        if self.exit_code in _VERDICTS:
            return _VERDICTS[NightExit(self.exit_code)]
        return "regressed" if self.regressed and not self.counts.get("failed") else "failed"


@dataclass(frozen=True)
class RunSeen:
    """A run in the results folder.

    Attributes:
        name: of its folder.
        state: "closed" or "recovered" if it ended; else unfinished, running (in the night that runs), damaged or
            unreadable.
        started: when.
        devices: the boards.
        counts: outcomes of its cases; None while it isn't finished, or can't be read.
        report: whether there is a page.
    """

    name: str
    state: str
    started: datetime | None
    devices: tuple[str, ...]
    counts: dict[str, int] | None
    report: bool

    @property
    def verdict(self) -> str:
        """In a word: what came of its cases once it has ended, its state before."""
        if self.counts is None:
            return self.state
        return next((word for word in ("failed", "skipped", "complete") if self.counts.get(word)), "no cases")


@dataclass(frozen=True)
class Status:
    """Everything on the page.

    Attributes:
        at: when it was looked at, UTC.
        host: this computer; `lab` its devices.yaml, `state_folder` and `results` where the rest was read.
        concerns: what needs a person, the gravest first; none if all is well.
        unknown: what could not be read.
        night: the one that runs or was stopped before its end, if that is the newest one.
        nights: the newest ones, the newest first; with `night`.
    """

    at: datetime
    host: str
    lab: str
    state_folder: str
    results: str
    concerns: tuple[str, ...]
    unknown: tuple[str, ...]
    boards: tuple[BoardSeen, ...]
    hosts: tuple[HostSeen, ...]
    night: NightSeen | None
    nights: tuple[NightSeen, ...]
    runs: tuple[RunSeen, ...]


def plain(value: object) -> Any:
    """Return facts as JSON holds them: objects by field, times as ISO 8601 in UTC. What isn't a number is null."""
    if is_dataclass(value):
        content = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        return content | ({"verdict": value.verdict} if isinstance(value, NightSeen | RunSeen) else {})
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
