"""What pytest prints at the end of a session: the tables, where the results are, and how they compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import HilError
from harness.pytest_plugin.items import entry_of
from harness.report.pick import lines, picks
from harness.report.side_by_side import MEANING, across_boards
from harness.report.summary import render
from harness.store import load_results
from harness.text.escape import printable
from harness.text.terminal import encoding_of, fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pytest

    from harness.config.pick import Wish
    from harness.pytest_plugin.gate import Judge
    from harness.pytest_plugin.xdist import Controller
    from harness.run.session import Session
    from harness.store.publish import Published


def write_summary(
    reporter: pytest.TerminalReporter,
    found: list[dict[str, Any]],
    published: Iterable[Published],
    judge: Judge | None,
    picked: Iterable[str],
    boards: Sequence[str],
    *,
    estimated_time: bool,
) -> None:
    """Print the tables of cases, where the results are, how they compare with the baseline, and what to ship.

    Args:
        reporter: of pytest.
        found: entries of the cases, from `found_cases`.
        published: what came of copying the runs into the farm's store.
        judge: has held the run against its baseline, if that was asked for.
        picked: lines on which variants to ship.
        boards: lines on what techniques do on several kinds of board.
        estimated_time: whether estimated cycles are shown as time, too.
    """
    writer = reporter._tw  # noqa: SLF001 (pytest gives no other way to its width)

    def write(text: str) -> None:
        reporter.write_line(fit(text, encoding_of(writer._file)))  # noqa: SLF001 (as above)

    reporter.write_sep("=", "benchmark")
    rows = [entry["row"] for entry in found]
    write(render(rows, width=writer.fullwidth, color=writer.hasmarkup, estimated_time=estimated_time))
    more = [f"Not checked for {entry['name']}: {sentence}" for entry in found for sentence in entry["unchecked"]]
    counters = dict.fromkeys((entry["row"]["counter"], entry["counter"]) for entry in found if entry["counter"])
    more += [f"{str(what or 'instructions').capitalize()} were counted by the {by}." for what, by in counters]
    more += [f"Results: {folder}" for folder in folders_of(found)]
    more += [done.line for done in published]
    if all_skipped(found):
        more.append("Nothing was measured: every case was skipped, for the reasons above.")
    unbuilt = sum(entry["unbuilt"] for entry in found)
    if unbuilt:
        more.append(f"The run is not complete: no image has been built for the boards of {unbuilt} cases.")
    for line in more:
        write(printable(line))
    if boards:
        reporter.write_sep("=", "the same variants on several boards")
    for line in boards:
        write(printable(line))
    if judge is not None:
        for title, text, markup in judge.sections(width=writer.fullwidth, color=writer.hasmarkup):
            reporter.write_sep("=", title, **markup)
            write(text)
    for line in picked:
        write(printable(line))


def picked(folder: Path, wish: Wish | None) -> list[str]:
    """Return lines on which of its variants to ship, for each suite and place of a finished run."""
    try:
        return lines(picks(load_results(folder), wish))
    except HilError as error:
        return [f"Which variant to ship can't be said: {error}"]


def across(folder: Path) -> list[str]:
    """Return lines on what each technique does on each of several kinds of board, if a run has several."""
    try:
        found = across_boards(load_results(folder))
    except HilError as error:
        return [f"What techniques do on several boards can't be said: {error}"]
    return [line for one in found for line in ("", *one.lines)] + (["", MEANING] if found else [])


def all_skipped(found: list[dict[str, Any]]) -> bool:
    """Tell whether there are cases, and none was measured."""
    return bool(found) and all(entry["row"]["status"] == "skipped" for entry in found)


def folders_of(found: list[dict[str, Any]]) -> list[str]:
    """Return the folders of the runs that entries are of."""
    return list(dict.fromkeys(entry["folder"] for entry in found if entry["folder"]))


def found_cases(
    reporter: pytest.TerminalReporter, hil_session: Session, controller: Controller | None = None
) -> list[dict[str, Any]]:
    """Return the entries of all reports, and of the cases that an interruption left without one.

    Args:
        reporter: of pytest.
        hil_session: of this process.
        controller: of an interrupted run of several processes, whose tables have been written.
    """
    reports = [report for group in reporter.stats.values() for report in group]
    entries: dict[tuple[str, int], dict[str, Any]] = {}
    for entry in (getattr(report, "hil", None) for report in reports):
        if entry is not None:  # a case that was run again has several, of which the last counts
            key = (entry["row"]["run"], entry["row"]["case"])
            entries[key] = max(entries.get(key, entry), entry, key=lambda one: one["row"]["attempts"] or 0)
    for row in hil_session.run.rows if hil_session.run else ():
        entries.setdefault((row["run"], row["case"]), entry_of(hil_session, row))
    if controller is not None:
        folder = str(controller.path)
        for row in controller.rows():
            entries.setdefault((row["run"], row["case"]), {**entry_of(hil_session, row), "folder": folder})
    return [entries[key] for key in sorted(entries)]
