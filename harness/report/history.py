"""A figure over many runs, and where it changed: a step, or a slow drift."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from harness.report.frame import Policy
from harness.report.groups import placed
from harness.report.metrics import energy_name, metric_of, scored_by
from harness.report.numbers import with_unit
from harness.report.shifts import Piece, pieces
from harness.report.units import spread_of, unit_spreads
from harness.store.place import unit_of
from harness.store.results import plain_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from harness.report.frame import Verdict
    from harness.report.metrics import Metric
    from harness.report.units import Spreads
    from harness.store.results import Results


@dataclass(frozen=True)
class Shift:
    """Where a series changed.

    Attributes:
        kind: a step between two runs, or a drift over many.
        first: number of the first point that belongs to it, in `Series.points`; of a step, the first after it.
        last: number of the last point of a drift; equals `first` for a step.
        run: the run of point `first`.
        revision: its git revision, None if it is not known.
        started_utc: when that run began.
        before: typical value before the change.
        after: typical value after it.
        change: after / before, or after - before, as the metric is compared.
        verdict: better or worse.
        reason: the change in words.
    """

    kind: Literal["step", "drift"]
    first: int
    last: int
    run: str
    revision: str | None
    started_utc: datetime
    before: float
    after: float
    change: float
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Series:
    """One metric of one variant at one place, over runs. Series of different backends are never mixed.

    Attributes:
        place: the pool or the device where it was measured.
        backend: what stood behind the board.
        suite: task of the suite.
        variant: name of the variant.
        metric: name of the metric.
        unit: of its values; `instructions` or `cycles` for ticks.
        points: a row for each run, oldest first: run, started_utc, git_revision, device, value.
        shifts: where it changed, oldest first.
        source: of an energy, what measured it, or `simulated`; a series has one source.
        task: of a score, the suite's metric.
    """

    place: str
    backend: str
    suite: str
    variant: str
    metric: str
    unit: str
    points: pd.DataFrame
    shifts: tuple[Shift, ...]
    source: str | None = None
    task: str | None = None

    @property
    def about(self) -> Metric:
        """What the metric is: its direction and its names."""
        return metric_of(self.metric, self.task)


#: What has to be equal for two cases to be points of one series. Another engine or clock begins another series.
_KEY = (
    *("place", "board", "backend", "suite", "variant", "metric", "engine", "counter", "clock_hz", "samples"),
    "inputs_sha256",
)


def history(results: Results, policy: Policy | None = None, spreads: Spreads | None = None) -> tuple[Series, ...]:
    """Return the series of every metric of every variant, over the runs of `results`, and where each changed.

    Only complete cases are points. A change smaller than the metric's least difference of interest is not reported;
    where several units of the board measured the points, neither is one smaller than what units differ by.
    """
    policy = policy or Policy()
    spreads = unit_spreads(results) if spreads is None else spreads
    complete = results.cases[results.cases["status"] == "complete"]
    if complete.empty:
        return ()
    revisions = results.runs.set_index("run")["git_revision"]
    complete = complete.assign(git_revision=complete["run"].map(revisions)).sort_values(["started_utc", "case"])
    complete = placed(complete).assign(metric=complete["metric"].fillna("top1"))  # older results had no other
    found, both = [], {"ticks", "latency"} <= set(policy.metrics)
    for _, rows in complete.groupby(list(_KEY), dropna=False, sort=True):
        once = rows.drop_duplicates("run", keep="last")
        plain = plain_rows(once)
        for name in policy.metrics:
            task = str(once["metric"].iloc[0])
            metric = metric_of(name, task)
            if both and metric.name == ("ticks" if once["counter"].iloc[0] == "cycles" else "latency"):
                continue  # it says the same as the other one, or nothing
            if metric.name in ("accuracy", "score") and metric.name != scored_by(task):
                continue
            there = once[once[metric.column].notna()]
            sources = there["power_source"].unique() if metric.name == "energy" and len(there) else [None]
            for source in sources if len(there) else ():
                mine = there if source is None else there[there["power_source"] == source]
                runs = set(mine["run"])
                points = [row for row in plain if row["run"] in runs]
                first = float(mine[metric.column].iloc[0])
                margin = max(policy.margin(metric, first), _of_units(metric, points, spreads, policy.level))
                found.append(_series(metric, mine, margin, source))
    return tuple(found)


def _series(metric: Metric, rows: pd.DataFrame, margin: float, source: str | None) -> Series:
    first = rows.iloc[0]
    columns = ["run", "started_utc", "git_revision", "device", metric.column]
    points = rows[columns].rename(columns={metric.column: "value"}).reset_index(drop=True)
    return Series(
        place=first["place"],
        backend=first["backend"],
        suite=first["suite"],
        variant=first["variant"],
        metric=metric.name,
        unit=first["counter"] if metric.name == "ticks" else metric.unit,
        points=points,
        shifts=tuple(find_shifts(metric, points, margin, None if source is None else energy_name([source]))),
        source=source,
        task=first["metric"] if metric.name == "score" else None,
    )


def _of_units(metric: Metric, points: Sequence[Mapping[str, Any]], spreads: Spreads, level: float) -> float:
    """Return which change may be one of units, as a share: 0 if one unit measured all points, or if it isn't known."""
    spread = spread_of(spreads, metric.name, points[-1])
    one = len({unit_of(point) for point in points}) == 1
    return 0.0 if one or spread is None else spread.floor(level) - 1


def find_shifts(metric: Metric, points: pd.DataFrame, margin: float, name: str | None = None) -> list[Shift]:
    """Return the steps and drifts of a series.

    Args:
        metric: what the values are.
        points: a row for each run, oldest first: run, started_utc, git_revision, value.
        margin: least difference of interest; smaller changes are not returned.
        name: what the values are called; None: as the metric.
    """
    values = points["value"].to_numpy(dtype=np.float64)
    found = pieces(np.log(values) if metric.scale == "ratio" else values, _floor(metric, margin, values))
    changes: list[tuple[Literal["step", "drift"], Piece, float, float]] = []
    for number, piece in enumerate(found):
        if number:
            changes.append(("step", piece, found[number - 1].end, piece.start))
        if piece.slope:
            changes.append(("drift", piece, piece.start, piece.end))
    shifts = [_shift(metric, name or metric.called or metric.name, points, *change) for change in changes]
    return [one for one in shifts if abs(one.change - metric.no_change) >= margin and one.change != metric.no_change]


def _floor(metric: Metric, margin: float, values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Return the least noise to assume: a tenth of what matters, or of the smallest change that there is."""
    if margin:
        return margin / 10
    steps = np.abs(np.diff(values))
    steps = steps[steps > 0]
    least = float(steps.min()) if steps.size else 1.0
    return (least / float(np.median(values)) if metric.scale == "ratio" else least) / 10


def _shift(
    metric: Metric,
    name: str,
    points: pd.DataFrame,
    kind: Literal["step", "drift"],
    piece: Piece,
    before: float,
    after: float,
) -> Shift:
    change = after - before
    if metric.scale == "ratio":
        change, before, after = math.exp(change), math.exp(before), math.exp(after)
    point = points.iloc[piece.first]
    last = piece.last if kind == "drift" else piece.first
    verdict: Verdict = "better" if (change > metric.no_change) == metric.more_is_better else "worse"
    words = (
        f"{'a slow drift' if kind == 'drift' else 'a step'} of {with_unit(metric.scale, metric.unit, change)} in {name}"
    )
    where = f"over {last - piece.first + 1} runs since {point['run']}" if kind == "drift" else f"in run {point['run']}"
    return Shift(
        kind,
        piece.first,
        last,
        str(point["run"]),
        str(point["git_revision"]) if pd.notna(point["git_revision"]) else None,
        point["started_utc"],
        before,
        after,
        change,
        verdict,
        f"{verdict}: {words} {where}",
    )
