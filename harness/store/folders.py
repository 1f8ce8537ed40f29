"""Where runs lie: what they are called, which run a path or a tag means, and when it was."""

from __future__ import annotations

import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ReservationError, StoreError
from harness.files.json_file import parse_json, read_json
from harness.store.journal import JOURNAL, journals
from harness.text.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

PathLike = str | Path
When = str | datetime

#: In a results folder: names that people gave to runs, `hil results tag RUN NAME`.
TAGS_FILE = "baselines.json"


@dataclass(frozen=True)
class Pruned:
    """What `hil results prune` took from a run: on which day, and the names of its files and folders."""

    on: str
    names: tuple[str, ...]

    def why(self, run: str, table: str) -> str | None:
        """Return why a table of the run can't be read any more, None if it wasn't taken."""
        gone = f"{table}.parquet" in self.names
        return f"the {table} of run {run} were pruned on {self.on}; its cases are kept" if gone else None


def find_run(path: PathLike) -> Path:
    """Return the run's folder that `path` means: itself, or what `latest` points at.

    Raises:
        StoreError: it is no run.
    """
    given = Path(path)
    folder = given
    if given.name == "latest" and given.is_file():
        folder = given.parent / given.read_text(encoding="utf-8").strip()
    if is_run(folder):
        return folder.resolve() if folder.is_symlink() else folder
    if given.name == "latest" and given.parent.is_dir():
        last, count = newest_run(given.parent), len(runs_in(given.parent))
        newest = f"; the newest of {count} in {given.parent} is {last}: name it instead" if last else ""
        raise StoreError(f"{given} is lost, or points at no run{newest or '; there are none beside it'}")
    if not given.exists():
        raise StoreError(f"{given}: there is no such run; `hil results` lists them")
    raise StoreError(f"{given} is not a run's folder: it has neither cases.parquet nor {JOURNAL}")


def remove_folder(path: Path) -> None:
    """Remove a folder with all that it holds, as far as another process, which does the same, has left it."""
    while path.is_dir() and not path.is_symlink():
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


def runs_in(folder: Path) -> list[Path]:
    """Return the folders of the runs in a results folder, oldest first.

    Raises:
        StoreError: there is no such folder.
    """
    if not folder.is_dir():
        raise StoreError(f"{folder}: there is no such results folder; runs make it")
    return sorted(path for path in folder.iterdir() if not path.is_symlink() and is_run(path))


def newest_run(folder: Path) -> str | None:
    """Return the name of the run in a results folder that was begun last; None if it holds none.

    Raises:
        StoreError: there is no such folder.
    """
    return max((run.name for run in runs_in(folder)), key=lambda name: order_of(folder / name), default=None)


def order_of_next(folder: Path, name: str) -> list[str | int]:
    """Return what a new run's run.json says as `order`: greater than that of the run that was the latest until now.

    Names begin with a time, and a clock may be set back: then a run goes by the latest one's name and a number.

    Args:
        folder: the results folder.
        name: folder name of the new run.
    """
    latest = folder / "latest"
    try:
        before = latest.readlink().name if latest.is_symlink() else latest.read_text(encoding="utf-8").strip()
    except OSError:
        return [name, 0]
    above, steps = order_of(folder / before)
    return list(max((name, 0), (above, steps + 1)))


def order_of(run: Path) -> tuple[str, int]:
    """Return where a run stands among others: by its run.json, else by its name."""
    match (read_json(run / "run.json") or {}).get("order"):
        case [str(above), int(steps)]:
            return max((run.name, 0), (above, steps))
    return run.name, 0


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run, finished or not."""
    return bool(journals(folder)) or (folder / "cases.parquet").is_file()


def folders(path: Path) -> list[Path]:
    """Return the folders of the runs that a path means: a run, `latest`, or all runs in a folder.

    Raises:
        StoreError: there are none.
    """
    if not path.is_dir() or is_run(path):
        return [find_run(path).resolve()]
    runs = runs_in(path)
    if not runs:
        raise StoreError(f"{path} holds no runs")
    return [folder.resolve() for folder in runs]


def wanted(
    folder: Path, about: dict[str, Any], span: tuple[datetime | None, datetime | None], revision: str | None
) -> bool:
    """Whether a run is in a span of time and of a git revision. A run that can't be dated is in no span.

    Args:
        folder: the run's folder.
        about: the content of its run.json.
        span: when it must have begun: not before the first, and before the second.
        revision: first digits of its git revision.
    """
    if revision is not None and not str(about.get("git_revision") or "").startswith(revision):
        return False
    since, until = span
    if since is None and until is None:
        return True
    began = started(folder, about)
    if began is None:
        return False
    return (since is None or began >= since) and (until is None or began < until)


def started(folder: Path, about: dict[str, Any]) -> datetime | None:
    """Return when a run began: what run.json says, else what its name says, else None.

    Args:
        folder: the run's folder.
        about: the content of its run.json.
    """
    try:
        return parse_time(str(about["started_utc"]))
    except (KeyError, StoreError):
        try:
            return datetime.strptime(folder.name.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return None


def parse_when(when: When | None) -> datetime | None:
    """Return the time that a user means: as `parse_time` reads it, or a length of time like `7d` ago.

    Raises:
        StoreError: it is neither.
    """
    if isinstance(when, str):
        with suppress(ReservationError):
            return datetime.now(UTC) - parse_duration(when)
    try:
        return parse_time(when)
    except StoreError as error:
        raise StoreError(f"{error}, or as 7d, 12h or 30m for so long ago") from None


def parse_time(when: When | None) -> datetime | None:
    """Return a time in UTC unless it says otherwise.

    Raises:
        StoreError: it is no time.
    """
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when)
        except ValueError:
            raise StoreError(f"{when!r} is no time: write it like 2026-03-01 or 2026-03-01T22:00") from None
    if when is not None and when.tzinfo is None:
        return when.replace(tzinfo=UTC)
    return when


def ended(about: dict[str, Any]) -> datetime | None:
    """Return when the tables of a run were written, None if its run.json doesn't say."""
    try:
        return parse_time(str(about["ended_utc"]))
    except (KeyError, StoreError):
        return None


def pruned(about: Mapping[str, Any]) -> Pruned | None:
    """Return what was pruned from a run, as its run.json says; None if nothing was."""
    if "pruned_utc" not in about:
        return None
    names = about.get("pruned")
    try:
        when = parse_time(str(about["pruned_utc"]))
    except StoreError:
        when = None
    on = f"{when:%Y-%m-%d}" if when else "an unknown day"
    return Pruned(on, tuple(map(str, names)) if isinstance(names, list) else ("samples.parquet", "windows.parquet"))


def injected_faults(about: Mapping[str, Any]) -> str | None:
    """Return the faults that were injected into a run on purpose, as its run.json says; None if there were none."""
    place: Any = about
    for key in ("config", "options", "virtual_faults"):
        place = place.get(key) if isinstance(place, dict) else None
    return ", ".join(map(str, place)) or None if isinstance(place, list) else None


def run_name() -> str:
    """Return the name of a new run's folder."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def writer_name(*parts: str) -> str:
    """Return a name for one of several writers of a run: another one than any before, also after a power cut.

    Numbers of processes come again, and a journal can be begun only once.

    Args:
        parts: what tells people which writer it is: a host, a board.
    """
    return re.sub(r"[^A-Za-z0-9._]", "_", ".".join([*parts, secrets.token_hex(4)]))


def point_latest(results_dir: Path, name: str) -> None:
    """Let results/latest be a link to the newest run, or a file with its name where there are no links."""
    temporary = results_dir / f".latest-{name}-{secrets.token_hex(4)}"  # threads of one process may do it at once
    try:
        temporary.symlink_to(name, target_is_directory=True)
    except (OSError, NotImplementedError):
        temporary.write_text(f"{name}\n", encoding="utf-8")
    temporary.replace(results_dir / "latest")


def read_tags(results_dir: Path) -> dict[str, str]:
    """Return the tags of a results folder: run names by tag.

    Raises:
        StoreError: the file is damaged.
    """
    path = results_dir / TAGS_FILE
    try:
        content = parse_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is damaged: {error}; mend or remove it") from error
    if not isinstance(content, dict) or not all(isinstance(run, str) for run in content.values()):
        raise StoreError(f"{path} is damaged: it must hold a run's name for each tag; mend or remove it")
    return content
