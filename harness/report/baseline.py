"""What a run is held against: a run by its path, name, tag or git revision, the latest, or the last nights."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import StoreError
from harness.files.json_file import write_json
from harness.report.compare import compare_history, compare_runs
from harness.store.folders import TAGS_FILE, find_run, injected_faults, is_run, read_tags, runs_in, started
from harness.store.journal import journals
from harness.store.read import load_results
from harness.store.runs import read_run_file

if TYPE_CHECKING:
    from datetime import datetime

    from harness.report.frame import Comparison, Policy
    from harness.report.history import Series
    from harness.store.results import Results

_COUNT = re.compile(r"[0-9]{1,6}")
_REVISION = re.compile(r"[0-9a-f]{7,40}")
_TAG = re.compile(r"[A-Za-z0-9][\w.\-/]*")
_RESERVED = ("latest",)


@dataclass(frozen=True)
class Baseline:
    """The runs of a baseline. `nights` is how many nights of history it is, None for a single run."""

    words: str
    results: Results
    nights: int | None = None


def find_baseline(wanted: str, results_dir: Path, current: Path | None = None) -> Baseline:
    """Return the runs that a baseline means.

    In this order: `latest`, `history:N`, a tag of `hil results tag`, the path or name of a run, a git revision or
    branch. Runs that are not finished, had faults injected, or began after `current` don't count for `latest`, a
    revision and history.

    The `current` run, which is compared, is never its own baseline.

    Raises:
        StoreError: there is no such baseline; says what there is.
    """
    nights = history_nights(wanted)
    if nights is not None:
        return _history(nights, results_dir, current)
    if wanted == "latest":
        earlier = _earlier(results_dir, current)
        if not earlier:
            raise StoreError(f"{results_dir} holds no earlier run to compare with")
        newest = earlier[-1][1]
        return Baseline(f"latest: {newest.name}", load_results(newest))
    tagged = read_tags(results_dir).get(wanted)
    if tagged is not None:
        folder = results_dir / tagged
        if not folder.is_dir():
            raise StoreError(f"{results_dir / TAGS_FILE}: {wanted} means the run {tagged}, which is gone")
        return Baseline(f"{wanted}: {tagged}", load_results(folder))
    for path in (Path(wanted), results_dir / wanted):
        if is_run(path):
            folder = find_run(path)
            return Baseline(folder.name, load_results(folder))
    return _of_revision(wanted, results_dir, current)


def against_baseline(
    current: Results, run: Path, wanted: str, results_dir: Path, policy: Policy, *, device: str | None = None
) -> tuple[Comparison, tuple[Series, ...]]:
    """Compare the results of the run in a folder with a baseline, as `find_baseline` takes it.

    With `device`, only what this device, or this pool, measured is compared.

    Raises:
        StoreError: there is no such baseline, or it has nothing of that device.
    """
    found = find_baseline(wanted, results_dir, run)
    if device is not None:
        found = replace(found, results=found.results.of_device(device))
    if found.nights is not None:
        return compare_history(found.results, current, policy)
    return replace(compare_runs(found.results, current, policy), a=found.words), ()


def history_nights(wanted: str) -> int | None:
    """Return the N of `history:N`; None if a baseline is something else.

    Raises:
        StoreError: it is no number, or less than 2.
    """
    head, colon, number = wanted.partition(":")
    if head != "history" or not colon:
        return None
    if not _COUNT.fullmatch(number) or int(number) < 2:
        raise StoreError(f"{wanted!r}: a history needs at least 2 nights: write history:7")
    return int(number)


def tag_run(results_dir: Path, run: Path, name: str) -> str | None:
    """Give a run a name that `--baseline` knows; returns the run that had it before.

    Args:
        results_dir: where the run is.
        run: a run's folder, or `latest`.
        name: letters, digits, and . _ - / after the first.

    Raises:
        StoreError: there is no such run in `results_dir`, the name can't be used, or the file can't be written.
    """
    if not _TAG.fullmatch(name) or name in _RESERVED:
        raise StoreError(f"{name!r} can't be a tag: letters, digits and . _ - / are allowed, and not {_RESERVED[0]}")
    folder = find_run(run).resolve()
    if folder.parent != results_dir.resolve():
        raise StoreError(f"{run} is not in {results_dir}: a tag is kept beside the runs that it names")
    if journals(folder):
        raise StoreError(f"{run} is unfinished: finish it with `hil results recover`, then tag it")
    tags = read_tags(results_dir)
    before = tags.get(name)
    tags[name] = folder.name
    path = results_dir / TAGS_FILE
    try:
        write_json(path, dict(sorted(tags.items())))
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror}") from error
    return before


def _earlier(results_dir: Path, current: Path | None) -> list[tuple[datetime, Path]]:
    """Return when the finished runs without injected faults began that did before the current one, oldest first."""
    current = current.resolve() if current else None
    limit = started(current, read_run_file(current)) if current else None
    found = []
    for folder in runs_in(results_dir):
        if folder.resolve() == current or journals(folder):
            continue
        about = read_run_file(folder)
        began = started(folder, about)
        if began is not None and injected_faults(about) is None and (limit is None or began < limit):
            found.append((began, folder))
    return sorted(found)


def _history(nights: int, results_dir: Path, current: Path | None) -> Baseline:
    newest = {began.date(): folder for began, folder in _earlier(results_dir, current)}
    chosen = list(newest.values())[-nights:]
    if not chosen:
        raise StoreError(f"{results_dir} holds no earlier run to compare with")
    words = f"the last {len(chosen)} nights" if len(chosen) > 1 else "the one earlier night"
    return Baseline(words, load_results(chosen), nights)


def _of_revision(wanted: str, results_dir: Path, current: Path | None) -> Baseline:
    revision = wanted if _REVISION.fullmatch(wanted) else _resolve(wanted)
    runs = _earlier(results_dir, current) if results_dir.is_dir() else []
    known = [(folder, str(read_run_file(folder).get("git_revision") or "")) for _, folder in runs]
    of_it = [item for item in known if revision and item[1].startswith(revision)]
    if not of_it:
        tags = ", ".join(read_tags(results_dir)) or "none"
        what = f" (revision {revision[:12]})" if revision and revision != wanted else ""
        raise StoreError(
            f"no baseline {wanted!r}{what}: it is no tag (there are: {tags}), no run in {results_dir}, and no finished "
            "run there is of such a git revision. `hil results` lists runs, `hil results tag RUN NAME` names one"
        )
    clean = [item for item in of_it if not item[1].endswith("+")]
    folder, found = (clean or of_it)[-1]
    changed = ", with uncommitted changes" if found.endswith("+") else ""
    return Baseline(f"{wanted}: {folder.name} (revision {found[:12]}{changed})", load_results(folder))


def _resolve(name: str) -> str | None:
    """Return the revision that git knows by a name in the current folder."""
    git = shutil.which("git")
    if git is None or name.startswith("-"):
        return None
    command = [git, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (own command)
    return done.stdout.strip() or None
