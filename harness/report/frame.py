"""What a comparison is: one row for each pair of cases and each metric."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from harness.report.metrics import USUAL, Metric, Scale, energy_name, metric_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.report.units import Spreads

Verdict = Literal["better", "worse", "same", "can't tell", "refused"]
Kind = Literal["variants", "runs", "boards", "history"]


@dataclass(frozen=True)
class Policy:
    """How a comparison decides.

    Attributes:
        level: level of the intervals; 1 - level is the chance of any false alarm among all rows together.
        margins: least difference of interest by metric, over the metrics' defaults.
        metrics: which ones are compared.
        repeat_limit: a board whose repeats spread more than this share is called noisy.
        across_engines: compare cases of different inference engines, with a note, instead of refusing.
        resamples: how many samples the bootstrap draws.
        seed: seed of the bootstrap's random numbers.
        own: metrics that are functions of the user's and may be run.
    """

    level: float = 0.95
    margins: Mapping[str, float] = field(default_factory=dict)
    metrics: tuple[str, ...] = USUAL
    repeat_limit: float = 0.002
    across_engines: bool = False
    resamples: int = 2000
    seed: int = 0
    own: tuple[str, ...] = ()

    def margin(self, metric: Metric, baseline: float | None) -> float:
        """Return the least difference of interest from a baseline: a share for a ratio, else in the metric's unit."""
        chosen = self.margins.get(metric.name)
        if chosen is None:
            return metric.least_difference(baseline)
        return chosen * abs(baseline or 0.0) if metric.relative and metric.unit != "bytes" else chosen


@dataclass(frozen=True)
class CaseId:
    """One side of a pair: which case of which run it is, of which image, and on which unit of the board."""

    run: str
    case: int
    device: str
    board: str
    backend: str
    suite: str
    variant: str
    technique: str | None
    image_sha256: str | None
    pool: str | None = None
    unit: str | None = None

    @property
    def place(self) -> str:
        """What rows that may stand together have in common: the pool, without one the device."""
        return self.pool or self.device


@dataclass(frozen=True)
class Row:
    """One metric of one pair. `a` is what `b` is held against: the baseline.

    Attributes:
        a: the side that is the baseline.
        b: what is compared with it.
        metric: a name of `METRICS`, or "all" where the whole pair is refused.
        unit: unit of the values; `instructions` or `cycles` for ticks, "share" (of 1) for accuracy.
        scale: whether `change` is a ratio or a difference.
        exact: True if there is no chance in it: deterministic counters, sizes, equal outputs.
        margin: least difference of interest: a share for a ratio, else in `unit`.
        verdict: of `b` against `a`: better, worse, same (within `margin`), can't tell, refused.
        reason: the verdict in words, or why there is none.
        samples: paired inputs that it rests on, 0 for what isn't measured per input.
        a_value: the baseline's value, None if there is none.
        b_value: the other side's value.
        change: b / a for a ratio, b - a for a difference (accuracy: in shares; 0.01 is one point).
        low: lower end of the interval of `change` at the comparison's level; `change` itself if `exact`; None: unknown.
        high: upper end of the interval.
        family_low: lower end of the interval that holds for all rows together.
        family_high: upper end of that interval.
        p_value: of "no difference", corrected for all rows together (Holm); None if exact or unknown.
        samples_needed: can't tell: about how many paired inputs in all would; None: no number is known.
        caveats: what shakes trust in it: noise, few samples, another unit of the board, another engine.
        notes: the caveats, and the counts behind the change.
        source: of an energy, what measured it, or `simulated`; both where the sides differ; None for other metrics.
        task: of a score, the suite's metric; None for other metrics.
    """

    a: CaseId
    b: CaseId
    metric: str
    unit: str
    scale: Scale
    exact: bool
    margin: float
    verdict: Verdict
    reason: str
    samples: int
    a_value: float | None = None
    b_value: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    family_low: float | None = None
    family_high: float | None = None
    p_value: float | None = None
    samples_needed: int | None = None
    caveats: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source: str | None = None
    task: str | None = None

    @property
    def about(self) -> Metric:
        """What the metric is: its direction and its names."""
        return metric_of(self.metric, self.task)

    @property
    def name(self) -> str:
        """What the metric is called where people read it: ticks are what was counted, energy has its source."""
        if self.metric == "ticks":
            return self.unit
        if self.source is not None:
            return energy_name(self.source.split(" and "))
        return (self.about.called if self.task else "") or self.metric

    @property
    def family(self) -> tuple[float, float] | None:
        """The interval that holds for all rows together; None if there is none, or no chance in it."""
        if self.exact or self.family_low is None or self.family_high is None:
            return None
        return self.family_low, self.family_high


@dataclass(frozen=True)
class Repeatability:
    """How well the counter of one case repeats.

    Attributes:
        case: the case that it is about.
        repeats: most inferences on one input; 1 if no input was repeated.
        cv: coefficient of variation over repeats of the same input, a share; None without repeats.
        spread: robust coefficient of variation over all inferences, which differing inputs widen, a share.
        drift: change of the counter from the first inference to the last by its Theil-Sen slope, a share; None if
            it can't be told from chance.
        outliers: share of the inferences that lie far outside of the others.
        noisy: whether the case does not repeat to the policy's limit.
        reason: what is known of it, in words.
    """

    case: CaseId
    repeats: int
    cv: float | None
    spread: float
    drift: float | None
    outliers: float
    noisy: bool
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Pairs of cases, held against each other.

    Attributes:
        kind: what the pairs differ in: variants of one run, runs, boards, or a run and the nights before it.
        a: what the baseline is, in words.
        b: what is held against it.
        rows: a row for each pair and metric.
        repeatability: of each case that is in a pair and whose inferences were timed.
        unmatched: sentences on cases that have no counterpart.
        policy: how it was decided.
        spreads: by how much units of a board differ, where an image was measured on several.
        disagreements: sentences on images that gave on one board what they didn't on another, though they have to.
        vanished: those of `unmatched` on cases that only the baseline has.
    """

    kind: Kind
    a: str
    b: str
    rows: tuple[Row, ...]
    repeatability: tuple[Repeatability, ...]
    unmatched: tuple[str, ...]
    policy: Policy
    spreads: Spreads = field(default_factory=dict)
    disagreements: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()

    def frame(self) -> pd.DataFrame:
        """Return the rows as a DataFrame; the sides' fields are `a_run`, `b_variant` and so on."""
        return pd.DataFrame([flat(row) for row in self.rows])


def flat(row: Row) -> dict[str, Any]:
    """Return a row without its nesting, for a DataFrame, CSV or JSON."""
    plain = asdict(row)
    sides = {f"{side}_{name}": value for side in ("a", "b") for name, value in plain.pop(side).items()}
    return {**sides, **plain, "caveats": list(row.caveats), "notes": list(row.notes)}
