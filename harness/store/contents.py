"""What the journals of a run hold: its cases, and the rows of every table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from harness.case_parts import ATTEMPTS, SAMPLES
from harness.errors import StoreError
from harness.files.journal_lines import Damage, read_journal
from harness.schema import CASE_COLUMNS, CASES, JOURNAL_FIELDS, KEY_NAMES, TABLES
from harness.store.arrays import ARRAY_TABLES, INFERENCE_KINDS, inference_row
from harness.store.journal import journals, write_error, writer_of
from harness.store.tables import arrow_schema, batches_of, table_of, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.column import Column

_MANY = 2**63  # numbers of the tables have 64 bits
_ATTEMPT_COLUMNS = {column.name: column for column in ATTEMPTS}
_REPEAT, _STEP = (JOURNAL_FIELDS["samples"].index(name) for name in ("repeat", "step"))


@dataclass
class _Case:
    begin: dict[str, Any]
    finish: dict[str, Any] | None = None
    attempt: int = 0
    elsewhere: int = 0
    recorded: int = 0
    repeats: int = 0
    arrays: Counter[str] = field(default_factory=Counter)
    layers: list[list[Any]] = field(default_factory=list)
    windows: list[list[Any]] = field(default_factory=list)
    before: _Case | None = None

    def take(self, record: dict[str, Any]) -> None:
        """Add what a record of the journal says of the case."""
        kind = record["t"]
        if kind == "sample":
            first = record["v"][_REPEAT] == 0 and not record["v"][_STEP]
            self.recorded += first
            self.repeats += not first
        elif kind in INFERENCE_KINDS:
            self.arrays[kind] += 1
        elif kind == "restart":
            self.attempt, self.recorded, self.repeats = record["attempt"], 0, 0
            self.arrays.clear()
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

    def row(self, number: int) -> dict[str, Any]:
        """Return the row of the case table. A case that did not end, or lost samples, is failed and has no scores."""
        row: dict[str, Any] = {**self.begin, "case": number}
        if self.finish is None:
            row |= {"status": "failed", "reason": "run was interrupted", "samples": self.recorded}
        else:
            row |= self.finish
            if row["status"] != "complete" and self.recorded > row["samples"]:
                row["samples"] = self.recorded  # a signal came between a sample's line and its being counted
            elif row["samples"] != self.recorded:
                lost = f"journal is damaged: {self.recorded} of {row['samples']} samples are left"
                row |= {"status": "failed", "reason": lost, "samples": self.recorded}
                row |= {column.name: None for column in CASES if column.score}
        if self.elsewhere:
            row["attempts"] = row.get("attempts", self.attempt + 1) + self.elsewhere
        return _dated(row)


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
            for number, case in contents._cases_in(journal).items():
                found.setdefault(number, []).append((journal, case.counting()))
        for number, rivals in found.items():
            contents.sources[number], case = max(rivals, key=partial(_rank, counts.get(number)))
            case.elsewhere = sum(other.attempt + 1 for _, other in rivals if other is not case)
            contents.cases[number] = case
        return contents

    def _cases_in(self, journal: Path) -> dict[int, _Case]:
        cases: dict[int, _Case] = {}
        for record in read_journal(journal):
            if isinstance(record, Damage) or not whole(record):
                self.damaged_lines += 1
                continue
            kind, number = record["t"], record["case"]
            if kind == "begin":
                cases[number] = _Case(record["columns"], attempt=record.get("attempt", 0), before=cases.get(number))
            elif number in cases and kind == "attempts":
                self.attempts.setdefault(number, []).extend(map(attempt_of, record["v"]))
            elif number in cases:
                cases[number].take(record)
        return cases

    def rows(self) -> list[dict[str, Any]]:
        """Return the case rows."""
        return [case.row(number) for number, case in sorted(self.cases.items())]

    def rows_of(self, table: str) -> list[dict[str, Any]]:
        """Return the layers or windows of the last attempt of each case, or all attempts as they ended."""
        found = []
        number = TABLES[table][len(KEY_NAMES)].name
        for row in self.rows():
            keys = {name: row.get(name) for name in KEY_NAMES}
            if table == "attempts":
                ended = sorted(self.attempts.get(row["case"], ()), key=lambda attempt: attempt["ended"])
                found += [{**keys, number: place, **one} for place, one in enumerate(ended, 1)]
            else:
                lines = getattr(self.cases[row["case"]], table)
                found += [
                    {**keys, number: place, **dict(zip(JOURNAL_FIELDS[table], values, strict=True))}
                    for place, values in enumerate(lines)
                ]
        return found

    @property
    def samples(self) -> int:
        """How many samples of the last attempts there are, repeats and steps included."""
        return sum(case.recorded + case.repeats for case in self.cases.values())

    def arrays(self, kind: str) -> int:
        """How many outputs or targets of the last attempts there are."""
        return sum(case.arrays[kind] for case in self.cases.values())

    def sample_rows(self, kind: str = "sample") -> Iterator[dict[str, Any]]:
        """Yield the samples, outputs or targets of the last attempt of each case, from the journals again."""
        keys = {row["case"]: {name: row.get(name) for name in KEY_NAMES} for row in self.rows()}
        for journal in sorted(set(self.sources.values())):
            attempt = {number: 0 for number, source in self.sources.items() if source == journal}
            for record in whole_records(journal):
                number = record["case"]
                if number not in attempt:
                    continue
                if record["t"] in ("begin", "restart"):
                    attempt[number] = record.get("attempt", 0)
                elif record["t"] == kind and attempt[number] == self.cases[number].attempt:
                    yield {**keys[number], **inference_row(kind, record["v"])}


def _rank(counts: str | None, rival: tuple[Path, _Case]) -> tuple[bool, bool, str]:
    journal, case = rival
    return writer_of(journal) == counts, case.finish is not None, str(case.begin.get("started_utc"))


def write_tables(folder: Path, counts: Mapping[int, str]) -> Contents:
    """Write the tables, read them back, and only then put them in place; cases.parquet last, as it makes a run.

    outputs.parquet is written where outputs are kept, targets.parquet where labels are several numbers each,
    layers.parquet if a case was profiled, windows.parquet if its power was measured, attempts.parquet if any board was
    tried.

    Args:
        folder: of the run, with its journals.
        counts: which writer's measurement of a case counts, where there are several.

    Raises:
        StoreError: they can't be written, or read back differently; the journal is left alone.
    """
    try:
        contents = Contents.of(journals(folder), counts)
        cases = table_of(contents.rows(), arrow_schema(CASES))
        write_table(folder, "samples", batches_of(contents.sample_rows(), arrow_schema(SAMPLES)), contents.samples)
        for name, (kind, columns) in ARRAY_TABLES.items():
            if count := contents.arrays(kind):
                write_table(folder, name, batches_of(contents.sample_rows(kind), arrow_schema(columns)), count)
        for name in ("layers", "windows", "attempts"):
            if rows := contents.rows_of(name):
                write_table(folder, name, batches_of(rows, arrow_schema(TABLES[name])), len(rows))
        write_table(folder, "cases", cases.to_batches(), len(cases))
    except OSError as error:
        raise write_error(folder, error, folder) from error
    except (pa.ArrowException, ValueError, TypeError, KeyError, OverflowError) as error:
        raise StoreError(f"{folder}: its journal holds what no table can: {error}; the journal is kept") from error
    return contents


def whole_records(journal: Path, kinds: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the records of a journal, or those of some kinds, but for damaged lines.

    Raises:
        StoreError: it can't be read.
    """
    for record in read_journal(journal, kinds):
        if not isinstance(record, Damage) and whole(record):
            yield record


def whole(record: Mapping[str, Any]) -> bool:
    """Tell whether a journal's record has what its kind must have; one that hasn't counts as a damaged line."""
    kind, values = record.get("t"), record.get("v")
    if not isinstance(kind, str) or not _is_count(record.get("case")):
        return False
    if kind in ("begin", "finish"):
        columns = record.get("columns")
        return isinstance(columns, dict) and _is_case(columns, kind) and _is_count(record.get("attempt", 0))
    if kind == "restart":
        return _is_count(record.get("attempt"))
    if kind in INFERENCE_KINDS:
        return _is_inference(kind, values)
    return kind not in JOURNAL_FIELDS or (isinstance(values, list) and all(_is_row(row, kind) for row in values))


def attempt_of(values: list[Any]) -> dict[str, Any]:
    """Return an attempt from what the journal holds of it.

    Raises:
        ValueError, TypeError: it holds something else.
    """
    row = dict(zip(JOURNAL_FIELDS["attempts"], values, strict=True))
    return {**row, "ended": datetime.fromisoformat(row["ended"]).astimezone(UTC)}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < _MANY


def _is_inference(kind: str, values: object) -> bool:
    try:
        return bool(inference_row(kind, values))
    except (ValueError, TypeError):
        return False


def _is_row(values: object, table: str) -> bool:
    if not isinstance(values, list) or len(values) != len(JOURNAL_FIELDS[table]):
        return False
    if table != "attempts":
        return True
    try:
        return _holds(_ATTEMPT_COLUMNS, attempt_of(values))
    except (ValueError, TypeError, OverflowError):
        return False


def _holds(columns: Mapping[str, Column], row: Mapping[str, Any]) -> bool:
    return all(columns[name].holds(value) for name, value in row.items() if name in columns)


def _is_case(columns: Mapping[str, Any], kind: str) -> bool:
    """Tell whether the values of a case are of its columns' types."""
    if kind == "finish" and not (isinstance(columns.get("status"), str) and isinstance(columns.get("samples"), int)):
        return False
    try:
        return _holds(CASE_COLUMNS, _dated({**columns}))
    except (ValueError, OverflowError):
        return False


def _dated(row: dict[str, Any]) -> dict[str, Any]:
    if isinstance(row.get("started_utc"), str):
        row["started_utc"] = datetime.fromisoformat(row["started_utc"]).astimezone(UTC)
    return row
