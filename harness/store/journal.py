"""The journal of a run: what was measured, appended at once, so that a kill or a power cut loses nothing of it."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from harness.errors import StoreError
from harness.files.journal_lines import journal_line

if TYPE_CHECKING:
    from collections.abc import Mapping


#: The journal of a run that one process writes; with several writers each has its own, `journal-<writer>.jsonl`.
JOURNAL = "journal.jsonl"


def journals(run: Path) -> list[Path]:
    """Return the journals in a run's folder, in the order of their names; none once its tables are written."""
    return sorted(path for path in listed(run) if path.name.startswith("journal") and path.suffix == ".jsonl")


def listed(folder: Path) -> list[Path]:
    """Return what is in a folder; nothing if there is none, also if it is removed just now, as `glob` may not."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def journal_of(run: Path, writer: str | None) -> Path:
    """Return the path of a writer's journal; None is a run's only writer."""
    return run / (JOURNAL if writer is None else f"journal-{writer}.jsonl")


def writer_of(journal: Path) -> str | None:
    """Return the name of the writer that a journal belongs to, None if it is the only one."""
    return journal.stem.partition("-")[2] or None


def lock_of(journal: Path) -> FileLock:
    """Return the lock that the writer of a journal holds, not yet acquired."""
    return FileLock(journal.with_name(f".{journal.stem}.lock"))


def unlock(lock: FileLock) -> None:
    """Let go of a lock, and remove its file while it is still held: afterwards it may be the next one's already."""
    file = Path(lock.lock_file)
    with suppress(OSError):
        file.unlink()
    lock.release()
    if os.name == "nt":  # where a file can't be removed while it is open, nor while the next one has it
        with suppress(OSError):
            file.unlink()


class Journal:
    """The writing end. One `write` of the system per record, so that a killed process leaves whole lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | _O_BINARY, 0o644)
        except OSError as error:
            raise write_error(path, error) from error
        self._good_bytes = 0

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record.

        Raises:
            StoreError: it could not be written; what was written before stays valid.
        """
        left = line = journal_line(record)
        try:
            while left:  # a disk that fills up takes a part first, and gives the reason at the next call
                left = left[os.write(self._file, left) :]
        except OSError as error:
            os.ftruncate(self._file, self._good_bytes)
            raise write_error(self._path, error, self._path.parent) from error
        self._good_bytes += len(line)

    def sync(self) -> None:
        """Wait until everything written is on the disk.

        Raises:
            StoreError: the disk didn't take it.
        """
        try:
            os.fsync(self._file)
        except OSError as error:
            raise write_error(self._path, error, self._path.parent) from error

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def write_error(path: Path, error: OSError, run: Path | None = None) -> StoreError:
    """Say that results can't be written, and what to do.

    Args:
        path: what could not be written.
        error: what the system says.
        run: the folder of the run, if it has a journal to recover from.
    """
    what, remedy = _KINDS.get(error.errno or 0, ("the results folder can't be written", "Mend that"))
    message = f"{what}: {path}: {error.strerror or error}."
    if run is None or not _recoverable(run):
        other = ", or choose another folder with --results-dir" if error.errno not in _NO_DESCRIPTOR else ""
        return StoreError(f"{message}\n{remedy}{other}.")
    return StoreError(
        f"{message}\nEvery finished sample is in the run's journal. {remedy}, then finish the run with\n"
        f"  hil results recover {run}"
    )


def _recoverable(run: Path) -> bool:
    """Whether there is anything that `hil results recover` could save."""
    try:
        return any(path.stat().st_size for path in journals(run))
    except OSError:
        return False


#: Of this process, or of the whole computer.
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
_FULL = ("the results folder is full", "Free some space")
_TOO_MANY_OPEN = (
    "this computer lets no more files be opened",
    "Allow more (`ulimit -n 4096`), or use fewer boards in one process",
)
_KINDS = {
    errno.ENOSPC: _FULL,
    getattr(errno, "EDQUOT", errno.ENOSPC): _FULL,
    **dict.fromkeys(_NO_DESCRIPTOR, _TOO_MANY_OPEN),
}
_O_BINARY: int = getattr(os, "O_BINARY", 0)  # Windows would turn \n into \r\n
