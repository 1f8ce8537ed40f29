"""What a night measured, held against the nights before: as a page, and as plain text of one screen."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len, set_cell_size

from harness.errors import ConfigError, StoreError
from harness.files.json_file import write_file
from harness.report.baseline import find_baseline
from harness.report.compare import compare_history, compare_runs
from harness.report.content import compose, standing
from harness.report.gate import check_limits, make_policy, parse_limits, uncompared
from harness.report.page import render_markdown, render_page
from harness.report.text import show_change
from harness.store.place import where
from harness.store.results import join_results
from harness.text.escape import printable
from harness.text.times import show_length, show_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from harness.config.nightly import Nightly
    from harness.report.frame import Comparison, Row
    from harness.report.gate import Gate
    from harness.report.history import Series
    from harness.store import Results

REPORT, MARKDOWN = "report.html", "report.md"
#: Baselines that may have no runs yet: on the first night there is nothing to compare, and nothing wrong.
_GROWING = ("latest", "history:")

#: The most columns of a night's summary.
COLUMNS: Final = 80
#: How many lines each list gets. With the seven that always are there, they make a screen of 24.
_ROOM: Final = {"failed": 4, "worse": 4, "untold": 2, "unused": 3, "better": 2, "notes": 2}


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
    """Hold a night's run against the baseline that nightly.yaml names."""
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
    try:
        write_file(path, text.encode())
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror or error}") from error
    return path


@dataclass(frozen=True)
class NightFacts:
    """What a night's summary is made of.

    Attributes:
        id: of the night.
        began: when it was planned.
        ended: when this was written.
        run: name of its run.
        rows: of the case table, one for each planned case.
        unused: boards that are in quarantine or failed the night: name and reason.
        judged: the comparison; None if nothing can be read.
        report: the page; None if there is none.
        notes: what else is to be said, the most important first.
        verdict: the last line.
    """

    id: str
    began: datetime
    ended: datetime
    run: str
    rows: Sequence[Mapping[str, Any]]
    unused: Sequence[tuple[str, str]]
    judged: Judged | None
    report: Path | None
    notes: Sequence[str]
    verdict: str


def summarize(facts: NightFacts) -> str:
    """Return the summary of a night."""
    counts = Counter(row["status"] for row in facts.rows)
    boards = list(dict.fromkeys(str(row["device"]) for row in facts.rows if row["status"] == "complete"))
    took = facts.ended - facts.began
    length = show_length(took) if took >= timedelta(minutes=1) else f"{took.seconds} s"
    failed = [f"{_case(row)}: {row['reason']}" for row in facts.rows if row["status"] == "failed"]
    lines = [
        f"Night {facts.id}: {show_time(facts.began, facts.ended)} to {show_time(facts.ended, facts.ended)}, {length}",
        f"Run {facts.run}",
        f"{len(facts.rows)} cases: "
        + ", ".join(f"{counts[word]} {word}" for word in ("complete", "failed", "skipped")),
        f"{len(boards)} board{'s' * (len(boards) != 1)} measured" + (f": {', '.join(boards)}" if boards else ""),
        *_some("  not used: ", [f"{name}: {reason}" for name, reason in facts.unused], _ROOM["unused"]),
        *_some("  FAILED ", failed, _ROOM["failed"]),
        *_compared(facts.judged),
        *_some("Note: ", list(facts.notes), _ROOM["notes"]),
    ]
    lines = [_cut(line) for line in lines]
    lines.append(_cut_front("Report: ", str(facts.report)) if facts.report else "Report: none, as nothing was recorded")
    lines.append(_cut(facts.verdict))
    return "\n".join(lines) + "\n"


def real_changes(judged: Judged) -> tuple[list[Row], list[Row]]:
    """Return what got worse and what got better beyond chance: first what exceeds a limit, then by size."""
    rows = judged.comparison.rows if judged.comparison else ()
    over = _over(judged)
    ordered = sorted(rows, key=lambda row: (id(row) not in over, -_size(row)))
    return [row for row in ordered if row.verdict == "worse"], [row for row in ordered if row.verdict == "better"]


def _compared(judged: Judged | None) -> list[str]:
    if judged is None:
        return ["Not compared: the run can't be read"]
    if judged.comparison is None:
        return [f"Not compared: {judged.silent}"]
    over = _over(judged)
    worse, better = real_changes(judged)
    checks = judged.gate.checks if judged.gate else ()
    drifts = [check.reason for check in checks if check.row is None and check.outcome == "regression"]
    told = [*(f"{_change(row)}{over.get(id(row), '')}" for row in worse), *drifts]
    lost = [check.reason for check in uncompared(judged.gate)]
    untold = [check.reason for check in checks if check.outcome == "can't tell" and check.reason not in lost]
    return [
        f"Against {judged.comparison.a}: {standing(judged.comparison)}",
        *_some("  worse: ", told, _ROOM["worse"] - bool(lost)),
        *([f"  NOT CHECKED: {'; '.join(lost)}"] if lost else []),
        *_some("  can't tell: ", untold, _ROOM["untold"]),
        *_some("  better: ", [_change(row) for row in better], _ROOM["better"]),
    ]


def _over(judged: Judged) -> dict[int, str]:
    """Return which rows exceed a limit, and what is said of it."""
    checks = judged.gate.checks if judged.gate else ()
    over = (check for check in checks if check.outcome == "regression")
    return {id(check.row): f" ({check.limit.text})" for check in over if check.row and check.limit}


def _size(row: Row) -> float:
    """Return how large a change is, as a share of what it was; accuracies are shares already."""
    if row.change is None:
        return 0.0
    if row.scale == "ratio":
        return abs(math.log(row.change)) if row.change > 0 else math.inf
    return abs(row.change) / (row.a_value or 1.0) if row.unit != "share" else abs(row.change)


def _change(row: Row) -> str:
    metric = row.name.replace("_", " ")
    return f"{row.b.suite}/{row.b.variant} on {row.b.place}: {metric} {show_change(row, row.change)}"


def _case(row: Mapping[str, Any]) -> str:
    return f"{row['suite']}/{row['variant']} on {where(row)}"


def _some(head: str, texts: Sequence[str], room: int) -> list[str]:
    """Return a line for each text, but at most `room`; the last one says how many more there are."""
    firsts = [text.strip().partition("\n")[0] for text in texts]
    if len(firsts) <= room:
        return [f"{head}{text}" for text in firsts]
    return [*(f"{head}{text}" for text in firsts[: room - 1]), f"{head}{len(firsts) - room + 1} more; see the report"]


def _cut(line: str) -> str:
    line = printable(line).replace("\t", " ").partition("\n")[0]
    return line if cell_len(line) <= COLUMNS else f"{set_cell_size(line, COLUMNS - 3).rstrip()}..."


def _cut_front(head: str, path: str) -> str:
    path = printable(path)
    room = COLUMNS - len(head)
    if cell_len(path) > room:
        while cell_len(path) > room - 3:
            path = path[1:]
        path = f"...{path}"
    return f"{head}{path}"
