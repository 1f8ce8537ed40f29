"""A comparison as text, for a terminal of any width."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.escape import printable
from harness.report.frame import flat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.report.frame import Comparison, Row, Verdict
    from harness.report.gate import Gate
    from harness.report.history import Series

_STYLES = {"worse": "bold red", "better": "green", "can't tell": "yellow", "refused": "yellow"}
_NONE = "-"
#: Below this width the baseline's own values make room.
_NARROW_COLUMNS = 100


def render_comparison(comparison: Comparison, *, width: int, color: bool, series: Sequence[Series] = ()) -> str:
    """Return a comparison as text: tables, then what needs words.

    Args:
        comparison: what was compared.
        width: columns of the terminal.
        color: whether it understands colours.
        series: of a history; its steps and drifts are listed.
    """
    console = Console(file=io.StringIO(), width=width, force_terminal=color, highlight=False, soft_wrap=False)
    if not color:
        console.no_color = True
    with console.capture() as capture:
        console.print(Text(printable(f"{comparison.b} against {comparison.a}"), style="bold"))
        for _, group in groupby(sorted(comparison.rows, key=_place), key=_place):
            rows = list(group)
            _print_group(console, rows, comparison.policy.level, narrow=width < _NARROW_COLUMNS)
            for sentence in _of_group(rows):
                console.print(Text(printable(sentence)))
            console.print()
        for sentence in _of_all(comparison, series):
            console.print(Text(printable(sentence)))
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def render_gate(gate: Gate) -> list[str]:
    """Return a line for each limit that was exceeded or could not be checked, and one for the outcome."""
    lines = [printable(f"{check.outcome.upper()}: {check.reason}") for check in gate.checks if check.outcome != "ok"]
    kept = sum(check.outcome == "ok" for check in gate.checks)
    return [*lines, f"Gate: {gate.outcome}; {kept} of {len(gate.checks)} checks passed."]


def plain_comparison(comparison: Comparison, gate: Gate | None = None, series: Sequence[Series] = ()) -> dict[str, Any]:
    """Return a comparison as what JSON knows."""
    content: dict[str, Any] = {
        "kind": comparison.kind,
        "a": comparison.a,
        "b": comparison.b,
        "policy": asdict(comparison.policy),
        "rows": [flat(row) for row in comparison.rows],
        "repeatability": [asdict(item) for item in comparison.repeatability],
        "unmatched": list(comparison.unmatched),
        "shifts": [
            {**asdict(shift), "started_utc": str(shift.started_utc), "device": item.device, "backend": item.backend}
            | {"suite": item.suite, "variant": item.variant, "metric": item.metric, "unit": item.unit}
            for item in series
            for shift in item.shifts
        ],
    }
    if gate is not None:
        checks = [
            {"limit": check.limit.text, "outcome": check.outcome, "reason": check.reason} for check in gate.checks
        ]
        content["gate"] = {"outcome": gate.outcome, "exit_code": gate.exit_code, "checks": checks}
    return content


def _place(row: Row) -> tuple[str, str, str]:
    return row.b.suite, row.b.device, row.b.backend


def _print_group(console: Console, rows: Sequence[Row], level: float, *, narrow: bool) -> None:
    first = rows[0]
    emulated = "" if first.b.backend == "hardware" else ", emulated"
    against = "" if first.a.device == first.b.device else f" against {first.a.device}"
    title = f"{first.b.suite} on {first.b.device}{against}, {first.b.backend} backend{emulated}"
    table = Table(box=box.SIMPLE_HEAD, title=Text(printable(title)), title_justify="left", pad_edge=False)
    columns = ("variant", "metric", "baseline", "value", "change", f"{100 * level:g} % interval", "verdict")
    shown = [place for place, name in enumerate(columns) if not (narrow and name == "baseline")]
    for place in shown:
        name = columns[place]
        numeric = name not in ("variant", "metric", "verdict")
        wrap = name in ("variant", "verdict")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=not wrap, overflow="fold")
    previous = None
    for row in rows:
        name = row.b.variant if row.a.variant == row.b.variant else f"{row.b.variant} vs {row.a.variant}"
        cells = [
            Text(printable(name) if name != previous else ""),
            Text("" if row.metric == "all" else row.unit if row.metric == "ticks" else row.metric),
            Text(show_value(row, row.a_value)),
            Text(show_value(row, row.b_value)),
            Text(show_change(row, row.change)),
            Text("exact" if row.exact else _interval(row)),
            Text(_verdict(row), style=_STYLES.get(row.verdict, "")),
        ]
        previous = name
        table.add_row(*(cells[place] for place in shown))
    console.print(table)


def show_value(row: Row, value: float | None) -> str:
    """Return a value of a row as it is shown in a table."""
    if value is None:
        return _NONE
    if row.unit == "share":
        return f"{100 * value:.{1 if row.samples <= 1000 else 2}f} %"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def show_change(row: Row, change: float | None) -> str:
    """Return a change of a row as it is shown in a table: in percent, points or the metric's unit."""
    if change is None:
        return _NONE
    if row.scale == "ratio":
        return f"{100 * (change - 1):+.2f} %"
    return f"{100 * change:+.2f} points" if row.unit == "share" else f"{change:+,.0f}"


def _interval(row: Row) -> str:
    if row.low is None or row.high is None:
        return _NONE
    if row.scale == "ratio":
        return f"{100 * (row.low - 1):+.2f} to {100 * (row.high - 1):+.2f} %"
    return f"{100 * row.low:+.2f} to {100 * row.high:+.2f}" if row.unit == "share" else _NONE


def _verdict(row: Row) -> str:
    if row.reason == "equal":
        return "equal"
    if row.samples_needed is not None:
        return f"{row.verdict}: {row.samples_needed - row.samples:,} more"
    return row.reason.partition(":")[0] if row.verdict == "same" else row.verdict


def _of_group(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what a table doesn't say: why a row has no verdict, and what shakes trust in one that has."""
    if any(row.samples_needed is not None for row in rows):
        yield "can't tell: so many more inputs would tell, if the change is what it seems to be."
    for row in rows:
        what = row.b.variant if row.metric == "all" else f"{row.b.variant}, {row.metric}"
        if row.verdict == "refused" or (row.verdict == "can't tell" and row.samples_needed is None):
            yield f"{what}: {row.reason}."
        for caveat in row.caveats:
            yield f"{what}: {caveat}."


def _of_all(comparison: Comparison, series: Sequence[Series]) -> Iterator[str]:
    for item in comparison.repeatability:
        if item.case.backend == "hardware":
            drift = "none" if item.drift is None else f"{100 * item.drift:+.2g} %"
            yield (
                f"{item.case.suite}/{item.case.variant} on {item.case.device} of run {item.case.run}: {item.reason}; "
                f"drift {drift}; {100 * item.outliers:.2g} % outliers."
            )
    for line in series:
        for shift in line.shifts:
            yield f"{line.suite}/{line.variant} on {line.device}: {shift.reason}."
    alone: dict[str, list[str]] = {}
    for sentence in comparison.unmatched:
        case, _, why = sentence.partition(": ")
        alone.setdefault(why, []).append(case.partition(" of run ")[0])
    for why, cases in alone.items():
        yield f"{why[0].upper()}{why[1:]}: {', '.join(cases)}."
    if not comparison.rows:
        yield "There is nothing to compare."
        return
    chances = sum(row.p_value is not None for row in comparison.rows)
    if chances > 1:
        alpha = 100 * (1 - comparison.policy.level)
        yield (
            f"Intervals hold one by one. {chances} rows could differ by chance; verdicts take all of them into account "
            f"(Holm), so that the risk of any false alarm is {alpha:.2g} %."
        )
    if any(row.unit == "instructions" for row in comparison.rows):
        yield "Instructions are what an emulated CPU executed: their ratio is no ratio of latency."
    counts = Counter(row.verdict for row in comparison.rows)
    order: tuple[Verdict, ...] = ("worse", "better", "same", "can't tell", "refused")
    yield ", ".join(f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict]) + "."
