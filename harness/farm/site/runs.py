"""The newest nights and runs, their cases, and their report pages. Nothing that is missing or damaged is an error."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.farm.site.model import Case, Doing, Host, Night, Run
from harness.farm.site.values import mapping, moment, number, text, touched, tried
from harness.files.json_file import parse_json, read_json
from harness.store.folders import is_run, started
from harness.store.runs import CASES_FILE, RUN_FILE
from harness.store.tables import load_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

NIGHTS, REPORT = "nights", "report.html"
_ID = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.([0-9]{1,4}))?")
#: A host that has not written its heartbeat for so long is gone, or hangs.
_SILENT = timedelta(minutes=2)
#: A report of ours has some hundred kilobytes.
_LARGEST = 64 << 20
_CASE_COLUMNS = ("case", "device", "suite", "variant", "status", "reason")


def nights(state: Path, results: Path, when: datetime, most: int) -> list[Night]:
    """Return the newest nights, the newest first; none if there are none.

    Raises:
        OSError: they can't be listed.
    """
    folder = state / NIGHTS
    paths = folder.iterdir() if folder.exists() else ()
    named = [(match, path) for path in paths if (match := _ID.fullmatch(path.name)) and not path.is_symlink()]
    found = sorted(((match[1], int(match[2] or 1)), path) for match, path in named if path.is_dir())
    return [_night(path, results, when) for _, path in reversed(found[-most:])]


def night_cases(state: Path, night: Night, results: Path) -> list[Case]:
    """Return the cases of a night: those of its run once that has ended, else those of its plan."""
    folder = state / NIGHTS / night.id
    plan = _read(folder / "plan.json")
    rows = _cases(_run_of(plan, results))
    if rows is not None:
        return rows
    tries = _tries(folder)
    done = {one["case"] for one in tries if one.get("outcome") == "done"}
    failed = Counter(one["case"] for one in tries if one.get("outcome") in ("failed", "lost"))
    at_work = night.boards if night.state == "running" else {}
    cases = []
    for entry in map(mapping, plan.get("cases") or ()):
        case = number(entry.get("number"))
        if case is None:
            continue
        name = f"{entry.get('task')}::{entry.get('variant')}"
        names = (name, f"{name}[{entry.get('target')}]")
        said = entry.get("devices")
        able: list[Any] = said if isinstance(said, list) else []
        boards = {} if case in done else at_work
        board = next((board for board in boards if at_work[board].case in names and board in able), None)
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


def runs(results: Path, most: int) -> list[Run]:
    """Return the newest runs, the newest first; none if there is no results folder.

    Raises:
        OSError: it can't be listed.
    """
    return [_run(folder) for folder in islice(_folders(results), most)]


def _report(folder: Path) -> bytes | None:
    """Return the report page of a run's or a night's folder, unless it is a link that leads out of the parent."""
    try:
        real, home = (folder / REPORT).resolve(strict=True), folder.parent.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # a loop of links is a RuntimeError before Python 3.13
        return None
    return _read_file(real) if real.is_relative_to(home) and real.name == REPORT else None


def _read_file(path: Path) -> bytes | None:
    """Return what is in an ordinary file of reasonable size, None if it is none; a pipe would keep us for ever."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            about = os.fstat(file.fileno())
            return file.read() if stat.S_ISREG(about.st_mode) and about.st_size <= _LARGEST else None
    except OSError:
        return None


def _folders(results: Path) -> Iterator[Path]:
    """Yield the folders of the runs, the newest first, without looking into those that nobody asks for."""
    try:
        paths = sorted(results.iterdir(), key=lambda path: path.name, reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths:
        try:
            if path.name.startswith(".") or path.is_symlink() or not path.is_dir() or not is_run(path):
                continue
        except OSError:  # somebody else's, which we may not look into: it hides no other run
            pass
        yield path


def _run(folder: Path) -> Run:
    about = _read(folder / RUN_FILE)
    try:
        without = "damaged" if (folder / CASES_FILE).exists() else "unfinished"  # asked first: it may be written now
    except OSError:  # it is somebody else's
        without = "unreadable"
    cases = _cases(folder)
    return Run(
        name=folder.name,
        state=without if cases is None else text(about.get("state")) or "unknown",
        started=started(folder, dict(about)),
        devices=tuple(sorted({case.device for case in cases or ()})),
        counts=None if cases is None else dict(Counter(case.status for case in cases)),
        report=_report(folder),
    )


def _cases(folder: Path) -> list[Case] | None:
    """Return the cases of a finished run; None if it isn't finished, is damaged, or from a newer harness."""
    file = folder / CASES_FILE
    try:
        if not file.is_file():
            return None
        rows: list[dict[str, Any]] = load_table(file, "cases", _CASE_COLUMNS).to_pylist()
    except (OSError, StoreError, ValueError):
        return None
    shown = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    return [
        Case(row["case"], *(row[name] for name in ("suite", "variant", "device", "status", "reason"))) for row in shown
    ]


def _night(folder: Path, results: Path, when: datetime) -> Night:
    unclear = (folder / "finished.json").exists()  # asked first: a night may end between two looks
    plan, finished = _read(folder / "plan.json"), _read(folder / "finished.json")
    hosts, boards = _hosts(folder, when)
    ended = moment(finished.get("at")) or (touched(folder / "finished.json") if finished else None)
    said = mapping(finished.get("counts"))
    counts = {name: found for name in ("complete", "failed", "skipped") if (found := number(said.get(name)))}
    cases = plan.get("cases")
    tries = _tries(folder)
    going = any(host.alive and host.state != "done" for host in hosts)
    damaged = [] if isinstance(cases, list) else ["plan.json"]
    damaged += ["finished.json"] if unclear and not finished else []
    return Night(
        id=folder.name,
        state=(text(finished.get("state")) or "unknown") if ended else "running" if going else "stopped",
        created=moment(plan.get("created")),
        deadline=moment(plan.get("deadline")),
        finished=ended,
        run=_run_of(plan, results).name,
        total=len(cases) if isinstance(cases, list) else None,
        done=sum(counts.values()) if ended else len({one["case"] for one in tries if one.get("outcome") == "done"}),
        gave_up=sum(one.get("outcome") in ("failed", "lost") for one in tries),
        counts=counts,
        exit_code=number(finished.get("exit_code")),
        regressed=finished.get("regressed") if isinstance(finished.get("regressed"), bool) else None,
        summary=text(finished.get("summary")),
        report=_report(folder),
        hosts=hosts,
        boards={} if ended else boards,
        problem=f"{' and '.join(damaged)} can't be understood" if damaged else "",
    )


def _tries(folder: Path) -> list[Mapping[str, Any]]:
    """Return what came of the tries of a night's cases so far: case, device, outcome and reason of each."""
    lines = (_read_file(folder / "tries.jsonl") or b"").splitlines()
    found = [mapping(tried(partial(parse_json, line), None, [])) for line in lines]
    return [one for one in found if (case := number(one.get("case"))) is not None and case >= 0]


def _hosts(folder: Path, when: datetime) -> tuple[tuple[Host, ...], dict[str, Doing]]:
    hosts, boards = [], {}
    for path in sorted((folder / "hosts").glob("[!.]*.json")):
        content, heartbeat = _read(path), touched(path)
        name = text(content.get("host")) or path.stem
        # One that is far in the future is no sign of life: some clock is wrong.
        alive = heartbeat is not None and abs(when - heartbeat) < _SILENT
        hosts.append(Host(name, text(content.get("state")) or "unknown", heartbeat, alive))
        for board, said in mapping(content.get("boards")).items():
            doing = mapping(said)
            state = text(doing.get("state")) or "unknown"
            boards[board] = Doing(name, state, text(doing.get("case")), text(doing.get("reason")))
    return tuple(hosts), boards


def _run_of(plan: Mapping[str, Any], results: Path) -> Path:
    """Return where a night's run is: on this host in its results folder, else where the host that planned it says."""
    path = Path(text(plan.get("run")).replace("\0", "") or "unknown")
    try:
        here = results / path.name
        return here if path.name and here.is_dir() else path
    except (OSError, ValueError):  # a name that is none
        return path


def _read(path: Path) -> dict[str, Any]:
    return read_json(path) or {}
