"""The state of a farm at a glance. Nothing here writes, and nothing that is missing or damaged is an error."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import Lab, find_lab
from harness.config.state import find_state, hostname, now
from harness.errors import ConfigError
from harness.farm.site.boards import Source, boards, history, labgrid_holders, listed, missing_boards
from harness.farm.site.model import Status
from harness.farm.site.runs import night_cases, nights, runs
from harness.farm.site.values import tried
from harness.health.book import HealthBook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.farm.site.model import Board, Case, Change, Night
    from harness.health.trial import Trial

_NIGHTS, _RUNS = 7, 10
_SLOW_S = 55.0


@dataclass(frozen=True)
class Everything:
    """What the pages show.

    Attributes:
        status: for the first page.
        histories: last cases and changes of each board, by its name; `untold` is what can't be read of them.
        cases: of each night, by its id.
    """

    status: Status
    histories: dict[str, tuple[list[Trial], list[Change]]]
    untold: list[str]
    cases: dict[str, list[Case]]


@dataclass
class Gatherer:
    """Looks at a farm, any number of times.

    Attributes:
        lab: the boards; its file is read again each time.
        results: the results folder.
    """

    lab: Lab
    results: Path
    _book: tuple[tuple[Lab, Path], HealthBook] | None = field(default=None, init=False)
    _slow: tuple[float, dict[str, str], dict[str, str], list[str]] | None = field(default=None, init=False)
    _had: set[Path] = field(default_factory=set, init=False)

    def look(self) -> Everything:
        """Return how everything is now; what couldn't be read is named in it."""
        unknown: list[str] = []
        with warnings.catch_warnings(record=True) as warned:  # of runs that health leaves out
            warnings.simplefilter("always")
            found = self._look(unknown)
        said = dict.fromkeys((*found.status.unknown, *(str(one.message) for one in warned)))
        return replace(found, status=replace(found.status, unknown=tuple(said)))

    def _look(self, unknown: list[str]) -> Everything:
        tried(self._read_lab, None, unknown)
        lab, results, state, when = self.lab, self.results, find_state(self.lab), now()
        gone = [folder for folder in (state, results) if self._is_gone(folder)]
        unknown += [f"{folder} is gone or empty, and wasn't before" for folder in gone]
        newest = tried(lambda: nights(state, results, when, _NIGHTS), [], unknown)
        night = next((one for one in newest[:1] if one.finished is None), None)
        doing = night.boards if night is not None and night.state == "running" else {}
        missing, labgrid = self._reachable(unknown)
        book, why = self._health_book(state), _GONE if state in gone else ""
        source = Source(lab, state, book, when, missing, labgrid, doing, why)
        found = boards(source, unknown)
        written = tried(lambda: runs(results, _RUNS), [], unknown)
        if night is not None and night.verdict == "running":
            written = [replace(one, state="running") if one.name == night.run else one for one in written]
        unknown += [f"night {one.id}: {one.problem}" for one in newest if one.problem]
        untold: list[str] = []
        histories = history(source, untold)
        status = Status(
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
        )
        return Everything(status, histories, untold, {one.id: night_cases(state, one, results) for one in newest})

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


_GONE = "the state folder is gone, so that quarantines and reservations can't be told"


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
