"""From a change and its interval to a verdict in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from harness.report.stats import quantile

if TYPE_CHECKING:
    from harness.report.frame import Verdict
    from harness.report.metrics import Metric

#: Chance that the number of samples that is named will tell, if the change is what it seems to be.
_POWER = 0.8


@dataclass(frozen=True)
class Finding:
    """What is known of a change. `real` says whether chance is ruled out; exact changes always are."""

    metric: Metric
    change: float
    low: float
    high: float
    level: float
    real: bool
    exact: bool
    margin: float
    samples: int


def judge(finding: Finding) -> tuple[Verdict, str, int | None]:
    """Return the verdict, its reason, and how many samples would tell, where that can be said.

    A change is the same within the margin once its whole interval lies inside. Otherwise it is better or worse if
    chance is ruled out, else it can't be told. So a change as large as the margin is called in all but (1 - level) / 2
    of the cases in which chance is ruled out, and one that is shown to be smaller never is.
    """
    none = 1.0 if finding.metric.scale == "ratio" else 0.0
    change, low, high = finding.change - none, finding.low - none, finding.high - none
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
    needed = samples_needed(finding)
    more = "" if needed is None else f"; about {needed - finding.samples:,} more inputs would tell"
    return "can't tell", f"can't tell: {_change(finding)}{interval} may be chance{more}", needed


def samples_needed(finding: Finding) -> int | None:
    """Return about how many samples in all would tell, if the change is what it seems to be; None if none would.

    The interval shrinks with the root of the samples. It tells once it excludes no difference, or lies within the
    margin, whichever comes first.
    """
    none = 1.0 if finding.metric.scale == "ratio" else 0.0
    distance = abs(finding.change - none)
    half = (finding.high - finding.low) / 2
    room = max(distance, finding.margin - distance)
    if room <= 0 or finding.samples == 0:
        return None
    z = quantile(finding.level)
    needed = finding.samples * (half / room * (z + NormalDist().inv_cdf(_POWER)) / z) ** 2
    return max(math.ceil(needed), finding.samples + 1) if math.isfinite(needed) else None


def _change(finding: Finding) -> str:
    if finding.metric.scale == "ratio":
        return f"{100 * (finding.change - 1):+.2f} %"
    return _signed(finding.metric, finding.change)


def _span(finding: Finding) -> str:
    if finding.metric.scale == "ratio":
        return f"{100 * (finding.low - 1):+.2f} to {100 * (finding.high - 1):+.2f} %"
    if finding.metric.unit == "share":
        return f"{100 * finding.low:+.2f} to {100 * finding.high:+.2f} points"
    return f"{finding.low:+,.0f} to {finding.high:+,.0f}"


def _signed(metric: Metric, value: float) -> str:
    return f"{100 * value:+.2f} points" if metric.unit == "share" else f"{value:+,.0f} {metric.unit}"


def _size(metric: Metric, margin: float) -> str:
    if metric.scale == "ratio":
        return f"{100 * margin:g} %"
    return f"{100 * margin:g} points" if metric.unit == "share" else f"{margin:,g} {metric.unit}"
