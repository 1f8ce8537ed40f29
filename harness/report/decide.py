"""From pairs of cases to rows with verdicts, corrected for how many of them there are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.report.evidence import Evidence, compare_metric
from harness.report.frame import Comparison, Kind, Policy, Repeatability, Row
from harness.report.metrics import METRICS, Metric
from harness.report.pairing import CaseRow, SampleCache, Side, refusal
from harness.report.repeat import repeatability
from harness.report.stats import holm, stretched
from harness.report.units import Spreads, disagreements, spread_of
from harness.report.verdict import Family, Finding, judge
from harness.store.results import join_results, plain_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.store.results import Results


@dataclass(frozen=True)
class Pair:
    """Two case rows to compare in some metrics. `spread` is what the baseline varies by from run to run, a share."""

    a: CaseRow
    b: CaseRow
    metrics: tuple[str, ...]
    spread: float = 0.0


@dataclass(frozen=True)
class Match:
    """Two cases with their samples, to compare in some metrics; `spread` as in `Pair`."""

    a: Side
    b: Side
    metrics: tuple[str, ...]
    spread: float = 0.0


@dataclass(frozen=True)
class _Draft:
    a: Side
    b: Side
    metric: Metric
    evidence: Evidence
    margin: float


def decide(
    kind: Kind,
    a_name: str,
    b_name: str,
    pairs: Sequence[Pair],
    unmatched: Sequence[str],
    a_results: Results,
    b_results: Results,
    policy: Policy,
    spreads: Spreads | None = None,
) -> Comparison:
    """Compare pairs of cases.

    Args:
        kind: what the pairs differ in.
        a_name: what the baseline is, in words.
        b_name: what is held against it.
        pairs: case rows that belong together, baseline first.
        unmatched: sentences on cases without a counterpart.
        a_results: where the samples of the baseline are.
        b_results: where those of the others are.
        policy: margins, level and seed that decide.
        spreads: by how much units differ, for pairs that were measured on two of them; None: units are what is asked.
    """
    caches = SampleCache(a_results), SampleCache(b_results)
    matches = [Match(caches[0].side(pair.a), caches[1].side(pair.b), pair.metrics, pair.spread) for pair in pairs]
    together = join_results(a_results, b_results)
    apart = disagreements(together, plain_rows(together.cases))
    rows, found = compare_sides(matches, policy, spreads)
    return Comparison(kind, a_name, b_name, rows, found, tuple(unmatched), policy, spreads or {}, tuple(apart))


def compare_sides(
    matches: Sequence[Match], policy: Policy, spreads: Spreads | None = None
) -> tuple[tuple[Row, ...], tuple[Repeatability, ...]]:
    """Return a row for each metric of each match, and how well each case repeats.

    Args:
        matches: all that is compared at once; the verdicts allow for how many they are.
        policy: margins, level and seed that decide.
        spreads: how much each metric varies between boards of a pool.
    """
    known: dict[tuple[str, int], Repeatability | None] = {}
    drafts: list[_Draft | Row] = []
    refused: set[tuple[Any, ...]] = set()
    for match in matches:
        a, b = match.a, match.b
        why = refusal(a, b, policy)
        if why is not None:
            if (*_key(b), why) not in refused:
                drafts.append(_refused(a, b, why))
            refused.add((*_key(b), why))
            continue
        for side in (a, b):
            if _key(side) not in known:
                known[_key(side)] = repeatability(side.id, side.samples, policy)
        repeat = (known[_key(a)], known[_key(b)])
        rng = np.random.default_rng(policy.seed)
        for name in match.metrics:
            metric = METRICS[name]
            units = spread_of(spreads or {}, name, b.row)
            evidence = compare_metric(metric, a, b, repeat, match.spread, units, policy, rng)
            if evidence is not None:
                drafts.append(_Draft(a, b, metric, evidence, policy.margin(metric, a.row[metric.column])))
    return _rows(drafts, policy), tuple(item for item in known.values() if item is not None)


def _key(side: Side) -> tuple[str, int]:
    return side.row["run"], side.row["case"]


def _refused(a: Side, b: Side, why: str) -> Row:
    return Row(
        a=a.id,
        b=b.id,
        metric="all",
        unit="",
        scale="ratio",
        exact=False,
        margin=0.0,
        verdict="refused",
        reason=f"refused: {why}",
        samples=0,
    )


def _rows(drafts: Sequence[_Draft | Row], policy: Policy) -> tuple[Row, ...]:
    """Give each row its verdict; only those in which chance has a part can be false alarms."""
    chances = {
        index: draft.evidence.estimate.p_value
        for index, draft in enumerate(drafts)
        if isinstance(draft, _Draft) and draft.evidence.estimate is not None
    }
    corrected = dict(zip(chances, holm(list(chances.values())), strict=True))
    family = Family(len(chances), 1 - (1 - policy.level) / max(1, len(chances)))
    return tuple(
        draft if isinstance(draft, Row) else _row(draft, corrected.get(index), family, policy)
        for index, draft in enumerate(drafts)
    )


def _source(draft: _Draft) -> str:
    """Return what the energies of a pair come from."""
    return " and ".join(dict.fromkeys(str(side.row["power_source"] or "unknown source") for side in (draft.a, draft.b)))


def _row(draft: _Draft, p_value: float | None, family: Family, policy: Policy) -> Row:
    evidence, metric = draft.evidence, draft.metric
    a_value, b_value = draft.a.row[metric.column], draft.b.row[metric.column]
    row = Row(
        a=draft.a.id,
        b=draft.b.id,
        metric=metric.name,
        unit=evidence.unit,
        scale=metric.scale,
        a_value=None if a_value is None else float(a_value),
        b_value=None if b_value is None else float(b_value),
        change=evidence.change,
        exact=evidence.exact,
        p_value=p_value,
        margin=draft.margin,
        verdict=evidence.verdict or "can't tell",
        reason=evidence.reason or "",
        samples=evidence.samples,
        caveats=evidence.caveats,
        notes=(
            *evidence.caveats,
            *(note for note in (evidence.detail, evidence.units and evidence.units.words) if note),
        ),
        source=_source(draft) if metric.name == "energy" else None,
    )
    if evidence.verdict is not None or evidence.change is None:
        return row
    change = evidence.change
    low = high = family_low = family_high = change
    real = evidence.exact
    if evidence.estimate is not None:
        low, high = evidence.estimate.low, evidence.estimate.high
        family_low, family_high = stretched(evidence.estimate, family.level)
        real = p_value is not None and p_value < 1 - policy.level
    if evidence.units is not None and metric.scale == "ratio":
        floors = evidence.units.floor(policy.level), evidence.units.floor(family.level)
        low, high = min(low, change / floors[0]), max(high, change * floors[0])
        family_low, family_high = min(family_low, change / floors[1]), max(family_high, change * floors[1])
        real = real and not family_low <= 1 <= family_high
    finding = Finding(
        metric,
        change,
        (low, high),
        (family_low, family_high),
        policy.level,
        family,
        real=real,
        exact=evidence.exact,
        margin=draft.margin,
        samples=evidence.samples,
        averages=evidence.averages,
        flips=evidence.flips,
        units=evidence.units,
    )
    verdict, reason, needed = judge(finding)
    return replace(
        row,
        low=low,
        high=high,
        family_low=family_low,
        family_high=family_high,
        verdict=verdict,
        reason=reason,
        samples_needed=needed,
    )
