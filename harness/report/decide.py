"""From pairs of cases to rows with verdicts in words, corrected for how many of them there are."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.metrics.estimate import quantile
from harness.metrics.shares import tango_excludes
from harness.report.evidence import Asked, Evidence, compare_metric
from harness.report.frame import Policy, Repeatability, Row, Verdict
from harness.report.metrics import Metric, metric_of
from harness.report.numbers import margin, plain_span, with_unit
from harness.report.pairing import Side, refusal
from harness.report.repeat import repeatability
from harness.report.stats import holm, stretched
from harness.report.units import Spreads, UnitSpread, spread_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Chance that the number of samples that is named will tell, if the change is what it seems to be.
_POWER = 0.8
#: More inputs than anyone measures.
_TOO_MANY = 1e9


@dataclass(frozen=True)
class Match:
    """Two cases to compare in some metrics. `spread` is what the baseline varies by from run to run, a share."""

    a: Side
    b: Side
    metrics: tuple[str, ...]
    spread: float = 0.0


@dataclass(frozen=True)
class Family:
    """How many comparisons could be false alarms, and the level that each interval needs for all to hold together."""

    size: int
    level: float


def compare_sides(
    matches: Sequence[Match], policy: Policy, spreads: Spreads | None = None
) -> tuple[tuple[Row, ...], tuple[Repeatability, ...]]:
    """Return a row for each metric of each match, and how well each case repeats.

    The verdicts allow for how many are compared at once.
    """
    known: dict[tuple[str, int], Repeatability | None] = {}
    drafts: list[tuple[Row, Evidence | None]] = []
    refused: set[tuple[Any, ...]] = set()
    for match in matches:
        a, b = match.a, match.b
        why = refusal(a, b, policy)
        if why is not None:
            if (*_key(b), why) not in refused:
                drafts.append((Row(a.id, b.id, "all", "", "ratio", False, 0.0, "refused", f"refused: {why}", 0), None))  # noqa: FBT003
            refused.add((*_key(b), why))
            continue
        for side in (a, b):
            if _key(side) not in known:
                known[_key(side)] = repeatability(side.id, side.samples, policy)
        repeat = (known[_key(a)], known[_key(b)])
        rng = np.random.default_rng(policy.seed)
        for metric in (metric_of(name, b.row["metric"]) for name in match.metrics):
            units = spread_of(spreads or {}, metric.name, b.row)
            evidence = compare_metric(metric, a, b, Asked(repeat, match.spread, units, policy, rng))
            if evidence is not None:
                drafts.append((_draft(metric, a, b, evidence, policy), evidence))
    return _decided(drafts, policy), tuple(item for item in known.values() if item is not None)


def _key(side: Side) -> tuple[str, int]:
    return side.row["run"], side.row["case"]


def _draft(metric: Metric, a: Side, b: Side, evidence: Evidence, policy: Policy) -> Row:
    """Return a row that has all but its interval and verdict."""
    a_value, b_value = (side.row[metric.column] for side in (a, b))
    words = evidence.detail, evidence.units and evidence.units.words
    sources = dict.fromkeys(str(side.row["power_source"] or "unknown source") for side in (a, b))
    return Row(
        a.id,
        b.id,
        metric.name,
        evidence.unit,
        metric.scale,
        evidence.exact,
        policy.margin(metric, a_value),
        evidence.verdict or "can't tell",
        evidence.reason or "",
        evidence.samples,
        a_value=None if a_value is None else float(a_value),
        b_value=None if b_value is None else float(b_value),
        change=evidence.change,
        caveats=evidence.caveats,
        notes=(*evidence.caveats, *(note for note in words if note)),
        source=" and ".join(sources) if metric.name == "energy" else None,
        task=b.row["metric"] if metric.name == "score" else None,
    )


def _decided(drafts: Sequence[tuple[Row, Evidence | None]], policy: Policy) -> tuple[Row, ...]:
    """Give each row its verdict; only those in which chance has a part can be false alarms."""
    chances = {at: found.estimate.p_value for at, (_, found) in enumerate(drafts) if found and found.estimate}
    corrected = dict(zip(chances, holm(list(chances.values())), strict=True))
    family = Family(len(chances), 1 - (1 - policy.level) / max(1, len(chances)))
    return tuple(
        row if evidence is None else _verdict(replace(row, p_value=corrected.get(at)), evidence, family, policy.level)
        for at, (row, evidence) in enumerate(drafts)
    )


def _verdict(row: Row, evidence: Evidence, family: Family, level: float) -> Row:
    if evidence.verdict is not None or row.change is None:
        return row
    change = low = high = family_low = family_high = row.change
    real = row.exact
    if evidence.estimate is not None:
        low, high = evidence.estimate.low, evidence.estimate.high
        family_low, family_high = stretched(evidence.estimate, family.level)
        real = row.p_value is not None and row.p_value < 1 - level
    if evidence.units is not None and row.scale == "ratio":
        floors = evidence.units.floor(level), evidence.units.floor(family.level)
        low, high = min(low, change / floors[0]), max(high, change * floors[0])
        family_low, family_high = min(family_low, change / floors[1]), max(family_high, change * floors[1])
        real = real and not family_low <= 1 <= family_high
    row = replace(row, low=low, high=high, family_low=family_low, family_high=family_high)
    verdict, reason, needed = judge(row, evidence, family, level, real=real)
    return replace(row, verdict=verdict, reason=reason, samples_needed=needed)


def judge(row: Row, evidence: Evidence, family: Family, level: float, *, real: bool) -> tuple[Verdict, str, int | None]:
    """Return the verdict, its reason, and how many samples would tell, where that can be said.

    A change is the same within the margin once its whole interval lies inside. Otherwise it is better or worse if
    chance is ruled out, else it can't be told. So a change as large as the margin is called in all but (1 - level) / 2
    of the cases in which chance is ruled out, and one that is shown to be smaller never is.

    `real` is whether chance is ruled out; it always is for exact changes.
    """
    metric = row.about
    change, low, high = _known(row)
    if change == metric.no_change and row.exact:
        return "same", "equal", None
    said = with_unit(row.scale, row.unit, change)
    if not row.exact:
        said += f" ({100 * level:g} % interval {plain_span(row.scale, row.unit, low, high)})"
    if -row.margin < low - metric.no_change and high - metric.no_change < row.margin:
        return "same", f"same within {margin(row.scale, row.unit, row.margin)}: {said}", None
    if real:
        word: Verdict = "better" if (change > metric.no_change) == metric.more_is_better else "worse"
        return word, f"{word}: {said}", None
    if evidence.units is not None and _within(evidence.units.floor(family.level), row):
        return "can't tell", f"can't tell: {said} {_within_units(row, evidence.units)}", None
    needed = samples_needed(row, evidence, family, level)
    among = f", being one of {family.size} comparisons" if family.size > 1 else ""
    more = "" if needed is None else f"; about {needed - row.samples:,} more inputs would tell"
    return "can't tell", f"can't tell: {said} may be chance{among}{more}", needed


def _known(row: Row) -> tuple[float, float, float]:
    if row.change is None or row.low is None or row.high is None:
        raise ValueError(f"{row.metric}: there is no change to judge")
    return row.change, row.low, row.high


def _within(ratio: float, row: Row) -> bool:
    return abs(math.log(row.change or 1.0)) <= math.log(ratio)


def _within_units(row: Row, units: UnitSpread) -> str:
    """Say that a difference may be one of the two units: it is no more than was seen, or than may be among others."""
    which = "is" if _within(units.ratio, row) else "may be"
    return f"{which} within the spread between units ({units.words}); measure both on one unit"


def samples_needed(row: Row, evidence: Evidence, family: Family, level: float) -> int | None:
    """Return about how many samples in all would tell, if the change is what it seems to be; None if none would.

    An interval tells once it excludes no difference at the family's level, or lies within the margin, whichever comes
    first. It has to do so in four of five cases. That of a ratio shrinks with the root of the samples; that of an
    accuracy is worked out for as large a share of inputs that only one side has right.
    """
    if row.samples == 0 or not evidence.averages:
        return None
    if evidence.flips is not None:
        return _inputs_needed(row, evidence.flips, (family.level, level))
    change, low, high = _known(row)
    distance = abs(change - row.about.no_change)
    wide = row.family or (low, high)
    ways = (distance, wide, family.level), (row.margin - distance, (low, high), level)
    needed = [scaled(row.samples, (high - low) / 2, room, level) for room, (low, high), level in ways if room > 0]
    return min(needed, default=None)


def scaled(samples: int, half: float, room: float, level: float) -> int:
    """Return about how many samples make half an interval at a level, which `half` is now, fit into `room` (> 0)."""
    factor = half / room * (1 + NormalDist().inv_cdf(_POWER) / quantile(level))
    return max(math.ceil(samples * factor**2), samples + 1)


def _inputs_needed(row: Row, flips: tuple[int, int], levels: tuple[float, float]) -> int | None:
    gained, lost = (count / row.samples for count in flips)
    wide, own = map(powered, levels)
    within = abs(gained - lost) < row.margin

    def tells(count: float) -> bool:
        def excludes(difference: float, level: float) -> bool:
            return tango_excludes(gained * count, lost * count, count, difference, level=level)

        return excludes(0.0, wide) or (within and excludes(-row.margin, own) and excludes(row.margin, own))

    return fewest(row.samples, tells)


def fewest(samples: int, tells: Callable[[float], bool]) -> int | None:
    """Return about how many samples in all would tell, by bisection; None: more than anyone measures."""
    few, many = float(samples), 2.0 * samples
    while not tells(many):
        few, many = many, 2 * many
        if many > _TOO_MANY:
            return None
    while many - few > max(1.0, few / 100):
        middle = (few + many) / 2
        few, many = (few, middle) if tells(middle) else (middle, many)
    return math.ceil(many)


def powered(level: float) -> float:
    """Return the level of an interval that is wide enough to tell with the wanted chance, and not only with half."""
    return 2 * NormalDist().cdf(quantile(level) + NormalDist().inv_cdf(_POWER)) - 1
