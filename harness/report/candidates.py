"""Which variants may be shipped: those that keep the budget and are shown to be hardly worse than the best.

That a variant is within the tolerance has to be shown against each of the others, whichever of them is truly the best
(an intersection-union test; J. C. Hsu, "Multiple Comparisons", 1996, chapter 4). Each variant but the best could be
taken for one that is within, and each for one that keeps a bound on the score: all these claims share the risk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.metrics.estimate import quantile
from harness.metrics.shares import binomial_tail, tango_excludes, tango_interval
from harness.report.decide import fewest, powered, scaled
from harness.report.evidence import Asked, Evidence, compare_metric
from harness.report.metrics import METRICS, Metric, leading
from harness.report.pairing import refusal
from harness.report.remarks import guessing
from harness.report.stats import stretched

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.config.pick import Bound
    from harness.report.frame import Policy
    from harness.report.pairing import CaseRow, Side

#: within: may be shipped; open: may be, can't tell; worse: than the tolerance; beyond: the budget; unmeasured: a figure
#: that the budget bounds; chance: not shown to be better than guessing.
Status = Literal["within", "open", "worse", "beyond", "unmeasured", "chance"]

#: Level of the intervals of a case table.
_STORED_LEVEL = 0.95


@dataclass(frozen=True)
class Candidate:
    """What is known of a variant.

    Attributes:
        variant: its name.
        status: whether it may be shipped.
        best: the variant with the best figure of those that are not beyond the budget; "" if it wasn't held against it.
        change: its score less the best one's, in the score's unit; None: there is none to compare.
        low: lower end of the interval that holds for all variants together; None: there is none.
        high: upper end of that interval.
        more_inputs: open: about how many more would tell, if the figures are what they seem; None: no number is known.
        misses: of the bounds that it misses, by which share of the bound; what is missing is missed by infinitely much.
        reason: why a figure is missing or can't be compared, "" if none is.
    """

    variant: str
    status: Status
    best: str = ""
    change: float | None = None
    low: float | None = None
    high: float | None = None
    more_inputs: int | None = None
    misses: tuple[tuple[Bound, float], ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Question:
    """What is asked of the variants of a group.

    Attributes:
        rows: the complete cases, by variant.
        sides: the same with their samples.
        score: the metric that says how good an answer is; None: nothing was scored.
        tolerance: by how much it may be worse than the best.
        bounds: the budget.
        policy: level and seed.
    """

    rows: Mapping[str, CaseRow]
    sides: Mapping[str, Side]
    score: Metric | None
    tolerance: float
    bounds: Sequence[Bound]
    policy: Policy

    def better(self, name: str) -> float:
        """Return a variant's score so that more is better, what is missing last."""
        value = None if self.score is None else self.rows[name][self.score.column]
        if self.score is None or value is None:
            return -np.inf
        return float(value) if self.score.more_is_better else -float(value)


def score_of(rows: Iterable[CaseRow]) -> Metric | None:
    """Return the metric that says how good the answers of comparable cases are; None: they weren't scored."""
    return leading(row["metric"] for row in rows)


def candidates(asked: Question) -> dict[str, Candidate]:
    """Return what is known of each variant, by its name."""
    poor = {row["variant"] for row in guessing(list(asked.rows.values()))} if asked.score else set()
    found = {name: _budgeted(asked, name) for name in asked.rows}
    found |= {name: Candidate(name, "chance") for name in poor if found[name].status == "within"}
    names = [name for name, one in found.items() if one.status == "within"]
    if asked.score is None or not names:
        return found
    guessed = [name for name, one in found.items() if one.status == "chance"]
    floors = [bound for bound in asked.bounds if bound.metric in ("score", asked.score.name)]
    claims = len(names) if guessed else max(1, len(names) - 1)  # one of all may be the best, and is no claim
    risk = (1 - asked.policy.level) / (claims + len(names) * bool(floors))
    found |= {name: _floored(asked, asked.score, found[name], floors, risk) for name in names}
    names = [name for name in names if found[name].status != "beyond"]
    return found | _held(asked, {name: found[name] for name in names}, guessed, 1 - 2 * risk)


def _budgeted(asked: Question, name: str) -> Candidate:
    """Hold the costs of a variant against the budget: they are what was measured, without an interval."""
    row, misses, reason = asked.rows[name], {}, ""
    counted = [bound.counter for bound in asked.bounds if bound.metric == "ticks"]
    for bound in asked.bounds:
        metric = METRICS[bound.metric]
        if asked.score is not None and metric.name in ("score", asked.score.name):
            continue
        if metric.name in ("accuracy", "score"):
            said = asked.score.called if asked.score else "nothing"
            misses[bound], reason = np.inf, f"what is scored is {said}"
            continue
        if bound.counter not in (None, row["counter"]):
            if row["counter"] in counted:
                continue  # the bound on the other counter is the one that is meant here
            misses[bound], reason = np.inf, f"the {row['backend']} backend counts {row['counter']}"
        elif row[metric.column] is None:
            misses[bound], reason = np.inf, str(row.get(metric.reason) or f"there is no {metric.name}")
        else:
            misses[bound] = _missed(bound, float(row[metric.column]))
    missed = tuple((bound, by) for bound, by in misses.items() if by > 0)
    status: Status = "unmeasured" if reason else "beyond" if missed else "within"
    return Candidate(name, status, misses=missed, reason=reason)


def _missed(bound: Bound, value: float) -> float:
    """Return the share of a bound that a value is beyond it; not above 0 if it is kept."""
    excess = value - bound.value if bound.most else bound.value - value
    return excess / bound.value if bound.value else excess


def _floored(asked: Question, metric: Metric, one: Candidate, floors: Sequence[Bound], risk: float) -> Candidate:
    """Hold a score against the bounds on it, which it has to be shown to keep."""
    row = asked.rows[one.variant]
    for bound in floors:
        value = row[metric.column]
        if value is None or _missed(bound, value) > 0:
            return replace(one, status="beyond", misses=((bound, np.inf if value is None else _missed(bound, value)),))
        room, samples = abs(value - bound.value), int(row["samples"])
        end = row[f"{metric.column}_{'high' if bound.most else 'low'}"]
        level = 1 - 2 * risk
        half = np.inf if end is None else abs(value - end) * quantile(level) / quantile(_STORED_LEVEL)
        if metric.name == "accuracy":
            kept = binomial_tail(round(value * samples), samples, bound.value) <= risk
        else:
            kept = half < room
        if not kept:
            known = room > 0 and np.isfinite(half)
            more = scaled(samples, half, room, level) - samples if known else None
            return replace(one, status="open", more_inputs=more, misses=((bound, 0.0),))
    return one


def _held(asked: Question, some: Mapping[str, Candidate], guessed: Sequence[str], level: float) -> dict[str, Candidate]:
    """Hold each variant against all others, and say how far it is from the one with the best figure.

    Those that aren't shown to be better than guessing are among the others: few inputs show little of any variant, and
    one that isn't picked for that may be the best all the same.
    """
    others = [*some, *guessed]
    best = max(others, key=asked.better, default="")
    known: dict[tuple[str, str], Evidence] = {}
    found = {}
    for name, one in some.items():
        status, more, reason = one.status, one.more_inputs, one.reason
        change = low = high = 0.0 if name == best else None
        for other in others:
            if other == name:
                continue
            if (name, other) in known:
                evidence = _mirrored(known[name, other])
            else:
                evidence = known[other, name] = _evidence(asked, other, name)
            said, needed = _standing(asked, evidence, level)
            if said == "open" and (evidence.verdict or needed is None):
                reason = reason or (evidence.reason or "").partition(": ")[2] or "seems worse"
            if said == "worse" or (said == "open" and status == "within"):
                status = said
            if said == "open" and needed is not None:
                more = max(more or 0, needed - evidence.samples)
            if other == best:
                change, (low, high) = evidence.change, _interval(evidence, level)
        more = more if status == "open" and not reason else None
        found[name] = Candidate(name, status, best, change, low, high, more, one.misses, reason)
    return found


def _evidence(asked: Question, a: str, b: str) -> Evidence:
    sides, policy = (asked.sides[a], asked.sides[b]), asked.policy
    why = refusal(*sides, policy)
    rng = np.random.default_rng(policy.seed)
    evidence = None
    if why is None and asked.score is not None:
        evidence = compare_metric(asked.score, *sides, Asked((None, None), 0.0, None, policy, rng))
    return evidence or Evidence("", verdict="refused", reason=f"refused: {why or 'there is no score'}")


def _mirrored(evidence: Evidence) -> Evidence:
    """Return what is known of (a, b) as what is known of (b, a)."""
    change, one = evidence.change, evidence.estimate
    return replace(
        evidence,
        change=None if change is None else 0.0 - change,
        estimate=one and replace(one, change=0.0 - one.change, low=-one.high, high=-one.low),
        flips=evidence.flips and (evidence.flips[1], evidence.flips[0]),
    )


def _standing(asked: Question, evidence: Evidence, level: float) -> tuple[Status, int | None]:
    """Say whether b is worse than a by no more than the tolerance; open: about how many inputs in all would tell."""
    least, count = asked.tolerance, evidence.samples
    if evidence.verdict is not None or evidence.change is None:
        return "open", None
    change, needed = evidence.change, None
    if evidence.flips is not None:
        gained, lost = (number / count for number in evidence.flips)

        def tells(n: float, level: float) -> bool:
            return tango_excludes(gained * n, lost * n, n, -least, level=level)

        told = tells(count, level)
        if not told and change > -least:
            needed = fewest(count, lambda n: tells(n, powered(level)))
    else:
        low, high = _interval(evidence, level)
        if asked.score is not None and not asked.score.more_is_better:
            change, low, high = -change, -high, -low
        told = evidence.exact or low > -least or high < -least
        if not told and change > -least:
            needed = scaled(count, change - low, change + least, level)
    if not told:
        return "open", needed
    return ("within" if change >= -least else "worse"), None


def _interval(evidence: Evidence, level: float) -> tuple[Any, Any]:
    if evidence.flips is not None:
        return tango_interval(*evidence.flips, evidence.samples, level=level)
    if evidence.estimate is None:
        return (evidence.change, evidence.change) if evidence.exact else (None, None)
    return stretched(evidence.estimate, level)
