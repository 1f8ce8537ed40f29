"""What can be compared: the column it is in, its unit, which way is better, the test of a difference, and its names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Literal

from harness.config.metric import MetricChoice
from harness.config.pick import COUNTERS
from harness.errors import ConfigError
from harness.metrics.shares import Share
from harness.schema import SIMULATED

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from harness.metrics.base import TaskMetric

Scale = Literal["ratio", "difference"]
Test = Literal["accuracy", "score", "ticks", "energy", "exact"]


@dataclass(frozen=True)
class Metric:
    """A figure of a case that can be compared.

    Attributes:
        name: how `hil compare` and `--fail-on` call it.
        column: the column of the case table that it is in.
        unit: unit of its values; "ticks" is what the case's counter counts.
        scale: whether two values are compared by their ratio or by their difference.
        margin: default least difference of interest: a share; of the baseline's value, for accuracy of 1; for a
            score in its unit.
        best: what is said of the variant that leads.
        test: how two cases are held against each other (`harness.report.evidence`).
        chance: whether chance has a part in its verdicts.
        more_is_better: True for accuracy.
        least: what it is at least, in bytes, however small the baseline is.
        reason: the column that says why there is no value.
        title: what the axis of a plot says; `{counter}` and `{energy}` stand for what the case has. "": it isn't drawn.
        axis: unit of that axis, and the factor from `unit` to it.
        called: what people read instead of its name; "": the name.
        relative: whether the margin, and a limit in percent, is a share of the baseline's value.
        range: columns of the smallest value seen, and of the 95th percentile or the largest, if there are.
    """

    name: str
    column: str
    unit: str
    scale: Scale
    margin: float
    best: str = ""
    test: Test = "exact"
    chance: bool = False
    more_is_better: bool = False
    least: float = 0.0
    reason: str = "ram_reason"
    title: str = ""
    axis: tuple[str, float] = ("", 1.0)
    range: tuple[str, str] | None = None
    called: str = ""
    relative: bool = False

    @property
    def no_change(self) -> float:
        """The change that means no difference."""
        return 1.0 if self.scale == "ratio" else 0.0

    def least_difference(self, baseline: float | None) -> float:
        """Return the default least difference of interest from a baseline: a share for a ratio, else in `unit`."""
        return max(self.least, self.margin * abs(baseline or 0.0)) if self.relative else self.margin


def _size(name: str, column: str, best: str = "", title: str = "") -> Metric:
    """Return a size in bytes. Less than 64 of them are alignment or a longer text: no model is chosen for it."""
    return Metric(
        name, column, "bytes", "difference", 0.01, best, least=64, title=title, axis=("KiB", 1 / 1024), relative=True
    )


#: Everything that can be compared, and the one place where least differences of interest stand.
METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", "share", "difference", 0.005, "highest accuracy", "accuracy",
               chance=True, more_is_better=True),
        Metric("score", "score", "", "difference", 0.005, "best score", "score", chance=True, more_is_better=True),
        Metric("ticks", "ticks_median", "ticks", "ratio", 0.01, "fewest {counter}", "ticks",
               title="{counter} per inference (median)", range=("ticks_min", "ticks_p95")),
        Metric("latency", "latency_us_median", "us", "ratio", 0.01, "shortest latency", "ticks",
               chance=True, reason="latency_reason", title="latency (median)", axis=("ms", 1e-3),
               range=("latency_us_min", "latency_us_p95")),
        Metric("energy", "energy_uj", "uJ", "ratio", 0.01, "least {energy}", "energy",
               chance=True, reason="energy_reason", title="{energy} per inference", axis=("µJ", 1.0),
               range=("energy_uj_min", "energy_uj_max")),
        _size("peak_ram", "ram_peak_bytes", "least RAM", "peak RAM"),
        _size("ram_static", "ram_static_bytes"),
        _size("ram_arena", "ram_arena_bytes"),
        _size("ram_stack", "ram_stack_bytes"),
        _size("ram_heap", "ram_heap_bytes"),
        _size("flash", "flash_bytes", "least flash", "flash"),
        _size("flash_compressed", "flash_compressed_bytes", title="flash, compressed"),
    )
}  # fmt: skip

#: What is compared unless more is asked for. Latency stands for ticks where the counter counts cycles.
USUAL: Final = ("accuracy", "score", "ticks", "latency", "energy", "peak_ram", "flash")

#: Other names that limits may use.
ALIASES: Final = {
    **{metric.column: metric.name for metric in METRICS.values() if metric.column != metric.name},
    **dict.fromkeys(COUNTERS, "ticks"),
    "ram": "peak_ram",
    "ram_peak": "peak_ram",
}


def task_of(task: str, own: Container[str] = ()) -> TaskMetric:
    """Return the metric of a suite from what the column `metric` says of it.

    Args:
        task: the column.
        own: functions of the user's that may be run. Results that somebody else made could name any function.

    Raises:
        ConfigError: this harness knows no such metric, or it is a function that may not be run.
    """
    choice = MetricChoice.model_validate(task)
    if choice.own and choice.name not in own:
        raise ConfigError(f"{choice.name} is a function that is not run because results name it; see hil score --help")
    return choice.open()


@cache
def metric_of(name: str, task: str | None) -> Metric:
    """Return a figure as it is for a suite's metric, which says what its score is called, its unit and direction.

    Args:
        name: of `METRICS`.
        task: the column `metric` of the case; None in old results.
    """
    metric = METRICS[name]
    if name != "score" or scored_by(task) == "accuracy" or task == "none":
        return metric
    choice = MetricChoice.model_validate(task)
    known: Any = SimpleNamespace(**{**_OWN, "title": choice.name, **choice.parameters}) if choice.own else choice.open()
    shown = isinstance(known, Share) and known.unit == "share"  # areas are shown as 0.93, not in percent
    return replace(
        metric,
        unit="share" if shown else known.unit.removeprefix("share"),
        margin=known.margin,
        relative=known.relative,
        more_is_better=known.more_is_better,
        best=f"{'highest' if known.more_is_better else 'lowest'} {known.title}",
        called=known.title,
    )


#: How a function of the user's is shown, unless the suite says otherwise (`harness.metrics.own`).
_OWN: Final = {"unit": "", "more_is_better": True, "margin": 0.01, "relative": True}


def scored_by(task: str | None) -> str:
    """Return which figure says how well a suite's models do: its metric's score; of top-1, that is the accuracy."""
    return "accuracy" if task is None or task == "top1" else "score"


def leading(tasks: Iterable[str | None]) -> Metric | None:
    """Return the figure that cases are judged by: accuracy, or their metric's score; None where nothing is scored.

    Args:
        tasks: the column `metric` of cases of one suite; missing in old results.
    """
    task = next((task for task in tasks if isinstance(task, str)), None)
    return None if task == "none" else metric_of(scored_by(task), task)


def energy_name(sources: Iterable[str | None]) -> str:
    """Return what an energy is called: it never stands anywhere without what it comes from."""
    known = sorted({source for source in sources if isinstance(source, str)})
    if known == [SIMULATED]:
        return "simulated energy"
    return f"energy ({', '.join(known)})" if known else "energy (unknown source)"
