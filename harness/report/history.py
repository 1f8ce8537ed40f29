"""A figure over many runs, and where it changed: a step, or a slow drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from harness.report.frame import Verdict


@dataclass(frozen=True)
class Shift:
    """Where a series changed.

    Attributes:
        kind: a step between two runs, or a drift over many.
        first: number of the first point that belongs to it, in `Series.points`; of a step, the first after it.
        last: number of the last point of a drift; equals `first` for a step.
        run: the run of point `first`.
        revision: its git revision, None if it is not known.
        started_utc: when it began.
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
    """One metric of one variant on one device, over runs. Series of different backends are never mixed.

    Attributes:
        device: where it was measured.
        backend: how.
        suite: on which task.
        variant: which model.
        metric: name of the metric.
        unit: of its values; `instructions` or `cycles` for ticks.
        points: a row for each run, oldest first: run, started_utc, git_revision, value.
        shifts: where it changed, oldest first.
    """

    device: str
    backend: str
    suite: str
    variant: str
    metric: str
    unit: str
    points: pd.DataFrame
    shifts: tuple[Shift, ...]
