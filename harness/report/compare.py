"""Cases held against each other: the variants of a run, two runs, two boards.

Cases of one place belong together: of a pool, whichever of its boards measured them, or of a device.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.report.decide import Pair, decide
from harness.report.frame import CaseId, Comparison, Policy, Repeatability, Row, Verdict
from harness.report.history import history
from harness.report.metrics import METRICS
from harness.report.pairing import CaseRow, named
from harness.report.repeat import MAD_TO_SD
from harness.report.units import unit_spreads
from harness.store.place import place_of
from harness.store.results import join_results, plain_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.report.history import Series
    from harness.report.units import Spreads
    from harness.store.results import Results

    _Cases = dict[tuple[Any, ...], list[CaseRow]]


def compare_variants(results: Results, policy: Policy | None = None, spreads: Spreads | None = None) -> Comparison:
    """Compare each variant with its baseline, within each run, place and backend.

    Args:
        results: one run or several; runs are never mixed.
        policy: margins, level and seed that decide.
        spreads: by how much units of a board differ; None: as far as `results` tell.
    """
    policy = policy or Policy()
    rows = _placed(results)
    pairs, unmatched = [], []
    for row in rows:
        if row["baseline"] is None:
            continue
        same = ("run", "place", "backend", "suite")
        base = [other for other in rows if other["variant"] == row["baseline"] and _agree(row, other, same)]
        if base:
            pairs.append(Pair(base[-1], row, policy.metrics))
        else:
            unmatched.append(f"{named(row)}: its baseline {row['baseline']} was not measured")
    spreads = unit_spreads(results) if spreads is None else spreads
    return decide("variants", "the baseline", "each variant", pairs, unmatched, results, results, policy, spreads)


def compare_runs(a: Results, b: Results, policy: Policy | None = None) -> Comparison:
    """Compare each case of `b` with the same place, suite and variant in `a`.

    Where either holds several runs, the newest complete case counts.

    Args:
        a: the side that is the baseline.
        b: what is held against it.
        policy: margins, level and seed that decide.
    """
    policy = policy or Policy()
    key = ("place", "suite", "variant")
    left, right = _newest(_placed(a), key), _newest(_placed(b), key)
    pairs = _matched(left, right, policy)
    unmatched = [f"{named(rows[0])}: not in the baseline" for name, rows in right.items() if name not in left]
    vanished = [f"{named(rows[0])}: only in the baseline" for name, rows in left.items() if name not in right]
    spreads = unit_spreads(join_results(a, b))
    comparison = decide("runs", _runs_of(a), _runs_of(b), pairs, unmatched, a, b, policy, spreads)
    return _with_vanished(comparison, vanished)


def compare_boards(results: Results, a: str, b: str, policy: Policy | None = None) -> Comparison:
    """Compare each suite and variant on device `b` with the same on device `a`; how units differ is what is asked.

    Args:
        results: the runs that both are in; the newest complete case counts.
        a: name of the device, or of the pool, that is the baseline.
        b: name of the other side.
        policy: margins, level and seed that decide.
    """
    policy = policy or Policy()
    key = ("suite", "variant")
    rows = _placed(results)
    left, right = (_newest([row for row in rows if name in (row["device"], row["pool"])], key) for name in (a, b))
    pairs = [pair for pair in _matched(left, right, policy) if pair.a is not pair.b]
    unmatched = [f"{named(found[0])}: not measured on {a}" for name, found in right.items() if name not in left]
    unmatched += [f"{named(found[0])}: not measured on {b}" for name, found in left.items() if name not in right]
    return decide("boards", a, b, pairs, unmatched, results, results, policy)


def compare_history(
    before: Results, current: Results, policy: Policy | None = None
) -> tuple[Comparison, tuple[Series, ...]]:
    """Compare each case with the typical one of the nights before, and look for steps and drifts up to now.

    Typical is the case whose figure is the median of those nights (the lower one of two), so that one odd night is no
    baseline, and inputs can still be paired. What figures of a real board vary by from night to night goes into the
    interval.

    Args:
        before: a run for each night.
        current: the run that is held against them.
        policy: margins, level and seed that decide.

    Returns:
        The comparison, and the series of all these runs.
    """
    policy = policy or Policy()
    key = ("place", "suite", "variant", "backend")
    earlier: _Cases = {}
    for row in _placed(before):
        if row["status"] == "complete":
            earlier.setdefault(tuple(row[name] for name in key), []).append(row)
    pairs, unmatched = [], []
    for row in _placed(current):
        nights = earlier.get(tuple(row[name] for name in key))
        if nights is None:
            unmatched.append(f"{named(row)}: not in the nights before")
            continue
        for name in policy.metrics:
            column = METRICS[name].column
            known = [night for night in nights if night[column] is not None]
            if name == "energy":  # nights of another source don't say what is usual for this one
                known = [night for night in known if night["power_source"] == row["power_source"]] or known
            known.sort(key=lambda night: night[column])
            base = known[(len(known) - 1) // 2] if known else nights[-1]
            spread = _spread([night[column] for night in known]) if row["backend"] == "hardware" else 0.0
            pairs.append(Pair(base, row, (name,), spread))
    here = {tuple(row[name] for name in key) for row in _placed(current)}
    vanished = [f"{named(rows[-1])}: only in the nights before" for name, rows in earlier.items() if name not in here]
    words = f"the median of {len(before.runs)} nights"
    together = join_results(before, current)
    spreads = unit_spreads(together)
    comparison = decide("history", words, _runs_of(current), pairs, unmatched, before, current, policy, spreads)
    return _with_vanished(comparison, vanished), history(together, policy, spreads)


def _with_vanished(comparison: Comparison, vanished: Sequence[str]) -> Comparison:
    return replace(comparison, unmatched=(*comparison.unmatched, *vanished), vanished=tuple(vanished))


def _placed(results: Results) -> list[CaseRow]:
    return [{**row, "place": place_of(row)} for row in plain_rows(results.cases)]


def _spread(values: Sequence[float]) -> float:
    """Return the robust standard deviation of the logarithms of positive values."""
    if len(values) < 2 or min(values) <= 0:
        return 0.0
    logs = np.log(np.array(values, dtype=np.float64))
    return MAD_TO_SD * float(np.median(np.abs(logs - np.median(logs))))


def _agree(a: CaseRow, b: CaseRow, names: Iterable[str]) -> bool:
    return all(a[name] == b[name] for name in names)


def _newest(rows: Sequence[CaseRow], key: Sequence[str]) -> _Cases:
    """Return the newest case of each key and backend; an incomplete one only if there is no other."""
    found: dict[tuple[Any, ...], CaseRow] = {}
    for row in sorted(rows, key=lambda row: (row["status"] == "complete", str(row["started_utc"]), row["case"])):
        found[*(row[name] for name in key), row["backend"]] = row
    grouped: _Cases = {}
    for (*name, _), row in found.items():
        grouped.setdefault(tuple(name), []).append(row)
    return grouped


def _matched(left: _Cases, right: _Cases, policy: Policy) -> list[Pair]:
    """Pair cases of equal keys and backends; where only the backends differ too, so that the pair is refused for it."""
    pairs = []
    for name, rows in right.items():
        for row in rows if name in left else ():
            base = next((other for other in left[name] if other["backend"] == row["backend"]), left[name][0])
            pairs.append(Pair(base, row, policy.metrics))
    return pairs


def _runs_of(results: Results) -> str:
    names = results.runs["run"].tolist()
    return names[0] if len(names) == 1 else f"{len(names)} runs"


__all__ = [
    "CaseId",
    "Comparison",
    "Policy",
    "Repeatability",
    "Row",
    "Verdict",
    "compare_boards",
    "compare_history",
    "compare_runs",
    "compare_variants",
]
