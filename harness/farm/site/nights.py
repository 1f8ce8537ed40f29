"""The newest nights, and what their hosts and boards do. Nothing that is missing or damaged is an error."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from harness.farm.night import FINISHED, PLAN, TRIES, NightExit, night_order
from harness.farm.site.runs import Case, cases_of, read_file, read_object, report_of
from harness.farm.site.values import mapping, moment, number, text, tried
from harness.files.json_file import parse_json

_ID = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[0-9]{1,4})?")
#: A host that has not written its heartbeat for so long is gone, or hangs.
_SILENT = timedelta(minutes=2)
#: What a night's end is called that failed in nothing.
_VERDICTS = {NightExit.OK: "passed", NightExit.UNCHECKED: "unchecked", NightExit.LEFT: "incomplete"}


@dataclass(frozen=True)
class Host:
    """A computer in a night; `alive` if it showed a sign of life lately."""

    name: str
    state: str
    heartbeat: datetime | None
    alive: bool


@dataclass(frozen=True)
class Doing:
    """What the night that runs does with a board, as its host says."""

    host: str
    state: str
    case: str
    reason: str


@dataclass(frozen=True)
class Night:
    """A night.

    Attributes:
        id: its date, with a number from the second one of a day on.
        state: "running", "stopped" (no host shows a sign of life), or how it ended, as it says itself.
        created: when it was planned; `deadline` is when its time is over, `finished` when it ended.
        run: name of its run's folder.
        total: its cases; `done` of them have an outcome.
        gave_up: how often a board couldn't run a case, and it was left to another one.
        counts: outcomes of the cases: complete, failed, skipped; empty until it ended.
        exit_code: of `hil nightly`; None until it ended.
        regressed: whether something was found to be worse than `fail_on` allows; None if that isn't known.
        summary: as `hil nightly` printed it.
        report: its report page, None if there is none that may be shown.
        hosts: that take part, and what they do with which board.
        cases: those of its run once that has ended, else those of its plan.
        problem: what can't be read of it; "" if all can.
    """

    id: str
    state: str
    created: datetime | None
    deadline: datetime | None
    finished: datetime | None
    run: str
    total: int | None
    done: int
    gave_up: int
    counts: dict[str, int]
    exit_code: int | None
    regressed: bool | None
    summary: str
    report: bytes | None
    hosts: tuple[Host, ...]
    boards: dict[str, Doing]
    problem: str
    cases: list[Case] = field(repr=False)

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


def nights(state: Path, results: Path, when: datetime, most: int) -> list[Night]:
    """Return the newest nights, the newest first; none if there are none.

    Raises:
        OSError: they can't be listed.
    """
    folder = state / "nights"
    paths = folder.iterdir() if folder.exists() else ()
    found = [path for path in paths if _ID.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]
    return [_night(path, results, when) for path in sorted(found, key=night_order, reverse=True)[:most]]


def _night(folder: Path, results: Path, when: datetime) -> Night:
    unclear = (folder / FINISHED).exists()  # asked first: a night may end between two looks
    plan, finished = read_object(folder / PLAN), read_object(folder / FINISHED)
    hosts, boards = _hosts(folder, when)
    ended = moment(finished.get("at")) or (_touched(folder / FINISHED) if finished else None)
    said = mapping(finished.get("counts"))
    counts = {name: found for name in ("complete", "failed", "skipped") if (found := number(said.get(name)))}
    cases, (done, failed) = plan.get("cases"), _tries(folder)
    going = any(host.alive and host.state != "done" for host in hosts)
    state = (text(finished.get("state")) or "unknown") if ended else "running" if going else "stopped"
    run = _run_of(plan, results)
    measured = cases_of(run)
    damaged = [] if isinstance(cases, list) else [PLAN]
    damaged += [FINISHED] if unclear and not finished else []
    return Night(
        id=folder.name,
        state=state,
        created=moment(plan.get("created")),
        deadline=moment(plan.get("deadline")),
        finished=ended,
        run=run.name,
        total=len(cases) if isinstance(cases, list) else None,
        done=sum(counts.values()) if ended else len(done),
        gave_up=failed.total(),
        counts=counts,
        exit_code=number(finished.get("exit_code")),
        regressed=finished.get("regressed") if isinstance(finished.get("regressed"), bool) else None,
        summary=text(finished.get("summary")),
        report=report_of(folder),
        hosts=hosts,
        boards={} if ended else boards,
        problem=f"{' and '.join(damaged)} can't be understood" if damaged else "",
        cases=_planned(plan, boards if state == "running" else {}, done, failed) if measured is None else measured,
    )


def _planned(plan: dict[str, Any], at_work: dict[str, Doing], done: set[int], failed: Counter[int]) -> list[Case]:
    """Return the cases of a night's plan, each with the board that is at it, or else what it may be measured on."""
    cases = []
    said = plan.get("cases")
    for entry in map(mapping, said if isinstance(said, list) else ()):
        case, devices = number(entry.get("number")), entry.get("devices")
        if case is None:
            continue
        able: list[Any] = devices if isinstance(devices, list) and case not in done else []
        name = f"{entry.get('task')}::{entry.get('variant')}"
        names = (name, f"{name}[{entry.get('target')}]")
        board = next((board for board, doing in at_work.items() if doing.case in names and board in able), None)
        times = failed[case]
        cases.append(
            Case(
                number=str(case),
                suite=text(entry.get("task")) or text(entry.get("suite")),
                variant=text(entry.get("variant")),
                device=board or text(entry.get("target")),
                status="done" if case in done else "measuring" if board else "waiting",
                reason=f"{times} board{'s' if times > 1 else ''} couldn't measure it" if times else "",
            )
        )
    return cases


def _tries(folder: Path) -> tuple[set[int], Counter[int]]:
    """Return which cases of a night are done so far, and on how many boards each couldn't be measured."""
    done, failed = set(), Counter[int]()
    for line in (read_file(folder / TRIES) or b"").splitlines():
        one = mapping(tried(partial(parse_json, line), None, []))
        case, outcome = number(one.get("case")), one.get("outcome")
        if case is not None and case >= 0:
            if outcome == "done":
                done.add(case)
            failed[case] += outcome in ("failed", "lost")
    return done, failed


def _hosts(folder: Path, when: datetime) -> tuple[tuple[Host, ...], dict[str, Doing]]:
    hosts, boards = [], {}
    for path in sorted((folder / "hosts").glob("[!.]*.json")):
        content, heartbeat = read_object(path), _touched(path)
        name = text(content.get("host")) or path.stem
        # One that is far in the future is no sign of life: some clock is wrong.
        alive = heartbeat is not None and abs(when - heartbeat) < _SILENT
        hosts.append(Host(name, text(content.get("state")) or "unknown", heartbeat, alive))
        for board, said in mapping(content.get("boards")).items():
            doing = mapping(said)
            state = text(doing.get("state")) or "unknown"
            boards[board] = Doing(name, state, text(doing.get("case")), text(doing.get("reason")))
    return tuple(hosts), boards


def _run_of(plan: dict[str, Any], results: Path) -> Path:
    """Return where a night's run is: on this host in its results folder, else where the host that planned it says."""
    path = Path(text(plan.get("run")).replace("\0", "") or "unknown")
    try:
        here = results / path.name
        return here if path.name and here.is_dir() else path
    except (OSError, ValueError):  # a name that is none
        return path


def _touched(path: Path) -> datetime | None:
    """Return when a file was last written, None if it is gone."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError, OverflowError):
        return None
