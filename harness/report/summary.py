"""The tables at the end of a run, for a terminal of any width."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from harness.measure.reference import low_agreement
from harness.report import numbers
from harness.report.estimates import said_of_ratio, shown_ms, time_of
from harness.report.metrics import leading
from harness.report.remarks import remarks
from harness.store.place import boards_of, place_of, spelled, unit_of
from harness.text.escape import printable
from harness.text.table import TIGHT_GAP, cell, longest_word, text_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.report.metrics import Metric

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
_ESTIMATED = (
    "Estimated: no board was used, and no cycle was counted. A model of the Cortex-M4 adds up what the emulated code "
    "would take; docs/cycles.md says how far it was off where boards were measured. Estimates less than 5 % apart are "
    "too close to call, and those of different chips are not to be held against each other."
)
_TIME = (
    "Estimated time: the estimated cycles divided by the board's clock. It is no latency, and nothing was timed. Where "
    "the range isn't known, no published measurement tells how far such an estimate is off."
)
_SIMULATED = (
    "Simulated: no current was measured. The energy is a typical current from the data sheet times one cycle for each "
    "instruction; it shows that the measurement works, and says nothing about a real board."
)
_UNITS = (
    "Measured on {count} units of the board: differences between units (clock source, supply, chip corner) are in the "
    "ratios of ticks, latency and energy. `hil compare` says which differences are real."
)
_UNASKED = (None, "", "no power monitor", "not asked for (--power off)")


@dataclass(frozen=True)
class _Column:
    """A column: its title, the column of the case table that its cells show, and how; None where there is nothing."""

    title: str
    name: str
    show: Callable[[Row, str], str | None]
    left: bool = False

    def text(self, row: Row) -> str:
        return self.show(row, self.name) or _NONE


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
        for _, group in groupby(sorted(rows, key=_order), key=_order):
            _print_group(console, list(group), width, estimated_time=estimated_time)
        if any(row["backend"] != "hardware" for row in rows):
            console.print(Text(_EMULATED))
        if any(row.get("estimated_cycles_median") is not None for row in rows):
            console.print(Text(f"\n{_ESTIMATED}"))
            if estimated_time:
                console.print(Text(f"\n{_TIME}"))
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


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
    scores, ticks = (*((_DEVICE,) if several else ()), *_scores(score)), (*_TICKS, _ratio(rows))
    if width >= _WIDE_COLUMNS:
        _print_table(console, f"{title}, {counter}", (_TECHNIQUE, *scores, *ticks), rows)
    else:
        _print_table(console, title, (_TECHNIQUE, *scores), rows)
        _print_table(console, counter, ticks, rows)
    for remark in remarks(rows):
        _say(console, remark.text, "yellow" if remark.tone == "warning" else "")
    if any(row.get("latency_us_median") is not None for row in rows):
        _print_table(console, "latency per inference, us", _LATENCY, rows)
    _print_estimates(console, rows, estimated_time=estimated_time)
    _print_table(console, "agreement with the reference", _AGREEMENT, rows)
    for row in rows:
        if (low := low_agreement(row)) is not None:
            _say(console, f"{row['variant']}: {low}", "yellow")
    _print_energy(console, rows)
    memory = _MEMORY if width >= _ROOMY_COLUMNS else [column for column in _MEMORY if column.title != "compressed"]
    _print_table(console, "memory, bytes", memory, rows)
    units = {unit_of(row) for row in rows if row["status"] == "complete"}
    if first["backend"] == "hardware" and len(units) > 1:
        _say(console, _UNITS.format(count=len(units)), "yellow")
    for row in rows:
        if row["status"] != "complete":
            _say(console, f"{row['variant']} {row['status']}: {row['reason']}", "red")
        elif row.get("verdict") == "failed":
            _say(console, f"{row['variant']} is over a limit: {row['verdict_reason']}", "red")


def _print_estimates(console: Console, rows: list[Row], *, estimated_time: bool) -> None:
    """Print the estimated cycles, and as time if that is asked for."""
    _print_table(console, "ESTIMATED cycles per inference, not measured", (*_ESTIMATE, _estimates_ratio(rows)), rows)
    if estimated_time:
        _print_table(console, "ESTIMATED milliseconds per inference, not measured, no latency", _ESTIMATED_TIME, rows)


def _print_energy(console: Console, rows: list[Row]) -> None:
    """Print energy by what measured it, and why it is missing where a monitor should have given it."""
    for source in sorted({row["power_source"] for row in rows if row.get("power_source")}):
        mine = [row for row in rows if row.get("power_source") == source]
        simulated = source == "simulated"
        title = f"{'SIMULATED ' if simulated else ''}energy per inference, uJ{'' if simulated else f' ({source})'}"
        _print_table(console, title, _ENERGY, mine)
        if simulated:
            _say(console, _SIMULATED)
    for row in rows:
        if row["status"] == "complete" and row.get("energy_reason") not in _UNASKED:
            _say(console, f"{row['variant']} has no energy: {row['energy_reason']}", "yellow")


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(printable(f"{text}\n"), style=style))


def _print_table(console: Console, title: str, columns: Sequence[_Column], rows: list[Row]) -> None:
    """Print a table of the rows that have a figure, and without the technique where there is no room for it."""
    columns = (_VARIANT, *columns)
    numeric = [column for column in columns if not column.left]
    rows = [row for row in rows if any(column.text(row) != _NONE for column in numeric)]
    if not rows:
        return
    console.print(cell(title, "italic"))
    cells = {column: [cell(column.text(row)) for row in rows] for column in columns}
    needed = {column: max([cell_len(column.title), *(text.cell_len for text in cells[column])]) for column in columns}
    room = console.width - sum(needed[column] + TIGHT_GAP for column in columns if column is not _TECHNIQUE)
    words = max((longest_word(text.plain) for text in cells.get(_TECHNIQUE, ())), default=0)
    if room < max(words, min(_LEAST_TECHNIQUE, needed.get(_TECHNIQUE, 0))):
        columns = [column for column in columns if column is not _TECHNIQUE]
    table = text_table(
        [column.title for column in columns],
        list(zip(*(cells[column] for column in columns), strict=True)),
        width=console.width,
        right={column.title for column in numeric},
        edge=False,
    )
    console.print(table)
    console.print()


def _text(row: Row, name: str) -> str | None:
    return row.get(name)


def _count(row: Row, name: str) -> str | None:
    return None if row.get(name) is None else numbers.count(row[name])


def _decimal(row: Row, name: str) -> str | None:
    """Show four digits: no monitor knows more."""
    value = row.get(name)
    if value is None:
        return None
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _lost(row: Row, name: str) -> str | None:
    lost, samples = row.get(name), row.get("power_samples")
    if lost is None or not samples:
        return None
    return f"{100 * lost / samples:.2g} %" if lost else "0"


def _share(row: Row, name: str) -> str | None:
    return None if row.get(name) is None else numbers.percent(row[name], row["samples"])


def _interval(row: Row, name: str, unit: str = "share") -> str | None:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return None if low is None or high is None else numbers.scores(low, high, unit, row["samples"])


def _scores(score: Metric | None) -> tuple[_Column, ...]:
    """Return the columns of what cases are judged by; where nothing is scored, of their number of inputs."""
    samples = _Column("samples", "samples", _count)
    if score is None:
        return (samples,)

    def value(row: Row, name: str) -> str:
        return str(row["status"]) if row.get(name) is None else numbers.score(row[name], score.unit, row["samples"])

    interval = _Column("95 % interval", score.column, partial(_interval, unit=score.unit))
    return samples, _Column(score.called or score.name, score.column, value), interval


_SAME = ("suite", "board", "backend", "counter", "clock_hz", "engine", "samples")


def _ratio(rows: Sequence[Row]) -> _Column:
    """Return a column of median / the baseline's median; only between cases that have all in common but the variant."""
    baselines = {row["baseline"] for row in rows if row["baseline"]}

    def show(row: Row, name: str) -> str | None:
        for other in rows:
            alike = place_of(other) == place_of(row) and (row.get("pool") or other["board_uid"] == row["board_uid"])
            if other["variant"] == row["baseline"] and alike and all(other[key] == row[key] for key in _SAME):
                return f"{row[name] / other[name]:.3f}x" if row[name] and other[name] else None
        return None

    return _Column(f"vs {baselines.pop()}" if len(baselines) == 1 else "vs baseline", "ticks_median", show)


def _estimates_ratio(rows: Sequence[Row]) -> _Column:
    """Return a column of what the estimate says beside the baseline's."""
    by_variant = {(row["variant"], row["device"]): row for row in rows}

    def show(row: Row, _name: str) -> str | None:
        other = by_variant.get((row["baseline"], row["device"]))
        return None if other is None or other is row else said_of_ratio(other, row)

    return _Column("beside the baseline", "estimated_cycles_median", show)


def _per_instruction(row: Row, name: str) -> str | None:
    if row.get(name) is None or not row.get("ticks_median"):
        return None
    return f"{row[name] / row['ticks_median']:.2f}"


def _time(row: Row, _name: str) -> str | None:
    time = time_of(row)
    return None if time is None else shown_ms(time.ms)


def _time_range(row: Row, _name: str) -> str | None:
    time = time_of(row)
    return None if time is None else time.range


def _clock(row: Row, name: str) -> str | None:
    return f"{row[name] / 1e6:g} MHz" if row.get(name) else None


_VARIANT = _Column("variant", "variant", _text, left=True)
_DEVICE = _Column("device", "device", _text, left=True)
_TECHNIQUE = _Column("technique", "technique", _text, left=True)
_TICKS = tuple(_Column(name, f"ticks_{name}", _count) for name in ("median", "p95", "min", "max"))
_AGREEMENT = (
    _Column("equal predictions", "agreement", _share),
    _Column("95 % interval", "agreement", _interval),
    _Column("greatest difference", "reference_difference_max", _decimal),
)
_ESTIMATE = (
    *(_Column(name, f"estimated_cycles_{name}", _count) for name in ("median", "min", "max")),
    _Column("per instruction", "estimated_cycles_median", _per_instruction),
    _Column("error", "estimated_cycles_error", _text, left=True),
)
_ESTIMATED_TIME = (
    _Column("median", "estimated_cycles_median", _time),
    _Column("at", "clock_hz", _clock, left=True),
    _Column("range", "estimated_cycles_error", _time_range, left=True),
)
_LATENCY = tuple(_Column(name, f"latency_us_{name}", _count) for name in ("median", "p95", "min", "max"))
_ENERGY = (
    _Column("median", "energy_uj", _decimal),
    _Column("min", "energy_uj_min", _decimal),
    _Column("max", "energy_uj_max", _decimal),
    _Column("less idle", "energy_net_uj", _decimal),
    _Column("per joule", "inferences_per_joule", _decimal),
    _Column("mean uA", "current_ua_mean", _decimal),
    _Column("idle uA", "idle_current_ua", _decimal),
    _Column("lost", "power_lost_samples", _lost),
)
_MEMORY = (
    _Column("flash", "flash_bytes", _count),
    _Column("compressed", "flash_compressed_bytes", _count),
    _Column("peak RAM", "ram_peak_bytes", _count),
    _Column("= static", "ram_static_bytes", _count),
    _Column("+ arena", "ram_arena_bytes", _count),
    _Column("+ stack", "ram_stack_bytes", _count),
    _Column("+ heap", "ram_heap_bytes", _count),
)
