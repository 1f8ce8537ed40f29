"""From a journal to Parquet files, in chunks, so that ten million samples need no more memory than one case."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from harness.errors import StoreError
from harness.store.journal import Damage, journals, read_journal, write_error, writer_of
from harness.store.schema import (
    ATTEMPT_FIELDS,
    ATTEMPTS,
    CASES,
    KEY_NAMES,
    LAYER_FIELDS,
    SAMPLES,
    SCHEMA_VERSION,
    TABLES,
    WINDOW_FIELDS,
    Column,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

#: Samples held in memory at a time.
CHUNK_ROWS = 65_536
#: So many are turned into JSON and back in less time than pandas is imported.
_FEW_ROWS = 4096

_ARROW = {
    "string": pa.string(),
    "Int64": pa.int64(),
    "Float64": pa.float64(),
    "boolean": pa.bool_(),
    "datetime": pa.timestamp("us", tz="UTC"),
}
_MANY = 2**63  # numbers of the tables have 64 bits
_METADATA = {b"hil.schema_version": str(SCHEMA_VERSION).encode()}

#: What a sample's line in the journal holds, in this order.
SAMPLE_FIELDS = ("sample", "repeat", "label", "prediction", "ticks", "output_crc")


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Parquet schema of a table."""
    return pa.schema([(column.name, _ARROW[column.dtype]) for column in columns], metadata=_METADATA)


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; what the schema doesn't have is left out, what a row doesn't have is missing.

    Few rows go through JSON: before it takes a Python list, pyarrow imports pandas, which takes a short run longer than
    all else that it writes.

    Raises:
        ValueError, ArrowException: a value is not of its column's type.
    """
    if not rows:
        return schema.empty_table()
    if len(rows) > _FEW_ROWS:
        return pa.Table.from_pylist(rows, schema=schema)
    whole_numbers = [field.name for field in schema if field.type == pa.int64()]
    lines = []
    for row in rows:
        rounded = {name: int(row[name]) for name in whole_numbers if _is_whole(row.get(name))}
        lines.append(json.dumps({**row, **rounded}, default=datetime.isoformat, allow_nan=False))
    data = "\n".join(lines).encode()
    table = pj.read_json(
        io.BytesIO(data),
        pj.ReadOptions(use_threads=False, block_size=len(data) + 1),
        pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )
    return table.cast(schema)


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()


@dataclass
class _Case:
    begin: dict[str, Any]
    finish: dict[str, Any] | None = None
    attempt: int = 0
    elsewhere: int = 0
    recorded: int = 0
    repeats: int = 0
    layers: list[list[Any]] = field(default_factory=list)
    windows: list[list[Any]] = field(default_factory=list)
    before: _Case | None = None

    def take(self, record: dict[str, Any]) -> None:
        """Add what a record of the journal says of the case."""
        kind = record["t"]
        if kind == "sample":
            if record["v"][SAMPLE_FIELDS.index("repeat")] == 0:
                self.recorded += 1
            else:
                self.repeats += 1
        elif kind == "restart":
            self.attempt, self.recorded, self.repeats = record["attempt"], 0, 0
            self.layers, self.windows = [], []
        elif kind == "layers":
            self.layers = record["v"]
        elif kind == "windows":
            self.windows += record["v"]
        elif kind == "finish":
            self.finish = record["columns"]

    def counting(self) -> _Case:
        """Return what counts: this, or what was measured before if it was begun anew and that didn't end."""
        return self if self.finish is not None or self.before is None else self.before.counting()


@dataclass
class Contents:
    """What the journals of a run hold: its cases, and how many of their lines are damaged.

    Attributes:
        cases: by number; where several writers began one, that of the writer that it counts for.
        sources: the journal that each case is taken from.
        attempts: at each case, by all writers.
        damaged_lines: lines that can't be read.
    """

    cases: dict[int, _Case] = field(default_factory=dict)
    sources: dict[int, Path] = field(default_factory=dict)
    attempts: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    damaged_lines: int = 0

    @classmethod
    def of(cls, paths: Sequence[Path], counts: Mapping[int, str]) -> Self:
        """Read the cases and count their samples, without keeping the samples.

        A case that several writers began counts once: for the writer in `counts`, else for one that finished it, else
        for the last one. The attempts of the others are added to its own.

        Args:
            paths: the journals of the run.
            counts: which writer's measurement of a case counts, as `harness.store.commits` recorded it.

        Raises:
            StoreError: a journal can't be read.
        """
        contents = cls()
        found: dict[int, list[tuple[Path, _Case]]] = {}
        for journal in paths:
            one = cls()
            for record in read_journal(journal):
                one._take(record)
            contents.damaged_lines += one.damaged_lines
            for number, attempts in one.attempts.items():
                contents.attempts.setdefault(number, []).extend(attempts)
            for number, case in one.cases.items():
                found.setdefault(number, []).append((journal, case.counting()))
        for number, rivals in found.items():
            contents._choose(number, rivals, counts.get(number))
        return contents

    def _choose(self, number: int, rivals: list[tuple[Path, _Case]], counts: str | None) -> None:
        def rank(rival: tuple[Path, _Case]) -> tuple[bool, bool, str]:
            journal, case = rival
            return writer_of(journal) == counts, case.finish is not None, str(case.begin.get("started_utc"))

        self.sources[number], case = max(rivals, key=rank)
        case.elsewhere = sum(other.attempt + 1 for _, other in rivals if other is not case)
        self.cases[number] = case

    def _take(self, record: dict[str, Any] | Damage) -> None:
        if isinstance(record, Damage) or not whole(record):
            self.damaged_lines += 1
            return
        kind, number = record["t"], record["case"]
        if kind == "begin":
            before = self.cases.get(number)
            self.cases[number] = _Case(record["columns"], attempt=record.get("attempt", 0), before=before)
            return
        case = self.cases.get(number)
        if case is not None and kind == "attempts":
            self.attempts.setdefault(number, []).extend(map(attempt_of, record["v"]))
        elif case is not None:
            case.take(record)

    def rows(self) -> list[dict[str, Any]]:
        """Return the case rows. A case that did not end, or lost samples, is failed and has no scores."""
        return [_row(number, case) for number, case in sorted(self.cases.items())]

    def layer_rows(self) -> list[dict[str, Any]]:
        """Return the layer rows of the last attempt of each case."""
        return self._numbered("layer", LAYER_FIELDS, lambda case: case.layers)

    def window_rows(self) -> list[dict[str, Any]]:
        """Return the power windows of the last attempt of each case."""
        return self._numbered("window", WINDOW_FIELDS, lambda case: case.windows)

    def attempt_rows(self) -> list[dict[str, Any]]:
        """Return the attempts at each case in the order in which they ended, whichever process made them."""
        found = []
        for row in self.rows():
            keys = {name: row.get(name) for name in KEY_NAMES}
            attempts = sorted(self.attempts.get(row["case"], ()), key=lambda attempt: attempt["ended"])
            found += [{**keys, "attempt": number, **attempt} for number, attempt in enumerate(attempts, 1)]
        return found

    def _numbered(
        self, number: str, fields: Sequence[str], rows_of: Callable[[_Case], list[list[Any]]]
    ) -> list[dict[str, Any]]:
        found = []
        for row in self.rows():
            keys = {name: row.get(name) for name in KEY_NAMES}
            for place, values in enumerate(rows_of(self.cases[row["case"]])):
                found.append({**keys, number: place, **dict(zip(fields, values, strict=True))})
        return found


def whole(record: Mapping[str, Any]) -> bool:
    """Tell whether a journal's record has what its kind must have; one that hasn't counts as a damaged line."""
    kind, number, values = record.get("t"), record.get("case"), record.get("v")
    if not isinstance(kind, str) or not isinstance(number, int) or not 0 <= number < _MANY:
        return False
    if kind in ("begin", "finish"):
        columns = record.get("columns")
        return isinstance(columns, dict) and _fits(columns, finished=kind == "finish") and _count(record, "attempt", 0)
    if kind == "restart":
        return _count(record, "attempt", None)
    if kind == "sample":
        return _is_row(values, len(SAMPLE_FIELDS)) and all(
            value is None or (type(value) is int and -_MANY <= value < _MANY) for value in values or ()
        )
    if kind == "attempts":
        return isinstance(values, list) and all(_is_attempt(row) for row in values)
    width = {"layers": len(LAYER_FIELDS), "windows": len(WINDOW_FIELDS)}.get(kind)
    return width is None or (isinstance(values, list) and all(_is_row(row, width) for row in values))


def attempt_of(values: list[Any]) -> dict[str, Any]:
    """Return an attempt from what the journal holds of it.

    Raises:
        ValueError, TypeError: it holds something else.
    """
    row = dict(zip(ATTEMPT_FIELDS, values, strict=True))
    return {**row, "ended": datetime.fromisoformat(row["ended"]).astimezone(UTC)}


def _is_attempt(values: object) -> bool:
    if not _is_row(values, len(ATTEMPT_FIELDS)):
        return False
    try:
        table_of([attempt_of(values)], arrow_schema(ATTEMPTS))  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError, pa.ArrowException):
        return False
    return True


def _count(record: Mapping[str, Any], name: str, default: int | None) -> bool:
    value = record.get(name, default)
    return isinstance(value, int) and 0 <= value < _MANY


def _is_row(values: object, width: int) -> bool:
    return isinstance(values, list) and len(values) == width


def _fits(columns: Mapping[str, Any], *, finished: bool) -> bool:
    """Tell whether the values of a case are of its columns' types."""
    if finished and not (isinstance(columns.get("status"), str) and isinstance(columns.get("samples"), int)):
        return False
    try:
        row = {**columns}
        if isinstance(row.get("started_utc"), str):
            row["started_utc"] = datetime.fromisoformat(row["started_utc"]).astimezone(UTC)
        table_of([row], arrow_schema(CASES))
    except (ValueError, TypeError, OverflowError, pa.ArrowException):
        return False
    return True


def _row(number: int, case: _Case) -> dict[str, Any]:
    row: dict[str, Any] = {**case.begin, "case": number}
    if case.finish is None:
        row |= {"status": "failed", "reason": "run was interrupted", "samples": case.recorded}
    else:
        row |= case.finish
        if row["status"] != "complete" and case.recorded > row["samples"]:
            row["samples"] = case.recorded  # a signal came between a sample's line and its being counted
        elif row["samples"] != case.recorded:
            lost = f"journal is damaged: {case.recorded} of {row['samples']} samples are left"
            row |= {"status": "failed", "reason": lost, "samples": case.recorded}
            row |= {column.name: None for column in CASES if column.score}
    if case.elsewhere:
        row["attempts"] = row.get("attempts", case.attempt + 1) + case.elsewhere
    if isinstance(row.get("started_utc"), str):
        row["started_utc"] = datetime.fromisoformat(row["started_utc"]).astimezone(UTC)
    return row


def write_tables(folder: Path, counts: Mapping[int, str]) -> Contents:
    """Write the tables, read them back, and only then put them in place; cases.parquet last, as it makes a run.

    layers.parquet is written if a case was profiled, windows.parquet if its power was measured, attempts.parquet if any
    board was tried.

    Args:
        folder: of the run, with its journals.
        counts: which writer's measurement of a case counts, where there are several.

    Raises:
        StoreError: they can't be written, or read back differently; the journal is left alone.
    """
    try:
        contents = Contents.of(journals(folder), counts)
        rows = contents.rows()
        samples = sum(case.recorded + case.repeats for case in contents.cases.values())
        cases_table = table_of(rows, arrow_schema(CASES))
        write_table(folder / "samples.parquet", arrow_schema(SAMPLES), _sample_batches(contents), samples)
        others = {
            "layers": contents.layer_rows(),
            "windows": contents.window_rows(),
            "attempts": contents.attempt_rows(),
        }
        for name, found in others.items():
            if found:
                table = table_of(found, arrow_schema(TABLES[name]))
                write_table(folder / f"{name}.parquet", table.schema, table.to_batches(), len(found))
        write_table(folder / "cases.parquet", cases_table.schema, cases_table.to_batches(), len(rows))
    except OSError as error:
        raise write_error(folder, error, folder) from error
    except (pa.ArrowException, ValueError, TypeError, KeyError, OverflowError) as error:
        raise StoreError(f"{folder}: its journal holds what no table can: {error}; the journal is kept") from error
    return contents


def _sample_batches(contents: Contents) -> Iterator[pa.RecordBatch]:
    """Yield the samples of the last attempt of each case."""
    schema = arrow_schema(SAMPLES)
    chunk: list[dict[str, Any]] = []
    keys = {row["case"]: {name: row.get(name) for name in KEY_NAMES} for row in contents.rows()}
    for journal in sorted(set(contents.sources.values())):
        mine = {number for number, source in contents.sources.items() if source == journal}
        attempt = dict.fromkeys(mine, 0)
        for record in read_journal(journal):
            if isinstance(record, Damage) or not whole(record) or record["case"] not in mine:
                continue
            number = record["case"]
            if record["t"] in ("begin", "restart"):
                attempt[number] = record.get("attempt", 0)
            elif record["t"] == "sample" and attempt[number] == contents.cases[number].attempt:
                chunk.append({**keys[number], **dict(zip(SAMPLE_FIELDS, record["v"], strict=True))})
            if len(chunk) == CHUNK_ROWS:
                yield from table_of(chunk, schema).to_batches()
                chunk = []
    if chunk:
        yield from table_of(chunk, schema).to_batches()


def write_table(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], rows: int) -> None:
    """Write one table beside its place, read it back, and put it there.

    Args:
        path: the file, which may be there.
        schema: of the table.
        batches: its rows.
        rows: how many.

    Raises:
        StoreError: it reads back differently.
        OSError: it can't be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            file.flush()
            os.fsync(file.fileno())
        found = _checked_rows(temporary)
        if found != rows:
            raise StoreError(f"{path} reads back with {found} rows instead of {rows}; the journal is kept")
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _checked_rows(path: Path) -> int:
    """Decode every page of a Parquet file, checksums included, and count its rows."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return sum(batch.num_rows for batch in file.iter_batches())
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} reads back damaged: {error}; the journal is kept") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut. Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
