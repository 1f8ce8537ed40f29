"""The files of a lease, in a folder of this user, or of a group whose members share the boards of a computer.

    NAME.guard           locked for the moment in which anything below changes; it stays
    NAME.json            who holds it: present as long as somebody does, or after a crash
    NAME.GENERATION.lock locked by the holder's process; the system frees it when that ends, however it ends

Each lease has a lock file of its own, so who takes over from a holder that hangs never waits for that one's lock.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from harness.config.state import hostname, username
from harness.files.json_file import read_json, write_json
from harness.locks.holder import Holder

#: Made by an administrator for the users of a host who share its boards, with the group that they are in.
_OF_THE_HOST = Path("/var/lib/tinyml-hil/leases")
_OWN, _OWN_FOLDER, _OF_A_GROUP = 0o600, 0o700, 0o660
_NAME_LENGTH = 60
#: How long to wait for the guard of a lease that is to be listed.
_LIST_S = 1.0


def lease_folder() -> Path:
    """Return the folder of the leases: $HIL_LEASES, else the host's if it has one, else this user's for this host.

    The user's own lies in the home folder. $XDG_RUNTIME_DIR would not do: what cron starts has none, and would not see
    a person's runs, and it is removed when that person logs out, also under a run that goes on. Who has no home has a
    folder in the temporary one, named by the user's number.
    """
    said = os.environ.get("HIL_LEASES")
    if said:
        return Path(said).resolve()  # the folder itself may then be no link
    if _OF_THE_HOST.is_dir():
        return _OF_THE_HOST
    try:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        there = next(folder for folder in (base, *base.parents) if folder.is_dir())
    except (RuntimeError, StopIteration):
        there = None
    if there is not None and os.access(there, os.W_OK):
        return base / "tinyml-hil" / "leases" / re.sub(r"[^A-Za-z0-9._-]", "_", hostname())
    return Path(tempfile.gettempdir()) / f"hil-leases-{os.getuid() if hasattr(os, 'getuid') else username()}"


def lease_name(what: str, key: str) -> str:
    """Return what the files of a lease begin with; different keys have different names."""
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return f"{what}-{re.sub(r'[^A-Za-z0-9]+', '-', key)[:_NAME_LENGTH]}-{digest}"


def open_lock(path: Path) -> FileLock:
    """Return a lock that any thread of the process may release, since a board may be closed by another one."""
    return FileLock(path, mode=_file_mode(path.parent), thread_local=False)


def _file_mode(folder: Path) -> int:
    """Return the mode of files in a folder: the group's if it may write the folder, else this user's alone."""
    try:
        return _OF_A_GROUP if folder.stat().st_mode & stat.S_IWGRP else _OWN
    except OSError:
        return _OWN


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
        """Make the folder, for this user alone, or look at who may write the one that is there.

        Raises:
            OSError: it can't be made, isn't a folder, or is open to who isn't to be trusted with it.
        """
        if not self._folder.is_dir():
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self._folder.mkdir(_OWN_FOLDER)
        if os.name == "nt":  # where folders of a user are that user's
            return
        about = self._folder.lstat()
        if not stat.S_ISDIR(about.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "it is a link, or no folder", str(self._folder))
        if about.st_mode & stat.S_IWOTH:
            raise PermissionError(
                errno.EACCES,
                "every user of this computer may write it, and so take boards away from others. Give it to a group "
                "(chgrp GROUP, chmod 2770), or to you alone (chmod 700)",
                str(self._folder),
            )
        shared = about.st_mode & stat.S_IWGRP and self._folder.parent != Path(tempfile.gettempdir())
        if about.st_uid != os.geteuid() and not shared:
            raise PermissionError(errno.EACCES, "it is another user's", str(self._folder))

    def guard(self, timeout_s: float) -> contextlib.AbstractContextManager[object]:
        """Keep everybody else from changing these files.

        Raises:
            filelock.Timeout: another process doesn't let go of them; it may be stopped in the midst of it.
            OSError: the file can't be opened.
        """
        return open_lock(self._folder / f"{self._name}.guard").acquire(timeout=timeout_s, poll_interval=0.005)

    def lock_path(self, generation: str) -> Path:
        """Return the lock file of one lease."""
        return self._folder / f"{self._name}.{generation}.lock"

    def read(self) -> Holder | None:
        """Return who holds it, as far as the file says; None if there is no file, or none that can be understood."""
        return Holder.parse(read_json(self.path, links=False))

    def write(self, holder: Holder) -> None:
        """Say who holds it. Call it under the guard.

        Raises:
            OSError: that can't be written.
        """
        write_json(self.path, holder.as_json(), _file_mode(self._folder))

    def touch(self, generation: str) -> None:
        """Make the lock file of a lease look used: programs that clean temporary folders go by the time of a file."""
        os.utime(self.lock_path(generation), follow_symlinks=os.utime not in os.supports_follow_symlinks)

    def locked(self) -> bool:
        """Remove locks that nobody has, and tell whether somebody has one. Call it under the guard."""
        paths = list(self._folder.glob(f"{self._name}.*.lock"))
        free = [path for path in paths if not is_locked(path)]
        for path in free:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        return len(free) < len(paths)

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


def list_leases() -> tuple[list[Holder], list[Holder]]:
    """Return who holds what on this computer, and what processes that crashed had left; that is removed."""
    held, crashed = [], []
    for path in sorted(lease_folder().glob("*.json")):
        files = LeaseFiles(path.parent, path.stem)
        found = files.read()
        if found is None:
            continue
        with contextlib.suppress(Timeout, OSError), files.guard(_LIST_S):
            now_held = files.read()
            if now_held is None:
                continue  # released meanwhile
            found = now_held
            if not is_locked(files.lock_path(found.generation)):
                files.remove(found.generation)
                crashed.append(found)
                continue
        held.append(found)
    return held, crashed
