"""Accuracy against what it costs."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final, cast

from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from harness.report import numbers
from harness.report.groups import complete, drawable, known, records
from harness.report.metrics import METRICS, energy_name, leading
from harness.report.pareto import front
from harness.report.plots.canvas import (
    ACCENT,
    INCH,
    INK,
    MUTED,
    PAPER,
    RULE,
    SMALL,
    WIDTH,
    blank,
    shorten,
    style,
    text_width,
)
from harness.report.plots.labels import Box, place

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.report.metrics import Metric
    from harness.report.plots.labels import Label


#: The figures that an accuracy can be drawn against, by their column: less is better.
COSTS: Final = {metric.column: metric for metric in METRICS.values() if metric.title}

#: Costs that are further apart than this are drawn on a logarithmic axis.
_LOG_RATIO = 5

_LABEL_HEIGHT = 14.0
_LABEL_WIDTH = 160.0
#: Room that a label keeps from the next one, and how close points are that share one; in points.
_GAP, _TOGETHER = 6.0, 6.0
#: So many names stand in one label.
_NAMED = 3


def accuracy_against(cases: pd.DataFrame, x: str = "ticks_median") -> Figure:
    """Draw the accuracy of each variant, or the score of its suite's metric, against a cost, with the Pareto front.

    Vertical lines are the 95 % interval of the figure, horizontal ones reach from the smallest value to the 95th
    percentile over the inferences, where the cost has them. Filled points are on the front: no variant that was
    measured costs as little and is as accurate.

    Args:
        cases: rows of the case table from one suite and one setup; incomplete ones are left out.
        x: ticks_median, latency_us_median, energy_uj, ram_peak_bytes, flash_bytes or flash_compressed_bytes.

    Raises:
        ValueError: rows that can't be compared, or nothing to draw.
    """
    if x not in COSTS:
        raise ValueError(f"accuracy_against: {x!r} is no cost; known are {', '.join(COSTS)}")
    score = (leading(cases["metric"]) if "metric" in cases.columns else None) or METRICS["accuracy"]
    nothing = f"no complete case has both {score.name} and {x}"
    rows = drawable(complete(cases, score.column, x), "accuracy_against", nothing, x)
    with style():
        figure, axes = blank(300, left=48, right=8, top=16, bottom=42)
        _draw(axes, rows, COSTS[x], score)
    return figure


def cost_name(column: str, rows: pd.DataFrame) -> str:
    """Return what a column of the case table is called in a plot of some rows."""
    if column not in COSTS:
        return column.replace("_", " ")
    energy = energy_name(rows["power_source"]) if column == "energy_uj" else ""
    return COSTS[column].title.format(counter=rows["counter"].iloc[0], energy=energy)


def _draw(axes: Axes, rows: pd.DataFrame, cost: Metric, score: Metric) -> None:
    column, factor = score.column, 100 if score.unit == "share" else 1
    xs = (rows[cost.column].astype(float) * cost.axis[1]).tolist()
    ys = (rows[column].astype(float) * factor).tolist()
    best = front(rows, {cost.column: -1, column: 1 if score.more_is_better else -1})
    _axes(axes, rows, cost, score)
    steps = sorted((x, y) for x, y, is_best in zip(xs, ys, best, strict=True) if is_best)
    axes.step([x for x, _ in steps], [y for _, y in steps], where="post", color=ACCENT, lw=1, alpha=0.55, zorder=1)
    lines: dict[bool, list[list[tuple[float, float]]]] = {True: [], False: []}
    for row, x, y, is_best in zip(records(rows), xs, ys, best, strict=True):
        if known(row.get(f"{column}_low")) and known(row.get(f"{column}_high")):
            low, high = factor * float(row[f"{column}_low"]), factor * float(row[f"{column}_high"])
            lines[is_best].append([(x, low), (x, high)])
        if cost.range and all(known(row.get(end)) for end in cost.range):
            low, high = (float(row[end]) * cost.axis[1] for end in cost.range)
            lines[is_best].append([(low, y), (high, y)])
    for is_best, color, face in ((False, MUTED, PAPER), (True, ACCENT, ACCENT)):
        axes.add_collection(LineCollection(lines[is_best], colors=color, lw=1, alpha=0.45, zorder=2), autolim=False)
        at = [(x, y) for x, y, mine in zip(xs, ys, best, strict=True) if mine == is_best]
        points = Line2D([x for x, _ in at], [y for _, y in at], marker="o", ls="", ms=6, zorder=3, clip_on=False)
        points.set(mfc=face, mec=color, mew=1.2)
        axes.add_line(points)
    names = [shorten(str(name), SMALL, _LABEL_WIDTH) for name in rows["variant"]]
    label_points(axes, names, list(zip(xs, ys, strict=True)), best, [*_corners(steps), *lines[True], *lines[False]])


def _corners(steps: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Return the lines that a front is drawn with."""
    return [line for (ax, ay), (bx, by) in pairwise(steps) for line in ([(ax, ay), (bx, ay)], [(bx, ay), (bx, by)])]


def _axes(axes: Axes, rows: pd.DataFrame, cost: Metric, score: Metric) -> None:
    values = rows[cost.column].astype(float) * cost.axis[1]
    if values.min() > 0 and values.max() / values.min() > _LOG_RATIO:
        axes.set_xscale("log")
        axes.set_xlim(values.min() / 1.4, values.max() * 1.4)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, values.max() * 1.08 or 1)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.short(value)))
    scale = ", log scale" if axes.get_xscale() == "log" else ""
    unit = f", {cost.axis[0]}" if cost.axis[0] else ""
    axes.set_xlabel(cost_name(cost.column, rows) + unit + scale, loc="right")
    ends = [rows[f"{score.column}_{end}"].fillna(rows[score.column]).astype(float) for end in ("low", "high")]
    low, high = ends[0].min(), ends[1].max()
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    if score.unit == "share":
        low, high = 100 * low, 100 * high
        pad = max(0.06 * (high - low), 0.2)
        axes.set_ylim(max(low - pad, -1), min(high + pad, 100 + pad / 2))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %" if value <= 100 else ""))
    else:
        pad = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        axes.set_ylim(low - pad, high + pad)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.short(value)))
    unit = f", {score.unit}" if score.unit not in ("share", "") else ""
    axes.set_title(
        f"{score.called or score.name}{unit}",
        loc="left",
        x=-48 / (WIDTH - 56),
        y=1.0,
        pad=3,
        fontsize=SMALL,
        color=MUTED,
    )
    axes.grid(axis="y", color=RULE, lw=0.6, zorder=0)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0, pad=4)


def label_points(
    axes: Axes,
    names: list[str],
    at: list[tuple[float, float]],
    best: list[bool],
    lines: list[list[tuple[float, float]]],
) -> None:
    """Write the names of the points where there is room for them; points that can't be told apart share a label."""
    figure = cast("Figure", axes.get_figure(root=True))
    scale = INCH / figure.dpi

    def points(ends: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(float(x) * scale, float(y) * scale) for x, y in axes.transData.transform(ends)] if ends else []

    (left, bottom), (_, top) = axes.transAxes.transform([(0, 0), (1, 1)]) * scale
    frame = Box(left + 1, bottom + 2, WIDTH - 2, top + 10)
    groups: list[list[int]] = []
    centers = points(at)
    for i in sorted(range(len(at)), key=lambda i: not best[i]):
        near = (one for one in groups if math.dist(centers[one[0]], centers[i]) < _TOGETHER)
        found = next(near, None)
        if found is None:
            groups.append([i])
        else:
            found.append(i)
    shown = [_together([names[i] for i in group]) for group in groups]
    sizes = [(max(text_width(name, SMALL) for name in some) + _GAP, _LABEL_HEIGHT * len(some)) for some in shown]
    ends = [(start, end) for start, end in (points(line) for line in lines)]
    labels = place([centers[group[0]] for group in groups], sizes, frame, ends)
    for group, some, label in zip(groups, shown, labels, strict=True):
        _write(figure, "\n".join(some), centers[group[0]], label, INK if best[group[0]] else MUTED)


def _together(names: list[str]) -> list[str]:
    return names if len(names) <= _NAMED + 1 else [*names[:_NAMED], f"and {len(names) - _NAMED} more"]


def _write(figure: Figure, name: str, center: tuple[float, float], label: Label, color: str) -> None:
    width, height = figure.get_figwidth() * INCH, figure.get_figheight() * INCH
    box = label.box
    x = {"left": box.left + 1, "right": box.right - 1, "center": (box.left + box.right) / 2}[label.align]
    y = (box.bottom + box.top) / 2
    if label.leader:
        near_x = min(max(center[0], box.left), box.right)
        near_y = min(max(center[1], box.bottom), box.top)
        ends = [center[0] / width, near_x / width], [center[1] / height, near_y / height]
        figure.add_artist(Line2D(*ends, transform=figure.transFigure, color=MUTED, lw=0.6, alpha=0.6))
    figure.text(x / width, y / height, name, fontsize=SMALL, color=color, ha=label.align, va="center", linespacing=1.1)
