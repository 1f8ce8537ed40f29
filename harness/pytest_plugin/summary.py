"""What pytest prints at the end of a session: the tables, where the results are, and how they compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.summary import render
from harness.text.escape import printable
from harness.text.terminal import encoding_of, fit

if TYPE_CHECKING:
    import pytest

    from harness.pytest_plugin.gate import Judge
    from harness.pytest_plugin.xdist import Controller
    from harness.run.session import Session


def write_summary(reporter: pytest.TerminalReporter, found: list[dict[str, Any]]) -> None:
    """Print the tables of cases, and where the results are.

    Args:
        reporter: of pytest.
        found: entries of the cases, from `found_cases`.
    """
    writer = reporter._tw  # noqa: SLF001 (pytest gives no other way to its width)
    reporter.write_sep("=", "benchmark")
    write_styled(reporter, render([entry["row"] for entry in found], width=writer.fullwidth, color=writer.hasmarkup))

    def write(text: str) -> None:
        write_text(reporter, text)

    for entry in found:
        for sentence in entry["unchecked"]:
            write(f"Not checked for {entry['name']}: {sentence}")
    for counter in dict.fromkeys(entry["counter"] for entry in found if entry["counter"]):
        write(f"Instructions were counted by the {counter}.")
    for folder in folders_of(found):
        write(f"Results: {folder}")


def write_judgement(reporter: pytest.TerminalReporter, judge: Judge | None) -> None:
    """Print how the run compares with its baseline, if it was asked to."""
    if judge is not None:
        writer = reporter._tw  # noqa: SLF001 (as above)
        for title, text, markup in judge.sections(width=writer.fullwidth, color=writer.hasmarkup):
            reporter.write_sep("=", title, **markup)
            write_styled(reporter, text)


def write_text(reporter: pytest.TerminalReporter, text: str) -> None:
    """Print text, whatever it holds."""
    write_styled(reporter, printable(text))


def write_styled(reporter: pytest.TerminalReporter, text: str) -> None:
    """Print text that holds colours, and whose other parts were made harmless."""
    file = reporter._tw._file  # noqa: SLF001 (as above)
    reporter.write_line(fit(text, encoding_of(file)))


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
        for row in controller.rows():
            entries.setdefault(
                (row["run"], row["case"]), {**entry_of(hil_session, row), "folder": str(controller.path)}
            )
    return [entries[key] for key in sorted(entries)]


def entry_of(hil_session: Session, row: dict[str, Any]) -> dict[str, Any]:
    """Put what the summary needs into plain types, which xdist can send."""
    folder = str(hil_session.run.path) if hil_session.run else None
    plain = {**row, "started_utc": str(row["started_utc"])}
    return {"row": plain, "folder": folder, "name": row["variant"], "unchecked": (), "counter": None}
