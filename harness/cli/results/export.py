"""`hil results export`: a run as CSV, JSON or JUnit XML."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.errors import StoreError
from harness.files.replacing import replacing
from harness.report.junit import junit
from harness.schema import SCHEMA_VERSION
from harness.store import find_run, load_results
from harness.store.results import plain_rows
from harness.store.runs import read_run_file
from harness.text.escape import csv_text
from harness.text.terminal import echo_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

    from harness.store import Results

#: Rows that are written at a time.
_CHUNK_ROWS = 65_536


def export_run(run: Path, form: str, table: str, output: Path | None) -> None:
    """Write a run for other tools.

    Args:
        run: its folder, or `latest`.
        form: csv, json or junit.
        table: cases, samples, layers, windows or attempts.
        output: the file; None prints it.

    Raises:
        StoreError: the run can't be read, or the file can't be written.
    """
    folder = find_run(run)
    results = load_results(folder)
    gone = results.stored[0].missing(table) if form != "junit" and results.stored else None
    if gone is not None:
        raise StoreError(gone)
    if output is None:
        stream = io.StringIO(newline="")
        _write(stream, folder, results, form, table)
        echo_data(stream.getvalue())
        return
    try:
        with replacing(output) as draft, draft.open("w", encoding="utf-8", newline="") as file:
            _write(file, folder, results, form, table)
    except OSError as error:
        raise StoreError(f"{output} can't be written: {error.strerror}") from error


def _write(stream: TextIO, folder: Path, results: Results, form: str, table: str) -> None:
    frame = results.cases if table == "cases" else results.table(table)
    if form == "csv":
        writer = csv.writer(stream)
        writer.writerow(frame.columns)
        for rows in _chunks(frame):
            writer.writerows([_csv_cell(value) for value in row.values()] for row in rows)
    elif form == "json":
        about = read_run_file(folder)
        rows = [row for chunk in _chunks(frame) for row in chunk]
        content = {"schema_version": SCHEMA_VERSION, "run": about, table: rows}
        json.dump(content, stream, indent=2, default=str, allow_nan=False)
        stream.write("\n")
    else:
        stream.write(junit(folder.name, plain_rows(results.cases)))


def _chunks(frame: pd.DataFrame) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(frame), _CHUNK_ROWS):
        yield [
            {name: value.isoformat() if isinstance(value, pd.Timestamp) else value for name, value in row.items()}
            for row in plain_rows(frame.iloc[start : start + _CHUNK_ROWS])
        ]


def _csv_cell(value: object) -> object:
    return csv_text(value) if isinstance(value, str) else value
