"""What a variant takes of the board: RAM in its parts, and flash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from harness.report import numbers
from harness.report.plots.canvas import (
    BAD,
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
from harness.report.setup import known, records, require_one_setup

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

_ROW = 30.0
_BAR = 9.0


@dataclass(frozen=True)
class Bar:
    """A name, what stands at the other end of its line, and the parts below: length and colour."""

    name: str
    value: str
    parts: tuple[tuple[float, str], ...]


def ram_parts(cases: pd.DataFrame, limit_bytes: int | None = None) -> Figure:
    """Draw peak RAM as its four parts: static, tensor arena, stack, heap.

    A part that was not measured is named behind the variant, and its total is left out.

    Args:
        cases: rows of the case table from one suite and one setup; those without any RAM figure are left out.
        limit_bytes: RAM of the board.

    Raises:
        ValueError: rows that can't be compared, or nothing to draw.
    """
    rows = cases.dropna(subset=list(RAM_PARTS), how="all")
    require_one_setup(rows, "ram_parts")
    if rows.empty:
        raise ValueError("ram_parts: no case has RAM figures")
    bars = [_ram_bar(row, limit_bytes) for row in records(rows)]
    used = {column: rows[column].fillna(1).any() for column in RAM_PARTS}
    entries = [(name if used[column] else f"{name} (none)", color) for column, (name, color) in RAM_PARTS.items()]
    return draw_bars(bars, entries, limit_bytes, "RAM of the board")


def flash(cases: pd.DataFrame, limit_bytes: int | None = None) -> Figure:
    """Draw what each image occupies in flash, and how much of that is left when it is compressed for an update.

    Args:
        cases: rows of the case table from one suite and one setup; those without `flash_bytes` are left out.
        limit_bytes: flash of the board.

    Raises:
        ValueError: rows that can't be compared, or nothing to draw.
    """
    rows = cases.dropna(subset=["flash_bytes"])
    require_one_setup(rows, "flash")
    if rows.empty:
        raise ValueError("flash: no case has a flash figure")
    bars, any_compressed = [], False
    for row in records(rows):
        size = float(row["flash_bytes"])
        parts: tuple[tuple[float, str], ...] = ((size, SERIES[0]),)
        value = _with_share(size, limit_bytes)
        if known(row.get("flash_compressed_bytes")) and row["flash_compressed_bytes"] <= size:
            any_compressed, small = True, float(row["flash_compressed_bytes"])
            parts = ((small, SERIES[0]), (size - small, SERIES[2]))
            value += f"; {numbers.kib(small)} compressed"
        bars.append(Bar(str(row["variant"]), value, parts))
    entries = [("image, compressed", SERIES[0]), ("what compression saves", SERIES[2])]
    return draw_bars(bars, entries if any_compressed else [("image", SERIES[0])], limit_bytes, "flash of the board")


def _ram_bar(row: dict[str, Any], limit_bytes: int | None) -> Bar:
    parts, missing = [], []
    for column, (name, color) in RAM_PARTS.items():
        if known(row.get(column)):
            parts.append((float(row[column]), color))
        else:
            missing.append(name)
    total = sum(size for size, _ in parts)
    value = f"{', '.join(missing)} not measured" if missing else _with_share(total, limit_bytes)
    return Bar(str(row["variant"]), value, tuple(parts))


def _with_share(size: float, limit_bytes: int | None) -> str:
    return f"{numbers.kib(size)}, {100 * size / limit_bytes:.1f} %" if limit_bytes else numbers.kib(size)


def draw_bars(
    bars: Sequence[Bar], entries: Sequence[tuple[str, str]], limit: float | None = None, limit_name: str = ""
) -> Figure:
    """Draw bars under their names, the names of the colours above, and the limit."""
    longest = max(sum(size for size, _ in bar.parts) for bar in bars) or 1.0
    line = limit if limit and longest >= _LIMIT_SHOWN * limit else None
    head = 8.0 + LEGEND_LINE * len(legend_lines([name for name, _ in entries]))
    foot = 20.0 if limit else 4.0
    with style():
        figure, axes = blank(head + _ROW * len(bars) + foot, left=1, right=1, top=head, bottom=foot)
        legend(figure, [(color, name) for name, color in entries])
        axes.set_axis_off()
        axes.set_xlim(0, max(longest, line or 0) * 1.002)
        axes.set_ylim(_ROW * len(bars), 0)
        for number, bar in enumerate(bars):
            _draw(axes, bar, _ROW * number, line)
        if limit:
            said = f"full width: {limit_name}, {numbers.kib(limit)}"
            if not line:
                said = f"percentages: of the {limit_name}, {numbers.kib(limit)}"
            y = 6 / (figure.get_figheight() * 72)
            figure.text(0, y, said, fontsize=SMALL, color=MUTED, va="center_baseline")
    return figure


def _draw(axes: Axes, bar: Bar, top: float, limit: float | None) -> None:
    x = axes.get_xlim()[1]
    text_y = top + 9
    name = shorten(bar.name, TEXT, WIDTH - 12 - text_width(bar.value, SMALL))
    axes.text(0, text_y, name, fontsize=TEXT, color=INK, va="center_baseline")
    axes.text(x, text_y, bar.value, fontsize=SMALL, color=MUTED, va="center_baseline", ha="right")
    low = top + 17
    if limit:
        axes.add_patch(Rectangle((0, low), limit, _BAR, color=RULE, alpha=0.45, lw=0))
        axes.add_line(Line2D([limit, limit], [low, low + _BAR], color=BAD, lw=1.6, clip_on=False))
    at = 0.0
    gap = x / (WIDTH - 2)
    for size, color in bar.parts:
        if size > 0:
            axes.add_patch(Rectangle((at, low), max(size - gap, size / 2), _BAR, color=color, lw=0))
        at += size
