"""Nights as they stand in the state folder: the one that runs, and those before."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.farm.facts import flag, line, mapping, moment, number, objects, read_facts, text, touched
from harness.farm.look_runs import is_folder, readable_report
from harness.farm.seen import Doing, HostSeen, NightSeen
from harness.store.commits import DONE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_ID = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:\.[0-9]{1,4})?")
_CLAIM = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})(\.failed)?\.json")
#: A host that has not written its heartbeat for so long is gone, or hangs.
_SILENT = timedelta(minutes=2)
OUTCOMES = ("complete", "failed", "skipped")


def night_folders(state: Path) -> list[Path]:
    """Return the folders of the nights, the newest first; none if there are none.

    Raises:
        OSError: they can't be listed.
    """
    folder = state / "nights"
    try:
        found = [path for path in folder.iterdir() if _ID.fullmatch(path.name) and not path.is_symlink()]
    except FileNotFoundError:
        return []
    return sorted((path for path in found if path.is_dir()), key=_order, reverse=True)


def find_night(state: Path, name: str) -> Path | None:
    """Return the folder of a night by its id, None if there is no such night."""
    return next((path for path in night_folders(state) if path.name == name), None)


def read_night(folder: Path, results: Path, when: datetime) -> NightSeen:
    """Return what the files of a night say.

    Args:
        folder: of the night.
        results: where runs lie.
        when: now.
    """
    unclear = (folder / "finished.json").exists()  # asked first: a night may end between two looks
    plan, finished = read_facts(folder / "plan.json"), read_facts(folder / "finished.json")
    hosts, boards = _hosts(folder, when)
    ended = moment(finished.get("at")) or (touched(folder / "finished.json") if finished else None)
    counts = {name: found for name in OUTCOMES if (found := number(mapping(finished.get("counts")).get(name)))}
    cases = plan.get("cases")
    going = any(host.alive and host.state != "done" for host in hosts)
    damaged = [] if isinstance(cases, list) else ["plan.json"]
    damaged += ["finished.json"] if unclear and not finished else []
    return NightSeen(
        id=folder.name,
        state=(line(finished.get("state"), 60) or "unknown") if ended else "running" if going else "stopped",
        created=moment(plan.get("created")),
        deadline=moment(plan.get("deadline")),
        finished=ended,
        run=line(_run(plan, results).name, 100),
        total=len(cases) if isinstance(cases, list) else None,
        done=sum(counts.values()) if ended else _done(plan, results),
        gave_up=sum(claim.failed for claim in _claims(folder)),
        counts=counts,
        exit_code=number(finished.get("exit_code")),
        regressed=flag(finished.get("regressed")),
        summary=text(finished.get("summary")),
        report=readable_report(folder) is not None,
        hosts=hosts,
        boards={} if ended else boards,
        problem=f"{' and '.join(damaged)} can't be understood" if damaged else "",
    )


def night_cases(folder: Path, results: Path, when: datetime) -> list[dict[str, str]]:
    """Return the cases of a night that hasn't ended: number, suite, variant, device, status and reason of each."""
    plan = read_facts(folder / "plan.json")
    done = _done_numbers(_run(plan, results))
    claims = _claims(folder)
    rows = []
    for entry in objects(plan.get("cases")):
        case = number(entry.get("number"))
        if case is None:
            continue
        own = [claim for claim in claims if claim.case == case]
        tries = sum(claim.failed for claim in own)
        newest = max(own, key=lambda claim: (claim.number, claim.failed), default=None)
        state = "done" if case in done else "measuring" if _measured(newest, when) else "waiting"
        taken = {} if newest is None or state == "waiting" else read_facts(newest.path)
        rows.append(
            {
                "number": str(case),
                "suite": line(entry.get("task"), 80) or line(entry.get("suite"), 80),
                "variant": line(entry.get("variant"), 80),
                "device": line(taken.get("device"), 80) or line(entry.get("target"), 80),
                "status": state,
                "reason": f"{tries} board{'s' if tries > 1 else ''} couldn't measure it" if tries else "",
            }
        )
    return rows


def run_of_night(folder: Path, results: Path) -> Path:
    """Return the folder of a night's run, whether it is there or not."""
    return _run(read_facts(folder / "plan.json"), results)


def _run(plan: Mapping[str, Any], results: Path) -> Path:
    """Return where the run is: on this host in its results folder, else where the host that planned it says."""
    said = plan.get("run")
    if not isinstance(said, str) or not said or "\0" in said:
        return Path("unknown")
    path = Path(said)
    here = results / path.name
    return here if path.name and is_folder(here) else path


def _done(plan: Mapping[str, Any], results: Path) -> int | None:
    run = _run(plan, results)
    return len(_done_numbers(run)) if is_folder(run) else None


def _done_numbers(run: Path) -> set[int]:
    try:
        return {int(path.stem) for path in (run / DONE).iterdir() if re.fullmatch(r"[0-9]{1,9}\.json", path.name)}
    except (OSError, ValueError):  # the path is the plan's word, and may be none
        return set()


@dataclass(frozen=True)
class _Claim:
    """A claim on a case, or (`failed`) the word of a board that couldn't measure it."""

    case: int
    number: int
    failed: bool
    path: Path


def _claims(folder: Path) -> list[_Claim]:
    try:
        paths = list((folder / "claims").iterdir())
    except OSError:
        return []
    named = [(path, _CLAIM.fullmatch(path.name)) for path in paths]
    return [_Claim(int(found[1]), int(found[2]), found[3] is not None, path) for path, found in named if found]


def _measured(newest: _Claim | None, when: datetime) -> bool:
    """Whether somebody measures a case: the newest claim on it shows a sign of life, and its board hasn't given up."""
    return newest is not None and not newest.failed and _lives(touched(newest.path), when)


def _hosts(folder: Path, when: datetime) -> tuple[tuple[HostSeen, ...], dict[str, Doing]]:
    hosts, boards = [], {}
    for path in sorted((folder / "hosts").glob("[!.]*.json")):
        content, heartbeat = read_facts(path), touched(path)
        name = line(content.get("host"), 64) or line(path.stem, 64)
        alive = _lives(heartbeat, when)
        hosts.append(HostSeen(name, line(content.get("state"), 40) or "unknown", heartbeat, alive))
        for board, said in mapping(content.get("boards")).items():
            doing = mapping(said)
            state = line(doing.get("state"), 40) or "unknown"
            case = doing.get("case")
            shown = f"case {case}" if number(case) is not None else line(case, 100)
            boards[line(board, 64)] = Doing(name, state, shown, line(doing.get("reason")))
    return tuple(hosts), boards


def _lives(heartbeat: datetime | None, when: datetime) -> bool:
    """Whether a sign of life is fresh; one that is far in the future is none: some clock is wrong."""
    return heartbeat is not None and abs(when - heartbeat) < _SILENT


def _order(folder: Path) -> tuple[str, int]:
    day, _, count = folder.name.partition(".")
    return day, int(count or 1)
