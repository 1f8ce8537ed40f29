"""A night on one screen: plain text of at most 24 lines and 80 columns, for a mail, a log or a terminal."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len, set_cell_size

from harness.report.content import standing
from harness.report.gate import uncompared
from harness.report.text import show_change
from harness.store.place import where
from harness.text.escape import printable
from harness.text.times import show_length, show_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from harness.report.frame import Row
    from harness.report.night import Judged

LINES: Final = 24
COLUMNS: Final = 80
#: How many lines each list gets. With the seven that always are there, they make a screen.
_ROOM: Final = {"failed": 4, "worse": 4, "untold": 2, "unused": 3, "better": 2, "notes": 2}


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
