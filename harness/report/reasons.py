"""Why a variant is picked or none is, in words: the same in the terminal, on the page and in Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.report import numbers
from harness.report.metrics import METRICS, Metric, energy_name
from harness.report.remarks import guessing_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.config.pick import Bound
    from harness.report.candidates import Candidate, Question
    from harness.report.groups import Group
    from harness.report.pairing import CaseRow

_NAMED = 3
#: What decides between variants that are level on the axis that was asked for.
TIES: Final = ("peak_ram", "flash")


@dataclass(frozen=True)
class Reasons:
    """Says what was found in a group whose cheapest variant on an axis is wanted."""

    asked: Question
    group: Group
    axis: Metric

    def chosen(
        self, one: Candidate, level: list[str], having: list[str], cheaper: list[str], first: Candidate | None
    ) -> str:
        """Return why a variant is picked, what is given up, and what can't be told.

        `level` cost as little, `having` could be shipped; of `cheaper`, more inputs would tell, of `first` before all.
        """
        row, count = self.asked.rows[one.variant], len(having)
        which = f"the {self.title(self.axis)} of the {count} variants that" if count > 1 else "the only variant that"
        figures = [shown(self.axis, row, self.group.counter)]
        if self.asked.score is not None:
            figures.append(shown(self.asked.score, row, ""))
        parts = [f"Ship {one.variant}, {which} {self._conditions(count)}: {', '.join(figures)}."]
        if level:
            parts.append(f"{joined(level)} {_are(len(level))} level with it there.")
        given = self._given_up(one, having)
        parts.append(f"Given up: {'; '.join(given)}." if given else "Nothing is given up.")
        if first is not None:
            parts.append(f"Can't tell yet of {joined(cheaper)}, which would cost less: {self._more(first)}")
        return " ".join(parts)

    def nobody(self, found: dict[str, Candidate], first: Candidate | None) -> str:
        """Say why no variant is picked; `first` is the one that it would be if more inputs showed what it seems."""
        every = list(found.values())
        chance = [self.asked.rows[one.variant] for one in every if one.status == "chance"]
        if len(chance) == len(every):
            return f"No pick. {guessing_sentence(chance, len(chance))}."
        what = f"Can't tell yet which to ship: no variant is shown to {self._conditions(0)}."
        if first is not None:
            return f"{what} By the figures alone it would be {first.variant}: {self._more(first, named=True)}"
        opened = [one for one in every if one.status == "open"]
        if opened:
            return f"{what} {self._more(opened[0])}"
        missed = [one for one in every if one.misses]
        if not missed:
            return f"No pick: no variant is shown to {self._conditions(0)}."
        if all(one.status == "unmeasured" for one in missed):
            bound = next(bound for bound, by in missed[0].misses if by == float("inf"))
            return f"No pick: {bound.text} can't be checked, as {missed[0].reason}."
        near = min(missed, key=lambda one: max(by for _, by in one.misses))
        said = [self._missed(near.variant, bound) for bound, _ in near.misses]
        return f"No variant keeps the budget. {near.variant} comes closest: {joined(said)}."

    def unranked(self, why: str) -> str:
        """Say why nothing can be ranked on the axis."""
        return f"No pick: the {self.title(self.axis)} can't be told: {why}."

    def missing(self, name: str) -> str:
        """Return why a variant has no figure on the axis."""
        row = self.asked.rows[name]
        return str(row.get(self.axis.reason) or f"{name} has no {self.axis.name}")

    def title(self, metric: Metric) -> str:
        """Return what is said of the cheapest: fewest instructions, shortest latency."""
        sources = [row["power_source"] for row in self.asked.rows.values()]
        return metric.best.format(counter=self.group.counter, energy=energy_name(sources))

    def _conditions(self, count: int) -> str:
        """Return what is asked of one variant, of several, or (0) of any, the budget first."""
        asked, parts = self.asked, []
        if asked.bounds:
            parts.append(f"keep{'s' * (count == 1)} {', '.join(bound.text for bound in asked.bounds)}")
        if asked.score is not None:
            least = numbers.margin(asked.score.scale, asked.score.unit, asked.tolerance)
            verb = {0: "be", 1: "is shown to be"}.get(count, "are shown to be")
            parts.append(f"{verb} within {least} of the {asked.score.best}")
        return " and ".join(parts) or ("be" * (count == 0) or _are(count)) + " measured"

    def _change(self, one: Candidate) -> str:
        """Return how far a score is from the best one."""
        metric = self.asked.score
        if metric is None or one.change is None or one.low is None or one.high is None:
            return "not compared"
        if one.variant == one.best:
            return "which has the best figure"
        by = numbers.with_unit(metric.scale, metric.unit, one.change)
        said = f"{by} of {metric.called or metric.name} against {one.best}"
        if one.low == one.high:
            return f"{said}, exactly"
        return f"{said}, interval {numbers.plain_span(metric.scale, metric.unit, one.low, one.high)}"

    def _given_up(self, one: Candidate, having: Sequence[str]) -> list[str]:
        """Return what the best variant, or one that could be shipped as well, has and this one hasn't."""
        rows, name = self.asked.rows, one.variant
        said = []
        if one.change is not None and one.low != one.high:
            said.append(self._change(one))
        speed = "ticks" if rows[name]["latency_us_median"] is None else "latency"
        for metric in map(METRICS.__getitem__, (speed, *TIES)):
            values = {other: rows[other][metric.column] for other in having}
            if metric is self.axis or any(value is None for value in values.values()):
                continue
            least = min(values, key=values.__getitem__)
            margin = self.asked.policy.margin(metric, values[least])
            more = values[name] - values[least]
            if more > (margin * values[least] if metric.scale == "ratio" else margin):
                by = shown(metric, {**rows[name], metric.column: more}, self.group.counter)
                bare = shown(metric, rows[least], self.group.counter, bare=True)
                said.append(f"{by} ({least} takes {bare})")
        return said

    def _more(self, one: Candidate, *, named: bool = False) -> str:
        shown_by = f"{int(self.asked.rows[one.variant]['samples']):,} inputs don't show it"
        said = shown_by if named else f"{shown_by} of {one.variant}"
        if one.more_inputs is None:
            return f"{said}: {one.reason}."
        more = f"about {one.more_inputs:,} more inputs would, if the figures are what they seem"
        return f"{said} ({self._change(one)}); {more}."

    def _missed(self, name: str, bound: Bound) -> str:
        metric, row = METRICS[bound.metric], self.asked.rows[name]
        if metric.name in ("accuracy", "score") and self.asked.score is not None:
            metric = self.asked.score
        if row[metric.column] is None:
            return f"its {metric.name} is unknown"
        by = shown(metric, {**row, metric.column: abs(row[metric.column] - bound.value)}, self.group.counter, bare=True)
        return f"{shown(metric, row, self.group.counter)} is {by} {'over' if bound.most else 'below'} {bound.text}"


def shown(metric: Metric, row: CaseRow, counter: str, *, bare: bool = False) -> str:
    """Return a figure of a case with its unit and name; `bare`: without the name."""
    value = float(row[metric.column])
    if metric.unit == "ticks":
        return f"{numbers.count(value)} {counter}" + ("" if bare else " per inference")
    if metric.unit == "bytes":
        return f"{numbers.count(value)} bytes" + (
            "" if bare else f" of {'RAM' if metric.name == 'peak_ram' else 'flash'}"
        )
    if metric.unit in ("us", "uJ"):
        unit = {"us": "\u00b5s", "uJ": "\u00b5J"}[metric.unit]
        return f"{numbers.count(round(value, 1))} {unit}" + ("" if bare else f" {metric.name}")
    samples = int(row["samples"])
    if bare:
        return (
            f"{100 * value:.2g} points" if metric.unit == "share" else f"{numbers.figure(value)} {metric.unit}".rstrip()
        )
    low, high = row[f"{metric.column}_low"], row[f"{metric.column}_high"]
    known = low is not None and high is not None
    around = f" (95 % interval {numbers.scores(low, high, metric.unit, samples)})" if known else ""
    return f"{metric.called or metric.name} {numbers.score(value, metric.unit, samples)}{around}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def joined(words: Sequence[str], most: int | None = _NAMED) -> str:
    """Return words as they are said one after the other, the first few of many; `most` None: all of them."""
    if most is not None and len(words) > most + 1:
        words = [*words[:most], f"{len(words) - most} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
