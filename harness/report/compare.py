"""Cases held against each other: the variants of a run, two runs, two boards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.report.evidence import Evidence, compare_metric
from harness.report.frame import CaseId, Comparison, Kind, Policy, Repeatability, Row, Verdict
from harness.report.metrics import METRICS, Metric
from harness.report.pairing import CaseRow, SampleCache, Side, named, refusal
from harness.report.repeat import repeatability
from harness.report.stats import holm, stretched
from harness.report.verdict import Finding, judge
from harness.store.read import plain_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.store.read import Results


def compare_variants(results: Results, policy: Policy | None = None) -> Comparison:
    """Compare each variant with its baseline, within each run, device and backend.

    Args:
        results: one run or several; runs are never mixed.
        policy: how to decide.
    """
    rows = plain_rows(results.cases)
    pairs, unmatched = [], []
    for row in rows:
        if row["baseline"] is None:
            continue
        same = ("run", "device", "backend", "suite")
        base = [other for other in rows if other["variant"] == row["baseline"] and _agree(row, other, same)]
        if base:
            pairs.append((base[-1], row))
        else:
            unmatched.append(f"{named(row)}: its baseline {row['baseline']} was not measured")
    return _compare("variants", "the baseline", "each variant", pairs, unmatched, results, results, policy)


def compare_runs(a: Results, b: Results, policy: Policy | None = None) -> Comparison:
    """Compare each case of `b` with the same device, suite and variant in `a`.

    Where either holds several runs, the newest complete case counts.

    Args:
        a: the baseline.
        b: what is held against it.
        policy: how to decide.
    """
    key = ("device", "suite", "variant")
    left, right = _newest(plain_rows(a.cases), key), _newest(plain_rows(b.cases), key)
    pairs = [(_likest(left[name], row), row) for name, rows in right.items() if name in left for row in rows]
    unmatched = [f"{named(rows[0])}: not in the baseline" for name, rows in right.items() if name not in left]
    unmatched += [f"{named(rows[0])}: only in the baseline" for name, rows in left.items() if name not in right]
    return _compare("runs", _runs_of(a), _runs_of(b), pairs, unmatched, a, b, policy)


def compare_boards(results: Results, a: str, b: str, policy: Policy | None = None) -> Comparison:
    """Compare each suite and variant on device `b` with the same on device `a`.

    Args:
        results: the runs that both are in; the newest complete case counts.
        a: name of the device that is the baseline.
        b: name of the other.
        policy: how to decide.
    """
    key = ("suite", "variant")
    rows = plain_rows(results.cases)
    left, right = (_newest([row for row in rows if row["device"] == name], key) for name in (a, b))
    pairs = [(_likest(left[name], row), row) for name, found in right.items() if name in left for row in found]
    unmatched = [f"{named(found[0])}: not measured on {a}" for name, found in right.items() if name not in left]
    unmatched += [f"{named(found[0])}: not measured on {b}" for name, found in left.items() if name not in right]
    return _compare("boards", a, b, pairs, unmatched, results, results, policy)


def _agree(a: CaseRow, b: CaseRow, names: Iterable[str]) -> bool:
    return all(a[name] == b[name] for name in names)


def _newest(rows: Sequence[CaseRow], key: Sequence[str]) -> dict[tuple[Any, ...], list[CaseRow]]:
    """Return the newest case of each key and backend; an incomplete one only if there is no other."""
    found: dict[tuple[Any, ...], CaseRow] = {}
    for row in sorted(rows, key=lambda row: (row["status"] == "complete", row["started_utc"], row["case"])):
        found[*(row[name] for name in key), row["backend"]] = row
    grouped: dict[tuple[Any, ...], list[CaseRow]] = {}
    for (*name, _), row in found.items():
        grouped.setdefault(tuple(name), []).append(row)
    return grouped


def _likest(candidates: Sequence[CaseRow], row: CaseRow) -> CaseRow:
    """Return the case of the same backend, else any: then the pair is refused with that reason."""
    return next((other for other in candidates if other["backend"] == row["backend"]), candidates[0])


def _runs_of(results: Results) -> str:
    names = results.runs["run"].tolist()
    return names[0] if len(names) == 1 else f"{len(names)} runs"


@dataclass(frozen=True)
class _Draft:
    a: Side
    b: Side
    metric: Metric
    evidence: Evidence
    margin: float


def _compare(
    kind: Kind,
    a_name: str,
    b_name: str,
    pairs: Sequence[tuple[CaseRow, CaseRow]],
    unmatched: Sequence[str],
    a_results: Results,
    b_results: Results,
    policy: Policy | None,
) -> Comparison:
    policy = policy or Policy()
    caches = SampleCache(a_results), SampleCache(b_results)
    known: dict[tuple[str, int], Repeatability | None] = {}
    drafts: list[_Draft | Row] = []
    for a_row, b_row in pairs:
        a, b = caches[0].side(a_row), caches[1].side(b_row)
        why = refusal(a, b, policy)
        if why is not None:
            drafts.append(_refused(a, b, why))
            continue
        for side in (a, b):
            key = (side.row["run"], side.row["case"])
            if key not in known:
                known[key] = repeatability(side.id, side.samples, policy)
        both = tuple(known[side.row["run"], side.row["case"]] for side in (a, b))
        rng = np.random.default_rng(policy.seed)
        for name in policy.metrics:
            metric = METRICS[name]
            evidence = compare_metric(metric, a, b, both, policy, rng)
            if evidence is not None:
                drafts.append(_Draft(a, b, metric, evidence, policy.margin(metric)))
    rows = _decide(drafts, policy)
    found = tuple(item for item in known.values() if item is not None)
    return Comparison(kind, a_name, b_name, rows, found, tuple(unmatched), policy)


def _refused(a: Side, b: Side, why: str) -> Row:
    nothing: dict[str, Any] = dict.fromkeys(
        ("a_value", "b_value", "change", "low", "high", "family_low", "family_high", "p_value", "samples_needed")
    )
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
        **nothing,
    )


def _decide(drafts: Sequence[_Draft | Row], policy: Policy) -> tuple[Row, ...]:
    """Give each row its verdict, corrected for how many of them could be false alarms."""
    uncertain = [i for i, draft in enumerate(drafts) if isinstance(draft, _Draft) and draft.evidence.estimate]
    p_values = holm([_p(drafts[i]) for i in uncertain])
    corrected = dict(zip(uncertain, p_values, strict=True))
    family = 1 - (1 - policy.level) / max(1, len(uncertain))
    return tuple(
        draft if isinstance(draft, Row) else _row(draft, corrected.get(i), family, policy)
        for i, draft in enumerate(drafts)
    )


def _p(draft: _Draft | Row) -> float:
    assert isinstance(draft, _Draft)  # noqa: S101
    assert draft.evidence.estimate is not None  # noqa: S101
    return draft.evidence.estimate.p_value


def _row(draft: _Draft, p_value: float | None, family: float, policy: Policy) -> Row:
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
        low=evidence.change if evidence.exact else None,
        high=evidence.change if evidence.exact else None,
        family_low=evidence.change if evidence.exact else None,
        family_high=evidence.change if evidence.exact else None,
        exact=evidence.exact,
        p_value=p_value,
        margin=draft.margin,
        verdict=evidence.verdict or "can't tell",
        reason=evidence.reason or "",
        samples=evidence.samples,
        samples_needed=None,
        notes=evidence.notes,
    )
    if evidence.verdict is not None or evidence.change is None:
        return row
    estimate = evidence.estimate
    if estimate is not None:
        low, high = stretched(estimate, family)
        row = replace(row, low=estimate.low, high=estimate.high, family_low=low, family_high=high)
    assert row.change is not None  # noqa: S101
    assert row.low is not None  # noqa: S101
    assert row.high is not None  # noqa: S101
    real = evidence.exact or (p_value is not None and p_value < 1 - policy.level)
    finding = Finding(
        metric, row.change, row.low, row.high, policy.level, real, evidence.exact, draft.margin, evidence.samples
    )
    verdict, reason, needed = judge(finding)
    return replace(row, verdict=verdict, reason=reason, samples_needed=needed)


__all__ = [
    "CaseId",
    "Comparison",
    "Policy",
    "Repeatability",
    "Row",
    "Verdict",
    "compare_boards",
    "compare_runs",
    "compare_variants",
]
