"""The newest runs, their cases, and report pages. Nothing that is missing or damaged is an error."""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.farm.site.values import text
from harness.files.json_file import read_json
from harness.store.folders import is_run, started
from harness.store.runs import CASES_FILE, RUN_FILE
from harness.store.tables import load_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

REPORT = "report.html"
#: A report of ours has some hundred kilobytes.
_LARGEST = 64 << 20
_CASE_COLUMNS = ("case", "suite", "variant", "device", "status", "reason")


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
class Run:
    """A run in the results folder.

    Attributes:
        state: "closed" or "recovered" if it ended; else unfinished, running (in the night that runs), damaged or
            unreadable.
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


def runs(results: Path, most: int) -> list[Run]:
    """Return the newest runs, the newest first; none if there is no results folder.

    Raises:
        OSError: it can't be listed.
    """
    return [_run(folder) for folder in islice(_folders(results), most)]


def report_of(folder: Path) -> bytes | None:
    """Return the report page of a run's or a night's folder, unless it is a link that leads out of the parent."""
    try:
        real, home = (folder / REPORT).resolve(strict=True), folder.parent.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # a loop of links is a RuntimeError before Python 3.13
        return None
    return read_file(real) if real.is_relative_to(home) and real.name == REPORT else None


def read_file(path: Path) -> bytes | None:
    """Return what is in an ordinary file of reasonable size, None if it is none; a pipe would keep us for ever."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            about = os.fstat(file.fileno())
            return file.read() if stat.S_ISREG(about.st_mode) and about.st_size <= _LARGEST else None
    except OSError:
        return None


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file, empty if there is none."""
    return read_json(path) or {}


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
    about = read_object(folder / RUN_FILE)
    try:
        without = "damaged" if (folder / CASES_FILE).exists() else "unfinished"  # asked first: it may be written now
    except OSError:  # it is somebody else's
        without = "unreadable"
    cases = cases_of(folder)
    return Run(
        name=folder.name,
        state=without if cases is None else text(about.get("state")) or "unknown",
        started=started(folder, about),
        devices=tuple(sorted({case.device for case in cases or ()})),
        counts=None if cases is None else dict(Counter(case.status for case in cases)),
        report=report_of(folder),
    )


def cases_of(folder: Path) -> list[Case] | None:
    """Return the cases of a finished run; None if it isn't finished, is damaged, or from a newer harness."""
    file = folder / CASES_FILE
    try:
        if not file.is_file():
            return None
        rows: list[dict[str, Any]] = load_table(file, "cases", _CASE_COLUMNS).to_pylist()
    except (OSError, StoreError, ValueError):
        return None
    return [Case(*("" if row[name] is None else str(row[name]) for name in _CASE_COLUMNS)) for row in rows]
