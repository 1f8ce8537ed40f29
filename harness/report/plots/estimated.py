"""Estimated cycles against those that a board counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.report import numbers
from harness.report.groups import complete, drawable
from harness.report.plots.canvas import ACCENT, MUTED, RULE, SMALL, WIDTH, blank, shorten, style
from harness.report.plots.scatter import label_points

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_LEFT, _LABEL_WIDTH = 48, 160.0


def estimated_against_counted(cases: pd.DataFrame) -> Figure:
    """Draw the estimated cycles of each variant against those that the board counted, medians both.

    A point on the line is an estimate that is right; one above it is too high.

    Args:
        cases: rows of the case table from one suite and one setup, whose counter counts cycles; those without an
            estimate are left out.

    Raises:
        ValueError: rows that can't be compared, that count something else than cycles, or nothing to draw.
    """
    name = "estimated_against_counted"
    nothing = "no complete case has both cycles of a board and an estimate"
    rows = drawable(complete(cases, "ticks_median", "estimated_cycles_median"), name, nothing)
    if (rows["counter"] != "cycles").any():
        raise ValueError(f"{name}: an emulator counts {rows['counter'].iloc[0]}; there are no cycles to hold against")
    counted, estimated = (rows[column].astype(float).tolist() for column in ("ticks_median", "estimated_cycles_median"))
    most = 1.1 * max(*counted, *estimated)
    with style():
        figure, axes = blank(300, left=_LEFT, right=8, top=16, bottom=42)
        axes.set_xlim(0, most)
        axes.set_ylim(0, most)
        axes.add_line(Line2D([0, most], [0, most], color=MUTED, lw=0.8, ls=(0, (4, 3)), zorder=1))
        axes.add_line(Line2D(counted, estimated, marker="o", ls="", ms=6, color=ACCENT, zorder=3))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
            axis.set_major_formatter(FuncFormatter(lambda value, _: numbers.short(value)))
        axes.set_xlabel("cycles per inference (median), counted by the board", loc="right")
        title = "ESTIMATED cycles (median)"
        axes.set_title(title, loc="left", x=-_LEFT / (WIDTH - _LEFT - 8), y=1.0, pad=3, fontsize=SMALL, color=MUTED)
        axes.grid(axis="y", color=RULE, lw=0.6, zorder=0)
        axes.set_axisbelow(True)
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0, pad=4)
        names = [shorten(str(variant), SMALL, _LABEL_WIDTH) for variant in rows["variant"]]
        at = list(zip(counted, estimated, strict=True))
        label_points(axes, names, at, [True] * len(at), [[(0, 0), (most, most)]])
    return figure
