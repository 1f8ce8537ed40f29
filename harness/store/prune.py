"""Raw data of old runs is removed, so that a disk holds years of summaries."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from harness.errors import StoreError
from harness.files.json_file import write_json
from harness.store.folders import ended, pruned, read_tags, remove_folder, runs_in, started
from harness.store.journal import journals
from harness.store.runs import CASES_FILE, ENDED, RUN_FILE, read_run_file
from harness.store.tables import load_table, sync_folder

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

#: What takes the room in a run's folder. Cases, layers and run.json stay for ever.
RAW: Final = ("samples.parquet", "outputs.parquet", "targets.parquet", "windows.parquet", "power", "logs")


@dataclass(frozen=True)
class PrunedRun:
    """A run whose raw data was removed, or would be: its folder, and how many bytes that is."""

    path: Path
    freed_bytes: int


def prune(results_dir: Path, older_than: timedelta, *, dry_run: bool = False) -> list[PrunedRun]:
    """Remove the raw data of old runs: samples, outputs, targets, power windows and their traces, logs.

    run.json says first what is removed and when, so that a reader never takes a run that lost half of its files for a
    damaged one. Left alone are runs that have a tag, are unfinished, can't be dated, or whose cases can't be read.

    Args:
        results_dir: the folder of the runs.
        older_than: how long ago a run must have ended.
        dry_run: only say what would be removed.

    Returns:
        The runs that had something to remove, oldest first.

    Raises:
        StoreError: there is no such folder, the tags can't be read (then nothing is removed), or a file can't be.
    """
    tagged = set(read_tags(results_dir).values())
    before = datetime.now(UTC) - older_than
    found = []
    for run in runs_in(results_dir):
        names = _to_remove(run, before) if run.name not in tagged else []
        if not names:
            continue
        try:
            found.append(PrunedRun(run, sum(_size(run / name) for name in names)))
            if not dry_run:
                _remove(run, names)
        except OSError as error:
            raise StoreError(f"{run} can't be pruned: {error.strerror or error}") from error
    return found


def _to_remove(run: Path, before: datetime) -> list[str]:
    """Return the names of what is to be removed from a run; none if it is to be left alone."""
    about = read_run_file(run)
    when = ended(about) or started(run, about)
    if journals(run) or about.get("state") not in ENDED or when is None or when >= before:
        return []
    names = [name for name in RAW if (run / name).exists()]
    if not names:
        return []
    try:
        load_table(run / CASES_FILE, "cases")
    except StoreError:
        return []  # its samples may be all that is left of it
    return names


def _remove(run: Path, names: list[str]) -> None:
    about = read_run_file(run)
    gone = pruned(about)
    if gone is None:
        content = {**about, "pruned_utc": datetime.now(UTC).isoformat(timespec="seconds"), "pruned": names}
        write_json(run / RUN_FILE, content)
    elif not set(gone.names).issuperset(names):  # somebody put a file back
        write_json(run / RUN_FILE, {**about, "pruned": sorted({*gone.names, *names})})
    sync_folder(run)
    for name in names:
        path = run / name
        remove_folder(path)
        path.unlink(missing_ok=True)  # a file, or a link


def _size(path: Path) -> int:
    found = 0
    with suppress(FileNotFoundError):  # another host removes it just now
        for file in [path, *path.rglob("*")]:
            found += file.stat().st_size if file.is_file() else 0
    return found
