"""From a change and its interval to a verdict in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from harness.report.stats import quantile, tango_interval

if TYPE_CHECKING:
    from harness.report.frame import Verdict
    from harness.report.metrics import Metric
    from harness.report.units import UnitSpread

#: Chance that the number of samples that is named will tell, if the change is what it seems to be.
_POWER = 0.8
#: More inputs than anyone measures.
_TOO_MANY = 1e9


@dataclass(frozen=True)
class Family:
    """How many comparisons could be false alarms, and the level that each interval needs for all to hold together."""

    size: int
    level: float


@dataclass(frozen=True)
class Finding:
    """What is known of a change.

    Attributes:
        metric: what changed.
        change: ratio or difference.
        span: interval of the change at `level`.
        family_span: its interval at the family's level.
        level: confidence level of `span`, like 0.95.
        family: all comparisons that are made at once.
        real: whether chance is ruled out; it always is for exact changes.
        exact: whether chance has no part in it.
        margin: least difference of interest.
        samples: paired inputs.
        averages: whether more inputs would narrow the interval.
        flips: of an accuracy, how many inputs only b, and only a, has right.
        units: by how much units differ, if the two sides were measured on two of them; None: not, or it isn't known.
    """

    metric: Metric
    change: float
    span: tuple[float, float]
    family_span: tuple[float, float]
    level: float
    family: Family
    real: bool
    exact: bool
    margin: float
    samples: int
    averages: bool = True
    flips: tuple[int, int] | None = None
    units: UnitSpread | None = None


def judge(finding: Finding) -> tuple[Verdict, str, int | None]:
    """Return the verdict, its reason, and how many samples would tell, where that can be said.

    A change is the same within the margin once its whole interval lies inside. Otherwise it is better or worse if
    chance is ruled out, else it can't be told. So a change as large as the margin is called in all but (1 - level) / 2
    of the cases in which chance is ruled out, and one that is shown to be smaller never is.
    """
    none = _none(finding.metric)
    change, low, high = finding.change - none, finding.span[0] - none, finding.span[1] - none
    margin = finding.margin
    interval = "" if finding.exact else f" ({100 * finding.level:g} % interval {_span(finding)})"
    if change == 0 and finding.exact:
        return "same", "equal", None
    if -margin < low and high < margin:
        return "same", f"same within {_size(finding.metric, margin)}: {_change(finding)}{interval}", None
    if finding.real:
        better = (change > 0) == finding.metric.more_is_better
        word: Verdict = "better" if better else "worse"
        return word, f"{word}: {_change(finding)}{interval}", None
    if finding.units is not None and abs(math.log(finding.change)) <= math.log(
        finding.units.floor(finding.family.level)
    ):
        return "can't tell", f"can't tell: {_change(finding)}{interval} {_within_units(finding, finding.units)}", None
    needed = samples_needed(finding)
    among = f", being one of {finding.family.size} comparisons" if finding.family.size > 1 else ""
    more = "" if needed is None else f"; about {needed - finding.samples:,} more inputs would tell"
    return "can't tell", f"can't tell: {_change(finding)}{interval} may be chance{among}{more}", needed


def _within_units(finding: Finding, units: UnitSpread) -> str:
    """Say that a difference may be one of the two units: it is no more than was seen, or than may be among others."""
    within = abs(math.log(finding.change)) <= math.log(units.ratio)
    which = "is" if within else "may be"
    return f"{which} within the spread between units ({units.words}); measure both on one unit"


def samples_needed(finding: Finding) -> int | None:
    """Return about how many samples in all would tell, if the change is what it seems to be; None if none would.

    An interval tells once it excludes no difference at the family's level, or lies within the margin, whichever comes
    first. It has to do so in four of five cases. That of a ratio shrinks with the root of the samples; that of an
    accuracy is worked out for as large a share of inputs that only one side has right.
    """
    if finding.samples == 0 or not finding.averages:
        return None
    if finding.flips is not None:
        return _inputs_needed(finding.flips, finding)
    distance = abs(finding.change - _none(finding.metric))
    ways = (
        (distance, finding.family_span, finding.family.level),
        (finding.margin - distance, finding.span, finding.level),
    )
    needed = [
        finding.samples * ((high - low) / 2 / room * (1 + NormalDist().inv_cdf(_POWER) / quantile(level))) ** 2
        for room, (low, high), level in ways
        if room > 0
    ]
    least = min(needed, default=math.inf)
    return max(math.ceil(least), finding.samples + 1) if math.isfinite(least) else None


def _inputs_needed(flips: tuple[int, int], finding: Finding) -> int | None:
    gained, lost = (count / finding.samples for count in flips)

    def tells(count: float) -> bool:
        levels = [_powered(level) for level in (finding.family.level, finding.level)]
        spans = [tango_interval(gained * count, lost * count, count, level=level) for level in levels]
        return spans[0][0] > 0 or spans[0][1] < 0 or (spans[1][0] > -finding.margin and spans[1][1] < finding.margin)

    few, many = float(finding.samples), 2.0 * finding.samples
    while not tells(many):
        few, many = many, 2 * many
        if many > _TOO_MANY:
            return None
    while many - few > max(1.0, few / 100):
        middle = (few + many) / 2
        few, many = (few, middle) if tells(middle) else (middle, many)
    return math.ceil(many)


def _powered(level: float) -> float:
    """Return the level of an interval that is wide enough to tell with the wanted chance, and not only with half."""
    return 2 * NormalDist().cdf(quantile(level) + NormalDist().inv_cdf(_POWER)) - 1


def _none(metric: Metric) -> float:
    return 1.0 if metric.scale == "ratio" else 0.0


def _change(finding: Finding) -> str:
    if finding.metric.scale == "ratio":
        return f"{100 * (finding.change - 1):+.2f} %"
    return _signed(finding.metric, finding.change)


def _span(finding: Finding) -> str:
    if finding.metric.scale == "ratio":
        return f"{100 * (finding.span[0] - 1):+.2f} to {100 * (finding.span[1] - 1):+.2f} %"
    if finding.metric.unit == "share":
        return f"{100 * finding.span[0]:+.2f} to {100 * finding.span[1]:+.2f} points"
    return f"{finding.span[0]:+,.0f} to {finding.span[1]:+,.0f}"


def _signed(metric: Metric, value: float) -> str:
    return f"{100 * value:+.2f} points" if metric.unit == "share" else f"{value:+,.0f} {metric.unit}"


def _size(metric: Metric, margin: float) -> str:
    if metric.scale == "ratio":
        return f"{100 * margin:g} %"
    return f"{100 * margin:g} points" if metric.unit == "share" else f"{margin:,.0f} {metric.unit}"
