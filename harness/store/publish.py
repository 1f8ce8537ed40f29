"""A finished run is copied to where the runs of all hosts are: a folder, or any file system that fsspec knows.

Concurrent writers never collide, since the names of runs are unique, and a reader never sees half a run. In a folder it
appears by being renamed. Behind a URL, where nothing can be renamed, cases.parquet comes last, which makes a folder a
run.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.errors import HilError, StoreError
from harness.files.json_file import make_folder, write_json
from harness.store.folders import find_run, newest_run, point_latest
from harness.store.manifest import FILES_FILE, Manifest, entry_of, manifest_of, read_manifest
from harness.store.remote import as_folder, is_url, open_remote
from harness.store.runs import CASES_FILE
from harness.store.tables import sync_folder

if TYPE_CHECKING:
    from pathlib import Path

    from harness.store.remote import Remote

#: In a store's folder: runs that are on their way. It holds no runs for who lists the store.
_STAGING: Final = ".publishing"
#: What a killed process left there is removed after so long without a change.
_ABANDONED_S: Final = 3600.0
_THERE: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR)


@dataclass(frozen=True)
class Published:
    """What came of publishing a run: a line for the user, and whether it failed."""

    line: str
    failed: bool


def publish(run: Path, store: str) -> str:
    """Copy a finished run into a store. Nothing is done if it is there already; an interrupted copy is begun again.

    Args:
        run: the run's folder, or `latest`.
        store: a folder, or a URL of fsspec.

    Returns:
        Where the run is now.

    Raises:
        ConfigError: fsspec is needed and not installed, or doesn't know the URL.
        StoreError: the run is unfinished or can't be read, another run of its name is there, or the store can't be
            reached or written.
    """
    run = find_run(run)
    manifest = manifest_of(run)
    if is_url(store):
        return _to_remote(run, manifest, open_remote(store))
    root = as_folder(store)
    try:
        return str(_to_folder(run, manifest, root))
    except OSError as error:
        raise StoreError(f"the store {root} can't be written: {error.strerror or error}") from error


def publish_to(run: Path, store: str | None) -> Published | None:
    """Publish a run at the end of a session. A store that can't be reached loses nothing: the run stays where it is.

    Args:
        run: its folder, with its tables written.
        store: a folder, or a URL of fsspec; None if the lab has none.

    Returns:
        What came of it; None if there is no store, or the run is in it already.
    """
    if store is None or (not is_url(store) and as_folder(store).resolve() == run.resolve().parent):
        return None
    try:
        where = publish(run, store)
    except HilError as error:
        words = str(error).rstrip(".")
        return Published(f"NOT published: {words}. Nothing is lost: hil results publish {run}", failed=True)
    return Published(f"Published: {where}", failed=False)


def _to_folder(run: Path, manifest: Manifest, root: Path) -> Path:
    final = root / run.name
    if not final.exists():
        staging = make_folder(root / _STAGING)
        _sweep(staging)
        temporary = staging / f"{run.name}.{secrets.token_hex(4)}"
        try:
            _copy(run, manifest, temporary)
            temporary.rename(final)
            sync_folder(root)
            _point_at_newest(root)
        except OSError as error:
            if error.errno not in _THERE:
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    if not final.samefile(run) and not manifest_of(final).same_run(manifest):
        raise _differs(str(final))
    return final


def _point_at_newest(root: Path) -> None:
    """Let the store's `latest` be its newest run; another host's may appear before an older one is pointed at."""
    pointed, newest = None, newest_run(root)
    while newest is not None and newest != pointed:
        point_latest(root, newest)
        pointed, newest = newest, newest_run(root)


def _copy(run: Path, manifest: Manifest, folder: Path) -> None:
    """Copy a run and hold the copy against the original."""
    make_folder(folder)
    for name in manifest.in_order():
        target = folder / name
        make_folder(target.parent)
        shutil.copyfile(run / name, target)
        with target.open("rb+") as file:
            os.fsync(file.fileno())
        if entry_of(target) != manifest.files[name]:
            raise StoreError(f"{target} differs from {run / name} after it was copied; try again")
    write_json(folder / FILES_FILE, manifest.plain())
    sync_folder(folder)


def _sweep(staging: Path) -> None:
    """Remove copies that were abandoned half-way. One that grows is somebody's at work."""
    for folder in staging.iterdir():
        try:
            newest = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
        except OSError:  # it was just finished or removed
            continue
        if time.time() - newest > _ABANDONED_S:
            shutil.rmtree(folder, ignore_errors=True)


def _to_remote(run: Path, manifest: Manifest, remote: Remote) -> str:
    where = f"{remote.url}/{run.name}"
    if remote.size(run.name, CASES_FILE) is not None:
        said = remote.read_json(run.name, FILES_FILE)
        if said is None:
            raise StoreError(f"{where} was put there by hand, without {FILES_FILE}: remove it, then publish the run")
        there = read_manifest(said, f"{where}/{FILES_FILE}")
        if not there.same_run(manifest):
            raise _differs(where)
        if all(remote.size(run.name, name) == entry.bytes for name, entry in there.files.items()):
            return where  # else a copy of it was cut off, and is made again
        if lost := sorted(set(there.files) - set(manifest.files)):
            raise StoreError(f"{where} is damaged, and can't be replaced: {', '.join(lost)} of it were pruned here")
    *others, cases = manifest.in_order()
    for name in others:
        remote.put(run / name, run.name, *name.split("/"))
    remote.write_json(manifest.plain(), run.name, FILES_FILE)
    remote.put(run / cases, run.name, cases)
    return where


def _differs(where: str) -> StoreError:
    return StoreError(
        f"{where} is there already and differs: a run is never replaced. Find out which of the two is the right one, "
        "and remove or rename the other"
    )
