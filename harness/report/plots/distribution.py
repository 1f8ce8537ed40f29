"""How the ticks of single inferences are spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from matplotlib.ticker import MaxNLocator

from harness.report import numbers
from harness.report.groups import drawable
from harness.report.plots.canvas import ACCENT, INK, MUTED, RULE, SMALL, TEXT, WIDTH, blank, shorten, style, text_width

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_ROW = 42.0
_BINS = 81
_HEAD = 4.0
_FOOT = 34.0
#: A tick closer to the edge than half its label would stick out; in points.
_EDGE = 24.0


def ticks_distribution(samples: pd.DataFrame, counter: str = "ticks") -> Figure:
    """Draw how far the ticks of each inference are from the variant's median, a row per variant.

    Each row is a histogram on one axis for all, as a change from the row's own median, so that the spread of a fast
    variant and of a slow one can be compared. Heights are square roots of the counts: a rare slow inference is seen.
    A counter that always says the same is drawn as one line.

    Args:
        samples: rows of the sample table from one suite and one setup; those without ticks are left out.
        counter: what a tick is: cycles or instructions.

    Raises:
        ValueError: rows that can't be compared, or nothing to draw.
    """
    rows = drawable(samples.dropna(subset=["ticks"]), "ticks_distribution", "no sample has ticks")
    changes = []
    for name, group in rows.groupby("variant", sort=False, observed=True):
        ticks = group["ticks"].to_numpy(float)
        changes.append((str(name), ticks, 100 * (ticks / np.median(ticks) - 1)))
    low, high = min(float(c.min()) for *_, c in changes), max(float(c.max()) for *_, c in changes)
    pad = 0.04 * (high - low) or 0.5
    low, high = low - pad, high + pad
    with style():
        figure, axes = blank(_HEAD + _ROW * len(changes) + _FOOT, left=8, right=8, top=_HEAD, bottom=_FOOT)
        _axes(axes, low, high, len(changes))
        for number, (name, ticks, change) in enumerate(changes):
            _row(axes, _ROW * number, name, ticks, change, counter)
    return figure


def _axes(axes: Axes, low: float, high: float, rows: int) -> None:
    axes.set_xlim(low, high)
    axes.set_ylim(_ROW * rows, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    edge = _EDGE * (high - low) / (WIDTH - 16)
    ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    inside = [float(tick) for tick in ticks if low + edge <= tick <= high - edge]
    axes.set_xticks(inside, [f"{numbers.tick(tick)} %" for tick in inside])
    axes.set_xlabel("difference from the variant's own median", loc="right")
    axes.tick_params(length=0, pad=4)


def _row(axes: Axes, top: float, name: str, ticks: NDArray[Any], change: NDArray[Any], counter: str) -> None:
    floor = top + _ROW - 4
    middle = numbers.count(float(np.median(ticks)))
    left, right = axes.get_xlim()
    one = ticks.min() == ticks.max()
    said = f"always {middle} {counter}" if one else f"median {middle} {counter}"
    name = shorten(name, TEXT, WIDTH - 28 - text_width(said, SMALL))
    axes.text(left, top + 9, name, fontsize=TEXT, color=INK, va="center_baseline")
    axes.text(right, top + 9, said, fontsize=SMALL, color=MUTED, va="center_baseline", ha="right")
    axes.add_line(Line2D([left, right], [floor, floor], color=RULE, lw=0.8))
    height = _ROW - 22
    if one:
        axes.add_line(Line2D([0, 0], [floor - height, floor], color=ACCENT, lw=2))
        return
    counts, edges = np.histogram(change, bins=np.linspace(left, right, _BINS))
    tops = floor - height * np.sqrt(counts / counts.max())
    axes.add_patch(StepPatch(tops, edges, baseline=floor, fill=True, color=ACCENT, alpha=0.75, lw=0))
