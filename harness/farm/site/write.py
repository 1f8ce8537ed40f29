"""Writes the site into a folder: each page whole or not at all, and nothing of anybody else's is touched."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from harness.config.state import find_state
from harness.errors import ConfigError, HilError
from harness.farm.site.draw import FIRST, pages
from harness.farm.site.gather import Gatherer
from harness.files.json_file import read_json
from harness.locks.lease_files import lease_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.config import Lab

#: The list of what is ours in the folder, the lock of who writes it, and a page that isn't whole yet.
_LIST, _LOCK, _PART = ".hil-site.json", ".hil-site.lock", ".hil-site.part"
_OURS = re.compile(r"(?:(?:board|night|report)/)?[A-Za-z0-9][A-Za-z0-9._-]*\.(?:html|json)")
_PATIENCE_S: Final = 60.0
#: How often to look for something new, and how old the pages get while there is nothing.
_LOOK_S, _OLD_S = 5.0, 60.0
#: So many of the newest runs are looked at, each with its files.
_RUNS = 12


class Site:
    """A site that may be written again and again.

    Args:
        lab: the boards.
        results_dir: where runs lie.
        out: the folder: missing, empty, or one that this has written before.
    """

    def __init__(self, lab: Lab, results_dir: Path, out: Path) -> None:
        self._results, self._out = results_dir, out
        self._gatherer = Gatherer(lab, results_dir.absolute())

    def write(self, *, refresh: bool = False) -> Path:
        """Write it, and remove pages of boards, nights and runs that are gone; return the first page.

        Args:
            refresh: whether pages that change ask for themselves again.

        Raises:
            ConfigError: the folder holds something else, or can't be written.
        """
        drawn = pages(self._gatherer.look(), refresh=refresh)
        try:
            with self._alone():
                before = _listed(self._out)
                foreign = sorted(path for path in drawn if path not in before and os.path.lexists(self._out / path))
                if foreign:
                    raise ConfigError(f"{self._out / foreign[0]} isn't of this site, and would be overwritten; move it")
                self._put(_LIST, _list(before | drawn.keys()))  # first: no page is ever there that isn't listed
                for path, body in drawn.items():
                    self._put(path, body)
                for path in sorted(before - drawn.keys()):
                    self._remove(path)
                self._put(_LIST, _list(drawn.keys()))
        except OSError as error:
            raise ConfigError(f"the site can't be written to {self._out}: {error.strerror or error}") from error
        return self._out / FIRST

    def watch(self, say: Callable[[str], None]) -> None:
        """Write it whenever something changes, and once a minute; it only ends with an exception, like Ctrl-C.

        Args:
            say: is told what keeps it from being written later on; that may pass.

        Raises:
            ConfigError: as `write`, the first time.
        """
        seen, due = self._traces(), time.monotonic() + _OLD_S
        self.write(refresh=True)
        problem = ""
        while True:
            time.sleep(_LOOK_S)
            traces = self._traces()
            if traces == seen and time.monotonic() < due:
                continue
            seen, due, before = traces, time.monotonic() + _OLD_S, problem
            try:
                self.write(refresh=True)
                problem = ""
            except HilError as error:
                problem = str(error)
                if problem != before:
                    say(problem)

    def _traces(self) -> dict[str, tuple[int, int]]:
        """Return size and time of what changes when something happens: locks, state, newest runs, devices.yaml."""
        lab, found = self._gatherer.lab, {}
        calendar = lab.farm.calendar
        places = [lab.path, None if calendar is None or "://" in calendar else Path(calendar), self._results]
        runs = sorted(_inside(self._results), key=lambda path: path.name)[-_RUNS:]
        for folder in (lease_folder(), *runs):
            places += [folder, *_inside(folder)]
        places += [Path(parent, name) for parent, _, names in os.walk(find_state(lab)) for name in names]
        for path in places:
            with contextlib.suppress(OSError):
                about = path.stat() if path else None
                if about:
                    found[str(path)] = (about.st_mtime_ns, about.st_size)
        return found

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """See that the folder is there and ours, and keep other processes from writing it."""
        with contextlib.suppress(FileNotFoundError):
            if not (self._out / _LIST).is_file() and {path.name for path in self._out.iterdir()} - {_LOCK, _PART}:
                raise ConfigError(f"{self._out} holds something else, and no site; name a folder that is empty or new")
        self._out.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._out / _LOCK, timeout=_PATIENCE_S):
                yield
        except Timeout:
            raise ConfigError(f"another process has been writing {self._out} for {_PATIENCE_S:g} s") from None

    def _put(self, path: str, body: bytes) -> None:
        target, part = self._out / path, self._out / _PART
        target.parent.mkdir(exist_ok=True)
        if target.parent.is_symlink() and target.parent != self._out:
            raise ConfigError(f"{target.parent} is a link, so pages would be written elsewhere; remove it")
        part.unlink(missing_ok=True)  # of a process that was killed
        with part.open("xb") as file:
            file.write(body)
        part.replace(target)

    def _remove(self, path: str) -> None:
        target = self._out / path
        if target.parent == self._out or not target.parent.is_symlink():
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
            with contextlib.suppress(OSError):  # other pages are in it
                target.parent.rmdir()


def _listed(out: Path) -> set[str]:
    """Return the paths of the pages that were written before; what can't be one of ours is none."""
    found = (read_json(out / _LIST, links=False) or {}).get("files")
    paths = found if isinstance(found, list) else []
    return {path for path in paths if isinstance(path, str) and _OURS.fullmatch(path)}


def _list(paths: Iterable[str]) -> bytes:
    about = "Written by `hil site`: these files are overwritten and removed by it, and no others."
    return (json.dumps({"about": about, "files": sorted(paths)}, indent=2) + "\n").encode()


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
