"""The files of a lease, in a folder that all users of a computer share.

    NAME.guard           locked for the moment in which anything below changes; it stays
    NAME.json            who holds it: present as long as somebody does, or after a crash
    NAME.GENERATION.lock locked by the holder's process; the system frees it when that ends, however it ends

Each lease has a lock file of its own, so who takes over from a holder that hangs never waits for that one's lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from harness.farm.holder import Holder
from harness.json_file import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Other users' runs must be able to open the files, and to replace them.
_FILE_MODE, _FOLDER_MODE = 0o666, 0o777
_NAME_LENGTH = 60


def lease_folder() -> Path:
    """Return the folder of the leases: $HIL_LEASES, else one in the temporary folder."""
    said = os.environ.get("HIL_LEASES")
    return Path(said).absolute() if said else Path(tempfile.gettempdir()) / "hil-leases"


def lease_name(what: str, key: str) -> str:
    """Return what the files of a lease begin with; different keys have different names."""
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return f"{what}-{re.sub(r'[^A-Za-z0-9]+', '-', key)[:_NAME_LENGTH]}-{digest}"


def open_lock(path: Path) -> FileLock:
    """Return a lock that any thread of the process may release, since a board may be closed by another one."""
    return FileLock(path, mode=_FILE_MODE, thread_local=False)


class LeaseFiles:
    """The files of one thing that can be held.

    Args:
        folder: of all leases.
        name: from `lease_name`.

    Attributes:
        path: the file that says who holds it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.json"
        self._folder = folder
        self._name = name

    def make_folder(self) -> None:
        """Make the folder, for all users.

        Raises:
            OSError: it can't be made.
        """
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # another user was quicker
                self._folder.chmod(_FOLDER_MODE)

    @contextlib.contextmanager
    def guard(self, timeout_s: float) -> Iterator[None]:
        """Keep everybody else from changing these files.

        Raises:
            filelock.Timeout: another process doesn't let go of them; it may be stopped in the midst of it.
            OSError: the file can't be opened.
        """
        with open_lock(self._folder / f"{self._name}.guard").acquire(timeout=timeout_s, poll_interval=0.005):
            yield

    def lock_path(self, generation: str) -> Path:
        """Return the lock file of one lease."""
        return self._folder / f"{self._name}.{generation}.lock"

    def read(self) -> Holder | None:
        """Return who holds it, as far as the file says; None if there is no file, or none that can be understood."""
        return Holder.parse(read_json(self.path))

    def write(self, holder: Holder) -> None:
        """Say who holds it. Call it under the guard.

        Raises:
            OSError: that can't be written.
        """
        write_json(self.path, holder.as_json())
        with contextlib.suppress(OSError):
            self.path.chmod(_FILE_MODE)

    def sweep(self) -> None:
        """Remove locks that nobody has: of processes that ended in the midst of taking it. Call it under the guard."""
        for path in self._folder.glob(f"{self._name}.*.lock"):
            if not is_locked(path):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def somebody(self) -> bool:
        """Tell whether any process has a lock, for when the file can't say who. Call it under the guard."""
        return any(is_locked(path) for path in self._folder.glob(f"{self._name}.*.lock"))

    def remove(self, generation: str) -> None:
        """Remove what a lease that has ended left. Call it under the guard."""
        for path in (self.path, self.lock_path(generation)):
            with contextlib.suppress(OSError):  # Windows keeps a file that a stopped process has open: harmless
                path.unlink(missing_ok=True)


def is_locked(path: Path) -> bool:
    """Tell whether a process has a lock; also if this user may not find out."""
    if not path.exists():
        return False
    lock = open_lock(path)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return True
    lock.release()
    return False
