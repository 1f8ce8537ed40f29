"""The newest runs of a results folder, and the report pages that may be shown to a browser."""

from __future__ import annotations

import os
import stat
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.farm.facts import line, read_facts
from harness.farm.seen import RunSeen
from harness.store.files import load_table
from harness.store.folders import is_run, started
from harness.store.runs import CASES_FILE, RUN_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPORT = "report.html"
#: A report of ours has some hundred kilobytes.
_LARGEST_REPORT = 64 << 20
_CASE_COLUMNS = ("case", "device", "suite", "variant", "status", "reason", "attempts")


def newest_runs(results: Path, most: int) -> list[RunSeen]:
    """Return the newest runs, the newest first; none if there is no results folder.

    Raises:
        OSError: it can't be listed.
    """
    return [read_run(folder) for folder in islice(_runs(results), most)]


def find_run_folder(results: Path, name: str) -> Path | None:
    """Return the folder of a run by its name, None if there is no such run. No path is made of the name."""
    return next((folder for folder in _runs(results) if folder.name == name), None)


def read_run(folder: Path) -> RunSeen:
    """Return what a run's files say, as far as they can be read."""
    about = read_facts(folder / RUN_FILE)
    try:
        without = "damaged" if (folder / CASES_FILE).exists() else "unfinished"  # asked first: it may be written now
    except OSError:  # it is somebody else's
        without = "unreadable"
    rows = run_cases(folder)
    state = without if rows is None else line(about.get("state"), 40) or "unknown"
    return RunSeen(
        name=folder.name,
        state=state,
        started=started(folder, about),
        devices=tuple(sorted({row["device"] for row in rows or ()})),
        counts=None if rows is None else dict(Counter(row["status"] for row in rows)),
        report=readable_report(folder) is not None,
    )


def run_cases(folder: Path) -> list[dict[str, str]] | None:
    """Return the cases of a finished run as text; None if it isn't finished, is damaged, or from a newer harness."""
    file = folder / CASES_FILE
    try:
        if not file.is_file():
            return None
        rows: list[dict[str, Any]] = load_table(file, "cases", _CASE_COLUMNS).to_pylist()
    except (OSError, StoreError):
        return None
    return [{name: _cell(row[name]) for name in _CASE_COLUMNS} for row in rows]


def readable_report(folder: Path) -> Path | None:
    """Return the report page of a run's or a night's folder; None if it has none that may be shown.

    That is a file of this name and of reasonable size, and not a link that leads out of the folder's parent.
    """
    try:
        real, home = (folder / REPORT).resolve(strict=True), folder.parent.resolve(strict=True)
        about = real.stat()
    except (OSError, ValueError, RuntimeError):  # a loop of links is a RuntimeError before Python 3.13
        return None
    inside = real.is_relative_to(home) and real.name == REPORT
    return real if inside and stat.S_ISREG(about.st_mode) and about.st_size <= _LARGEST_REPORT else None


def read_report(folder: Path) -> bytes | None:
    """Return the report page of a folder as it was written, None if there is none that may be shown."""
    path = readable_report(folder)
    if path is None:
        return None
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:  # it may have become something else since
            about = os.fstat(file.fileno())
            return file.read(_LARGEST_REPORT) if stat.S_ISREG(about.st_mode) else None
    except OSError:
        return None


def is_folder(path: Path) -> bool:
    """Whether there is a folder; not if the path is none that the system knows, or can't be looked at."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _runs(results: Path) -> Iterator[Path]:
    """Yield the folders of the runs, the newest first, without looking into those that nobody asks for."""
    try:
        paths = sorted(results.iterdir(), key=lambda path: path.name, reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths:
        if path.name.startswith(".") or path.is_symlink() or not is_folder(path):
            continue
        try:
            found = is_run(path)
        except OSError:  # somebody else's, which we may not look into: it hides no other run
            found = True
        if found:
            yield path


def _cell(value: object) -> str:
    return "" if value is None else line(str(value))
