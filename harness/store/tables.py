"""The Parquet files of a run: written whole or not at all, read by column, whatever version they were written in."""

from __future__ import annotations

import io
import json
import os
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from harness.errors import StoreError
from harness.schema import KEY_NAMES, SCHEMA_VERSION, TABLES
from harness.store.older import column_behind, from_older

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.column import Column

#: Rows held in memory at a time, so that ten million samples need no more memory than one case.
CHUNK_ROWS = 65_536
#: So many are turned into JSON and back in less time than pandas is imported.
_FEW_ROWS = 4096

_ARROW = {
    "string": pa.string(),
    "Int64": pa.int64(),
    "Float64": pa.float64(),
    "boolean": pa.bool_(),
    "datetime": pa.timestamp("us", tz="UTC"),
    "integers": pa.list_(pa.int32()),
    "numbers": pa.list_(pa.float64()),
}
#: A name stands in millions of rows.
_TEXT_KEYS = [name for name in KEY_NAMES if name != "case"]
_KEY = pa.dictionary(pa.int32(), pa.string())
_METADATA = {b"hil.schema_version": str(SCHEMA_VERSION).encode()}


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Parquet schema of a table."""
    return pa.schema([(column.name, _ARROW[column.dtype]) for column in columns], metadata=_METADATA)


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; what the schema doesn't have is left out, what a row doesn't have is missing.

    Arrays stand in the rows as numpy has them. Few rows go through JSON: before it takes a Python list, pyarrow imports
    pandas, which takes a short run longer than all else that it writes.

    Raises:
        ValueError, ArrowException: a value is not of its column's type.
    """
    if not rows:
        return schema.empty_table()
    lists = [field for field in schema if pa.types.is_list(field.type)]
    if lists:
        names = [field.name for field in lists]
        plain = [{name: value for name, value in row.items() if name not in names} for row in rows]
        table = table_of(plain, pa.schema(field for field in schema if field not in lists))
        for field in lists:
            table = table.append_column(field, _list_column([row.get(field.name) for row in rows], field.type))
        return table.select(schema.names).cast(schema)
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


def _list_column(arrays: Sequence[NDArray[Any] | None], kind: pa.ListType) -> pa.Array:
    ends = np.cumsum([0, *(0 if array is None else len(array) for array in arrays)], dtype=np.int32)
    values = np.concatenate([np.zeros(0, kind.value_type.to_pandas_dtype()), *(a for a in arrays if a is not None)])
    missing = pa.array([array is None for array in arrays])
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(values, kind.value_type), mask=missing)


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()


def batches_of(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield rows as a table, a chunk at a time.

    Raises:
        ValueError, ArrowException: a value is not of its column's type.
    """
    left = iter(rows)
    while chunk := list(islice(left, CHUNK_ROWS)):
        yield from table_of(chunk, schema).to_batches()


def write_table(folder: Path, name: str, batches: Iterable[pa.RecordBatch], rows: int) -> None:
    """Write one table beside its place, read it back, and put it there.

    Args:
        folder: of the run, which may have the table.
        name: of the table.
        batches: the rows, some at a time.
        rows: how many rows there are.

    Raises:
        StoreError: it reads back differently.
        OSError: it can't be written.
    """
    path = folder / f"{name}.parquet"
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            with pq.ParquetWriter(
                file, arrow_schema(TABLES[name]), compression="zstd", write_page_checksum=True
            ) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            file.flush()
            os.fsync(file.fileno())
        found = _checked_rows(temporary, path)
        if found != rows:
            raise StoreError(f"{path} reads back with {found} rows instead of {rows}; the journal is kept")
        temporary.replace(path)
        sync_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)


def _checked_rows(written: Path, path: Path) -> int:
    """Decode every page of a Parquet file, checksums included, and count its rows."""
    try:
        with pq.ParquetFile(written, page_checksum_verification=True) as file:
            return sum(batch.num_rows for batch in file.iter_batches())
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} reads back damaged: {error}; the journal is kept") from error


def load_table(
    path: Path, name: str, columns: Sequence[str] | None = None, cases: Sequence[int] | None = None
) -> pa.Table:
    """Read columns of a table's file.

    A column that an older harness didn't know follows from another (`harness.store.older`), or is missing (null).

    Args:
        path: the file.
        name: which table of the schema it is.
        columns: which of its columns, None for all.
        cases: only the rows of these cases, None for all.

    Raises:
        StoreError: the file is damaged, or written by a newer harness.
    """
    schema = file_schema(name, columns)
    wanted = schema.names
    try:
        with pq.ParquetFile(
            path,
            page_checksum_verification=True,
            read_dictionary=[] if name == "cases" else _TEXT_KEYS,
        ) as file:
            _check_version(path, file.schema_arrow)
            there = set(file.schema_arrow.names)
            if not there.issuperset(KEY_NAMES):
                raise StoreError(f"{path} isn't a table of results: it doesn't say which case a row belongs to")
            behind = {name: older for name in wanted if name not in there and (older := column_behind(name)) in there}
            extra = {*behind.values(), *(() if cases is None else ("case",))}.difference(wanted)
            names = [column for column in (*wanted, *sorted(extra)) if column in there]
            table = file.read(names, use_threads=False)  # files are small and many: threads take a file each
        if cases is not None:
            table = table.filter(pc.is_in(table["case"], value_set=pa.array(cases, pa.int64())))
        filled = [
            table[field.name].cast(field.type)
            if field.name in there
            else from_older(field.name, table[behind[field.name]], field.type)
            if field.name in behind
            else pa.nulls(len(table), field.type)
            for field in schema
        ]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise StoreError(f"{path} is damaged or isn't a table of results: {error}") from error
    return pa.table(filled, schema=schema)


def stack(tables: Sequence[pa.Table], name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Return tables one below the other; an empty one with the right columns if there are none."""
    return pa.concat_tables(tables) if tables else file_schema(name, columns).empty_table()


def file_schema(name: str, columns: Sequence[str] | None) -> pa.Schema:
    """Return the schema that columns of a table are read in: as they are written, but keys as dictionaries."""
    known = {column.name: column for column in TABLES[name]}
    fields = arrow_schema(known[column] for column in (known if columns is None else columns)).remove_metadata()
    if name == "cases":
        return fields
    return pa.schema(field.with_type(_KEY) if field.name in _TEXT_KEYS else field for field in fields)


def _check_version(path: Path, schema: pa.Schema) -> None:
    version = int((schema.metadata or {}).get(b"hil.schema_version", b"0"))
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer harness (schema {version}, this one reads up to {SCHEMA_VERSION}): "
            "update tinyml-hil"
        )


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut. Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
