"""A comparison as text, for a terminal of any width."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from harness.report import numbers
from harness.report.counters import MEANINGS
from harness.report.evidence import TWO_UNITS
from harness.report.frame import flat
from harness.report.units import CAUSES, SAME_IMAGE
from harness.store.place import boards_of, spelled, where
from harness.text.escape import printable
from harness.text.table import cell, text_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.report.frame import Comparison, Row, Verdict
    from harness.report.gate import Gate
    from harness.report.history import Series
    from harness.report.pick import Pick

_STYLES = {"worse": "bold red", "better": "green", "can't tell": "yellow", "refused": "yellow"}
_NONE = "-"
#: Below this width the baseline's own values make room, and each variant stands above its rows.
_NARROW_COLUMNS = 100


def render_comparison(comparison: Comparison, *, width: int, color: bool, series: Sequence[Series] = ()) -> str:
    """Return a comparison as text: tables, then what needs words."""
    no_color = None if color else True
    console = Console(file=io.StringIO(), width=width, force_terminal=color, highlight=False, no_color=no_color)
    with console.capture() as capture:
        console.print(Text(printable(f"{comparison.b} against {comparison.a}"), style="bold"))
        for _, group in groupby(sorted(comparison.rows, key=_place), key=_place):
            rows = list(group)
            _print_group(console, rows, comparison, narrow=width < _NARROW_COLUMNS)
            for sentence in _of_group(rows, comparison):
                console.print(Text(printable(sentence)))
            console.print()
        for sentence in (*_of_boards(comparison, series), *_of_all(comparison)):
            console.print(Text(printable(sentence)))
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def render_gate(gate: Gate) -> list[str]:
    """Return a line for each limit that was exceeded or could not be checked, and one for the outcome."""
    lines = [printable(f"{check.outcome.upper()}: {check.reason}") for check in gate.checks if check.outcome != "ok"]
    kept = sum(check.outcome == "ok" for check in gate.checks)
    return [*lines, f"Gate: {gate.outcome}; {kept} of {len(gate.checks)} checks passed."]


def plain_comparison(
    comparison: Comparison, gate: Gate | None = None, series: Sequence[Series] = (), picked: Sequence[Pick] = ()
) -> dict[str, Any]:
    """Return a comparison, and which variants to ship, as what JSON knows."""
    of_series = ("place", "backend", "suite", "variant", "metric", "unit", "source")
    content: dict[str, Any] = {
        "kind": comparison.kind,
        "a": comparison.a,
        "b": comparison.b,
        "policy": asdict(comparison.policy),
        "rows": [flat(row) for row in comparison.rows],
        "repeatability": [asdict(item) for item in comparison.repeatability],
        "unmatched": list(comparison.unmatched),
        "disagreements": list(comparison.disagreements),
        "shifts": [
            {
                **asdict(shift),
                "started_utc": str(shift.started_utc),
                **{name: getattr(item, name) for name in of_series},
            }
            for item in series
            for shift in item.shifts
        ],
        "picks": [one.plain() for one in picked],
    }
    if gate is not None:
        checks = [
            {"limit": check.limit.text if check.limit else None, "outcome": check.outcome, "reason": check.reason}
            for check in gate.checks
        ]
        content["gate"] = {"outcome": gate.outcome, "exit_code": gate.exit_code, "checks": checks}
    return content


def _place(row: Row) -> tuple[str, str, str]:
    return row.b.suite, row.b.place, row.b.backend


def _print_group(console: Console, rows: Sequence[Row], comparison: Comparison, *, narrow: bool) -> None:
    first, level = rows[0], comparison.policy.level
    emulated = "" if first.b.backend == "hardware" else ", emulated"
    sides = [side for row in rows for side in (row.a, row.b) if side.run == row.b.run]
    on, against = spelled(first.b.place, boards_of(map(asdict, sides))), ""
    if comparison.kind == "boards":
        on, against = comparison.b, f" against {comparison.a}"
    title = cell(f"{first.b.suite} on {on}{against}, {first.b.backend} backend{emulated}")
    columns = ["metric", "value", "change", f"{100 * level:g} % interval", "verdict"]
    if not narrow:
        columns = ["variant", columns[0], "baseline", *columns[1:]]
    blocks: list[tuple[str, list[list[Text]]]] = []
    previous = None
    for row in rows:
        name = row.b.variant if row.a.variant == row.b.variant else f"{row.b.variant} vs {row.a.variant}"
        cells = [
            cell(_metric(row, narrow=narrow)),
            cell(show_value(row, row.b_value)),
            cell(show_change(row, row.change)),
            cell("exact" if row.exact else _interval(row)),
            cell(_verdict(row), _STYLES.get(row.verdict, "")),
        ]
        if not narrow:
            cells = [cell(name if name != previous else ""), cells[0], cell(show_value(row, row.a_value)), *cells[1:]]
        if not blocks or (narrow and name != previous):
            blocks.append((name, []))
        blocks[-1][1].append(cells)
        previous = name
    if narrow:  # a variant stands above its rows
        console.print(title)
        console.print()
    for name, lines in blocks:
        table = text_table(
            columns,
            lines,
            width=console.width,
            right=set(columns) - {"variant", "metric", "verdict"},
            title=cell(name, "bold") if narrow else title,
            edge=not narrow,
        )
        console.print(table)
        console.print()


def _metric(row: Row, *, narrow: bool) -> str:
    """Name a metric with its unit: ticks are what the counter counts; bytes go without saying where it is narrow."""
    if row.metric == "all":
        return ""
    plain = row.metric == "ticks" or row.unit in ("share", "") or (narrow and row.unit == "bytes")
    return row.name if plain else f"{row.name}, {row.unit}"


def show_value(row: Row, value: float | None) -> str:
    """Return a value of a row as it is shown in a table."""
    if value is None:
        return _NONE
    if row.metric in ("accuracy", "score"):
        return numbers.score(value, row.unit, row.samples)
    return numbers.count(value)


def show_change(row: Row, change: float | None) -> str:
    """Return a change of a row as it is shown in a table: in percent, points or the metric's unit."""
    return _NONE if change is None else numbers.plain_change(row.scale, row.unit, change)


def _interval(row: Row) -> str:
    if row.low is None or row.high is None or row.unit == "bytes":
        return _NONE
    return numbers.plain_span(row.scale, row.unit, row.low, row.high).removesuffix(" points")


def _verdict(row: Row) -> str:
    if row.reason == "equal":
        return "equal"
    if row.samples_needed is not None:
        return f"{row.verdict}: {row.samples_needed - row.samples:,} more"
    return row.reason.partition(":")[0] if row.verdict == "same" else row.verdict


def _of_group(rows: Sequence[Row], comparison: Comparison) -> Iterator[str]:
    """Yield what a table doesn't say: why a row has no verdict, and what shakes trust in one that has."""
    sides = [side for row in rows for side in (row.a, row.b)]
    if comparison.kind != "boards" and len({side.device for side in sides if side.pool}) > 1:
        measured = []
        for a, b in dict.fromkeys((row.a, row.b) for row in rows):
            base = a.variant if a.variant != b.variant else "before"
            measured.append(f"{b.variant} on {b.device} ({base} on {a.device})")
        yield f"Measured: {', '.join(measured)}."
    caveated = [row for row in rows if TWO_UNITS in row.caveats]
    if caveated:
        units = {side.unit for row in caveated for side in (row.a, row.b)}
        spreads = dict.fromkeys(note for row in caveated for note in row.notes if note.startswith(SAME_IMAGE))
        yield (
            f"Measured on {len(units)} units of the board: differences between units ({CAUSES}) are in the comparison"
            f"{''.join(f'; {words}' for words in spreads)}."
        )
    if any(row.samples_needed is not None for row in rows):
        yield "can't tell: so many more inputs would tell, if the change is what it seems to be."
    for row in rows:
        what = row.b.variant if row.metric == "all" else f"{row.b.variant}, {row.name}"
        if row.verdict == "refused" or (row.verdict == "can't tell" and row.samples_needed is None):
            yield f"{what}: {row.reason}."
        yield from (f"{what}: {caveat}." for caveat in row.caveats if caveat != TWO_UNITS)  # that was said for all rows


def _of_boards(comparison: Comparison, series: Sequence[Series]) -> Iterator[str]:
    """Yield how the boards behaved: whether they agree and repeat, and where figures changed over runs."""
    for sentence in comparison.disagreements:
        yield f"BOARDS DISAGREE: {sentence}. One of them, or what emulates it, is wrong."
    for item in comparison.repeatability:
        case = item.case
        if case.backend == "hardware":
            what = f"{case.suite}/{case.variant} on {where(asdict(case))} of run {case.run}"
            drift = "none" if item.drift is None else f"{100 * item.drift:+.2g} %"
            yield f"{what}: {item.reason}; drift {drift}; {100 * item.outliers:.2g} % outliers."
    for line in series:
        for shift in line.shifts:
            yield f"{line.suite}/{line.variant} on {line.place}: {shift.reason}."


def _of_all(comparison: Comparison) -> Iterator[str]:
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
    for counter, meaning in MEANINGS.items():
        if any(row.unit == counter for row in comparison.rows):
            yield f"{counter.capitalize()} are {meaning.partition(';')[0]}: their ratio is no ratio of latency."
    counts = Counter(row.verdict for row in comparison.rows)
    order: tuple[Verdict, ...] = ("worse", "better", "same", "can't tell", "refused")
    yield ", ".join(f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict]) + "."
