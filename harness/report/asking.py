"""Results that answer the everyday questions of a notebook: what is newest, which variants pay, what changed when."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from html import escape
from typing import TYPE_CHECKING, Any, ParamSpec, Self

import pandas as pd

from harness.errors import StoreError
from harness.report.frame import Policy
from harness.report.groups import grouped
from harness.report.history import history
from harness.report.metrics import ALIASES, METRICS, metric_of
from harness.report.pareto import front
from harness.report.tables import Images, variants
from harness.store import results as stored
from harness.store.folders import order_of
from harness.store.read import load_results as stored_results
from harness.store.results import check_names, mask_of
from harness.text.meant import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.report.groups import Group
    from harness.report.metrics import Metric

P = ParamSpec("P")

#: What tells the rows of an answer apart. Those of different suites, places or backends are never compared.
_WHERE = ("suite", "place", "board", "backend", "counter")


@dataclass(frozen=True)
class Results(stored.Results):
    """The tables of some runs (`harness.store.results`), and what is asked of them most."""

    def latest(self) -> Self:
        """Return only the run that was begun last.

        Raises:
            StoreError: there are no runs.
        """
        if not self.stored:
            raise StoreError("there are no runs among these results")
        return self.of_run(max((run.path for run in self.stored), key=order_of).name)

    def front(self, *metrics: str) -> pd.DataFrame:
        """Return the variants on the Pareto front: no other one is as good in all metrics and better in one.

        Each suite on each board (device or pool, backend, clock, engine) has a front of its own, of the newest run that
        measured it. Figures are taken as they were measured: `hil compare` says which differences are real.

        Args:
            metrics: names of `harness.report.metrics`: score (of the suite's metric), accuracy, ticks, latency, energy,
                peak_ram, flash and others.

        Returns:
            A row for each variant that is on a front, with suite, place, board, backend, counter, run, variant and a
            column for each metric. A case that lacks one of the figures is left out.

        Raises:
            StoreError: a metric is unknown, or fewer than two are given.
        """
        chosen = [_metric(name) for name in metrics]
        if len(chosen) < 2:
            raise StoreError('a front is of two metrics or more, like results.front("accuracy", "ticks")')
        found = [rows for group in grouped(self) for rows in _fronts(group, chosen)]
        columns = [*_WHERE, "run", "variant", *(metric.name for metric in chosen)]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)

    def history(self, variant: str, metric: str) -> pd.DataFrame:
        """Return a figure of a variant over the runs, and where it changed.

        Args:
            variant: its name.
            metric: a name of `harness.report.metrics`.

        Returns:
            A row for each run, oldest first, with suite, place, backend, unit, run, started_utc, git_revision, device,
            value, and `change`: in words what changed with this run, by more than the least difference of interest; NA
            if nothing did. Other inputs, another engine or another clock begin another series, numbered in `series`.

        Raises:
            StoreError: there is no such variant or metric.
        """
        check_names(self.cases, {"variant": [variant]})
        rows = self.cases[mask_of(self.cases, {"variant": [variant]})]
        name = _metric(metric).name
        names = ("accuracy", "score") if name == "score" else (name,)  # the score of a suite may be its accuracy
        series = history(stored.Results(rows, self.runs), Policy(metrics=names))
        found = []
        for number, one in enumerate(series):
            where: dict[str, Any] = {
                "series": number,
                "suite": one.suite,
                "place": one.place,
                "backend": one.backend,
                "unit": one.unit,
            }
            changes = pd.Series({shift.first: shift.reason for shift in one.shifts}, dtype="string")
            found.append(one.points.assign(**where, change=changes.reindex(one.points.index)))
        columns = ["series", "suite", "place", "backend", "unit", "run", "started_utc", "git_revision", "device"]
        frame = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
        return frame.reindex(columns=[*columns, "value", "change"])

    def _repr_html_(self) -> str:
        """Show the newest cases of each suite on each board, for a notebook."""
        runs, cases = len(self.runs), len(self.cases)
        head = f"<p>{cases} case{'s' * (cases != 1)} of {runs} run{'s' * (runs != 1)}</p>"
        return head + "".join(map(_as_html, grouped(self)))


def _asked(read: Callable[P, stored.Results]) -> Callable[P, Results]:
    """Let a function return results that can be asked; what it takes and raises stays as it is."""

    @wraps(read)
    def ask(*args: P.args, **options: P.kwargs) -> Results:
        found = read(*args, **options)
        return Results(found.cases, found.runs, found.stored, found.columns)

    return ask


load_results = _asked(stored_results)


def _metric(name: str) -> Metric:
    metric = METRICS.get(ALIASES.get(name, name))
    if metric is None:
        raise StoreError(f'no metric is called "{name}"{did_you_mean(name, METRICS)}')
    return metric


def _fronts(group: Group, metrics: Sequence[Metric]) -> list[pd.DataFrame]:
    """Return the fronts of a group: one, or one for each source of energy."""
    rows = group.complete.dropna(subset=[metric.column for metric in metrics])
    if rows.empty:
        return []
    task = rows["metric"].fillna("top1").iloc[0]  # older results had no other
    better = {one.column: 1 if metric_of(one.name, task).more_is_better else -1 for one in metrics}
    energy = any(metric.name == "energy" for metric in metrics)
    parts = [part for _, part in rows.groupby("power_source", dropna=False)] if energy else [rows]
    names = {metric.column: metric.name for metric in metrics}
    where = {name: group.setup[name] for name in _WHERE}
    best = [part[front(part, better)].assign(**where) for part in parts]
    return [part[[*_WHERE, "run", "variant", *names]].rename(columns=names) for part in best]


def _as_html(group: Group) -> str:
    """Return a group's variants as a table, without the numbers of images, which no list here explains."""
    table = variants(group, Images())
    kept = [number for number, (title, _) in enumerate(table.columns) if title != "image"]
    head = "".join(f"<th>{escape(table.columns[number][0])}</th>" for number in kept)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(row[number].text)}</td>' for number in kept)}</tr>" for row in table.rows
    )
    emulated = ", emulated" if group.emulated else ""
    title = f"{group.setup['suite']} on {group.place}, {group.setup['backend']}{emulated}, run {group.run.name}"
    return f"<table><caption>{escape(title)}</caption><tr>{head}</tr>{lines}</table>"
