"""What the site shows: plain values, each of which may be unknown. What draws them makes all text harmless."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from harness.farm.night import NightExit

if TYPE_CHECKING:
    from harness.health.quarantine import Quarantine
    from harness.health.rules import Health

#: What a night's end is called that failed in nothing.
_VERDICTS = {NightExit.OK: "passed", NightExit.UNCHECKED: "unchecked", NightExit.LEFT: "incomplete"}

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
class Board:
    """A board.

    Attributes:
        name: in devices.yaml.
        kind: of board; `tags` and `host` as configured, None for any host.
        backend: hardware or virtual.
        state: what it can be used for now; `why` in words, "" for a free one.
        held: who holds it on this host.
        health: None if it can't be told.
        quarantine: None if it is in use.
        reservations: from now on, by their start; the first may have begun.
        doing: in the night that runs.
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


@dataclass(frozen=True)
class Change:
    """A line of the quarantine's log: quarantined, released, passed a test, failed a test."""

    when: datetime | None
    what: str
    by: str
    reason: str


@dataclass(frozen=True)
class Host:
    """A computer in a night; `alive` if it showed a sign of life lately."""

    name: str
    state: str
    heartbeat: datetime | None
    alive: bool


@dataclass(frozen=True)
class Case:
    """A case of a night or a run: measured, or still to be measured on `device`."""

    number: str
    suite: str
    variant: str
    device: str
    status: str
    reason: str


@dataclass(frozen=True)
class Night:
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
        report: its report page, None if there is none that may be shown.
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
    report: bytes | None
    hosts: tuple[Host, ...]
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
class Run:
    """A run in the results folder.

    Attributes:
        name: of its folder.
        state: "closed" or "recovered" if it ended; else unfinished, running (in the night that runs), damaged or
            unreadable.
        started: when.
        devices: the boards.
        counts: outcomes of its cases; None while it isn't finished, or can't be read.
        report: its report page, None if there is none that may be shown.
    """

    name: str
    state: str
    started: datetime | None
    devices: tuple[str, ...]
    counts: dict[str, int] | None
    report: bytes | None

    @property
    def verdict(self) -> str:
        """In a word: what came of its cases once it has ended, its state before."""
        if self.counts is None:
            return self.state
        return next((word for word in ("failed", "skipped", "complete") if self.counts.get(word)), "no cases")


@dataclass(frozen=True)
class Status:
    """Everything on the first page.

    Attributes:
        at: when it was looked at, UTC.
        host: this computer; `lab` its devices.yaml, `state_folder` and `results` where the rest was read.
        concerns: what needs a person, the gravest first; none if all is well.
        unknown: what could not be read.
        night: the one that runs or was stopped before its end, if that is the newest one.
        nights: the newest ones, the newest first; with `night`.
        runs: likewise.
    """

    at: datetime
    host: str
    lab: str
    state_folder: str
    results: str
    concerns: tuple[str, ...]
    unknown: tuple[str, ...]
    boards: tuple[Board, ...]
    night: Night | None
    nights: tuple[Night, ...]
    runs: tuple[Run, ...]


def plain(value: object) -> Any:
    """Return values as JSON holds them: objects by field, times as ISO 8601 in UTC. What isn't a number is null.

    Of a report page only whether there is one.
    """
    if is_dataclass(value):
        content = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        own = {"verdict": value.verdict, "report": value.report is not None} if isinstance(value, Night | Run) else {}
        return content | own
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
