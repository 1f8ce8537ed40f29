"""Results as tidy tables, by column and only when asked for."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
import pyarrow as pa

from harness.boards.base import COUNTERS_OF_BACKEND
from harness.errors import StoreError
from harness.schema import TABLES
from harness.store.folders import pruned
from harness.store.runs import read_run_file
from harness.store.tables import load_table, stack
from harness.text.meant import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.store.folders import Pruned

Names = str | Iterable[str]
_MASKED = {
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(),
}


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
    """Tidy tables; see `harness.schema` and docs/results.md. A value that was not measured is NA.

    `cases` and `runs` are there at once. The other tables are read when first asked for and then kept;
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
    def outputs(self) -> pd.DataFrame:
        """A row for each output tensor of each input's first inference; empty where a suite says `outputs: none`."""
        return self.table("outputs")

    @cached_property
    def targets(self) -> pd.DataFrame:
        """A row for each input whose label is several numbers; empty where labels stand in the samples."""
        return self.table("targets")

    @cached_property
    def layers(self) -> pd.DataFrame:
        """A row for each layer of a profiled inference; empty where no case was profiled."""
        return self.table("layers")

    @cached_property
    def windows(self) -> pd.DataFrame:
        """A row for each power window, used or rejected; empty where no energy was measured."""
        return self.table("windows")

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """A row for each attempt at a case on a board; empty in runs of before there was the table."""
        return self.table("attempts")

    def table(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a table of all runs, or some of its columns.

        A run whose file is damaged or was pruned is left out with a warning. A run without the file has no rows.

        Args:
            name: a table of the schema, for example `samples`.
            columns: which of its columns, None for all.

        Raises:
            StoreError: there is no such table or column.
        """
        chosen = columns_of(name, columns)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(lambda stored: _rows_of(stored, name, chosen), self.stored))
        return to_pandas(stack([table for item in found if (table := _readable(item)) is not None], name, chosen))

    def each(self, name: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the name of each run and its rows of a table, oldest run first, as `table` gives them.

        Raises:
            StoreError: there is no such table or column.
        """
        chosen = columns_of(name, columns)
        for stored in self.stored:
            if (table := _readable(_rows_of(stored, name, chosen))) is not None:
                yield stored.path.name, to_pandas(table)

    def of_run(self, run: str) -> Self:
        """Return one of the runs.

        Raises:
            StoreError: it isn't among these.
        """
        stored = tuple(item for item in self.stored if item.path.name == run)
        if not stored:
            raise StoreError(f"{run} is not among the loaded runs")
        cases, runs = (table[table["run"] == run].reset_index(drop=True) for table in (self.cases, self.runs))
        return replace(self, cases=cases, runs=runs, stored=stored)

    def of_device(self, name: str) -> Self:
        """Return what a device measured, or a pool of boards, in the runs that have any of it.

        Raises:
            StoreError: it measured nothing.
        """
        cases = self.cases[mask_of(self.cases, {"device": [name]})].reset_index(drop=True)
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
        return replace(self, cases=cases, runs=runs, stored=stored)


def join_results(a: Results, b: Results) -> Results:
    """Return the runs of both; a run that is in both counts once, as it is in `b`."""
    twice = set(b.runs["run"])
    stored = tuple(item for item in a.stored if item.path.name not in twice)
    frames = [
        pd.concat([left[~left["run"].isin(twice)], right], ignore_index=True)
        for left, right in ((a.cases, b.cases), (a.runs, b.runs))
    ]
    return Results(frames[0], frames[1], (*stored, *b.stored), b.columns)


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Turn a table into a DataFrame whose columns can all be missing."""
    frame: pd.DataFrame = table.unify_dictionaries().to_pandas(types_mapper=_MASKED.get, split_blocks=True)
    return frame


def plain_rows(cases: pd.DataFrame) -> list[dict[str, Any]]:
    """Return case rows as dicts, with None for what is missing."""
    columns = (  # one by one, several times as fast as a frame of objects
        [None if gone else value for value, gone in zip(column.tolist(), column.isna(), strict=True)]
        for _, column in cases.items()
    )
    names = [str(name) for name in cases.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _rows_of(stored: StoredRun, name: str, columns: Sequence[str]) -> pa.Table | StoreError | None:
    """Return a run's rows of a table, or why they can't be read, or None if the run has no such table."""
    path = stored.path / f"{name}.parquet"
    about = stored.pruned
    if not path.is_file():  # it may have been pruned since the cases were read
        about = pruned(read_run_file(stored.path)) or about
    if gone := about.why(stored.path.name, name) if about else None:
        return StoreError(gone)
    try:
        return load_table(path, name, columns, stored.cases) if path.is_file() else None
    except StoreError as error:
        return error


def _readable(item: pa.Table | StoreError | None) -> pa.Table | None:
    if isinstance(item, StoreError):
        warnings.warn(f"left out: {item}", stacklevel=3)
        return None
    return item


def mask_of(cases: pd.DataFrame, filters: Mapping[str, Sequence[str]]) -> pd.Series[bool]:
    """Return which rows of a case table have the wanted names in each column; a pool is found among the devices."""
    mask = pd.Series(data=True, index=cases.index)
    for column, names in filters.items():
        found = cases[column].isin(names)
        mask &= found | cases["pool"].isin(names) if column == "device" else found
    return mask


def check_names(cases: pd.DataFrame, filters: Mapping[str, Sequence[str]]) -> None:
    """Refuse a name that no case has. Where there are no cases, any will do; of backends, any that there is.

    Raises:
        StoreError: says which names there are.
    """
    for column, names in filters.items():
        others = {"device": set(cases["pool"].dropna()), "backend": set(COUNTERS_OF_BACKEND)}
        there = set(cases[column].dropna()) | others.get(column, set())
        for name in names if len(cases) else ():
            if name not in there:
                raise StoreError(f'no case in these runs has the {column} "{name}"{did_you_mean(name, sorted(there))}')


def columns_of(name: str, columns: Sequence[str] | None) -> list[str]:
    """Return the columns of a table that are wanted; all for None.

    Raises:
        StoreError: there is no such table or column.
    """
    if name not in TABLES:
        raise StoreError(f"the results have no table {name!r}; there are {', '.join(TABLES)}")
    known = [column.name for column in TABLES[name]]
    if columns is None:
        return known
    for column in columns:
        if column not in known:
            raise StoreError(f"the {name} table has no column {column!r}; there are {', '.join(known)}")
    return list(columns)
