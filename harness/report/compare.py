"""Cases held against each other: the variants of a run, two runs, two boards.

Cases of one place belong together: of a pool, whichever of its boards measured them, or of a device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.report.decide import Match, compare_sides
from harness.report.frame import Comparison, Kind, Policy
from harness.report.history import history
from harness.report.metrics import METRICS
from harness.report.pairing import CaseRow, named, side_maker
from harness.report.repeat import MAD_TO_SD
from harness.report.units import disagreements, unit_spreads
from harness.store.place import place_of
from harness.store.results import join_results, plain_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.history import Series
    from harness.report.units import Spreads
    from harness.store.results import Results

    _Cases = dict[tuple[Any, ...], list[CaseRow]]
    #: The baseline's row, the other's, in which metrics, and what the baseline varies by from run to run, a share.
    _Pair = tuple[CaseRow, CaseRow, tuple[str, ...], float]


def compare_variants(results: Results, policy: Policy | None = None, spreads: Spreads | None = None) -> Comparison:
    """Compare each variant with its baseline, within each run, place and backend.

    `spreads` says by how much units of a board differ; None: as far as `results` tell.
    """
    policy = policy or Policy()
    rows = _placed(results)
    pairs: list[_Pair] = []
    unmatched = []
    known = {_key(row, ("run", "place", "backend", "suite", "variant")): row for row in rows}
    for row in rows:
        if row["baseline"] is None:
            continue
        base = known.get((*_key(row, ("run", "place", "backend", "suite")), row["baseline"]))
        if base is not None:
            pairs.append((base, row, policy.metrics, 0.0))
        else:
            unmatched.append(f"{named(row)}: its baseline {row['baseline']} was not measured")
    spreads = unit_spreads(results) if spreads is None else spreads
    return _decide("variants", "the baseline", "each variant", pairs, unmatched, (results, results), policy, spreads)


def compare_runs(a: Results, b: Results, policy: Policy | None = None) -> Comparison:
    """Compare each case of `b` with the same place, suite and variant in `a`, the baseline.

    Where either holds several runs, the newest complete case counts.
    """
    policy = policy or Policy()
    key = ("place", "suite", "variant")
    left, right = _newest(_placed(a), key), _newest(_placed(b), key)
    pairs = _matched(left, right, policy)
    unmatched = [f"{named(rows[0])}: not in the baseline" for name, rows in right.items() if name not in left]
    vanished = [f"{named(rows[0])}: only in the baseline" for name, rows in left.items() if name not in right]
    spreads = unit_spreads(join_results(a, b))
    return _decide("runs", _runs_of(a), _runs_of(b), pairs, unmatched, (a, b), policy, spreads, vanished)


def compare_boards(results: Results, a: str, b: str, policy: Policy | None = None) -> Comparison:
    """Compare each suite and variant on device `b` with the same on device `a`; how units differ is what is asked.

    Of the runs that both are in, the newest complete case counts. A side may be a pool.
    """
    policy = policy or Policy()
    key = ("suite", "variant")
    rows = _placed(results)
    left, right = (_newest([row for row in rows if name in (row["device"], row["pool"])], key) for name in (a, b))
    pairs = [pair for pair in _matched(left, right, policy) if pair[0] is not pair[1]]
    unmatched = [f"{named(found[0])}: not measured on {a}" for name, found in right.items() if name not in left]
    unmatched += [f"{named(found[0])}: not measured on {b}" for name, found in left.items() if name not in right]
    return _decide("boards", a, b, pairs, unmatched, (results, results), policy, {})


def compare_history(
    before: Results, current: Results, policy: Policy | None = None
) -> tuple[Comparison, tuple[Series, ...]]:
    """Compare each case with the typical one of the nights before, and look for steps and drifts up to now.

    Typical is the case whose figure is the median of those nights (the lower one of two), so that one odd night is no
    baseline, and inputs can still be paired. What figures of a real board vary by from night to night goes into the
    interval.

    The nights are a run each; the series returned are of all these runs.
    """
    policy = policy or Policy()
    key = ("place", "suite", "variant", "backend")
    earlier: _Cases = {}
    for row in _placed(before):
        if row["status"] == "complete":
            earlier.setdefault(_key(row, key), []).append(row)
    now = _placed(current)
    pairs: list[_Pair] = []
    unmatched = []
    for row in now:
        nights = earlier.get(_key(row, key))
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
            pairs.append((base, row, (name,), spread))
    here = {_key(row, key) for row in now}
    vanished = [f"{named(rows[-1])}: only in the nights before" for name, rows in earlier.items() if name not in here]
    words = f"the median of {len(before.runs)} nights"
    together = join_results(before, current)
    spreads = unit_spreads(together)
    sides = before, current
    comparison = _decide("history", words, _runs_of(current), pairs, unmatched, sides, policy, spreads, vanished)
    return comparison, history(together, policy, spreads)


def _decide(
    kind: Kind,
    a_name: str,
    b_name: str,
    pairs: Sequence[_Pair],
    unmatched: Sequence[str],
    sides: tuple[Results, Results],
    policy: Policy,
    spreads: Spreads,
    vanished: Sequence[str] = (),
) -> Comparison:
    a, b = map(side_maker, sides)
    matches = [Match(a(base), b(row), metrics, spread) for base, row, metrics, spread in pairs]
    rows, repeat = compare_sides(matches, policy, spreads)
    together = join_results(*sides)
    apart = disagreements(together, plain_rows(together.cases))
    alone = (*unmatched, *vanished)
    return Comparison(kind, a_name, b_name, rows, repeat, alone, policy, spreads, tuple(apart), tuple(vanished))


def _placed(results: Results) -> list[CaseRow]:
    return [{**row, "place": place_of(row)} for row in plain_rows(results.cases)]


def _key(row: CaseRow, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def _spread(values: Sequence[float]) -> float:
    """Return the robust standard deviation of the logarithms of positive values."""
    if len(values) < 2 or min(values) <= 0:
        return 0.0
    logs = np.log(np.array(values, dtype=np.float64))
    return MAD_TO_SD * float(np.median(np.abs(logs - np.median(logs))))


def _newest(rows: Sequence[CaseRow], key: Sequence[str]) -> _Cases:
    """Return the newest case of each key and backend; an incomplete one only if there is no other."""
    found: dict[tuple[Any, ...], CaseRow] = {}
    for row in sorted(rows, key=lambda row: (row["status"] == "complete", str(row["started_utc"]), row["case"])):
        found[_key(row, (*key, "backend"))] = row
    grouped: _Cases = {}
    for (*name, _), row in found.items():
        grouped.setdefault(tuple(name), []).append(row)
    return grouped


def _matched(left: _Cases, right: _Cases, policy: Policy) -> list[_Pair]:
    """Pair cases of equal keys and backends; where only the backends differ too, so that the pair is refused for it."""
    pairs: list[_Pair] = []
    for name, rows in right.items():
        for row in rows if name in left else ():
            base = next((other for other in left[name] if other["backend"] == row["backend"]), left[name][0])
            pairs.append((base, row, policy.metrics, 0.0))
    return pairs


def _runs_of(results: Results) -> str:
    names = results.runs["run"].tolist()
    return names[0] if len(names) == 1 else f"{len(names)} runs"
