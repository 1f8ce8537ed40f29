"""Files of JSON lines that many processes append to: a torn line costs itself and nothing else."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from harness.errors import StoreError
from harness.files.journal_lines import Damage, journal_line, read_journal
from harness.files.json_file import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

#: A line is written in microseconds; who waits longer waits for a file system that doesn't answer.
_PATIENCE_S = 10.0
_MODE = 0o664
_O_BINARY: int = getattr(os, "O_BINARY", 0)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep others from changing a file: its lock is a hidden file beside it, that the system frees if we die.

    Raises:
        StoreError: somebody else has had it for too long, or it can't be made.
    """
    try:
        make_folder(path.parent)
        lock = FileLock(path.with_name(f".{path.name}.lock"), mode=0o666)
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        raise StoreError(
            f"{path} has been locked by another process for {_PATIENCE_S:g} s; is its disk full?"
        ) from None
    except OSError as error:
        raise _error(path, error) from error
    try:
        yield
    finally:
        lock.release()


def append_line(path: Path, record: Mapping[str, Any]) -> int:
    """Add a line with one write of the system, and return the size of the file.

    Raises:
        StoreError: it can't be written.
    """
    with locked(path):
        return _append(path, journal_line(record))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines that are whole, in their order; none if there is no such file.

    Raises:
        StoreError: the file is there and can't be read.
    """
    if not path.is_file():
        return []
    return [line for line in read_journal(path) if not isinstance(line, Damage)]


def rewrite_lines(path: Path, keep: Callable[[Sequence[dict[str, Any]]], Sequence[Mapping[str, Any]]]) -> None:
    """Replace the lines of a file by those that `keep` returns; a reader sees the old file or the new one.

    Raises:
        StoreError: it can't be written.
    """
    with locked(path):
        content = b"".join(map(journal_line, keep(read_lines(path))))
        temporary = path.with_name(f".{path.name}.tmp")  # ours alone, since we have the lock
        try:
            temporary.unlink(missing_ok=True)
            _append(temporary, content, sync=True)
            temporary.replace(path)
        except OSError as error:
            raise _error(path, error) from error
        finally:
            temporary.unlink(missing_ok=True)


def _append(path: Path, content: bytes, *, sync: bool = False) -> int:
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _O_BINARY, _MODE)
        try:
            size = os.fstat(file).st_size
            if size and not _ends_a_line(file, size):  # what a killed process left must not spoil this line
                content = b"\n" + content
            written = 0
            while written < len(content):  # a disk that fills up takes a part first
                written += os.write(file, content[written:])
            if sync:
                os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise _error(path, error) from error
    return size + written


def _ends_a_line(file: int, size: int) -> bool:
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) == b"\n"


def _error(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} can't be written: {error.strerror or error}. Free some space, or name another state folder with "
        "`farm: {state: FOLDER}` in devices.yaml or with HIL_STATE"
    )
