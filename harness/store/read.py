"""Reading results back: one run, several, or a whole history, by column and only when asked for."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from harness.errors import StoreError
from harness.store.fetch import local
from harness.store.files import CASE_TYPES, empty, load_table, stack, to_pandas
from harness.store.folders import (
    PathLike,
    Pruned,
    When,
    ended,
    folders,
    injected_faults,
    parse_time,
    pruned,
    runs_in,
    started,
    wanted,
)
from harness.store.journal import journals
from harness.store.runs import read_run_file
from harness.store.schema import RUNS, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Names = str | Iterable[str]


@dataclass(frozen=True)
class StoredRun:
    """A run on the disk, which of its cases were asked for (None: all of them), and what was pruned from it."""

    path: Path
    cases: tuple[int, ...] | None = None
    pruned: Pruned | None = None

    def missing(self, table: str) -> str | None:
        """Return why a table can't be read any more, None if it wasn't pruned."""
        return self.pruned.why(self.path.name, table) if self.pruned else None


@dataclass(frozen=True)
class Results:
    """Tidy tables; see `harness.store.schema` and docs/results.md. A value that was not measured is NA.

    `cases` and `runs` are there at once. `samples`, `layers` and `windows` are read when first asked for and then kept;
    `table` reads only the columns that it is asked for, `each` only one run at a time. Their key columns are
    categorical, as a name stands in millions of rows.

    Attributes:
        cases: a row for each device, suite and variant.
        runs: a row for each run: when it was, of which git revision, where it lies.
        stored: where the other tables are read from.
        columns: which columns `samples` has, None for all.
    """

    cases: pd.DataFrame
    runs: pd.DataFrame
    stored: tuple[StoredRun, ...] = field(default=(), repr=False)
    columns: tuple[str, ...] | None = None

    @cached_property
    def samples(self) -> pd.DataFrame:
        """A row for each inference."""
        return self.table("samples", self.columns)

    @cached_property
    def layers(self) -> pd.DataFrame:
        """A row for each layer of a profiled inference; empty where no case was profiled."""
        return self.table("layers")

    @cached_property
    def windows(self) -> pd.DataFrame:
        """A row for each power window, used or rejected; empty where no energy was measured."""
        return self.table("windows")

    def table(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a table of all runs, or some of its columns.

        A run whose file is damaged or was pruned is left out with a warning. A run without the file has no rows.

        Args:
            name: a table of the schema, for example `samples`.
            columns: which of its columns, None for all.

        Raises:
            StoreError: there is no such table or column.
        """
        chosen = _columns(name, columns)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(lambda stored: _rows_of(stored, name, chosen), self.stored))
        tables = [item for item in found if isinstance(item, pa.Table)]
        for item in found:
            if isinstance(item, StoreError):
                warnings.warn(f"left out: {item}", stacklevel=2)
        return to_pandas(stack(tables, name, chosen))

    def each(self, name: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the name of each run and its rows of a table, oldest run first, as `table` gives them.

        Raises:
            StoreError: there is no such table or column.
        """
        chosen = _columns(name, columns)
        for stored in self.stored:
            item = _rows_of(stored, name, chosen)
            if isinstance(item, StoreError):
                warnings.warn(f"left out: {item}", stacklevel=2)
            elif item is not None:
                yield stored.path.name, to_pandas(item)

    def of_run(self, run: str) -> Results:
        """Return one of the runs.

        Raises:
            StoreError: it isn't among these.
        """
        stored = tuple(item for item in self.stored if item.path.name == run)
        if not stored:
            raise StoreError(f"{run} is not among the loaded runs")
        cases, runs = (table[table["run"] == run].reset_index(drop=True) for table in (self.cases, self.runs))
        return Results(cases, runs, stored, self.columns)

    def of_device(self, name: str) -> Results:
        """Return what a device measured, or a pool of boards, in the runs that have any of it.

        Raises:
            StoreError: it measured nothing.
        """
        cases = self.cases[_mask(self.cases, {"device": name})].reset_index(drop=True)
        if cases.empty:
            there = sorted({*self.cases["device"].dropna(), *self.cases["pool"].dropna()})
            raise StoreError(
                f"nothing was measured on {name} in these runs; there are {', '.join(there) or 'no cases'}"
            )
        runs = self.runs[self.runs["run"].isin(cases["run"])].reset_index(drop=True)
        numbers = {str(run): tuple(rows) for run, rows in cases.groupby("run")["case"].agg(list).items()}
        stored = tuple(
            replace(item, cases=numbers[item.path.name]) for item in self.stored if item.path.name in numbers
        )
        return Results(cases, runs, stored, self.columns)


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
        about = read_run_file(folder)
        state, cases = "unfinished", None
        if not journals(folder):
            state = str(about.get("state", "closed"))
            try:
                cases = to_pandas(load_table(folder / "cases.parquet", "cases"), CASE_TYPES)
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
        since: only runs that began at this time or later: a datetime, or ISO text like 2026-03-01 (UTC).
        until: only runs that began before this time.
        revision: only runs of this git revision; its first digits will do.
        columns: which columns `samples` has; what isn't needed is not read. None for all.

    Raises:
        StoreError: there is no run, none of them can be read, or the sample table has no such column.
        ConfigError: fsspec is needed and not installed, or doesn't know the URL.
    """
    given = [paths] if isinstance(paths, str | Path) else paths
    places = [local(path) if isinstance(path, str) else path for path in given]
    chosen_columns = None if columns is None else tuple(_columns("samples", columns))
    span = (parse_time(since), parse_time(until))
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
    cases = to_pandas(stack([table for table, _ in read.values()], "cases"), CASE_TYPES)
    filters = {"device": device, "backend": backend, "suite": suite, "variant": variant}
    kept = cases[_mask(cases, filters)].reset_index(drop=True)
    chosen = {str(run): tuple(rows) for run, rows in kept.groupby("run")["case"].agg(list).items()}
    filtered = len(kept) < len(cases)
    stored = tuple(
        StoredRun(folder, chosen[folder.name] if filtered else None, pruned(read[folder][1]))
        for folder in read
        if not filtered or folder.name in chosen
    )
    return Results(kept, _runs_frame([(run.path, read[run.path][1]) for run in stored]), stored, chosen_columns)


def join_results(a: Results, b: Results) -> Results:
    """Return the runs of both; a run that is in both counts once, as it is in `b`."""
    twice = set(b.runs["run"])
    stored = tuple(item for item in a.stored if item.path.name not in twice)
    frames = [
        pd.concat([left[~left["run"].isin(twice)], right], ignore_index=True)
        for left, right in ((a.cases, b.cases), (a.runs, b.runs))
    ]
    return Results(frames[0], frames[1], (*stored, *b.stored), b.columns)


def plain_rows(cases: pd.DataFrame) -> list[dict[str, Any]]:
    """Return case rows as dicts, with None for what is missing."""
    filled = cases.astype(object).where(cases.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in filled.to_dict("records")]


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
    about = read_run_file(folder)
    name = about.get("run", folder.name)
    if name != folder.name:  # its rows carry that name, and what belongs to it is found by the folder's
        return folder, StoreError(f"{folder}: the folder of run {name} was renamed; give it that name again"), about
    try:
        return folder, _cases_of(folder, about) if wanted(folder, about, span, revision) else None, about
    except StoreError as error:
        return folder, error, about


def _rows_of(stored: StoredRun, name: str, columns: Sequence[str]) -> pa.Table | StoreError | None:
    """Return a run's rows of a table, or why they can't be read, or None if the run has no such table."""
    path = stored.path / f"{name}.parquet"
    gone = stored.missing(name)
    if gone is not None:
        return StoreError(gone)
    if not path.is_file():
        return None
    try:
        return load_table(path, name, columns, stored.cases)
    except StoreError as error:
        return error


def _cases_of(folder: Path, about: dict[str, Any]) -> pa.Table:
    if journals(folder):
        raise StoreError(
            f"{folder} is unfinished: it is still running, or was killed. In the latter case finish it with\n"
            f"  hil results recover {folder}"
        )
    if not (folder / "samples.parquet").is_file() and pruned(about) is None:
        raise StoreError(f"{folder} is damaged: it has cases, but no samples.parquet")
    return load_table(folder / "cases.parquet", "cases")


def _mask(cases: pd.DataFrame, filters: dict[str, Names | None]) -> pd.Series[bool]:
    mask = pd.Series(data=True, index=cases.index)
    for column, names in filters.items():
        if names is not None:
            wanted_names = [names] if isinstance(names, str) else list(names)
            found = cases[column].isin(wanted_names)
            mask &= found | cases["pool"].isin(wanted_names) if column == "device" else found
    return mask


def _runs_frame(runs: list[tuple[Path, dict[str, Any]]]) -> pd.DataFrame:
    rows = []
    for folder, about in runs:
        times = {"started_utc": started(folder, about), "ended_utc": ended(about)}
        known = {"run": folder.name, "path": str(folder), "faults": injected_faults(about)}
        rows.append({**about, **times, **known})
    frame = empty(RUNS)
    if not rows:
        return frame
    types = {"string": str, "Int64": int, "datetime": datetime, "Float64": float}
    data = {
        column.name: [value if isinstance(value := row.get(column.name), types[column.dtype]) else None for row in rows]
        for column in RUNS
    }
    return pd.DataFrame(data).astype(frame.dtypes.to_dict())


def _columns(name: str, columns: Sequence[str] | None) -> list[str]:
    if name not in TABLES:
        raise StoreError(f"the results have no table {name!r}; there are {', '.join(TABLES)}")
    known = [column.name for column in TABLES[name]]
    if columns is None:
        return known
    for column in columns:
        if column not in known:
            raise StoreError(f"the {name} table has no column {column!r}; there are {', '.join(known)}")
    return list(columns)
