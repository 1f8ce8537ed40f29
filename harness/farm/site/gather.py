"""The state of a farm at a glance. Nothing here writes, and nothing that is missing or damaged is an error."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config import Lab, find_lab
from harness.config.state import find_state, hostname, now
from harness.errors import ConfigError
from harness.farm.site.boards import Board, Source, boards, labgrid_holders, listed, missing_boards
from harness.farm.site.nights import Night, nights
from harness.farm.site.runs import Run, runs
from harness.farm.site.values import tried
from harness.health.book import HealthBook

if TYPE_CHECKING:
    from collections.abc import Sequence


_NIGHTS, _RUNS = 7, 10
_SLOW_S = 55.0
_GONE = "the state folder is gone, so that quarantines and reservations can't be told"


@dataclass(frozen=True)
class Status:
    """Everything on the first page.

    Attributes:
        at: when it was looked at, UTC.
        lab: path of devices.yaml; `state_folder` and `results` are where the rest was read.
        concerns: what needs a person, the gravest first; none if all is well.
        unknown: what could not be read.
        night: the one that runs or was stopped before its end, if that is the newest one.
        nights: the newest ones, the newest first; with `night`.
        runs: likewise.
        untold: what can't be read of the boards' histories.
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
    untold: tuple[str, ...] = field(repr=False)


class Gatherer:
    """Looks at a farm, any number of times.

    Attributes:
        lab: the boards; its file is read again each time.
        results: the results folder.
    """

    def __init__(self, lab: Lab, results: Path) -> None:
        self.lab, self.results = lab, results
        self._book: tuple[tuple[Lab, Path], HealthBook] | None = None
        self._slow: tuple[float, dict[str, str], dict[str, str], list[str]] | None = None
        self._had: set[Path] = set()

    def look(self) -> Status:
        """Return how everything is now; what couldn't be read is named in it."""
        unknown: list[str] = []
        tried(self._read_lab, None, unknown)
        lab, results, state, when = self.lab, self.results, find_state(self.lab), now()
        gone = [folder for folder in (state, results) if self._is_gone(folder)]
        unknown += [f"{folder} is gone or empty, and wasn't before" for folder in gone]
        newest = tried(lambda: nights(state, results, when, _NIGHTS), [], unknown)
        night = next((one for one in newest[:1] if one.finished is None), None)
        doing = night.boards if night is not None and night.state == "running" else {}
        missing, labgrid = self._reachable(unknown)
        book, untold = self._health_book(state), list[str]()
        with warnings.catch_warnings(record=True) as warned:  # of runs that health leaves out
            warnings.simplefilter("always")
            trials = tried(book.trials, None, untold)
        unknown += untold
        health = None if trials is None else tried(lambda: book.judge(trials), None, unknown)
        source = Source(
            lab, state, book, when, trials or (), health, missing, labgrid, doing, _GONE if state in gone else ""
        )
        found = boards(source, unknown, untold)
        written = tried(lambda: runs(results, _RUNS), [], unknown)
        if night is not None and night.verdict == "running":
            written = [replace(one, state="running") if one.name == night.run else one for one in written]
        unknown += [f"night {one.id}: {one.problem}" for one in newest if one.problem]
        unknown += [str(one.message) for one in warned]
        return Status(
            at=when,
            host=hostname(),
            lab="no devices.yaml" if lab.path is None else str(lab.path.absolute()),
            state_folder=str(state),
            results=str(results),
            concerns=concerns(found, newest),
            unknown=tuple(dict.fromkeys(unknown)),
            boards=found,
            night=night,
            nights=tuple(newest),
            runs=tuple(written),
            untold=tuple(untold),
        )

    def _reachable(self, unknown: list[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return which boards are missing, and who holds which in labgrid; it is slow, and done once a minute."""
        if self._slow is None or time.monotonic() - self._slow[0] > _SLOW_S:
            untold: list[str] = []
            missing: dict[str, str] = {}
            try:
                missing = missing_boards(self.lab)
            except Exception as error:  # noqa: BLE001 (the libraries of USB raise what they like)
                untold.append(f"what is plugged in can't be told: {error}")
            self._slow = (time.monotonic(), missing, labgrid_holders(self.lab, untold), untold)
        unknown += self._slow[3]
        return self._slow[1:3]

    def _health_book(self, state: Path) -> HealthBook:
        """Return the same book as long as the lab is the same, since it reads a run that has ended only once."""
        if self._book is None or self._book[0] != (self.lab, state):
            book = HealthBook(state, self.lab.farm.health, self.results, devices=self.lab.devices)
            self._book = ((self.lab, state), book)
        return self._book[1]

    def _is_gone(self, folder: Path) -> bool:
        """Whether a folder that had something in it has nothing now, as when a network folder is unmounted."""
        try:
            holds = next(folder.iterdir(), None) is not None
        except FileNotFoundError:
            holds = False
        except OSError:  # what is read there says so
            return False
        if holds:
            self._had.add(folder)
        return not holds and folder in self._had

    def _read_lab(self) -> None:
        """Read devices.yaml again, which may have been edited; as long as it is wrong, what it said before counts.

        Raises:
            ConfigError: it is wrong.
        """
        path = self.lab.path or find_lab(None, [Path()])  # `hil devices --add` may have made it since
        try:
            self.lab = self.lab if path is None else Lab.load(path)
        except ConfigError as error:
            raise ConfigError(f"{error}; shown is what it said before") from error


def concerns(boards: Sequence[Board], nights: Sequence[Night]) -> tuple[str, ...]:
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
    expired = [board.name for board in boards if board.held is not None and board.held.expired]
    found += _about("Held by a process that shows no sign of life", expired)
    return tuple(found)


def _about(words: str, names: Sequence[str]) -> list[str]:
    return [f"{words}: {listed(names)}"] if names else []


def _judgement(night: Night) -> str:
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


def plain(value: object) -> Any:
    """Return values as JSON holds them: objects by field, times as ISO 8601 in UTC. What isn't a number is null.

    Of a report page only whether there is one, and nothing that only another page shows (fields without `repr`).
    """
    if is_dataclass(value):
        content = {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.repr}
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
