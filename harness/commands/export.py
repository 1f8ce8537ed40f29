"""`hil results export`: a run as CSV, JSON or JUnit XML."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import click
import pandas as pd

from harness.errors import StoreError
from harness.report.escape import csv_text, xml_text
from harness.store import find_run, load_results
from harness.store.place import place_of
from harness.store.read import plain_rows
from harness.store.runs import read_run_file
from harness.store.schema import CASES, SCHEMA_VERSION

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
        table: cases, samples or layers.
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
        click.echo(stream.getvalue(), nl=False)
        return
    temporary = output.with_name(f".{output.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            _write(file, folder, results, form, table)
        temporary.replace(output)
    except OSError as error:
        raise StoreError(f"{output} can't be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


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


def junit(run: str, rows: list[dict[str, Any]]) -> str:
    """Return cases as JUnit XML, which CI systems read: a suite for each place and suite, a test for each variant.

    Args:
        run: name of the run.
        rows: rows of its case table.
    """
    root = ET.Element("testsuites", name=xml_text(run))
    suites: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        suites.setdefault((row["suite"], place_of(row), row["backend"]), []).append(row)
    for (suite, place, backend), cases in suites.items():
        statuses = [case["status"] for case in cases]
        element = ET.SubElement(
            root,
            "testsuite",
            name=xml_text(f"{suite} on {place} ({backend})"),
            tests=str(len(cases)),
            failures=str(statuses.count("failed")),
            skipped=str(statuses.count("skipped")),
            errors="0",
            timestamp=min(case["started_utc"] for case in cases).isoformat(),
            time=f"{sum(case['duration_s'] or 0 for case in cases):.3f}",
        )
        for case in cases:
            _add_case(element, case)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _add_case(suite: ET.Element, case: dict[str, Any]) -> None:
    element = ET.SubElement(
        suite,
        "testcase",
        classname=xml_text(f"{case['suite']}.{place_of(case)}"),
        name=xml_text(case["variant"]),
        time=f"{case['duration_s'] or 0:.3f}",
    )
    properties = ET.SubElement(element, "properties")
    for column in CASES:
        value = case[column.name]
        if value is not None and column.name not in ("reason", "started_utc"):
            ET.SubElement(properties, "property", name=column.name, value=xml_text(str(value)))
    if case["status"] in ("failed", "skipped"):
        reason = xml_text(case["reason"] or "no reason is recorded")
        found = ET.SubElement(element, "failure" if case["status"] == "failed" else "skipped")
        found.set("message", reason.partition("\n")[0])
        found.text = reason
