"""Reading results back: one run, several, or a whole history."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.errors import StoreError
from harness.schema import RUNS
from harness.store.fetch import local
from harness.store.folders import (
    PathLike,
    Pruned,
    When,
    ended,
    folders,
    injected_faults,
    parse_when,
    pruned,
    runs_in,
    started,
    wanted,
)
from harness.store.journal import journals
from harness.store.results import Results, StoredRun, check_names, columns_of, mask_of, to_pandas
from harness.store.runs import read_run_file
from harness.store.tables import arrow_schema, load_table, stack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import pyarrow as pa

    from harness.store.results import Names


@dataclass(frozen=True)
class RunInfo:
    """A run in a results folder. `state` is closed, recovered, unfinished (running or killed), or damaged."""

    path: Path
    state: str
    started_utc: str | None
    cases: pd.DataFrame | None
    pruned: Pruned | None = None


def list_runs(results_dir: PathLike) -> list[RunInfo]:
    """Return the runs in a folder, oldest first. A run that can't be read has no cases.

    Raises:
        StoreError: there is no such folder.
    """
    runs = []
    for folder in runs_in(Path(results_dir)):
        finished = not journals(folder)
        about = read_run_file(folder)  # after the journals: they are removed when it says how the run ended
        state, cases = "unfinished", None
        if finished:
            state = str(about.get("state", "closed"))
            try:
                cases = to_pandas(load_table(folder / "cases.parquet", "cases"))
            except StoreError:
                state = "damaged"
        runs.append(RunInfo(folder, state, about.get("started_utc"), cases, pruned(about)))
    return runs


def load_results(
    paths: PathLike | Sequence[PathLike],
    *,
    device: Names | None = None,
    backend: Names | None = None,
    suite: Names | None = None,
    variant: Names | None = None,
    since: When | None = None,
    until: When | None = None,
    revision: str | None = None,
    columns: Sequence[str] | None = None,
) -> Results:
    """Read runs into tables, oldest run first. The large tables are read when they are asked for.

    A run that is unfinished, damaged, or newer than this package is left out with a warning that names it.

    Args:
        paths: folders of runs, `results/latest`, or folders that hold runs. URLs of a store, of a run in it or of its
            `latest` are fetched first.
        device: only cases of this device or pool, or of these.
        backend: only cases of this backend, or of these.
        suite: only cases of this suite, or of these.
        variant: only cases of this variant, or of these.
        since: only runs that began at this time or later: a datetime, ISO text like 2026-03-01 (UTC), or 7d for the
            last seven days.
        until: only runs that began before this time.
        revision: only runs of this git revision; its first digits will do.
        columns: which columns `samples` has; what isn't needed is not read. None for all.

    Raises:
        StoreError: there is no run, none of them can be read, no case is of a device, backend, suite or variant that
            was asked for, or the sample table has no such column.
        ConfigError: fsspec is needed and not installed, or doesn't know the URL.
    """
    given = [paths] if isinstance(paths, str | Path) else paths
    places = [local(path) if isinstance(path, str) else path for path in given]
    chosen_columns = None if columns is None else tuple(columns_of("samples", columns))
    span = (parse_when(since), parse_when(until))
    read: dict[Path, tuple[pa.Table, dict[str, Any]]] = {}
    errors: list[StoreError] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda folder: _open(folder, span, revision), _each_once(places)))
    for folder, item, about in sorted(found, key=lambda entry: (str(started(entry[0], entry[2])), entry[0].name)):
        if isinstance(item, StoreError):
            errors.append(item)
        elif item is not None:
            read[folder] = item, about
    if errors and not read:
        raise errors[0]
    for problem in errors:
        warnings.warn(f"left out: {problem}", stacklevel=2)
    cases = to_pandas(stack([table for table, _ in read.values()], "cases"))
    given_names = {"device": device, "backend": backend, "suite": suite, "variant": variant}
    filters = {
        column: [names] if isinstance(names, str) else list(names)
        for column, names in given_names.items()
        if names is not None
    }
    check_names(cases, filters)
    kept = cases[mask_of(cases, filters)].reset_index(drop=True)
    chosen = {str(run): tuple(rows) for run, rows in kept.groupby("run")["case"].agg(list).items()}
    filtered = len(kept) < len(cases)
    stored = tuple(
        StoredRun(folder, chosen[folder.name] if filtered else None, pruned(read[folder][1]))
        for folder in read
        if not filtered or folder.name in chosen
    )
    return Results(kept, _runs_frame([(run.path, read[run.path][1]) for run in stored]), stored, chosen_columns)


def _each_once(paths: Iterable[Path]) -> list[Path]:
    """Return the folders of all runs that paths mean. A run and its copies elsewhere are one run."""
    found: dict[str, Path] = {}
    for folder in dict.fromkeys(folder for path in paths for folder in folders(path)):
        if found.setdefault(folder.name, folder) != folder:
            warnings.warn(f"left out: {folder} is the same run as {found[folder.name]}", stacklevel=3)
    return list(found.values())


def _open(
    folder: Path, span: tuple[datetime | None, datetime | None], revision: str | None
) -> tuple[Path, pa.Table | StoreError | None, dict[str, Any]]:
    """Return the case table of a run, or why it can't be read, or None if the run wasn't asked for."""
    # Before run.json, which says first that the journals, or pruned samples, are going to be removed.
    unfinished, sampled = bool(journals(folder)), (folder / "samples.parquet").is_file()
    about = read_run_file(folder)
    name = about.get("run", folder.name)
    if name != folder.name:  # its rows carry that name, and what belongs to it is found by the folder's
        return folder, StoreError(f"{folder}: the folder of run {name} was renamed; give it that name again"), about
    if not wanted(folder, about, span, revision):
        return folder, None, about
    if unfinished:
        text = f"{folder} is unfinished: it is still running, or was killed. In the latter case finish it with\n"
        return folder, StoreError(f"{text}  hil results recover {folder}"), about
    if not sampled and pruned(about) is None:
        return folder, StoreError(f"{folder} is damaged: it has cases, but no samples.parquet"), about
    try:
        return folder, load_table(folder / "cases.parquet", "cases"), about
    except StoreError as error:
        return folder, error, about


def _runs_frame(runs: list[tuple[Path, dict[str, Any]]]) -> pd.DataFrame:
    rows = [
        {
            **about,
            "run": folder.name,
            "path": str(folder),
            "faults": injected_faults(about),
            "started_utc": started(folder, about),
            "ended_utc": ended(about),
        }
        for folder, about in runs
    ]
    types = to_pandas(arrow_schema(RUNS).empty_table()).dtypes.to_dict()
    data = {
        column.name: [value if column.holds(value := row.get(column.name)) else None for row in rows] for column in RUNS
    }
    return pd.DataFrame(data, dtype=object).astype(types)
