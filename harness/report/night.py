"""What a night measured, held against the nights before, and written for people and for CI systems."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.errors import ConfigError, StoreError
from harness.report.against import make_policy
from harness.report.baseline import find_baseline
from harness.report.compare import compare_history, compare_runs
from harness.report.content import compose
from harness.report.gate import check_limits, parse_limits, uncompared
from harness.report.markdown import render_markdown
from harness.report.page import render_page
from harness.store.results import join_results

if TYPE_CHECKING:
    from pathlib import Path

    from harness.config.nightly import Nightly
    from harness.report.frame import Comparison
    from harness.report.gate import Gate
    from harness.report.history import Series
    from harness.store import Results

REPORT, MARKDOWN = "report.html", "report.md"
#: Baselines that may have no runs yet: on the first night there is nothing to compare, and nothing wrong.
_GROWING = ("latest", "history:")


@dataclass(frozen=True)
class Judged:
    """A night's results against its baseline.

    Attributes:
        results: of the night, and of the nights before if these are the baseline.
        comparison: with the baseline; None if there is none.
        series: of the figures over the nights.
        gate: what came of the limits of `fail_on`; None without them, or without a comparison.
        silent: why there is no comparison, "" if there is one or none was wanted.
        unchecked: whether limits were given that couldn't be held against anything, and should have been.
        left_out: runs of the baseline that can't be read, in words.
    """

    results: Results
    comparison: Comparison | None = None
    series: tuple[Series, ...] = ()
    gate: Gate | None = None
    silent: str = ""
    unchecked: bool = False
    left_out: tuple[str, ...] = ()


def judge_night(current: Results, run: Path, nightly: Nightly, results_dir: Path) -> Judged:
    """Hold a night's run against the baseline that nightly.yaml names.

    Args:
        current: the run's results.
        run: its folder.
        nightly: with `baseline` and `fail_on`.
        results_dir: where the runs before are.
    """
    wanted = nightly.baseline
    if wanted is None:
        return Judged(current, unchecked=nightly.fail_on is not None, silent="there is no baseline")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            judged = _judge(current, run, wanted, nightly.fail_on, results_dir)
        except (StoreError, ConfigError) as error:
            growing = wanted.startswith(_GROWING) and isinstance(error, StoreError)
            return Judged(current, silent=str(error), unchecked=nightly.fail_on is not None and not growing)
    texts = dict.fromkeys(str(item.message) for item in caught)
    left_out = tuple(text.removeprefix("left out: ") for text in texts if text.startswith("left out: "))
    unchecked = bool(uncompared(judged.gate))
    return replace(judged, unchecked=unchecked, left_out=left_out)


def _judge(current: Results, run: Path, wanted: str, fail_on: str | None, results_dir: Path) -> Judged:
    limits = parse_limits(fail_on) if fail_on is not None else ()
    policy = make_policy(limits, None)
    found = find_baseline(wanted, results_dir, run)
    if found.nights is None:
        comparison, results = compare_runs(found.results, current, policy), current
        series: tuple[Series, ...] = ()
    else:
        comparison, series = compare_history(found.results, current, policy)
        results = join_results(found.results, current)
    gate = check_limits(comparison, limits, series) if limits else None
    return Judged(results, comparison, series, gate)


def write_report(judged: Judged, folder: Path) -> Path | None:
    """Write a night's page and its Markdown summary; returns the page, None if nothing was recorded.

    Raises:
        StoreError: a file can't be written.
    """
    if judged.results.cases.empty:
        return None
    page = compose(judged.results, baseline=judged.comparison, left_out=judged.left_out)
    write_text(folder / MARKDOWN, render_markdown(page))
    return write_text(folder / REPORT, render_page(page))


def write_text(path: Path, text: str) -> Path:
    """Write a file whole, and return its path.

    Raises:
        StoreError: it can't be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror or error}") from error
    return path
