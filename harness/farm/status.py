"""The state of a farm at a glance. Nothing here writes, and nothing that is missing or damaged is an error."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from harness.farm.facts import line
from harness.farm.look_boards import Book, Elsewhere, held_leases, look_at
from harness.farm.look_labgrid import PlacesSeen
from harness.farm.look_nights import night_folders, read_night
from harness.farm.look_runs import newest_runs
from harness.farm.seen import Status
from harness.locks.state import find_state, hostname

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from harness.config import Lab
    from harness.farm.seen import BoardSeen, NightSeen

_NIGHTS = 7
_RUNS = 10

_NO_PLACES = PlacesSeen()

T = TypeVar("T")


def snapshot(
    lab: Lab,
    results: Path,
    when: datetime,
    missing: Mapping[str, str] | None = None,
    places: PlacesSeen = _NO_PLACES,
    unknown: Sequence[str] = (),
    gone: str = "",
) -> Status:
    """Look at everything once.

    Args:
        lab: the boards.
        results: the results folder.
        when: now.
        missing: why boards of this host can't be reached, by name; it is known to who looked at the USB.
        places: who holds boards in labgrid.
        unknown: what is known already to be unknown.
        gone: why the state folder can't be what it was, "" if it can.

    Returns:
        What was found; what couldn't be read is named in it.
    """
    state = find_state(lab)
    puzzles = [*unknown]
    nights = _tried(lambda: _nights(state, results, when), puzzles)
    night = next((one for one in nights[:1] if one.finished is None), None)
    runs = _tried(lambda: newest_runs(results, _RUNS), puzzles)
    held = _tried(held_leases, puzzles)
    book = Book(lab, state, results, when, gone)
    doing = night.boards if night is not None and night.state == "running" else {}
    elsewhere = Elsewhere(missing or {}, places.holders, doing)
    boards = tuple(look_at(device, book, held, elsewhere, when) for device in lab.devices)
    puzzles += [places.unknown] if places.unknown else []
    unjudged = [board.name for board in boards if board.health is None]
    puzzles += [f"the health of {_listed(unjudged)} can't be told"] if unjudged else []
    puzzles += [f"night {one.id}: {one.problem}" for one in nights if one.problem]
    if night is not None and night.verdict == "running":
        runs = [replace(run, state="running") if run.name == night.run and run.counts is None else run for run in runs]
    return Status(
        at=when,
        host=line(hostname(), 64),
        lab=line("no devices.yaml" if lab.path is None else str(lab.path.absolute())),
        state_folder=line(str(state)),
        results=line(str(results)),
        concerns=concerns(boards, nights),
        unknown=tuple(dict.fromkeys((*book.unknown, *puzzles))),
        boards=boards,
        hosts=night.hosts if night is not None else (),
        night=night,
        nights=tuple(nights),
        runs=tuple(runs),
    )


def concerns(boards: Sequence[BoardSeen], nights: Sequence[NightSeen]) -> tuple[str, ...]:
    """Return what needs a person, the gravest first.

    Args:
        boards: of the lab.
        nights: the newest first.
    """
    found = []
    newest = nights[0] if nights else None
    if newest is not None and newest.verdict == "stopped":
        found.append(f"Night {newest.id} stands still: no host shows a sign of life. `hil nightly` goes on with it")
    ended = next((night for night in nights if night.finished is not None), None)
    if ended is not None and ended.verdict != "passed":
        found.append(f"Night {ended.id} {_judgement(ended)}")
    if newest is not None and newest.verdict == "running":
        silent = [host.name for host in newest.hosts if not host.alive and host.state != "done"]
        found += _about("No sign of life, in the night that runs, from", silent)
    for state, words in (("quarantined", "Quarantined"), ("missing", "Missing"), ("unknown", "Perhaps quarantined")):
        found += _about(words, [board.name for board in boards if board.state == state])
    found += _about("Suspect", [one.name for one in boards if one.health and one.health.state == "suspect"])
    expired = [board.name for board in boards if board.lease is not None and board.lease.expired]
    found += _about("Held by a process that shows no sign of life", expired)
    return tuple(found)


def _about(words: str, names: Sequence[str]) -> list[str]:
    return [f"{words}: {_listed(names)}"] if names else []


def _judgement(night: NightSeen) -> str:
    failed = night.counts.get("failed", 0)
    if night.verdict == "unknown":
        return "left no verdict"
    if night.verdict == "regressed":
        return "found a regression"
    if night.verdict == "incomplete":
        skipped = night.counts.get("skipped", 0)
        return f"is incomplete: {skipped or 'some'} case{'' if skipped == 1 else 's'} not measured"
    if night.verdict == "unchecked":
        return "isn't checked: fail_on, or a part of it, couldn't be held against the baseline"
    if failed:
        return f"failed: {failed} case{'s' if failed > 1 else ''} failed"
    return f"failed with exit code {night.exit_code}{'' if night.state == 'complete' else f': {night.state}'}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} others"


def _nights(state: Path, results: Path, when: datetime) -> list[NightSeen]:
    return [read_night(folder, results, when) for folder in night_folders(state)[:_NIGHTS]]


def _tried(look: Callable[[], list[T]], unknown: list[str]) -> list[T]:
    """Return what a look gives; a folder that can't be read is said to be unknown."""
    try:
        return look()
    except OSError as error:
        unknown.append(line(str(error)))
        return []
