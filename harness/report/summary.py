"""The tables at the end of a run, for a terminal of any width."""

from __future__ import annotations

import io
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from harness.measure.reference import low_agreement
from harness.report.counters import MEANINGS
from harness.report.metrics import leading
from harness.report.remarks import remarks
from harness.report.summary_boards import print_boards
from harness.report.summary_columns import (
    AGAINST_MEASURED,
    AGREEMENT,
    DEVICE,
    ENERGY,
    ESTIMATE,
    ESTIMATED_TIME,
    LATENCY,
    MEMORY,
    NONE,
    PER_INSTRUCTION,
    SEVERAL_UNITS,
    SIMULATED_ENERGY,
    TECHNIQUE,
    TICKS,
    UNASKED,
    VARIANT,
    beside_baseline,
    ratio,
    scores,
)
from harness.store.place import boards_of, place_of, spelled, unit_of
from harness.text.escape import printable
from harness.text.table import TIGHT_GAP, cell, longest_word, text_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.summary_columns import Column, Row

#: From this width on, accuracy and counter fit into one table.
_WIDE_COLUMNS = 150
#: From this width on, there is room for what flash takes when compressed.
_ROOMY_COLUMNS = 96
#: In less a technique can't be read; then it is left to the report.
_LEAST_TECHNIQUE = 16

_EMULATED = (
    "Emulated: no board was used. The figures above {meanings}, and neither latency nor energy follows from them. "
    "Predictions, flash and RAM come from the same firmware that a real board would run."
)
_ESTIMATED = (
    "Estimated: {how}. A model of the Cortex-M4 adds up what the emulated code "
    "would take; docs/cycles.md says how far it was off where boards were measured. Estimates less than 5 % apart are "
    "too close to call, and those of different chips are not to be held against each other."
)
_HOW = {
    True: "no board was used, and no cycle was counted",
    False: "the same image ran on the virtual board, too, where no cycle is counted",
}
_TIME = (
    "Estimated time: the estimated cycles divided by the board's clock. It is no latency, and nothing was timed. Where "
    "the range isn't known, no published measurement tells how far such an estimate is off."
)


def render(rows: Sequence[Row], *, width: int, color: bool, estimated_time: bool = False) -> str:
    """Return the tables of finished cases as text.

    Args:
        rows: of the case table.
        width: columns of the terminal.
        color: whether it shows colours.
        estimated_time: whether estimated cycles are shown as time, too.
    """
    no_color = None if color else True
    console = Console(file=io.StringIO(), width=width, force_terminal=color, highlight=False, no_color=no_color)
    with console.capture() as capture:
        tried, skipped = _tried(rows)
        estimated = []
        for _, suite in groupby(tried, key=itemgetter("suite")):
            mine = list(suite)
            if len({row["board"] for row in mine if row["status"] == "complete"}) > 1 and not estimated_time:
                print_boards(console, mine)
                continue
            for _, group in groupby(mine, key=_order):
                _print_group(console, list(group), width, estimated_time=estimated_time)
            estimated += [row["backend"] for row in mine if row.get("estimated_cycles_median") is not None]
        for text in skipped:
            _say(console, text, "red")
        counters = {row["counter"] for row in rows if row["backend"] != "hardware" and row["status"] == "complete"}
        if counters:
            meanings = [f"in {name} are {meaning}" for name, meaning in MEANINGS.items() if name in counters]
            console.print(Text(_EMULATED.format(meanings=". Those ".join(meanings))))
        if estimated:
            console.print(Text(f"\n{_ESTIMATED.format(how=_HOW['hardware' not in estimated])}"))
            if estimated_time:
                console.print(Text(f"\n{_TIME}"))
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def _tried(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Return the rows in order without those of places where all cases of a suite were skipped for one reason.

    These are returned as a sentence for each reason: they would be a table and a page of text for each suite.
    """
    tried: list[Row] = []
    skipped: dict[tuple[str, str], int] = {}
    for (_, place, _), group in groupby(sorted(rows, key=_order), key=_order):
        mine = list(group)
        if {row["status"] for row in mine} == {"skipped"} and len({row["reason"] for row in mine}) == 1:
            why = (place, str(mine[0]["reason"]))
            skipped[why] = skipped.get(why, 0) + len(mine)
        else:
            tried += mine
    said = [f"{count} case{'s' * (count > 1)} skipped on {on}: {why}" for (on, why), count in skipped.items()]
    return tried, said


def _order(row: Row) -> tuple[str, str, str]:
    return row["suite"], place_of(row), row["backend"]


def _print_group(console: Console, rows: list[Row], width: int, *, estimated_time: bool) -> None:
    """Print the tables of one suite at one place and on one backend: only these rows can be compared."""
    first = rows[0]
    emulated = "" if first["backend"] == "hardware" else ", emulated"
    place, boards = place_of(first), boards_of(rows)
    on = place if place == first["board"] else f"{place} ({first['board']})"
    console.print(cell(f"{first['suite']} on {spelled(on, boards)}, {first['backend']} backend{emulated}", "bold"))
    counter = f"{first['counter']} per inference"
    several = len({row["device"] for row in rows}) > 1
    score = leading(row.get("metric") for row in rows)
    title = (score.called or score.name) if score else "samples"
    judged, ticks = (*((DEVICE,) if several else ()), *scores(score)), (*TICKS, ratio(rows))
    if width >= _WIDE_COLUMNS:
        _print_table(console, f"{title}, {counter}", (TECHNIQUE, *judged, *ticks), rows)
    else:
        _print_table(console, title, (TECHNIQUE, *judged), rows)
        _print_table(console, counter, ticks, rows)
    for remark in remarks(rows):
        _say(console, remark.text, "yellow" if remark.tone == "warning" else "")
    if any(row.get("latency_us_median") is not None for row in rows):
        _print_table(console, "latency per inference, us", LATENCY, rows)
    _print_estimates(console, rows, estimated_time=estimated_time)
    _print_table(console, "agreement with the reference", AGREEMENT, rows)
    for row in rows:
        if (low := low_agreement(row)) is not None:
            _say(console, f"{row['variant']}: {low}", "yellow")
    _print_energy(console, rows)
    memory = MEMORY if width >= _ROOMY_COLUMNS else [column for column in MEMORY if column.title != "compressed"]
    _print_table(console, "memory, bytes", memory, rows)
    units = {unit_of(row) for row in rows if row["status"] == "complete"}
    if first["backend"] == "hardware" and len(units) > 1:
        _say(console, SEVERAL_UNITS.format(count=len(units)), "yellow")
    for row in rows:
        if row["status"] != "complete":
            _say(console, f"{row['variant']} {row['status']}: {row['reason']}", "red")
        elif row.get("verdict") == "failed":
            _say(console, f"{row['variant']} is over a limit: {row['verdict_reason']}", "red")


def _print_estimates(console: Console, rows: list[Row], *, estimated_time: bool) -> None:
    """Print the estimated cycles, and as time if that is asked for."""
    beside = AGAINST_MEASURED if rows[0]["counter"] == "cycles" else PER_INSTRUCTION
    columns = (*ESTIMATE, beside, beside_baseline(rows))
    _print_table(console, "ESTIMATED cycles per inference, not measured", columns, rows)
    if estimated_time:
        _print_table(console, "ESTIMATED milliseconds per inference, not measured, no latency", ESTIMATED_TIME, rows)
    for what, name in (("error of the estimate", "estimated_cycles_error"), ("no estimate", "estimated_cycles_reason")):
        said: dict[str, list[str]] = {}
        for row in rows:
            if row.get(name):
                said.setdefault(row[name], []).append(row["variant"])
        for text, variants in said.items():
            of = "" if len(variants) == len(rows) else f"{', '.join(dict.fromkeys(variants))}: "
            _say(console, f"{of}{what}: {text}")


def _print_energy(console: Console, rows: list[Row]) -> None:
    """Print energy by what measured it, and why it is missing where a monitor should have given it."""
    for source in sorted({row["power_source"] for row in rows if row.get("power_source")}):
        mine = [row for row in rows if row.get("power_source") == source]
        simulated = source == "simulated"
        title = f"{'SIMULATED ' if simulated else ''}energy per inference, uJ{'' if simulated else f' ({source})'}"
        _print_table(console, title, ENERGY, mine)
        if simulated:
            _say(console, SIMULATED_ENERGY)
    for row in rows:
        if row["status"] == "complete" and row.get("energy_reason") not in UNASKED:
            _say(console, f"{row['variant']} has no energy: {row['energy_reason']}", "yellow")


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(printable(f"{text}\n"), style=style))


def _print_table(console: Console, title: str, columns: Sequence[Column], rows: list[Row]) -> None:
    """Print a table of the rows that have a figure, and without the technique where there is no room for it."""
    columns = (VARIANT, *columns)
    numeric = [column for column in columns if not column.left]
    rows = [row for row in rows if any(column.text(row) != NONE for column in numeric)]
    if not rows:
        return
    console.print(cell(title, "italic"))
    cells = {column: [cell(column.text(row)) for row in rows] for column in columns}
    needed = {column: max([cell_len(column.title), *(text.cell_len for text in cells[column])]) for column in columns}
    room = console.width - sum(needed[column] + TIGHT_GAP for column in columns if column is not TECHNIQUE)
    words = max((longest_word(text.plain) for text in cells.get(TECHNIQUE, ())), default=0)
    if room < max(words, min(_LEAST_TECHNIQUE, needed.get(TECHNIQUE, 0))):
        columns = [column for column in columns if column is not TECHNIQUE]
    table = text_table(
        [column.title for column in columns],
        list(zip(*(cells[column] for column in columns), strict=True)),
        width=console.width,
        right={column.title for column in numeric},
        edge=False,
    )
    console.print(table)
    console.print()
