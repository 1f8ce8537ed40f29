"""Reading results back: one run, several, or a folder full of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import StoreError
from harness.store.runs import JOURNAL, read_run_file
from harness.store.schema import CASES, SAMPLES, SCHEMA_VERSION, Column
from harness.store.tables import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PathLike = str | Path

_TO_PANDAS = {pa.string(): pd.StringDtype(), pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype()}


@dataclass(frozen=True)
class Results:
    """Tidy tables; see `harness.store.schema` for the columns. A value that was not measured is NA.

    Attributes:
        cases: a row for each device, suite and variant.
        samples: a row for each inference.
    """

    cases: pd.DataFrame
    samples: pd.DataFrame


@dataclass(frozen=True)
class RunInfo:
    """A run in a results folder. `state` is closed, recovered, or unfinished (running or killed)."""

    path: Path
    state: str
    started_utc: str | None
    cases: pd.DataFrame | None


def find_run(path: PathLike) -> Path:
    """Return the run's folder that `path` means: itself, or what `latest` points at.

    Raises:
        StoreError: it is no run.
    """
    given = Path(path)
    folder = given
    if given.name == "latest" and given.is_file():
        folder = given.parent / given.read_text(encoding="utf-8").strip()
    if _is_run(folder):
        return folder.resolve() if folder.is_symlink() else folder
    if not given.exists():
        raise StoreError(f"{given}: there is no such run; `hil results` lists them")
    raise StoreError(f"{given} is not a run's folder: it has neither cases.parquet nor {JOURNAL}")


def list_runs(results_dir: PathLike) -> list[RunInfo]:
    """Return the runs in a folder, oldest first. A run that can't be read has no cases.

    Raises:
        StoreError: there is no such folder.
    """
    runs = []
    for folder in _runs_in(Path(results_dir)):
        about = read_run_file(folder)
        state, cases = "unfinished", None
        if not (folder / JOURNAL).exists():
            state = str(about.get("state", "closed"))
            try:
                cases = _load_table(folder / "cases.parquet", CASES)
            except StoreError:
                state = "damaged"
        runs.append(RunInfo(folder, state, about.get("started_utc"), cases))
    return runs


def load_results(paths: PathLike | Sequence[PathLike]) -> Results:
    """Read runs into two tables.

    Args:
        paths: folders of runs, `results/latest`, or folders that hold runs.

    Raises:
        StoreError: there is no run, or a run that was named is unfinished, damaged, or newer than this
            package. Such a run inside a folder that was named is left out with a warning.
    """
    given: Iterable[PathLike] = [paths] if isinstance(paths, str | Path) else paths
    found: dict[Path, Results] = {}
    for path in map(Path, given):
        if path.is_dir() and not _is_run(path):
            runs = _runs_in(path)
            if not runs:
                raise StoreError(f"{path} holds no runs")
            for folder in runs:
                try:
                    found.setdefault(folder.resolve(), _load_run(folder))
                except StoreError as error:
                    warnings.warn(f"left out: {error}", stacklevel=2)
        else:
            folder = find_run(path)
            found.setdefault(folder.resolve(), _load_run(folder))
    return Results(
        cases=_concatenate([results.cases for results in found.values()], CASES),
        samples=_concatenate([results.samples for results in found.values()], SAMPLES),
    )


def _is_run(folder: Path) -> bool:
    return (folder / JOURNAL).is_file() or (folder / "cases.parquet").is_file()


def _runs_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise StoreError(f"{folder}: there is no such results folder; runs make it")
    return sorted(path for path in folder.iterdir() if not path.is_symlink() and _is_run(path))


def _load_run(folder: Path) -> Results:
    if (folder / JOURNAL).is_file():
        raise StoreError(
            f"{folder} is unfinished: it is still running, or was killed. In the latter case finish it with\n"
            f"  hil results recover {folder}"
        )
    return Results(_load_table(folder / "cases.parquet", CASES), _load_table(folder / "samples.parquet", SAMPLES))


def _load_table(path: Path, columns: Sequence[Column]) -> pd.DataFrame:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            version = int((file.schema_arrow.metadata or {}).get(b"hil.schema_version", b"0"))
            if version > SCHEMA_VERSION:
                raise StoreError(
                    f"{path} was written by a newer harness (schema {version}, this one reads up to "
                    f"{SCHEMA_VERSION}): update tinyml-hil"
                )
            table = file.read().cast(arrow_schema(columns))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise StoreError(f"{path} is damaged or isn't a table of results: {error}") from error
    return _to_pandas(table)


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper=_TO_PANDAS.get)
    return frame


def _concatenate(frames: list[pd.DataFrame], columns: Sequence[Column]) -> pd.DataFrame:
    if not frames:
        return _to_pandas(arrow_schema(columns).empty_table())
    return pd.concat(frames, ignore_index=True)


def plain_rows(cases: pd.DataFrame) -> list[dict[str, Any]]:
    """Return case rows as dicts, with None for what is missing."""
    filled = cases.astype(object).where(cases.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in filled.to_dict("records")]
