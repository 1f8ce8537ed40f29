"""A run being written: its folder, its journal, its cases, and what becomes of it when it is killed."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock, Timeout

from harness.boards.base import COUNTER_OF_BACKEND
from harness.errors import StoreError
from harness.store.cases import CaseRecord, check_truth, checked, plain_row
from harness.store.journal import Journal, write_error
from harness.store.schema import SCHEMA_VERSION
from harness.store.tables import Contents, sync_folder, write_tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JOURNAL = "journal.jsonl"
RUN_FILE = "run.json"
LOCK = ".lock"

#: What a case takes from the provenance of its run.
_FROM_PROVENANCE = ("harness_version", "config_sha256", "seed")


class Run:
    """A run being written. Use it as a context manager, or call `close`."""

    def __init__(self, path: Path, provenance: Mapping[str, Any]) -> None:
        self.path = path
        self._provenance = dict(provenance)
        self._cases: list[CaseRecord] = []
        self._closed = False
        self._lock = FileLock(path / LOCK)
        try:
            self._lock.acquire(timeout=0)
            self._state = {"schema_version": SCHEMA_VERSION, "run": path.name, "state": "running"}
            self._state["started_utc"] = datetime.now(UTC).isoformat(timespec="microseconds")
            _write_run_file(path, {**self._provenance, **self._state})
        except OSError as error:
            raise write_error(path / RUN_FILE, error) from error
        self._journal = Journal(path / JOURNAL)

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
            results_dir.mkdir(parents=True, exist_ok=True)
            path = results_dir / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
            path.mkdir()
            run = cls(path, provenance)
            _point_latest(results_dir, path.name)
        except OSError as error:
            raise write_error(results_dir, error) from error
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_case(self, **columns: Any) -> CaseRecord:
        """Begin a case. `device`, `board`, `backend`, `suite` and `variant` are needed.

        Raises:
            StoreError: it could not be written.
            ValueError: a column is unknown or missing.
        """
        defaults = {key: self._provenance.get(key) for key in _FROM_PROVENANCE}
        row = {**checked(defaults), **checked(columns), "run": self.path.name}
        for name in ("device", "board", "backend", "suite", "variant"):
            if not row.get(name):
                raise ValueError(f"a case needs its {name}")
        row["case"] = number = len(self._cases)
        row["started_utc"] = datetime.now(UTC)
        row.setdefault("counter", COUNTER_OF_BACKEND[row["backend"]])
        check_truth(row)
        self._journal.append({"t": "begin", "case": number, "columns": plain_row(row)})
        self._cases.append(CaseRecord(self._journal, number, row))
        return self._cases[-1]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the cases that have ended, in the order in which they began."""
        return [case.row for case in self._cases if case.row is not None]

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

        Raises:
            StoreError: they can't be written; the journal stays for `recover`.
        """
        if self._closed:
            return
        self._closed = True
        try:
            try:
                self._journal.sync()
            finally:
                self._journal.close()
            _finish(self.path, {**self._provenance, **self._state}, "closed")
        finally:
            self._lock.release()
        with suppress(OSError):
            (self.path / LOCK).unlink()


def recover(path: Path) -> Contents:
    """Finish a run that was killed: write its tables from its journal.

    Cases that had not ended become failed; their samples are kept but never scored.

    Raises:
        StoreError: there is nothing to recover, the run is still going, or the tables can't be written.
    """
    if not (path / JOURNAL).is_file():
        done = (path / "cases.parquet").is_file()
        raise StoreError(f"{path} is complete: nothing to recover" if done else f"{path} is not a run's folder")
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(f"{path}: the run is still going; wait until it ends, or stop it first") from None
    except OSError as error:
        raise write_error(path / LOCK, error, path) from error
    try:
        contents = _finish(path, read_run_file(path), "recovered")
    finally:
        lock.release()
    with suppress(OSError):
        (path / LOCK).unlink()
    return contents


def read_run_file(path: Path) -> dict[str, Any]:
    """Return what run.json says; an empty dict if it is missing or damaged."""
    try:
        content = json.loads((path / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _finish(path: Path, run_file: dict[str, Any], state: str) -> Contents:
    contents = write_tables(path / JOURNAL, path)
    run_file |= {"state": state, "damaged_lines": contents.damaged_lines}
    run_file["ended_utc"] = datetime.now(UTC).isoformat(timespec="microseconds")
    try:
        _write_run_file(path, run_file)
        (path / JOURNAL).unlink()
        sync_folder(path)
    except OSError as error:
        raise write_error(path / RUN_FILE, error, path) from error
    return contents


def _write_run_file(path: Path, content: Mapping[str, Any]) -> None:
    temporary = path / f".{RUN_FILE}.tmp"
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2, default=str)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path / RUN_FILE)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path)


def _point_latest(results_dir: Path, name: str) -> None:
    """Let results/latest be a link to the newest run, or a file with its name where there are no links."""
    temporary = results_dir / f".latest-{name}"
    try:
        temporary.symlink_to(name, target_is_directory=True)
    except (OSError, NotImplementedError):
        temporary.write_text(f"{name}\n", encoding="utf-8")
    temporary.replace(results_dir / "latest")
