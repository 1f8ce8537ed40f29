"""Bars with parts: what a variant takes of the board's RAM and flash, and what each layer takes of an inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from harness.report import numbers
from harness.report.groups import drawable, known, records
from harness.report.plots.canvas import (
    BAD,
    INCH,
    INK,
    LEGEND_LINE,
    MUTED,
    RULE,
    SERIES,
    SMALL,
    TEXT,
    WIDTH,
    blank,
    legend,
    legend_lines,
    shorten,
    style,
    text_width,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The parts of peak RAM, in the order in which they are stacked, and their colours.
RAM_PARTS: Final = {
    "ram_static_bytes": ("static", SERIES[2]),
    "ram_arena_bytes": ("tensor arena", SERIES[0]),
    "ram_stack_bytes": ("stack", SERIES[1]),
    "ram_heap_bytes": ("heap", SERIES[3]),
}

#: The limit is drawn as a line where the largest bar reaches this share of it; else every bar says its share.
_LIMIT_SHOWN = 0.4
#: Operators that have a colour of their own; the others share the last one.
_COLORED = 5

_ROW = 36.0
_BAR = 9.0


class _Bar(NamedTuple):
    """A name, what stands at the other end of its line, and the parts below: length and colour."""

    name: str
    value: str
    parts: Sequence[tuple[float, str]]


def ram_parts(cases: pd.DataFrame, limit_bytes: int | None = None) -> Figure:
    """Draw peak RAM as its four parts: static, tensor arena, stack, heap.

    A part that was not measured is named behind the variant, and its total is left out.

    Args:
        cases: rows of the case table from one suite and one setup; those without any RAM figure are left out.
        limit_bytes: RAM of the board.

    Raises:
        ValueError: rows that can't be compared, or nothing to draw.
    """
    rows = drawable(cases.dropna(subset=list(RAM_PARTS), how="all"), "ram_parts", "no case has RAM figures")
    bars = []
    for row in records(rows):
        parts = [(float(row[column]), color) for column, (_, color) in RAM_PARTS.items() if known(row[column])]
        missing = [name for column, (name, _) in RAM_PARTS.items() if not known(row[column])]
        total = _with_share(sum(size for size, _ in parts), limit_bytes)
        bars.append(_Bar(str(row["variant"]), f"{', '.join(missing)} not measured" if missing else total, parts))
    used = {column: rows[column].fillna(1).any() for column in RAM_PARTS}
    entries = [(name if used[column] else f"{name} (none)", color) for column, (name, color) in RAM_PARTS.items()]
    return _draw_bars(bars, entries, limit_bytes, "RAM of the board")


def flash(cases: pd.DataFrame, limit_bytes: int | None = None) -> Figure:
    """Draw what each image occupies in flash, and how much of that is left when it is compressed for an update.

    Args:
        cases: rows of the case table from one suite and one setup; those without `flash_bytes` are left out.
        limit_bytes: flash of the board.

    Raises:
        ValueError: rows that can't be compared, or nothing to draw.
    """
    rows = drawable(cases.dropna(subset=["flash_bytes"]), "flash", "no case has a flash figure")
    bars, entries = [], [("image", SERIES[0])]
    for row in records(rows):
        size = float(row["flash_bytes"])
        parts, value = [(size, SERIES[0])], _with_share(size, limit_bytes)
        if known(row.get("flash_compressed_bytes")) and row["flash_compressed_bytes"] <= size:
            small = float(row["flash_compressed_bytes"])
            parts, value = [(small, SERIES[0]), (size - small, SERIES[2])], f"{value}, {numbers.kib(small)} compressed"
            entries = [("image, compressed", SERIES[0]), ("what compression saves", SERIES[2])]
        bars.append(_Bar(str(row["variant"]), value, parts))
    return _draw_bars(bars, entries, limit_bytes, "flash of the board")


def layer_profile(layers: pd.DataFrame, counter: str = "ticks") -> Figure:
    """Draw what each layer takes of an inference.

    With one variant there is a bar for each layer, in the order of execution; with several there is a bar for each
    variant, its layers one behind the other. The colour says which operator it is.

    Args:
        layers: rows of the layer table from one suite and one setup.
        counter: what a tick is: cycles or instructions.

    Raises:
        ValueError: rows that can't be compared, or nothing to draw.
    """
    rows = layers.dropna(subset=["ticks"]).sort_values(["case", "layer"])
    rows = drawable(rows, "layer_profile", "no layer has ticks")
    rows = rows.assign(kind=[_words(operator) for operator in rows["operator"]])
    totals = rows.groupby("kind")["ticks"].sum().sort_values(ascending=False, kind="stable")
    colors = {str(kind): SERIES[min(rank, _COLORED)] for rank, kind in enumerate(totals.index)}
    lines = records(rows)
    variants = list(dict.fromkeys(str(line["variant"]) for line in lines))
    total = sum(float(line["ticks"]) for line in lines)
    bars = [_layer(line, total, colors) for line in lines]
    if len(variants) > 1:
        bars = []
        for name in variants:
            parts = [(float(line["ticks"]), colors[line["kind"]]) for line in lines if line["variant"] == name]
            value = f"{numbers.count(sum(ticks for ticks, _ in parts))} {counter} in {len(parts)} layers"
            bars.append(_Bar(name, value, parts))
    entries = [(kind, colors[kind]) for kind in rows["kind"].unique() if colors[kind] != SERIES[-1]]
    if SERIES[-1] in colors.values():
        entries.append(("others", SERIES[-1]))
    return _draw_bars(bars, entries)


def _words(operator: object) -> str:
    """Return DEPTHWISE_CONV_2D as depthwise conv 2d."""
    return str(operator).replace("_", " ").lower() if known(operator) else "unknown"


def _layer(line: dict[str, Any], total: float, colors: dict[str, str]) -> _Bar:
    ticks, shape = float(line["ticks"]), line.get("output_shape")
    name = f"{line['layer']} {line['kind']}" + (f" {shape}" if known(shape) else "")
    value = f"{numbers.count(ticks)}, {100 * ticks / total if total else 0:.1f} %"
    return _Bar(name, value, [(ticks, colors[line["kind"]])])


def _with_share(size: float, limit_bytes: int | None) -> str:
    return f"{numbers.kib(size)}, {100 * size / limit_bytes:.1f} %" if limit_bytes else numbers.kib(size)


def _draw_bars(
    bars: Sequence[_Bar], entries: Sequence[tuple[str, str]], limit: float | None = None, limit_name: str = ""
) -> Figure:
    """Draw bars under their names, the names of the colours above, and the limit."""
    longest = max(sum(size for size, _ in bar.parts) for bar in bars) or 1.0
    line = limit if limit and longest >= _LIMIT_SHOWN * limit else None
    head = 8.0 + LEGEND_LINE * len(legend_lines([name for name, _ in entries]))
    foot = 25.0 if limit else 4.0
    with style():
        figure, axes = blank(head + _ROW * len(bars) + foot, left=1, right=1, top=head, bottom=foot)
        legend(figure, entries)
        axes.set_axis_off()
        axes.set_xlim(0, max(longest, line or 0) * 1.002)
        axes.set_ylim(_ROW * len(bars), 0)
        for number, bar in enumerate(bars):
            _draw(axes, bar, _ROW * number, line)
        if limit:
            said = "full width: " if line else "percentages: of the "
            y = 9 / (figure.get_figheight() * INCH)
            text = f"{said}{limit_name}, {numbers.kib(limit)}"
            figure.text(0, y, text, fontsize=SMALL, color=MUTED, va="center_baseline")
    return figure


def _draw(axes: Axes, bar: _Bar, top: float, limit: float | None) -> None:
    x = axes.get_xlim()[1]
    name = shorten(bar.name, TEXT, WIDTH - 12 - text_width(bar.value, SMALL))
    axes.text(0, top + 9, name, fontsize=TEXT, color=INK, va="center_baseline")
    axes.text(x, top + 9, bar.value, fontsize=SMALL, color=MUTED, va="center_baseline", ha="right")
    low = top + 20
    if limit:
        axes.add_patch(Rectangle((0, low), limit, _BAR, color=RULE, alpha=0.45, lw=0))
        axes.add_line(Line2D([limit, limit], [low, low + _BAR], color=BAD, lw=1.6, clip_on=False))
    at = 0.0
    gap = x / (WIDTH - 2)
    for size, color in bar.parts:
        if size > 0:
            axes.add_patch(Rectangle((at, low), max(size - gap, size / 2), _BAR, color=color, lw=0))
        at += size
