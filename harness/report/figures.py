"""The figures of a group, each with its caption and where its data are from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from harness.report import plots
from harness.report.answers import answer_figures
from harness.report.groups import complete, same_inputs
from harness.report.metrics import METRICS, energy_name
from harness.report.plots.bars import RAM_PARTS
from harness.report.plots.canvas import svg
from harness.report.plots.scatter import COSTS, cost_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from harness.report.groups import Group
    from harness.report.history import Series
    from harness.report.metrics import Metric
    from harness.store import Results

#: What history is drawn of, besides ticks or latency: names of metrics.
_HISTORY: Final = ("energy", "peak_ram", "flash")

_SIMULATED = "Simulated power: says nothing about a real board."
_SPREAD = (
    "Each row is a histogram of single inferences around the variant's own median, on one scale for all; "
    "heights are square roots of the counts, so that rare ones are seen."
)
_LAYERS = "One profiled inference, its layers in the order of execution; the colour is the operator."
_ESTIMATES = (
    "Each point is a variant: cycles that the board counted, and a model's estimate for the same image on the virtual "
    "board. On the line both are the same; above it the estimate is too high."
)
_RAM = "Peak RAM: static data, tensor arena, and the most stack and heap that were ever used."
_FLASH = "What the image occupies, and what is left of it when it is compressed for an update over the air."


@dataclass(frozen=True)
class Chart:
    """A figure of the page.

    Attributes:
        title: what it shows.
        svg: the drawing.
        caption: how to read it.
        warning: the caveat that applies to it, "" if there is none.
        findings: what was found in it, in words.
    """

    title: str
    svg: Markup
    caption: str
    warning: str = ""
    findings: tuple[str, ...] = ()


def charts(group: Group, samples: pd.DataFrame, layers: pd.DataFrame, prefix: str) -> list[Chart]:
    """Return the figures of a group's newest run.

    Of the samples, variant and ticks are enough. `prefix` is what ids within the page begin with.
    """
    found = list(_scatters(group, prefix))
    warning = _not_latency(group) if group.emulated else ""
    ram = group.cases.dropna(subset=list(RAM_PARTS), how="all")
    flash = group.cases.dropna(subset=["flash_bytes"])
    if len(ram):
        found.append(_chart(plots.ram_parts(ram, group.limit("ram")), "Peak RAM by part", _RAM, f"{prefix}r-"))
    if len(flash):
        found.append(_chart(plots.flash(flash, group.limit("flash")), "Flash", _FLASH, f"{prefix}f-"))
    if not group.emulated and samples["ticks"].notna().any():  # an emulator repeats: what varies is the input
        drawn = plots.ticks_distribution(samples, group.counter)
        found.append(_chart(drawn, f"Spread of the {group.counter}", _SPREAD, f"{prefix}d-", warning))
    counted = group.complete.dropna(subset=["ticks_median", "estimated_cycles_median"])
    if group.counter == "cycles" and len(counted):
        drawn = plots.estimated_against_counted(counted)
        found.append(_chart(drawn, "Estimated against counted cycles", _ESTIMATES, f"{prefix}e-"))
    if layers["ticks"].notna().any():
        drawn = plots.layer_profile(layers, group.counter)
        found.append(_chart(drawn, f"{group.counter.capitalize()} by layer", _LAYERS, f"{prefix}l-", warning))
    return found


def answer_charts(results: Results, group: Group, prefix: str) -> Iterable[Chart]:
    """Yield the figures of what a group's cases answered: by class, ROC curves, residuals, as fits their metric."""
    for number, (title, caption, drawn) in enumerate(answer_figures(results, group)):
        yield _chart(drawn, title, caption, f"{prefix}a{number}-")


def history_charts(group: Group, series: Sequence[Series], prefix: str) -> tuple[list[Chart], str]:
    """Return the figures of how a group changed over runs, and a sentence on what did not.

    `prefix` is what ids within the page begin with.
    """
    if group.past["run"].nunique() < 2:
        return [], ""
    found, still = [], []
    score = group.score
    wanted = [METRICS[name] for name in ("ticks" if group.emulated else "latency", *_HISTORY)]
    past = group.past[group.past["metric"].fillna("top1") == _task(group)]
    for metric in [*wanted[:2], *((score,) if score else ()), *wanted[2:]]:
        rows = same_inputs(complete(past, metric.column))
        if metric.name == "energy" and len(rows):  # of one source: those of two can't be held against each other
            rows = rows[rows["power_source"] == rows.sort_values("started_utc")["power_source"].iloc[-1]]
        if len(rows["run"].unique()) < 2:
            continue
        energy = energy_name(rows["power_source"])
        name = {"ticks": group.counter, "peak_ram": "peak RAM", "energy": energy}.get(
            metric.name, metric.called or metric.name
        )
        spread = rows.groupby("variant", observed=True)[metric.column].agg(["min", "max"])
        if (spread["min"] == spread["max"]).all():
            still.append(name)
            continue
        mine = [one for one in series if one.metric == metric.name and _of_group(one, group)]
        drawn_runs = set(rows["run"])
        shifts = [(one.variant, shift) for one in mine for shift in one.shifts if shift.run in drawn_runs]
        worse = [(shift.run, variant) for variant, shift in shifts if shift.verdict == "worse"]
        caption = "Each line is a variant; those that never changed share one."
        caption += " Ringed: a change for the worse." if worse else ""
        said = tuple(f"{variant}: {shift.reason}" for variant, shift in shifts)
        drawn = plots.history(rows, metric.column, worse)
        warning = _warning(group, metric.column, name)
        found.append(_chart(drawn, f"History of {name}", caption, f"{prefix}h{metric.name}-", warning, said))
    past = complete(group.past)
    runs = len(same_inputs(past)["run"].unique())
    others = len(past["run"].unique()) - runs
    sentence = f"Unchanged over {runs} runs: {', '.join(still)}." if still else ""
    if others:
        sentence += f" {others} {'run' if others == 1 else 'runs'} on other inputs, or another number, left out."
    return found, sentence.strip()


def _task(group: Group) -> str:
    """Return the metric of the newest run's cases."""
    return str(group.cases["metric"].fillna("top1").iloc[-1])


def _of_group(series: Series, group: Group) -> bool:
    return all(getattr(series, name) == group.setup[name] for name in ("place", "backend", "suite"))


def _warning(group: Group, column: str, name: str) -> str:
    """Return the caveat of a figure of a column of the case table that is called so."""
    if name.startswith("simulated"):
        return _SIMULATED
    return _not_latency(group) if group.emulated and column == "ticks_median" else ""


def _not_latency(group: Group) -> str:
    return f"{group.counter.capitalize()} of an emulated CPU, not latency."


def _scatters(group: Group, prefix: str) -> Iterable[Chart]:
    score = group.score
    if score is None:
        return
    rows = group.complete.dropna(subset=[score.column])
    speed = "latency_us_median" if not group.emulated and rows["latency_us_median"].notna().any() else "ticks_median"
    for number, column in enumerate((speed, "energy_uj", "ram_peak_bytes")):
        having = rows.dropna(subset=[column])
        if having.empty or (column == "energy_uj" and len(having["power_source"].unique()) > 1):
            continue
        name = cost_name(column, having).removesuffix(" (median)")
        largest = "largest window" if column == "energy_uj" else "95th percentile"
        caption = _front(score) + (f" Horizontal lines: smallest to {largest}." if COSTS[column].range else "")
        drawn = plots.accuracy_against(having, column)
        title = f"{(score.called or 'Accuracy')} against {name}"
        yield _chart(drawn, title, caption, f"{prefix}s{number}-", _warning(group, column, name))


def _front(score: Metric) -> str:
    good = "is as accurate" if score.name == "accuracy" else f"has as good a {score.called}"
    return (
        f"Filled points are on the Pareto front: no variant costs as little and {good} by the figures alone. "
        f"Vertical lines: 95 % interval of the {score.called or score.name}."
    )


def _chart(
    figure: Figure, title: str, caption: str, prefix: str, warning: str = "", findings: tuple[str, ...] = ()
) -> Chart:
    # The SVG is ours; every text in it was escaped by the writer of the SVG.
    return Chart(title, Markup(svg(figure, prefix=prefix, title=title)), caption, warning, findings)  # noqa: S704
