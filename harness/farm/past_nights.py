"""Nights that were, listed and shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.errors import StoreError
from harness.farm.finish import Outcome
from harness.farm.night import FINISHED, PLAN
from harness.files.json_file import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_ID: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.(\d+))?")


@dataclass(frozen=True)
class NightInfo:
    """One night.

    Attributes:
        id: its date, with a number if there were several.
        folder: where its files are.
        state: that of its `Outcome`, or `unfinished` (it is going on, or was stopped), or `damaged`.
        created: when it was planned, ISO 8601; None if that can't be read.
        run: the folder of its run; None if that can't be read.
        cases: how many were planned.
        outcome: what came of it; None if it hasn't ended, or can't be read.
    """

    id: str
    folder: Path
    state: str
    created: str | None
    run: Path | None
    cases: int
    outcome: Outcome | None


def nights(state: Path) -> list[NightInfo]:
    """Return the nights of a state folder, newest first. Other folders, and damaged files, are no error."""
    folder = state / "nights"
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _ID.fullmatch(path.name)
        if match is not None and path.is_dir():
            found.append(((match[1], int(match[2] or 1)), path))
    return [_info(path) for _, path in sorted(found, reverse=True)]


def show_night(folder: Path) -> str:
    """Return the summary of a night that has ended.

    Raises:
        StoreError: it hasn't, there is no such night, or its files are damaged.
    """
    info = _info(folder)
    if info.outcome is not None:
        return info.outcome.summary
    if not folder.is_dir():
        raise StoreError(f"{folder}: there is no such night")
    if info.state == "damaged":
        raise StoreError(f"{folder} is damaged: {FINISHED if (folder / FINISHED).exists() else PLAN} can't be read")
    raise StoreError(f"night {info.id} hasn't ended; if no host is at it, `hil nightly --resume` goes on with it")


def _info(folder: Path) -> NightInfo:
    plan: Mapping[str, object] | None = read_json(folder / PLAN)
    outcome = Outcome.read(folder / FINISHED)
    broken = plan is None or (outcome is None and (folder / FINISHED).exists())
    state = outcome.state if outcome else "damaged" if broken else "unfinished"
    plan = plan or {}
    cases, run, created = plan.get("cases"), plan.get("run"), plan.get("created")
    return NightInfo(
        id=folder.name,
        folder=folder,
        state=state,
        created=created if isinstance(created, str) else None,
        run=Path(run) if isinstance(run, str) else None,
        cases=len(cases) if isinstance(cases, list) else 0,
        outcome=outcome,
    )
