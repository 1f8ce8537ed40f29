"""The answer in words: which variant is best on which axis, by how much, and how sure that is.

Nothing is said here that the verdicts of `harness.report.compare` don't say: a variant leads only where it was found
better than every other one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.report import numbers
from harness.report.decide import Match, compare_sides
from harness.report.frame import Policy
from harness.report.metrics import METRICS, Metric, energy_name, leading
from harness.report.pairing import side_maker
from harness.report.remarks import guessing, guessing_sentence
from harness.report.units import unit_spreads
from harness.store.results import plain_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.report.frame import Row
    from harness.report.groups import Group
    from harness.report.units import Spreads
    from harness.store import Results

#: The axes of the answer, in their order.
_COSTS = [METRICS[name] for name in ("latency", "ticks", "energy", "peak_ram", "flash")]

_NAMED = 3


@dataclass(frozen=True)
class Axis:
    """What can be said on one axis.

    Attributes:
        metric: name in `harness.report.metrics.METRICS`.
        title: highest accuracy, fewest instructions, least RAM...
        leaders: the variants that nothing was found better than, the best figure first; none where the figures are not
            better than guessing.
        value: the best figure, with its unit.
        sentence: how much better it is than the next, or what it can't be told from.
        settled: whether one variant leads, or several are shown to be the same: no more samples are needed.
        exact: whether there is no chance in it.
    """

    metric: str
    title: str
    leaders: tuple[str, ...]
    value: str
    sentence: str
    settled: bool
    exact: bool


@dataclass(frozen=True)
class Answer:
    """The axes of one group, and what they come to in a sentence or two."""

    lead: str
    axes: tuple[Axis, ...]
    policy: Policy


def answer(results: Results, group: Group, policy: Policy | None = None, spreads: Spreads | None = None) -> Answer:
    """Hold every variant of a group against the one with the best figure, axis by axis, and say who leads.

    The one with the best figure is chosen by the same data, so that the level must hold whichever of the k variants it
    is: each axis is decided at 1 - (1 - level) / (k x axes), and all its pairs together by Holm's correction.

    The level of `policy` holds for all pairs and axes of the group together.
    """
    policy = policy or Policy()
    cases = group.complete
    plain = plain_rows(cases)
    poor = guessing(plain)
    chance = guessing_sentence(poor, len(plain)) if poor and len(poor) == len(plain) else ""
    if len(cases) < 2:
        lead = "No variant was measured completely, so there is nothing to compare."
        if len(cases):
            lead = f"Only {cases['variant'].iloc[0]} was measured completely, so there is nothing to compare it with."
        return Answer(f"{lead} {chance}." if chance else lead, (), policy)
    score = leading(row["metric"] for row in plain)
    axes = [score, *_COSTS] if score else _COSTS
    orders = {metric: order for metric in axes if len(order := _ordered(metric, cases)) > 1}
    strict = replace(policy, level=1 - (1 - policy.level) / (len(cases) * max(1, len(orders))))
    spreads = unit_spreads(results) if spreads is None else spreads
    rows, refused = _held_against_best(results, plain, orders, strict, spreads)
    found = []
    for metric, order in orders.items():
        if all(other in rows[metric.name] for other in order["variant"].iloc[1:]):
            without = cases.loc[cases[metric.column].isna(), "variant"].tolist()
            axis = _axis(metric, order, rows[metric.name], group.counter, without)
            if chance and metric is score:
                axis = replace(axis, leaders=(), sentence=f"{chance}.", settled=False)
            found.append(axis)
    lead = _lead([axis for axis in found if axis.leaders], len(cases))
    if chance:
        lead = f"{chance}, and none has the {score.best if score else 'best score'}. {lead}".strip()
    if refused:
        lead = f"{lead} Not compared: {'; '.join(refused)}.".strip()
    return Answer(lead, tuple(found), policy)


def _ordered(metric: Metric, cases: pd.DataFrame) -> pd.DataFrame:
    """Return the cases that have a figure, the best first. Latency and ticks are the same inferences: one of them."""
    if metric.name == "ticks" and cases["latency_us_median"].notna().all():
        return cases[:0]
    having = cases[cases[metric.column].notna()]
    return having.sort_values(metric.column, ascending=not metric.more_is_better, kind="stable")


def _held_against_best(
    results: Results,
    plain: Sequence[dict[str, Any]],
    orders: dict[Metric, pd.DataFrame],
    policy: Policy,
    spreads: Spreads,
) -> tuple[dict[str, dict[str, Row]], list[str]]:
    """Return, for each axis, the row of each variant that was held against the best; and why others were not.

    Axes that chance has a part in are decided apart, as the policy's level is that of one axis.
    """
    side = side_maker(results)
    sides = {row["variant"]: side(row) for row in plain}
    found: dict[str, dict[str, Row]] = {metric.name: {} for metric in orders}
    refused: dict[str, None] = {}
    exact = [metric for metric in orders if not metric.chance]
    for metrics in [exact, *([metric] for metric in orders if metric.chance)]:
        matches = []
        for metric in metrics:
            best, *others = orders[metric]["variant"]
            matches += [Match(sides[best], sides[other], (metric.name,)) for other in others]
        for row in compare_sides(matches, policy, spreads)[0]:
            if row.verdict == "refused":
                refused.setdefault(f"{row.b.variant} with {row.a.variant}, {row.reason.removeprefix('refused: ')}")
            else:
                found[row.metric][row.b.variant] = row
    return found, list(refused)[:_NAMED]


def _axis(metric: Metric, order: pd.DataFrame, rows: dict[str, Row], counter: str, without: list[str]) -> Axis:
    """Say what is known on an axis; `rows` hold each variant against the best, `order` begins with it."""
    best, *others = order["variant"].tolist()
    level = [other for other in others if rows[other].verdict != "worse"]
    beaten = [other for other in others if rows[other].verdict == "worse"]
    unsure = [other for other in level if rows[other].verdict == "can't tell"]
    if level:
        sentence = _level_sentence(level, beaten, unsure, rows)
    else:
        row = rows[beaten[0]]
        sentence = f"{_gap(row)} against the next, {beaten[0]}{'' if row.exact else f' ({_interval(row)})'}."
    if without:
        sentence += f" {_names(without)} {'has' if len(without) == 1 else 'have'} no figure."
    return Axis(
        metric=metric.name,
        title=metric.best.format(counter=counter, energy=energy_name(order["power_source"])),
        leaders=(str(best), *level),
        value=_value(metric, order.iloc[0], counter),
        sentence=sentence,
        settled=not unsure,
        exact=all(row.exact for row in rows.values()),
    )


def _level_sentence(level: list[str], beaten: list[str], unsure: list[str], rows: dict[str, Row]) -> str:
    best = rows[level[0]].a.variant
    parts = []
    if unsure and not rows[unsure[0]].samples:
        parts.append(f"{unsure[0]} against {best}: {rows[unsure[0]].reason}")
    elif unsure:
        tied = ", with the same figure" if all(rows[name].a_value == rows[name].b_value for name in unsure) else ""
        parts.append(f"{rows[unsure[0]].samples:,} inputs can't tell {best} from {_names(unsure)}{tied}")
        needed = [(count, name) for name in unsure if (count := rows[name].samples_needed) is not None]
        if needed:
            count, name = min(needed)
            parts.append(f"about {count:,} would settle it for {name}, if the difference is what it seems")
    same = [name for name in level if name not in unsure]
    equal = [name for name in same if rows[name].exact and rows[name].change == rows[name].about.no_change]
    within = [name for name in same if name not in equal]
    if equal:
        parts.append(f"{_names([best, *equal])} are equal")
    if within:
        row = rows[within[0]]
        least = numbers.margin(row.scale, row.unit, row.margin)
        parts.append(f"{_names(within)} {'is' if len(within) == 1 else 'are'} the same as {best} within {least}")
    if beaten:
        parts.append(f"{_names(beaten)} {'is' if len(beaten) == 1 else 'are'} worse")
    return f"{'; '.join(parts)}."


def _lead(axes: Sequence[Axis], variants: int) -> str:
    """Return who leads where, and where that is open."""
    leads: dict[str, list[str]] = {}
    for axis in axes:
        if len(axis.leaders) == 1:
            leads.setdefault(axis.leaders[0], []).append(f"the {axis.title}")
    parts = [f"{name} has {_joined(titles)}." for name, titles in leads.items()]
    for axis in axes:
        if len(axis.leaders) == 1:
            continue
        everyone = len(axis.leaders) == variants > 2
        if everyone and not axis.settled:
            parts.append(f"For the {axis.title}, no variant stands out yet.")
        else:
            who = f"all {variants} variants" if everyone else _names(list(axis.leaders))
            parts.append(f"For the {axis.title}, {who} {'are level' if axis.settled else 'cannot be told apart yet'}.")
    return " ".join(parts)


def _gap(row: Row) -> str:
    """Return how far the best is ahead of the other: rows say it the other way round."""
    change = row.change or 0.0
    if row.scale == "ratio":
        return numbers.change(1 / change)
    if row.unit == "share":
        return f"{numbers.signed(-100 * change)} points"
    if row.metric == "score":
        return f"{-change:+.3g} {row.unit}".rstrip()
    share = f" ({numbers.change(1 - change / row.b_value)})" if row.b_value else ""
    return f"{numbers.MINUS if change > 0 else '+'}{numbers.count(abs(change))} {row.unit}{share}"


def _interval(row: Row) -> str:
    if row.family is None:
        return "no interval is known"
    low, high = row.family
    if row.scale == "ratio":
        return f"interval {numbers.span(100 * (1 / high - 1), 100 * (1 / low - 1))} %"
    if row.unit == "share":
        return f"interval {numbers.span(-100 * high, -100 * low)} points"
    return f"interval {-high:+.3g} to {-low:+.3g} {row.unit}".rstrip()


def _value(metric: Metric, row: Any, counter: str) -> str:
    figure = float(row[metric.column])
    if metric.name in ("accuracy", "score"):
        return numbers.score(figure, metric.unit, int(row["samples"]))
    if metric.unit == "us":
        return f"{numbers.count(round(figure, 1))} µs"
    if metric.unit == "uJ":
        return f"{numbers.count(round(figure, 1))} µJ"
    return f"{numbers.count(figure)} {counter if metric.unit == 'ticks' else metric.unit}"


def _names(names: list[str]) -> str:
    shown = names if len(names) <= _NAMED + 1 else [*names[:_NAMED], f"{len(names) - _NAMED} more"]
    return _joined(shown)


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
