"""A run being written: its folder, its journal, its cases, and what becomes of it when it is killed."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from filelock import Timeout

from harness.boards.base import COUNTERS_OF_BACKEND
from harness.errors import StoreError
from harness.files.journal_lines import Damage, parse_journal
from harness.files.json_file import create_json, read_json, write_json
from harness.schema import SCHEMA_VERSION
from harness.store.cases import CaseRecord, check_truth, checked, full_row, plain_row
from harness.store.commits import DONE, commit, committed, finished_row
from harness.store.contents import Contents, whole, write_tables
from harness.store.folders import order_of_next, point_latest, run_name
from harness.store.journal import Journal, journal_of, journals, lock_of, unlock, write_error
from harness.store.tables import sync_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUN_FILE = "run.json"
#: Written last: a folder that has it holds a run whose tables are complete.
CASES_FILE = "cases.parquet"

#: What run.json says of a run whose tables are complete: how they came about.
ENDED = ("closed", "recovered")

#: What a case takes from the provenance of its run.
_FROM_PROVENANCE = ("harness_version", "config_sha256", "seed")


class Run:
    """A run being written. Use it as a context manager, or call `close`.

    Args:
        path: the run's folder.
        provenance: what run.json says of where the figures come from.
        writer: name of this writer of a run that several processes write, each into a journal of its own; None for the
            only one, which also writes the tables at the end.
    """

    def __init__(self, path: Path, provenance: Mapping[str, Any], writer: str | None = None) -> None:
        self.path = path
        self.writer = writer
        self._provenance = dict(provenance)
        self._cases: dict[int, CaseRecord] = {}
        self._closed = False
        self._lock = lock_of(journal_of(path, writer))
        try:
            self._lock.acquire(timeout=0)
            state = {"schema_version": SCHEMA_VERSION, "run": path.name, "state": "running", "started_utc": _now()}
            self._about = {**self._provenance, **state}
            (write_json if writer is None else create_json)(path / RUN_FILE, self._about)
        except OSError as error:
            raise write_error(path / RUN_FILE, error) from error
        self._journal = Journal(journal_of(path, writer))

    @classmethod
    def create(cls, results_dir: Path, provenance: Mapping[str, Any]) -> Self:
        """Make the folder `<UTC time>-<id>` in `results_dir` and point `latest` at it.

        Args:
            results_dir: made if it isn't there.
            provenance: what run.json says; its harness_version, config_sha256 and seed also stand in each case row.

        Raises:
            StoreError: the folder can't be written.
        """
        try:
            path = results_dir / run_name()
            path.mkdir(parents=True)
            return cls._new(path, provenance)
        except OSError as error:
            raise write_error(results_dir, error) from error

    @classmethod
    def join(cls, path: Path, provenance: Mapping[str, Any], writer: str) -> Self:
        """Write a run together with others; the first one makes it. `finish_shared` ends it.

        Args:
            path: the run's folder; `run_name` names one.
            provenance: as for `create`; run.json takes it from the first writer.
            writer: a name that no other writer of the run has; see `writer_name`.

        Raises:
            StoreError: the folder can't be written, or the run has ended.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            if (path / CASES_FILE).is_file():
                raise StoreError(f"{path}: the run has ended; nobody can join it any more")
            if (path / RUN_FILE).exists():  # who joins late must not hide a newer run
                return cls(path, provenance, writer)
            return cls._new(path, provenance, writer)
        except OSError as error:
            raise write_error(path, error) from error

    @classmethod
    def _new(cls, path: Path, provenance: Mapping[str, Any], writer: str | None = None) -> Self:
        run = cls(path, {**provenance, "order": order_of_next(path.parent, path.name)}, writer)
        point_latest(path.parent, path.name)
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_case(self, *, number: int | None = None, **columns: Any) -> CaseRecord:
        """Begin a case. `device`, `board`, `backend`, `suite` and `variant` are needed.

        A case that has ended can be begun anew; what is measured last counts.

        Args:
            number: of the case in its run, which several writers must agree on; None counts this writer's cases.
            columns: what is known of the case, by column of the case table.

        Raises:
            StoreError: it could not be written.
            ValueError: a column is unknown or missing, or the case hasn't ended.
        """
        defaults = {key: self._provenance.get(key) for key in _FROM_PROVENANCE}
        row = {**checked(defaults), **checked(columns), "run": self.path.name}
        for name in ("device", "board", "backend", "suite", "variant"):
            if not row.get(name):
                raise ValueError(f"a case needs its {name}")
        number = len(self._cases) if number is None else number
        before = self._cases.get(number)
        if before is not None and before.row is None:
            raise ValueError(f"case {number} has begun already")
        earlier = 0 if before is None else before.attempt + 1
        row["case"] = number
        row["started_utc"] = datetime.now(UTC)
        row.setdefault("counter", COUNTERS_OF_BACKEND[row["backend"]][0])
        check_truth(row)
        again = {} if before is None else {"attempt": earlier}
        self._journal.append({"t": "begin", "case": number, "columns": plain_row(row), **again})
        record = CaseRecord(self._journal, number, row, None if self.writer is None else self._commit, earlier)
        record.ended = 0 if before is None else before.ended
        self._cases[number] = record
        return record

    def import_case(self, number: int, journal: bytes, earlier: int = 0) -> int:
        """Take over what another process recorded of a case, on this computer or another one, into this run's journal.

        If it ended there, the case counts as done once this returns; a case that is done already isn't taken twice.
        What that process says of its run (name, configuration, seed) is replaced by what this one is.

        Args:
            number: of the case, here and there.
            journal: the bytes of that process's journal.
            earlier: how many attempts were made at the case before.

        Returns:
            How many attempts were made there.

        Raises:
            StoreError: the journal is damaged or of another case, or it could not be written.
        """
        records = [record for record in parse_journal(journal) if not isinstance(record, Damage) and whole(record)]
        if len(records) != len(journal.splitlines()) or any(record["case"] != number for record in records):
            raise StoreError(f"case {number}: what came of it is damaged, or of another case; it isn't taken")
        if number in committed(self.path):
            return 0
        mine = {key: self._provenance.get(key) for key in _FROM_PROVENANCE} | {"run": self.path.name}
        last, ended, finish = 0, 0, None
        for record in records:
            kind, columns, attempt = record["t"], record.get("columns", {}), record.get("attempt", 0)
            last = max(last, attempt)
            if kind == "attempts":
                ended += len(record["v"])
            if kind in ("begin", "restart"):
                record["attempt"] = attempt + earlier
            if kind in ("begin", "finish"):
                columns |= mine
            if kind == "finish":
                columns["attempts"] = columns.get("attempts", 1) + earlier
                finish = columns
            self._journal.append(record)
        self._journal.sync()
        if finish is not None:
            self._commit({**finish, "case": number})
        return ended or last + 1

    def finished(self, number: int) -> dict[str, Any] | None:
        """Return the row of a case that a writer of this run has finished; None if it isn't done."""
        row = finished_row(self.path, number) if self.writer else None
        return full_row(row) if row else None

    def _commit(self, row: dict[str, Any]) -> Mapping[str, Any]:
        mine = commit(self.path, row["case"], str(self.writer)) == self.writer
        return row if mine else finished_row(self.path, row["case"]) or row

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the cases that have ended, in the order in which they began."""
        return [case.row for case in self._cases.values() if case.row is not None]

    def log(self, device: str, text: str) -> None:
        """Add what a board said to logs/<device>.log.

        Raises:
            StoreError: it could not be written.
        """
        path = self.path / "logs" / f"{device}.log"
        try:
            path.parent.mkdir(exist_ok=True)
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text if text.endswith("\n") else f"{text}\n")
        except OSError as error:
            raise write_error(path, error, self.path) from error

    def close(self) -> None:
        """Write the tables, and remove the journal once they are complete. Safe to call twice.

        One of several writers only closes its journal.

        Raises:
            StoreError: they can't be written; the journal stays for `recover`.
        """
        if self._closed:
            return
        self._closed = True
        try:
            with closing(self._journal):
                self._journal.sync()
            if self.writer is None:
                _finish(self.path, self._about, "closed")
        finally:
            unlock(self._lock)


def recover(path: Path) -> Contents | None:
    """Finish a run that was killed: write its tables from its journals; None if only these were left to be removed.

    Cases that had not ended become failed; their samples are kept but never scored.

    Raises:
        StoreError: there is nothing to recover, the run is still going, or the tables can't be written.
    """
    if not journals(path):
        done = (path / CASES_FILE).is_file()
        raise StoreError(f"{path} is complete: nothing to recover" if done else f"{path} is not a run's folder")
    return _finish_alone(path, "recovered", patience_s=0)


def finish_shared(path: Path, *, patience_s: float = 10.0) -> Contents | None:
    """Write the tables of a run that several processes wrote; None if somebody has done so already.

    Args:
        path: the run's folder.
        patience_s: how long to wait for writers that haven't closed their journals.

    Raises:
        StoreError: a writer is still going, or the tables can't be written; the journals stay for `recover`.
    """
    if not journals(path) and not (path / CASES_FILE).is_file():
        raise StoreError(f"{path}: nobody has written anything into this run")
    return _finish_alone(path, "closed", patience_s)


def _finish_alone(path: Path, state: str, patience_s: float) -> Contents | None:
    """Finish a run while no writer has its journal open; None if its tables are there, and only litter is left."""
    deadline = time.monotonic() + patience_s
    with ExitStack() as held:
        for journal in journals(path):
            lock = lock_of(journal)
            try:
                lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
            except Timeout:
                raise StoreError(f"{path}: the run is still going; wait until it ends, or stop it first") from None
            except OSError as error:
                raise write_error(path, error, path) from error
            held.callback(unlock, lock)
        about = read_run_file(path)
        if (path / CASES_FILE).is_file() and (not journals(path) or about.get("state") in ENDED):
            _tidy(path)  # somebody was killed at it: the journals that are left don't hold all cases any more
            return None
        return _finish(path, about, state)


def read_run_file(path: Path) -> dict[str, Any]:
    """Return what run.json says; an empty dict if it is missing or damaged."""
    return read_json(path / RUN_FILE) or {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _finish(path: Path, run_file: dict[str, Any], state: str) -> Contents:
    contents = write_tables(path, committed(path))
    run_file = {**run_file, "state": state, "damaged_lines": contents.damaged_lines, "ended_utc": _now()}
    try:
        write_json(path / RUN_FILE, run_file)
    except OSError as error:
        raise write_error(path / RUN_FILE, error, path) from error
    _tidy(path)
    return contents


def _tidy(path: Path) -> None:
    """Remove what the tables of a run were made from."""
    try:
        sync_folder(path)  # first run.json says that they are complete
        for journal in journals(path):
            journal.unlink()
        shutil.rmtree(path / DONE, ignore_errors=True)
        sync_folder(path)
    except OSError as error:
        raise write_error(path / RUN_FILE, error, path) from error
