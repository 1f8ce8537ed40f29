"""One case being recorded, and the checks that keep what can't be true out of the results."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Literal

from harness.boards.base import COUNTERS_OF_BACKEND
from harness.schema import CASE_COLUMNS, CASES, JOURNAL_FIELDS, KEY_NAMES, SIMULATED
from harness.store.arrays import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from harness.store.journal import Journal

Status = Literal["complete", "failed", "skipped"]
#: How far an attempt came.
Stage = Literal["open", "flash", "start", "measure", "energy"]


class CaseRecord:
    """One case being measured. Samples go to the journal as they come; `finish` ends it.

    Args:
        journal: where this writer's records go.
        number: of the case in its run.
        columns: what is known of it.
        commit: told the row of the finished case, and returns the one that counts; None where there is one writer.
        earlier: how many attempts were made before the case was begun anew, as by pytest's `--reruns`.

    Attributes:
        attempt: how many attempts have failed, or don't count any more.
        handed_on: how many of them other boards have had, or were made before the case was begun anew.
        ended: how many attempts have ended, and have a row.
        answered: whether the firmware on this board has answered.
        recorded: how many samples of this attempt were recorded.
        row: of the finished case; None as long as it isn't.
    """

    def __init__(
        self,
        journal: Journal,
        number: int,
        columns: dict[str, Any],
        commit: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
        earlier: int = 0,
    ) -> None:
        self._journal = journal
        self._columns = columns
        self._commit = commit
        self._seen: dict[tuple[int, int], bytearray] = {}
        self._profiled = False
        self._start = time.monotonic()
        self.number = number
        self.attempt = earlier
        self.handed_on = earlier
        self.ended = 0
        self.answered = False
        self.recorded = 0
        self.row: dict[str, Any] | None = None

    def sample(
        self, *, sample: int, ticks: int | None, output_crc: int | None, repeat: int = 0, **columns: Any
    ) -> None:
        """Record one inference; repeats (from 1) on an input are kept beside the first one, which alone is scored.

        Args:
            sample: index of the input.
            ticks: of the counter, if it was timed.
            output_crc: of the output as it came.
            repeat: which inference on that input.
            columns: any others of the sample table, like `label` and `prediction`.

        Raises:
            StoreError: it could not be written.
            ValueError: a column is unknown, this inference was recorded before, or the case has ended.
        """
        self._check_open()
        step = columns.get("step") or 0
        seen = self._seen.setdefault((repeat, step), bytearray())
        if sample >= len(seen):
            seen.extend(bytes(max(4096, sample + 1 - len(seen))))
        if seen[sample]:
            raise ValueError(f"sample {sample}, repeat {repeat} is recorded twice")
        row = {**columns, "sample": sample, "repeat": repeat, "ticks": ticks, "output_crc": output_crc}
        self._journal.append({"t": "sample", "case": self.number, "v": self._values("samples", row)})
        seen[sample] = 1
        self.recorded += repeat == 0 and step == 0

    def output(
        self, *, sample: int, raw: NDArray[Any], scale: float | None = None, zero_point: int | None = None, **at: int
    ) -> None:
        """Record an output tensor of an input's first inference.

        Args:
            sample: index of the input.
            raw: the tensor as it came, flat; integers with their scale and zero point, or float32.
            scale: real value of one step.
            zero_point: what stands for 0.
            at: `tensor` and `step`, where there are several.

        Raises:
            StoreError: it could not be written.
            ValueError: the case has ended.
        """
        self._check_open()
        values = [sample, at.get("step"), at.get("tensor", 0), packed(raw), scale, zero_point]
        self._journal.append({"t": "output", "case": self.number, "v": values})

    def target(self, *, sample: int, values: NDArray[np.float64]) -> None:
        """Record the right values of an input, shape [k], where they fit into no column of the samples.

        Raises:
            StoreError: it could not be written.
            ValueError: the case has ended.
        """
        self._check_open()
        self._journal.append({"t": "target", "case": self.number, "v": [sample, packed(values)]})

    def layers(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record the layers of one profiled inference, once for a case.

        They are one line of the journal: a killed run has all of them or none.

        Args:
            rows: in the order of execution, as columns of the layers table from `operator` on. What is not known is
                None or left out.

        Raises:
            StoreError: it could not be written.
            ValueError: a column is unknown, there are no rows, this attempt was profiled before, or the case has ended.
        """
        self._check_open()
        if self._profiled or not rows:
            raise ValueError(f"case {self.number}: the layers are recorded once, and there is at least one")
        self._rows("layers", rows)
        self._profiled = True

    def windows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record the power windows of an attempt, used and rejected ones; more can follow.

        Args:
            rows: in the order of measurement, as columns of the windows table from `problem` on.

        Raises:
            StoreError: it could not be written.
            ValueError: a column is unknown, or the case has ended.
        """
        self._rows("windows", rows)

    def _check_open(self) -> None:
        if self.row is not None:
            raise ValueError(f"case {self.number} has ended")

    def _rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self._check_open()
        values = [self._values(table, row) for row in rows]
        self._journal.append({"t": table, "case": self.number, "v": values})

    def _values(self, table: str, row: Mapping[str, Any]) -> list[Any]:
        fields = JOURNAL_FIELDS[table]
        if unknown := set(row) - set(fields):
            raise ValueError(f"the {table} table has no column {min(unknown)!r}")
        return [_plain(row.get(name)) for name in fields]

    def attempt_ended(self, **columns: Any) -> dict[str, Any]:
        """Record how an attempt ended, before the next one begins or the case ends.

        Args:
            columns: `device`, and those of the attempts table from `board_uid` on; `host` if it isn't the case's.

        Returns:
            The row, with the columns that say which case it is of.

        Raises:
            StoreError: it could not be written.
            ValueError: a column is unknown.
        """
        row = {"host": self._columns.get("host"), **columns}
        self._rows("attempts", [{**row, "ended": columns["ended"].isoformat()}])
        self.ended += 1
        known = {name: self._columns.get(name) for name in KEY_NAMES}
        return {**known, "attempt": self.ended, **row}

    def restart(self, reason: str) -> None:
        """Drop the samples, layers and power windows of an attempt that failed and begin the next one.

        Raises:
            StoreError: it could not be written.
        """
        self._journal.append({"t": "restart", "case": self.number, "attempt": self.attempt + 1, "reason": reason})
        self.attempt += 1
        self.recorded = 0
        self._seen = {}
        self._profiled = False

    def hand_on(self, reason: str) -> None:
        """Begin the next attempt on another board.

        Raises:
            StoreError: it could not be written.
        """
        self.restart(reason)
        self.handed_on, self.answered = self.attempt, False

    def finish(
        self,
        *,
        status: Status,
        reason: str | None = None,
        judge: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
        **columns: Any,
    ) -> dict[str, Any]:
        """End the case, wait until it is on the disk, and return its row (every column of the schema).

        Where several processes write the run, it is the row of the one that finished the case first.

        Args:
            status: how it ended. Only a complete case has scores.
            reason: why it did not complete; needed unless it did.
            judge: told the row, and returns the columns that say what came of the limits.
            columns: any columns of the case table.

        Raises:
            StoreError: it could not be written.
            ValueError: a column is unknown, or says what can't be true.
        """
        self._check_open()
        if columns.setdefault("samples", self.recorded) != self.recorded:
            raise ValueError(f"{self.recorded} samples were recorded, not {columns['samples']}")
        if (status == "complete") != (reason is None):
            raise ValueError("a case that is not complete has a reason, and only that")
        row = {**self._columns, **checked(columns), "status": status, "reason": reason, "samples": self.recorded}
        row["duration_s"] = time.monotonic() - self._start
        row.setdefault("attempts", self.ended or self.attempt + 1)
        _fill_reasons(row)
        if judge is not None:
            row |= checked(judge(row))
        check_truth(row)
        self._journal.append({"t": "finish", "case": self.number, "columns": plain_row(row)})
        self._journal.sync()
        counted = row if self._commit is None else self._commit(row)
        self.row = full_row(counted)
        return self.row


def checked(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse columns that nobody documented; leave out those that are not there."""
    for name, value in columns.items():
        if name not in CASE_COLUMNS:
            raise ValueError(f"the case table has no column {name!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}: a missing figure is None, with a reason")
    return {name: value for name, value in columns.items() if value is not None}


def _fill_reasons(row: dict[str, Any]) -> None:
    if row["backend"] != "hardware":
        row.setdefault("latency_reason", f"{row['backend']} is an emulator: it counts {row['counter']}, not time")
    elif row.get("latency_us_median") is None:
        row.setdefault("latency_reason", row["reason"] or "not measured")
    if row.get("energy_uj") is None:
        complete = row["status"] == "complete"
        row.setdefault("energy_reason", "no power monitor" if complete else f"the case is {row['status']}")


def check_truth(row: Mapping[str, Any]) -> None:
    """Refuse what can't be true: see "The rule about numbers" in DESIGN.md."""
    backend, counter = row["backend"], row["counter"]
    if counter not in COUNTERS_OF_BACKEND.get(backend, ()):
        raise ValueError(f"the {backend} backend doesn't count {counter}")
    measured = [column.name for column in CASES if column.score and row.get(column.name) is not None]
    if row.get("status") != "complete" and measured:
        raise ValueError(f"a case that is not complete has no {', '.join(measured)}")
    if backend != "hardware" and any(name.startswith("latency_us_") for name in measured):
        raise ValueError(f"the {backend} backend has no latency")
    if row.get("energy_uj") is not None and (row.get("power_source") == SIMULATED) != (backend != "hardware"):
        raise ValueError(
            f"energy from {row.get('power_source')} on the {backend} backend: simulated power is for emulators"
        )


def full_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a case's row with every column of the schema, None for what is missing."""
    return {column.name: row.get(column.name) for column in CASES}


def _plain(value: Any) -> Any:
    """Turn numpy numbers into Python's, which JSON knows."""
    return value.item() if hasattr(value, "item") else value


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a row into what JSON knows."""
    plain = {name: _plain(value) for name, value in row.items()}
    plain["started_utc"] = row["started_utc"].isoformat()
    return plain
