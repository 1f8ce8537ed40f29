"""One Parquet file of a run, read by column, whatever version of the schema it was written in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.errors import StoreError
from harness.schema import KEY_NAMES, SCHEMA_VERSION, TABLES
from harness.store.tables import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.schema import Column

_MASKED = {pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype(), pa.bool_(): pd.BooleanDtype()}

#: How the case table becomes a DataFrame: all of its text is plain text.
CASE_TYPES = {**_MASKED, pa.string(): pd.StringDtype()}

#: How the large tables do: text that is not a key, too, but keys become categories.
_LARGE_TYPES = CASE_TYPES

_KEY = pa.dictionary(pa.int32(), pa.string())


def load_table(
    path: Path, name: str, columns: Sequence[str] | None = None, cases: Sequence[int] | None = None
) -> pa.Table:
    """Read columns of a table's file. A column that an older harness didn't know is missing (null).

    Args:
        path: the file.
        name: which table of the schema it is.
        columns: which of its columns, None for all.
        cases: only the rows of these cases, None for all.

    Raises:
        StoreError: the file is damaged, or written by a newer harness.
    """
    wanted = [column.name for column in TABLES[name]] if columns is None else list(columns)
    schema = file_schema(name, wanted)
    try:
        with pq.ParquetFile(
            path,
            page_checksum_verification=True,
            read_dictionary=[] if name == "cases" else [key for key in KEY_NAMES if key != "case"],
        ) as file:
            _check_version(path, file.schema_arrow)
            there = set(file.schema_arrow.names)
            if not there.issuperset(KEY_NAMES):
                raise StoreError(f"{path} isn't a table of results: it doesn't say which case a row belongs to")
            extra = [] if cases is None or "case" in wanted else ["case"]
            names = [column for column in (*wanted, *extra) if column in there]
            table = file.read(names, use_threads=False)  # files are small and many: threads take a file each
        if cases is not None:
            table = table.filter(pc.is_in(table["case"], value_set=pa.array(cases, pa.int64())))
        rows = table.num_rows
        filled = [
            _as(table[field.name], field.type) if field.name in there else pa.nulls(rows, field.type)
            for field in schema
        ]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise StoreError(f"{path} is damaged or isn't a table of results: {error}") from error
    return pa.table(filled, schema=schema)


def _as(column: pa.ChunkedArray, dtype: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == dtype else column.cast(dtype)


def stack(tables: Sequence[pa.Table], name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Return tables one below the other; an empty one with the right columns if there are none."""
    wanted = [column.name for column in TABLES[name]] if columns is None else list(columns)
    if not tables:
        return file_schema(name, wanted).empty_table()
    return pa.concat_tables(tables)


def file_schema(name: str, columns: Sequence[str]) -> pa.Schema:
    """Return the schema that columns of a table are read in: as they are written, but keys as dictionaries."""
    types = {column.name: column for column in TABLES[name]}
    fields = arrow_schema([types[column] for column in columns])
    if name == "cases":
        return fields.remove_metadata()
    return pa.schema(
        [field.with_type(_KEY) if field.name in KEY_NAMES and field.type == pa.string() else field for field in fields]
    )


def to_pandas(table: pa.Table, types: Mapping[pa.DataType, object] = _LARGE_TYPES) -> pd.DataFrame:
    """Turn a table into a DataFrame whose columns can all be missing."""
    frame: pd.DataFrame = table.unify_dictionaries().to_pandas(types_mapper=types.get, split_blocks=True)
    return frame


def empty(columns: Sequence[Column]) -> pd.DataFrame:
    """Return a table without rows."""
    return to_pandas(arrow_schema(columns).empty_table(), CASE_TYPES)


def _check_version(path: Path, schema: pa.Schema) -> None:
    version = int((schema.metadata or {}).get(b"hil.schema_version", b"0"))
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer harness (schema {version}, this one reads up to {SCHEMA_VERSION}): "
            "update tinyml-hil"
        )
