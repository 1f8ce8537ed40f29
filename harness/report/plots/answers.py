"""What models answered: which classes they take for which, ROC curves, and how far values are off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.metrics.curves import recalls
from harness.report import numbers
from harness.report.plots.canvas import (
    ACCENT,
    INK,
    LEGEND_LINE,
    MUTED,
    RULE,
    SERIES,
    SMALL,
    blank,
    legend,
    legend_lines,
    shorten,
    style,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from harness.metrics.curves import Residuals, Roc

_ROW: Final = 15.0
_NAME: Final = 92.0
_RECALL: Final = 96.0


def confusion_matrix(matrix: NDArray[np.int64], names: Sequence[str]) -> Figure:
    """Draw how many inputs of each class (row) were taken for each class (column), and the recall of each.

    Args:
        matrix: counts, shape [classes, classes].
        names: of the classes.
    """
    count = len(names)
    with style():
        figure, axes = blank(_ROW * count + 34, left=_NAME, right=_RECALL, top=18, bottom=16)
        axes.set_xlim(0, count)
        axes.set_ylim(count, 0)
        axes.set_axis_off()
        share = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
        for (row, column), value in np.ndenumerate(matrix):
            if not value:
                continue
            color = ACCENT if row == column else SERIES[1]
            box = Rectangle((column, row), 1, 1, color=color, alpha=0.12 + 0.6 * float(share[row, column]), lw=0)
            axes.add_patch(box)
            axes.text(column + 0.5, row + 0.5, f"{value}", fontsize=SMALL, color=INK, ha="center", va="center_baseline")
        for at, (name, recall) in enumerate(zip(names, recalls(matrix), strict=True)):
            shown = shorten(name, SMALL, _NAME - 8)
            axes.text(-0.1, at + 0.5, shown, fontsize=SMALL, color=INK, ha="right", va="center_baseline")
            said = "no inputs" if not recall.inputs else numbers.percent(recall.value)
            if recall.inputs:
                said += f" ({100 * recall.low:.0f} to {100 * recall.high:.0f})"
            axes.text(count + 0.1, at + 0.5, said, fontsize=SMALL, color=MUTED, va="center_baseline")
            axes.text(at + 0.5, count + 0.4, f"{at}", fontsize=SMALL, color=MUTED, ha="center", va="center_baseline")
        heads = ((-0.1, "class", "right"), (count / 2, "answered", "center"), (count + 0.1, "recall, 95 %", "left"))
        for x, text, align in heads:
            axes.text(x, -0.6, text, fontsize=SMALL, color=MUTED, ha=align, va="center_baseline")
    return figure


def roc_curves(curves: Mapping[str, Roc]) -> Figure:
    """Draw the ROC curves of some variants, by their names; the dashed line is chance."""
    entries = [(name, SERIES[number % len(SERIES)]) for number, name in enumerate(curves)]
    head = 10 + LEGEND_LINE * len(legend_lines(list(curves)))
    with style():
        figure, axes = blank(250 + head, left=40, right=18, top=head + 8, bottom=32)
        legend(figure, entries)
        axes.add_line(Line2D([0, 1], [0, 1], color=MUTED, lw=0.8, ls="--"))
        for (_, color), curve in zip(entries, curves.values(), strict=True):
            axes.plot(curve.false_positive, curve.true_positive, "-", color=color, lw=1.4)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.01)
        axes.set_xlabel("false positives", loc="right")
        axes.set_title("found", loc="left", fontsize=SMALL, color=MUTED, pad=3)
        axes.grid(color=RULE, lw=0.6, zorder=0)
        axes.tick_params(length=0, pad=4)
    return figure


def residual_plot(found: Sequence[Residuals]) -> Figure:
    """Draw by how much a model's values exceed the wanted ones, against these; of several outputs all together."""
    wanted, excess = (np.concatenate([getattr(one, name) for one in found]) for name in ("wanted", "excess"))
    with style():
        figure, axes = blank(220, left=40, right=8, top=14, bottom=32)
        axes.axhline(0, color=MUTED, lw=0.8, ls="--")
        axes.plot(wanted, excess, "o", color=ACCENT, ms=3, alpha=0.5, mew=0)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6))
            axis.set_major_formatter(FuncFormatter(lambda value, _: numbers.short(value)))
        axes.set_xlabel("wanted value", loc="right")
        axes.set_title("answer less wanted value", loc="left", fontsize=SMALL, color=MUTED, pad=3)
        axes.grid(axis="y", color=RULE, lw=0.6, zorder=0)
        axes.tick_params(length=0, pad=4)
    return figure
