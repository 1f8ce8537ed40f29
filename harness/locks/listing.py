"""All leases of this computer, for `hil leases`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from filelock import Timeout

from harness.files.json_file import read_json
from harness.locks.holder import Holder
from harness.locks.lease_files import LeaseFiles, is_locked, lease_folder

if TYPE_CHECKING:
    from pathlib import Path

_GUARD_S = 1.0


def list_leases(folder: Path | None = None) -> tuple[list[Holder], list[Holder]]:
    """Return who holds what, and what processes that crashed had left; that is removed.

    Args:
        folder: of the leases; default: `lease_folder()`.
    """
    held, crashed = [], []
    for path in sorted((folder or lease_folder()).glob("*.json")):
        files = LeaseFiles(path.parent, path.stem)
        found = Holder.parse(read_json(path, links=False))
        if found is None:
            continue
        with contextlib.suppress(Timeout, OSError), files.guard(_GUARD_S):
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
