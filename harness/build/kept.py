"""Objects of a user's own sources, kept from build to build for as long as nothing that they are made of changes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.files.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: What a file that sources include may end in.
_HEADERS = ("", ".h", ".hh", ".hpp", ".hxx", ".inc", ".inl", ".ipp", ".tcc", ".def")
_SPACE = re.compile(r"(?<!\\)\s+")
#: A file system's clock may be so much behind, ns.
_CLOCK_STEP = 20_000_000


def digest(path: Path) -> str:
    """Return the SHA-256 of a file; "" if it can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def names_of_headers(folders: Iterable[Path]) -> str:
    """Return what changes when a header comes or goes, which may stand before another one of its name."""
    names = (str(path) for folder in folders for path in folder.rglob("*") if path.suffix in _HEADERS)
    return hashlib.sha256("\0".join(sorted(names)).encode()).hexdigest()


@dataclass(frozen=True)
class KeptObject:
    """One source's object, and beside it a record of what it was made of.

    Attributes:
        path: the object.
        key: tells compilers, options and sets of headers apart.
        seen: `digest`, or one that remembers for the time of a build.
    """

    path: Path
    key: str
    seen: Callable[[Path], str] = digest

    @property
    def _record(self) -> Path:
        return self.path.with_suffix(".json")

    def said(self) -> str | None:
        """Return what the compiler warned of when it made the object; None if it must be made again."""
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            record = json.loads(self._record.read_text(encoding="utf-8"))
            made_of = record["files"]
            same = record["key"] == self.key and record["object"] == digest(self.path)
            if same and all(self.seen(Path(path)) == found for path, found in made_of.items()):
                return str(record["said"])
        return None

    def make(self, compiler: Callable[[Path, Path], str]) -> str:
        """Have the object made; return what the compiler warned of.

        Args:
            compiler: compiles to a path, and writes what the object depends on (-MD) to another one.

        Raises:
            ConfigError: as `compiler`.
        """
        began = time.time_ns() - _CLOCK_STEP
        self._record.unlink(missing_ok=True)
        with replacing(self.path) as draft, replacing(self._record) as record:
            said = compiler(draft, record)
            files = [Path(name) for name in _dependencies(record.read_text(errors="surrogateescape"))]
            made_of = {str(path): digest(path) for path in files}
            theirs = [
                path for path in files if self.path.parent not in path.parents
            ]  # others are written anew each time
            if any(path.stat().st_mtime_ns >= began for path in theirs):
                made_of[""] = "changed while it was compiled"  # never equal: it is compiled again
            content = {"key": self.key, "object": digest(draft), "said": said, "files": made_of}
            record.write_text(json.dumps(content), encoding="utf-8")
        return said


def _dependencies(rule: str) -> list[str]:
    """Return the files that a rule of make names behind its colon."""
    names = _SPACE.split(rule.partition(": ")[2].replace("\\\n", " ").strip())
    return [name.replace("\\ ", " ").replace("\\#", "#").replace("$$", "$") for name in names]


def objects_cache() -> Path | None:
    """Return where objects of engines are kept unless another folder is named; None if it can't be written."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base).absolute() / "tinyml-hil" / "objects"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
