"""Runs of a store behind a URL, brought into a folder of this computer, so that they are read like any others."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.errors import StoreError
from harness.files.json_file import make_folder
from harness.store.folders import TAGS_FILE, newest_run, point_latest, remove_folder, runs_in
from harness.store.manifest import FILES_FILE, FOLDERS, entry_of, read_manifest
from harness.store.remote import UnreachableError, as_folder, is_url, open_remote
from harness.store.runs import CASES_FILE

if TYPE_CHECKING:
    from harness.store.remote import Remote

_STAGING: Final = ".fetching"


def local(path: str) -> Path:
    """Return the folder that a path or URL means: of a store, of a run in one, or of its `latest`.

    What a URL means is fetched into this user's cache.

    Raises:
        ConfigError: fsspec is needed and not installed, or doesn't know the URL.
        StoreError: there is no run, or the store can't be reached.
    """
    if not is_url(path):
        return as_folder(path) if path.startswith("file://") else Path(path)
    remote = open_remote(path.rstrip("/"))
    above, _, last = remote.url.rpartition("/")
    if not above.endswith("/") and (last == "latest" or remote.size(CASES_FILE) is not None):
        remote = open_remote(above)
        names = [name for name in _names(remote) if last in ("latest", name)]
        whole = next((name for name in reversed(names) if remote.size(name, CASES_FILE) is not None), None)
        runs = _fetch(remote, cache_of(remote.url), [whole]) if whole else []
        if not runs:
            raise StoreError(f"{path}: there is no such run")
        return runs[0]
    folder, names = cache_of(remote.url), _names(remote)
    if not _fetch(remote, folder, names):
        raise StoreError(f"{path} holds no runs")
    for gone in {run.name for run in runs_in(folder)} - set(names):
        remove_folder(folder / gone)
    _fetch_tags(remote, folder)
    if newest := newest_run(folder):
        point_latest(folder, newest)
    return folder


def cache_of(url: str) -> Path:
    """Return the folder of this user's cache that the runs of a store are fetched into."""
    return _caches() / hashlib.sha256(url.encode()).hexdigest()[:16]


def is_cached(folder: Path) -> bool:
    """Whether a folder, or what it is in, only mirrors a store behind a URL."""
    return _caches().resolve() in (folder.resolve(), *folder.resolve().parents)


def _caches() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tinyml-hil" / "stores"


def _names(remote: Remote) -> list[str]:
    """Return the names of what may be runs, oldest first."""
    return [name for name in remote.folders() if name and not name.startswith(".") and "\\" not in name]


def _fetch(remote: Remote, folder: Path, names: list[str]) -> list[Path]:
    found = []
    for name in names:
        run = folder / name
        if not (run / CASES_FILE).is_file():
            try:
                if not _fetch_run(remote, run):
                    continue  # no run, or one that is still on its way
            except UnreachableError:
                raise
            except StoreError as error:
                warnings.warn(f"left out: {error}", stacklevel=3)
                continue
            except OSError as error:
                raise StoreError(f"{run} can't be written: {error.strerror or error}") from error
        found.append(run)
    return found


def _fetch_run(remote: Remote, run: Path) -> bool:
    """Fetch a run, but for its traces in power/ and its logs/; returns whether there is one."""
    if remote.size(run.name, CASES_FILE) is None:
        return False
    said = remote.read_json(run.name, FILES_FILE)
    manifest = read_manifest(said, f"{remote.url}/{run.name}/{FILES_FILE}")
    staging = make_folder(make_folder(run.parent / _STAGING) / f"{run.name}.{secrets.token_hex(4)}")
    try:
        for file in manifest.in_order():
            if file.startswith(tuple(f"{kept}/" for kept in FOLDERS)):
                continue
            target = staging / file
            remote.get(target, run.name, file)
            if not target.is_file() or entry_of(target) != manifest.files[file]:
                raise StoreError(
                    f"{remote.url}/{run.name}/{file} is not what {FILES_FILE} says: it is being replaced, or damaged. "
                    "Who has the run publishes it again: hil results publish RUN"
                )
        if not (run / CASES_FILE).is_file():  # else another process was faster
            staging.replace(run)
    except OSError:
        if not (run / CASES_FILE).is_file():
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return True


def _fetch_tags(remote: Remote, folder: Path) -> None:
    if remote.size(TAGS_FILE) is None:
        (folder / TAGS_FILE).unlink(missing_ok=True)
    else:
        remote.get(folder / TAGS_FILE, TAGS_FILE)
