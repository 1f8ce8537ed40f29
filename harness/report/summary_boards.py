"""A suite that ran on several kinds of board, for a terminal: one table, grouped by board."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from harness.measure.reference import low_agreement
from harness.report.metrics import leading
from harness.report.reasons import joined
from harness.report.remarks import remarks
from harness.report.summary_columns import (
    NONE,
    SEVERAL_UNITS,
    SIMULATED_ENERGY,
    UNASKED,
    Column,
    Row,
    count_of,
    decimal_of,
    ratio,
    scores,
)
from harness.report.why_skipped import unfit
from harness.schema import SIMULATED
from harness.store.place import boards_of, place_of, spelled, unit_of
from harness.text.escape import printable
from harness.text.table import TIGHT_GAP, cell, text_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from harness.report.metrics import Metric

_NAME, _COUNTED, _RATIO = "board and variant", "counted", "ratio"
#: A longer name of a score stands above the table.
_LONG = 12
#: So many columns stand in any table: name, score, what was counted, ratio.
_LEAST_COLUMNS = 4
_FOOT = (
    "Counted per inference (median), and its ratio to the variant's baseline on the same board; what boards count is "
    "not compared between them. Spread, parts of the memory, estimates and intervals of each board: `hil report`."
)


def print_boards(console: Console, rows: Sequence[Row]) -> None:
    """Print what one suite gave on several boards: a table grouped by board, then what has to be known of it."""
    groups = {key: list(group) for key, group in groupby(sorted(rows, key=_place), key=_place)}
    measured = [group for group in groups.values() if any(row["status"] == "complete" for row in group)]
    shown = [row for group in measured for row in group]
    score = leading(row.get("metric") for row in shown)
    what = f"; score: {score.called}" if score is not None and _title(score) == "score" else ""
    console.print(cell(f"{rows[0]['suite']} on {len(measured)} boards{what}", "bold"))
    _print_table(console, measured, score)
    if (known := _how_well(shown, score)) is not None:
        console.print(Text(known))
    console.print(Text(f"{_FOOT}\n"))
    for text, style, places in _said(groups):
        on = "" if len(places) >= len(measured) else f"On {joined(places, None)}: "
        console.print(Text(printable(f"{on}{text}\n"), style=style))


def _place(row: Row) -> tuple[str, str]:
    return place_of(row), row["backend"]


def _print_table(console: Console, groups: Sequence[Sequence[Row]], score: Metric | None) -> None:
    columns = _columns([row for group in groups for row in group], score)
    lines = []
    for group in groups:
        first, against = group[0], ratio(group)
        place = place_of(first)
        on = spelled(place if place == first["board"] else f"{place} ({first['board']})", boards_of(group))
        lines.append([cell(f"{on}, {first['backend']}", "bold")])
        lines[-1] += [cell(str(_counter(group)) if column.title == _COUNTED else "") for column in columns]
        for row in group:
            mine = [replace(against, title=column.title) if column.name == "" else column for column in columns]
            lines.append([cell(f"  {row['variant']}"), *(cell(column.text(row)) for column in mine)])
    titles = [_NAME, *(column.title for column in columns)]
    needed = [max(cell_len(title), *(line[at].cell_len for line in lines)) for at, title in enumerate(titles)]
    room = len(titles)
    while room > _LEAST_COLUMNS and sum(needed[:room]) + TIGHT_GAP * (room - 1) > console.width:
        room -= 1
    titles, lines = titles[:room], [line[:room] for line in lines]
    console.print(text_table(titles, lines, width=console.width, right=set(titles[1:]), edge=False))
    console.print()


def _counter(group: Sequence[Row]) -> str:
    return next((row["counter"] for row in group if row["counter"]), NONE)


def _columns(rows: Sequence[Row], score: Metric | None) -> list[Column]:
    """Return the columns behind the name, those that are left out first where there is no room last."""
    judged = scores(score)
    columns = [
        judged[0] if score is None else replace(judged[1], title=_title(score)),
        Column(_COUNTED, "ticks_median", count_of),
        Column(_RATIO, "", count_of),
        Column("latency, us", "latency_us_median", decimal_of),
        Column("energy, uJ", "energy_uj", lambda row, name: _energy(row, name, simulated=False)),
        Column("SIMULATED uJ", "energy_uj", lambda row, name: _energy(row, name, simulated=True)),
        Column("peak RAM", "ram_peak_bytes", count_of),
        Column("flash", "flash_bytes", count_of),
    ]
    always = (_COUNTED, _RATIO)
    return [one for one in columns if one.title in always or any(one.text(row) != NONE for row in rows)]


def _title(score: Metric) -> str:
    """Return a short heading for a score: its name, where that is no sentence."""
    name = score.called or score.name
    return name if len(name) <= _LONG else "score"


def _energy(row: Row, name: str, *, simulated: bool) -> str | None:
    return decimal_of(row, name) if (row.get("power_source") == SIMULATED) == simulated else None


def _how_well(rows: Sequence[Row], score: Metric | None) -> str | None:
    """Say how well shares are known, as there is no room for intervals."""
    if score is None or score.unit != "share":
        return None
    ends = [(row.get(f"{score.column}_low"), row.get(f"{score.column}_high")) for row in rows]
    widths = [high - low for low, high in ends if low is not None and high is not None]
    if not widths:
        return None
    name = score.called or score.name
    return f"Each {name} is known to within {100 * max(widths) / 2:.1f} points either way, or better (95 % interval)."


def _said(groups: dict[tuple[str, str], list[Row]]) -> Iterable[tuple[str, str, list[str]]]:
    """Return what has to be known, each sentence once, with its style and the boards that it is about."""
    found: dict[tuple[str, str], list[str]] = {}
    for (place, _), group in groups.items():
        for text in (*_of_complete(group), *_of_others(group)):
            found.setdefault(text, []).append(place)
    return [(text, style, places) for (text, style), places in found.items()]


def _of_complete(group: Sequence[Row]) -> Iterable[tuple[str, str]]:
    """Yield what has to be known of what a board measured."""
    yield from ((remark.text, "yellow" if remark.tone == "warning" else "") for remark in remarks(group))
    complete = [row for row in group if row["status"] == "complete"]
    for row in complete:
        if row.get("verdict") == "failed":
            yield f"{row['variant']} is over a limit: {row['verdict_reason']}", "red"
        if row.get("energy_reason") not in UNASKED:
            yield f"{row['variant']} has no energy: {row['energy_reason']}", "yellow"
        if (low := low_agreement(row)) is not None:
            yield f"{row['variant']}: {low}", "yellow"
    if any(row.get("power_source") == SIMULATED for row in complete):
        yield SIMULATED_ENERGY, ""
    units = {unit_of(row) for row in complete}
    if group[0]["backend"] == "hardware" and len(units) > 1:
        yield SEVERAL_UNITS.format(count=len(units)), "yellow"


def _of_others(group: Sequence[Row]) -> Iterable[tuple[str, str]]:
    """Yield why variants were not measured on a board; those for one reason together."""
    if said := unfit(group):
        yield f"skipped: {said}", "red"
    missing: dict[tuple[str, str], list[str]] = {}
    for row in group:
        if row["status"] != "complete" and not unfit([row]):
            missing.setdefault((row["status"], row["reason"]), []).append(row["variant"])
    for (status, why), names in missing.items():
        yield f"{joined(names, None)} {status}: {why}", "red"
