"""Columns of CSV and Parquet files."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import compute, csv, parquet

from harness.data.arrays import MOST_BYTES, Arrays, class_indices, require_room
from harness.errors import ConfigError
from harness.text.meant import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def read_csv(
    path: Path, classes: tuple[str, ...] | None, *, columns: str | Sequence[str] | None, delimiter: str
) -> Arrays:
    """Read columns of a text file whose first line has their names.

    Args:
        path: UTF-8; numbers with a point.
        classes: of the suite, of which texts are names; (): the sorted texts; None: texts are refused.
        columns: one name gives [N], a list [N, columns]; `*` in a name stands for any characters; None: all.
        delimiter: what stands between two values.

    Returns:
        int64 if all are whole numbers, else float64; the index of its class for each text, and for each whole number if
        the suite's classes are called by numbers.

    Raises:
        ConfigError: the file is damaged, has no such column, or a cell is empty or no number; names it.
    """
    options = csv.ParseOptions(delimiter=delimiter)
    convert = csv.ConvertOptions(strings_can_be_null=True, null_values=[""], true_values=[], false_values=[])
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path} has more than {MOST_BYTES:,} bytes; split it")
        table = csv.read_csv(path, parse_options=options, convert_options=convert)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{path} can't be read as CSV: {error}") from error
    if all(_is_number(name) for name in table.column_names):
        raise ConfigError(f"{path}: its first line holds numbers, not names of columns; put a line of names above it")
    return _arrays(table, path, classes, columns)


def read_parquet(path: Path, classes: tuple[str, ...] | None, *, columns: str | Sequence[str] | None) -> Arrays:
    """Read columns of a Parquet file.

    Args:
        path: the file.
        classes: of the suite, of which texts are names; (): the sorted texts; None: texts are refused.
        columns: as in `read_csv`; or one name of a column whose rows are lists of L numbers, which gives [N, L].

    Returns:
        What `read_csv` returns; lists keep their type of number.

    Raises:
        ConfigError: as `read_csv`; also lists of unequal lengths.
    """
    try:
        with parquet.ParquetFile(path) as file:
            names = _chosen(file.schema_arrow.names, path, columns)
            groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
            parts = [group.column(number) for group in groups for number in range(group.num_columns)]
            values = sum(part.num_values for part in parts if part.path_in_schema.split(".")[0] in names)
            require_room(values, (1,), np.float64, path)
            table = file.read(columns=names)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{path} can't be read as Parquet: {error}") from error
    return _arrays(table, path, classes, columns)


def _arrays(table: Any, path: Path, classes: tuple[str, ...] | None, columns: str | Sequence[str] | None) -> Arrays:
    names = _chosen(table.column_names, path, columns)
    if not len(table):
        raise ConfigError(f"{path} has no rows")
    found = [_column(table.column(name).combine_chunks(), f"{path}: column {name}", classes) for name in names]
    known = next((those for _, those in found if those), ())
    if len(found) == 1 and (isinstance(columns, str) or found[0][0].ndim > 1):
        return Arrays(found[0][0], classes=known)
    for name, (values, those) in zip(names, found, strict=True):
        if values.ndim > 1 or those:
            raise ConfigError(f"{path}: column {name} holds {'texts' if those else 'lists'}; it can only be read alone")
    return Arrays(np.stack([values for values, _ in found], axis=1))


def _chosen(there: Sequence[str], path: Path, columns: str | Sequence[str] | None) -> list[str]:
    """Return the columns that are meant, in the order in which they are asked for."""
    for name in there:
        if there.count(name) > 1:
            raise ConfigError(f'{path}: two columns are called "{name}"')
    chosen: list[str] = []
    for name in [columns] if isinstance(columns, str) else ["*"] if columns is None else columns:
        found = [name] if name in there else [one for one in there if "*" in name and fnmatchcase(one, name)]
        if not found:
            raise ConfigError(f'{path} has no column "{name}"{did_you_mean(name, there)}')
        chosen += [one for one in found if one not in chosen]
    return chosen


def _column(column: Any, name: str, classes: tuple[str, ...] | None) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return the values of a column, and the classes where it names these."""
    kind = column.type
    if column.null_count:
        raise ConfigError(f"{name}, row {int(np.argmax(np.asarray(column.is_null())))} is empty (rows count from 0)")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        lengths = np.asarray(compute.list_value_length(column))
        odd = np.flatnonzero(lengths != lengths[0])
        if odd.size:
            raise ConfigError(f"{name}, row {odd[0]} has {lengths[odd[0]]} values, but row 0 has {lengths[0]}")
        return _column(column.flatten(), name, None)[0].reshape(len(column), -1), ()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return _classes([str(text) for text in column.to_pylist()], name, classes)
    if pa.types.is_boolean(kind):
        return np.asarray(column).astype(np.int64), ()
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise ConfigError(f"{name} holds {kind}, no numbers")
    if classes and pa.types.is_integer(kind) and any(_is_number(known) for known in classes):
        return _classes([str(number) for number in column.to_pylist()], name, classes)
    return np.asarray(column), ()


def _classes(
    texts: Sequence[str], name: str, classes: tuple[str, ...] | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Take texts for names of classes: only where labels are read, and never for numbers with a typing error."""
    if classes is None or (not classes and any(map(_is_number, texts))):
        row, text = next((row, text) for row, text in enumerate(texts) if not _is_number(text))
        raise ConfigError(f'{name}, row {row}: "{text}" is no number (rows count from 0)')
    return class_indices(texts, classes, [f"{name}, row {row}" for row in range(len(texts))])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
