"""How a figure changed from run to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.report import numbers
from harness.report.groups import complete, drawable, same_inputs
from harness.report.metrics import METRICS, leading
from harness.report.plots.canvas import BAD, INK, MUTED, RULE, SERIES, SMALL, blank, shorten, style, text_width
from harness.report.plots.labels import spread
from harness.report.plots.scatter import cost_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.report.metrics import Metric

_HEAD = 32.0
_FOOT = 32.0
_PLOT = 190.0
_LEFT = 40.0
_LABEL_GAP = 12.0
_LABEL_MAX = 130.0

#: What is drawn as a difference, by its column; all else is drawn in percent.
_DIFFERENCES: Final = {METRICS[name].column: METRICS[name] for name in ("accuracy", "score")}


def history(cases: pd.DataFrame, metric: str, marked: Sequence[tuple[str, str]] = ()) -> Figure:
    """Draw how a figure changed since the first run, a line per variant; variants that never changed share one.

    Accuracy is drawn in percentage points, a score in its unit, all else in percent of the variant's first value. Runs
    on other inputs than the newest, or on more or fewer of them, are left out.

    Args:
        cases: rows of the case table from several runs of one suite on one setup; incomplete ones are left out.
        metric: a column of the case table with figures, such as ticks_median, accuracy or ram_peak_bytes.
        marked: (run, variant) of the points to mark as a regression.

    Raises:
        ValueError: rows that can't be compared, or nothing to draw.
    """
    rows = same_inputs(complete(cases, metric))
    rows = drawable(rows, "history", f"no complete case has {metric}", metric)
    rows = rows.sort_values(["started_utc", "case"])
    runs = rows.drop_duplicates("run")["run"].tolist()
    rows = rows.assign(_at=rows["run"].map({run: at for at, run in enumerate(runs)}))
    about = _DIFFERENCES.get(metric)
    if metric == "score":
        about = leading(rows["metric"])
    lines = [
        (str(name), *_line(group, metric, about)) for name, group in rows.groupby("variant", sort=False, observed=True)
    ]
    changed = [line for line in lines if np.ptp(line[2]) > 0]
    still = [line for line in lines if np.ptp(line[2]) == 0]
    labels = [name for name, _, _ in changed]
    if still:
        labels.append(still[0][0] if len(still) == 1 else f"{len(still)} variants")
    labels = [shorten(name, SMALL, _LABEL_MAX - 14) for name in labels]
    right = min(max(text_width(text, SMALL) for text in labels) + 14, _LABEL_MAX)
    with style():
        figure, axes = blank(_HEAD + _PLOT + _FOOT, left=_LEFT, right=right, top=_HEAD, bottom=_FOOT)
        _axes(axes, lines, rows, metric, about)
        if still:
            ats = np.unique(np.concatenate([at for _, at, _ in still]))
            axes.plot(ats, np.zeros(len(ats)), "-", color=SERIES[-1], lw=1.4, zorder=2)
        for number, (_, at, values) in enumerate(changed):
            axes.plot(at, values, "-o", color=SERIES[number % (len(SERIES) - 1)], lw=1.4, ms=3.4, zorder=3)
        _mark(axes, lines, runs, marked)
        _label(axes, changed, labels)
    return figure


def _line(group: pd.DataFrame, metric: str, about: Metric | None) -> tuple[Any, Any]:
    last = group.drop_duplicates("_at", keep="last")
    values = last[metric].to_numpy(float)
    if about is not None:
        return last["_at"].to_numpy(), (100 if about.unit == "share" else 1) * (values - values[0])
    if not values[0]:
        raise ValueError(f"history: {metric} was 0 in the first run, so that no change in percent can be told")
    return last["_at"].to_numpy(), 100 * (values / values[0] - 1)


def _axes(axes: Axes, lines: list[tuple[str, Any, Any]], rows: pd.DataFrame, metric: str, about: Metric | None) -> None:
    low, high = min(v.min() for _, _, v in lines), max(v.max() for _, _, v in lines)
    pad = 0.1 * (high - low) or 1.0
    starts = rows.drop_duplicates("run")["started_utc"].tolist()
    axes.set_xlim(-0.15, max(len(starts) - 1, 1) + 0.15)
    axes.set_ylim(low - pad, high + pad)
    unit = "%" if about is None else "points" if about.unit == "share" else about.unit
    better = "more" if about is not None and about.more_is_better else "less"
    name = about.called if about is not None and about.called else cost_name(metric, rows)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.tick(value)))
    lines_above = (name, f"change since the first run{unit and ', '}{unit} ({better} is better)")
    for number, text in enumerate(lines_above):
        axes.annotate(
            text, (0, 1), (-_LEFT, _HEAD - 12 - _LABEL_GAP * number), xycoords="axes fraction",
            textcoords="offset points", fontsize=SMALL, color=MUTED if number else INK, annotation_clip=False,
        )  # fmt: skip
    wanted = np.unique([0, len(starts) - 1])
    one_day = starts[0].date() == starts[-1].date()
    axes.set_xticks(wanted, [f"{starts[at]:%H:%M:%S}" if one_day else f"{starts[at]:%d %b %Y}" for at in wanted])
    for tick, at in zip(axes.get_xticklabels(), wanted, strict=True):
        tick.set_horizontalalignment("left" if at == 0 else "right" if at == len(starts) - 1 else "center")
    axes.set_xlabel(f"{len(starts)} runs, UTC" + (f", {starts[0]:%d %b %Y}" if one_day else ""), loc="right")
    axes.grid(axis="y", color=RULE, lw=0.6, zorder=0)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0, pad=4)


def _mark(axes: Axes, lines: list[tuple[str, Any, Any]], runs: list[str], marked: Sequence[tuple[str, str]]) -> None:
    for name, at, values in lines:
        for position, value in zip(at, values, strict=True):
            if (runs[position], name) in marked:
                axes.plot(position, value, "o", ms=11, mfc="none", mec=BAD, mew=1.6, zorder=4, clip_on=False)


def _label(axes: Axes, changed: list[tuple[str, Any, Any]], labels: list[str]) -> None:
    """Write the names behind the ends of the lines."""
    low, high = axes.get_ylim()
    per_value = _PLOT / (high - low)
    ends = [(float(values[-1]) - low) * per_value for _, _, values in changed]
    if len(labels) > len(changed):
        ends.append(-low * per_value)
    places = spread(ends, _LABEL_GAP, 0, _PLOT)
    for number, (text, place) in enumerate(zip(labels, places, strict=True)):
        color = INK if number < len(changed) else MUTED
        x = axes.get_xlim()[1]
        axes.annotate(
            text, (x, low + place / per_value), (6, 0), textcoords="offset points", fontsize=SMALL, color=color,
            va="center_baseline", annotation_clip=False,
        )  # fmt: skip
        dot = SERIES[number % (len(SERIES) - 1)] if number < len(changed) else SERIES[-1]
        axes.plot(x, low + place / per_value, "s", ms=4, color=dot, clip_on=False)
