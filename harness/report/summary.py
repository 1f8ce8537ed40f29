"""The tables at the end of a run, for a terminal of any width."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from harness.measure.reference import low_agreement
from harness.report.remarks import remarks
from harness.store.place import boards_of, place_of, spelled, unit_of
from harness.text.escape import printable
from harness.text.table import TIGHT_GAP, cell, longest_word, text_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = dict[str, Any]

#: From this width on, accuracy and counter fit into one table.
_WIDE_COLUMNS = 150
#: From this width on, there is room for what flash takes when compressed.
_ROOMY_COLUMNS = 96
#: In less a technique can't be read; then it is left to the report.
_LEAST_TECHNIQUE = 16
_NONE = "-"

_EMULATED = (
    "Emulated: no board was used. The figures above in instructions are what an emulated CPU executed; they are "
    "not cycles, and neither latency nor energy follows from them. Predictions, flash and RAM come from the "
    "same firmware that a real board would run."
)
_SIMULATED = (
    "Simulated: no current was measured. The energy is a typical current from the data sheet times one cycle for each "
    "instruction; it shows that the measurement works, and says nothing about a real board."
)
_UNITS = (
    "Measured on {count} units of the board: differences between units (clock source, supply, chip corner) are in the "
    "ratios of ticks, latency and energy. `hil compare` says which differences are real."
)
_UNASKED = ("no power monitor", "not asked for (--power off)")


@dataclass(frozen=True)
class _Column:
    title: str
    cell: Callable[[Row, Sequence[Row]], str]
    left: bool = False


def render(rows: Sequence[Row], *, width: int, color: bool) -> str:
    """Return the tables of finished cases as text.

    Args:
        rows: rows of the case table, as dicts.
        width: columns that the terminal has.
        color: whether it understands colours.
    """
    console = Console(file=io.StringIO(), width=width, force_terminal=color, highlight=False, soft_wrap=False)
    if not color:
        console.no_color = True
    with console.capture() as capture:
        for _, group in groupby(sorted(rows, key=_order), key=_order):
            _print_group(console, list(group), width)
        if any(row["backend"] != "hardware" for row in rows):
            console.print(Text(_EMULATED))
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def _order(row: Row) -> tuple[str, str, str]:
    return row["suite"], place_of(row), row["backend"]


def _print_group(console: Console, rows: list[Row], width: int) -> None:
    """Print the tables of one suite at one place and on one backend: only these rows can be compared."""
    first = rows[0]
    emulated = "" if first["backend"] == "hardware" else ", emulated"
    place, boards = place_of(first), boards_of(rows)
    on = place if place == first["board"] else f"{place} ({first['board']})"
    console.print(cell(f"{first['suite']} on {spelled(on, boards)}, {first['backend']} backend{emulated}", "bold"))
    counter = f"{first['counter']} per inference"
    several = len({row["device"] for row in rows}) > 1
    scores, ticks = (_DEVICE, *_SCORES) if several else _SCORES, _ticks(rows)
    if width >= _WIDE_COLUMNS:
        _print_table(console, f"accuracy, {counter}", [_VARIANT, _TECHNIQUE, *scores, *ticks], rows)
    else:
        _print_table(console, "accuracy", [_VARIANT, _TECHNIQUE, *scores], rows)
        _print_table(console, counter, [_VARIANT, *ticks], rows)
    for remark in remarks(rows):
        console.print(Text(f"{remark.text}\n", style="yellow" if remark.tone == "warning" else ""))
    if any(row.get("latency_us_median") is not None for row in rows):
        _print_table(console, "latency per inference, us", [_VARIANT, *_LATENCY], rows)
    _print_table(console, "agreement with the reference", [_VARIANT, *_AGREEMENT], rows)
    for row in rows:
        if (low := low_agreement(row)) is not None:
            console.print(Text(f"{row['variant']}: {low}\n", style="yellow"))
    _print_energy(console, rows)
    memory = _MEMORY if width >= _ROOMY_COLUMNS else [column for column in _MEMORY if column is not _COMPRESSED]
    _print_table(console, "memory, bytes", [_VARIANT, *memory], rows)
    units = {unit_of(row) for row in rows if row["status"] == "complete"}
    if first["backend"] == "hardware" and len(units) > 1:
        console.print(Text(f"{_UNITS.format(count=len(units))}\n", style="yellow"))
    for row in rows:
        if row["status"] != "complete":
            console.print(Text(printable(f"{row['variant']} {row['status']}: {row['reason']}\n"), style="red"))
        elif row.get("verdict") == "failed":
            console.print(Text(printable(f"{row['variant']} is over a limit: {row['verdict_reason']}\n"), style="red"))


def _print_energy(console: Console, rows: list[Row]) -> None:
    """Print energy by what measured it, and why it is missing where a monitor should have given it."""
    for source in sorted({row["power_source"] for row in rows if row.get("power_source")}):
        mine = [row for row in rows if row.get("power_source") == source]
        simulated = source == "simulated"
        title = f"{'SIMULATED ' if simulated else ''}energy per inference, uJ{'' if simulated else f' ({source})'}"
        _print_table(console, title, [_VARIANT, *_ENERGY], mine)
        if simulated:
            console.print(Text(f"{_SIMULATED}\n"))
    for row in rows:
        if row["status"] == "complete" and (row.get("energy_reason") or _UNASKED[0]) not in _UNASKED:
            console.print(Text(printable(f"{row['variant']} has no energy: {row['energy_reason']}\n"), style="yellow"))


def _print_table(console: Console, title: str, columns: Sequence[_Column], rows: list[Row]) -> None:
    numbers = [column for column in columns if not column.left]
    rows = [row for row in rows if any(column.cell(row, rows) != _NONE for column in numbers)]
    if not rows:
        return
    console.print(cell(title, "italic"))
    cells = {column: [cell(column.cell(row, rows)) for row in rows] for column in columns}
    needed = {column: max([cell_len(column.title), *(text.cell_len for text in cells[column])]) for column in columns}
    room = console.width - sum(needed[column] + TIGHT_GAP for column in columns if column is not _TECHNIQUE)
    words = max((longest_word(text.plain) for text in cells.get(_TECHNIQUE, ())), default=0)
    if room < max(words, min(_LEAST_TECHNIQUE, needed.get(_TECHNIQUE, 0))):
        columns = [column for column in columns if column is not _TECHNIQUE]
    table = text_table(
        [column.title for column in columns],
        list(zip(*(cells[column] for column in columns), strict=True)),
        width=console.width,
        right={column.title for column in numbers},
        edge=False,
    )
    console.print(table)
    console.print()


def _count(name: str, form: str = ",") -> Callable[[Row, Sequence[Row]], str]:
    def cell(row: Row, _rows: Sequence[Row]) -> str:
        value = row.get(name)
        if value is None:
            return _NONE
        return format(int(value), form) if float(value).is_integer() else f"{value:,.1f}"

    return cell


def _decimal(name: str) -> Callable[[Row, Sequence[Row]], str]:
    """Show four digits: no monitor knows more."""

    def cell(row: Row, _rows: Sequence[Row]) -> str:
        value = row.get(name)
        if value is None:
            return _NONE
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"

    return cell


def _lost(row: Row, _rows: Sequence[Row]) -> str:
    lost, samples = row.get("power_lost_samples"), row.get("power_samples")
    if lost is None or not samples:
        return _NONE
    return f"{100 * lost / samples:.2g} %" if lost else "0"


def _text(name: str) -> Callable[[Row, Sequence[Row]], str]:
    return lambda row, _rows: row.get(name) or _NONE


def _accuracy(row: Row, _rows: Sequence[Row]) -> str:
    if row["accuracy"] is None:
        return str(row["status"])
    return f"{100 * row['accuracy']:.{_decimals(row)}f} %"


def _share(name: str) -> Callable[[Row, Sequence[Row]], str]:
    def cell(row: Row, _rows: Sequence[Row]) -> str:
        return _NONE if row.get(name) is None else f"{100 * row[name]:.{_decimals(row)}f} %"

    return cell


def _interval(name: str) -> Callable[[Row, Sequence[Row]], str]:
    def cell(row: Row, _rows: Sequence[Row]) -> str:
        if row.get(f"{name}_low") is None:
            return _NONE
        places = _decimals(row)
        return f"{100 * row[f'{name}_low']:.{places}f} to {100 * row[f'{name}_high']:.{places}f} %"

    return cell


def _decimals(row: Row) -> int:
    """One more digit than the samples can tell apart would be made up."""
    return 1 if row["samples"] <= 1000 else 2


def _ratio(row: Row, rows: Sequence[Row]) -> str:
    """Return median / the baseline's median; only between cases that have all in common but the variant."""
    for other in rows:
        alike = place_of(other) == place_of(row) and (row.get("pool") or other["board_uid"] == row["board_uid"])
        if other["variant"] == row["baseline"] and alike and all(other[name] == row[name] for name in _SAME):
            mine, base = row["ticks_median"], other["ticks_median"]
            return f"{mine / base:.3f}x" if mine and base else _NONE
    return _NONE


_SAME = ("suite", "board", "backend", "counter", "clock_hz", "engine", "samples")

_VARIANT = _Column("variant", _text("variant"), left=True)
_DEVICE = _Column("device", _text("device"), left=True)
_TECHNIQUE = _Column("technique", _text("technique"), left=True)
_SCORES = (
    _Column("samples", _count("samples")),
    _Column("accuracy", _accuracy),
    _Column("95 % interval", _interval("accuracy")),
)
_AGREEMENT = (
    _Column("equal predictions", _share("agreement")),
    _Column("95 % interval", _interval("agreement")),
    _Column("greatest difference", _decimal("reference_difference_max")),
)
_LATENCY = tuple(_Column(name, _count(f"latency_us_{name}")) for name in ("median", "p95", "min", "max"))
_COMPRESSED = _Column("compressed", _count("flash_compressed_bytes"))
_ENERGY = (
    _Column("median", _decimal("energy_uj")),
    _Column("min", _decimal("energy_uj_min")),
    _Column("max", _decimal("energy_uj_max")),
    _Column("less idle", _decimal("energy_net_uj")),
    _Column("per joule", _decimal("inferences_per_joule")),
    _Column("mean uA", _decimal("current_ua_mean")),
    _Column("idle uA", _decimal("idle_current_ua")),
    _Column("lost", _lost),
)
_MEMORY = (
    _Column("flash", _count("flash_bytes")),
    _COMPRESSED,
    _Column("peak RAM", _count("ram_peak_bytes")),
    _Column("= static", _count("ram_static_bytes")),
    _Column("+ arena", _count("ram_arena_bytes")),
    _Column("+ stack", _count("ram_stack_bytes")),
    _Column("+ heap", _count("ram_heap_bytes")),
)


def _ticks(rows: Sequence[Row]) -> tuple[_Column, ...]:
    baselines = {row["baseline"] for row in rows if row["baseline"]}
    ratio = f"vs {baselines.pop()}" if len(baselines) == 1 else "vs baseline"
    return (
        *(_Column(name, _count(f"ticks_{name}")) for name in ("median", "p95", "min", "max")),
        _Column(ratio, _ratio),
    )
