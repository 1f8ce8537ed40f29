"""What a finished run consists of, with sizes and checksums: files.json, which goes into a store with it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from harness.errors import StoreError
from harness.schema import TABLES
from harness.store.folders import pruned
from harness.store.journal import journals
from harness.store.runs import CASES_FILE, RUN_FILE, read_run_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: In a run's folder in a store: the size and checksum of every other file.
FILES_FILE: Final = "files.json"
#: Folders of a run whose files belong to it.
FOLDERS: Final = ("power", "logs")

#: Names that can't lead out of the run's folder.
_NAME = re.compile(r"(?:power|logs)(?:/(?!\.\.?(?:/|$))[^/\\]+)+|[A-Za-z0-9_]{1,100}\.(?:json|parquet)")
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One file: how long it is, and its checksum."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The files of a run by name, and whether some were pruned before."""

    files: Mapping[str, Entry]
    pruned: bool

    def plain(self) -> dict[str, Any]:
        """Return it as what JSON knows."""
        return {"pruned": self.pruned, "files": {name: asdict(entry) for name, entry in self.files.items()}}

    def in_order(self) -> list[str]:
        """Return the names in the order in which they are written: cases.parquet last, as it makes a run."""
        return sorted(self.files, key=lambda name: (name == CASES_FILE, name))

    def same_run(self, other: Manifest) -> bool:
        """Whether two copies are of one run. What was pruned from one of them makes no difference."""
        if not self.pruned and not other.pruned:
            return dict(self.files) == dict(other.files)
        both = (set(self.files) & set(other.files)) - {RUN_FILE}
        return CASES_FILE in both and all(self.files[name] == other.files[name] for name in both)


def manifest_of(run: Path) -> Manifest:
    """Return what a finished run consists of. Reports, and what else people put into its folder, are not counted.

    Raises:
        StoreError: it is unfinished, no run, or a file can't be read.
    """
    if journals(run):
        raise StoreError(f"{run} is unfinished: finish it with `hil results recover`, then publish it")
    if not (run / CASES_FILE).is_file():
        raise StoreError(f"{run} is not a run's folder: it has no {CASES_FILE}")
    paths = [run / name for name in (RUN_FILE, *(f"{table}.parquet" for table in TABLES))]
    try:
        paths += [path for folder in FOLDERS for path in (run / folder).rglob("*")]
        files = {path.relative_to(run).as_posix(): entry_of(path) for path in paths if path.is_file()}
    except OSError as error:
        raise StoreError(f"{run} can't be read: {error}") from error
    return Manifest(files, pruned(read_run_file(run)) is not None)


def entry_of(path: Path) -> Entry:
    """Return size and checksum of a file.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Entry(file.tell(), digest.hexdigest())


def read_manifest(content: object, where: str) -> Manifest:
    """Return the manifest that files.json of a store holds. Its names can't lead out of the run's folder.

    Raises:
        StoreError: it is damaged, or not one of ours.
    """
    try:
        files = {name: Entry(item["bytes"], item["sha256"]) for name, item in content["files"].items()}  # type: ignore[index]
        good = CASES_FILE in files and all(_good(name, entry) for name, entry in files.items())
        manifest = Manifest(files, bool(content["pruned"]))  # type: ignore[index]
    except (TypeError, KeyError, AttributeError):
        good = False
    if not good:
        raise StoreError(f"{where} is damaged: it must hold size and SHA-256 of each file of the run")
    return manifest


def _good(name: Any, entry: Any) -> bool:
    return (
        isinstance(name, str)
        and _NAME.fullmatch(name) is not None
        and isinstance(entry.bytes, int)
        and isinstance(entry.sha256, str)
        and _SHA256.fullmatch(entry.sha256) is not None
    )
