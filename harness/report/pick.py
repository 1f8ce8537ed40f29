"""Which variant to ship: the cheapest that is not worse than the best by more than a tolerance, within a budget.

One function for the terminal, the page, the Markdown and `hil compare`. docs/comparing.md says how it decides.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from harness.config.pick import COUNTERS, Wish, parse_budget
from harness.errors import ConfigError
from harness.report.candidates import Candidate, Question, candidates, score_of
from harness.report.decide import Match, compare_sides
from harness.report.frame import Policy
from harness.report.groups import grouped
from harness.report.metrics import METRICS, Metric
from harness.report.pairing import side_maker
from harness.report.reasons import TIES, Reasons, joined
from harness.report.units import unit_spreads
from harness.store.results import plain_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.groups import Group
    from harness.report.units import Spreads
    from harness.store.results import Results

#: The tolerance where none is given, in least differences of interest.
_TOLERATED: Final = 2


@dataclass(frozen=True)
class Pick:
    """The variant of a group to ship.

    Attributes:
        suite: of the group.
        place: device or pool, backend and whether that is an emulator, in words.
        variant: None if there is none, or it can't be told yet.
        sentence: why, what is given up, and what can't be told yet.
        axis: name of the metric that it is the cheapest in.
        score: name of the metric that says how good its answers are; None: nothing was scored.
        tolerance: by how much that may be worse than the best.
        budget: the bounds that hold.
        level: at which intervals and claims hold for all variants together.
        more_inputs: about how many more would tell of the variant that is spoken of; None: it isn't known, or told.
        candidates: what is known of each variant that was measured completely.
    """

    suite: str
    place: str
    variant: str | None
    sentence: str
    axis: str
    score: str | None
    tolerance: float
    budget: tuple[str, ...]
    level: float
    more_inputs: int | None
    candidates: tuple[Candidate, ...]

    @property
    def line(self) -> str:
        """The sentence with what it is about."""
        return f"{self.suite} on {self.place}: {self.sentence}"

    @property
    def backend(self) -> str:
        """What the place ends with: the backend, and whether that is an emulator."""
        return self.place[self.place.rindex(", ", 0, self.place.rindex(" backend")) :]

    def plain(self) -> dict[str, Any]:
        """Return it as what JSON knows."""
        plain = asdict(self)
        for one, found in zip(plain["candidates"], self.candidates, strict=True):
            one["misses"] = [bound.text for bound, _ in found.misses]
        return plain


def picks(results: Results, wish: Wish | None = None, policy: Policy | None = None) -> list[Pick]:
    """Return the pick of each group that has several variants; see `pick`."""
    groups = grouped(results)
    check_wish(wish or Wish(), groups)
    spreads = unit_spreads(results)
    return [pick(results, group, wish, policy, spreads) for group in groups if len(group.cases) > 1]


def lines(found: Sequence[Pick]) -> list[str]:
    """Return the picks as they are printed: of a suite that ran on several boards those that say the same together.

    Of a variant that is the one to ship on several boards the figures are left to the report.
    """
    said = []
    for suite in dict.fromkeys(one.suite for one in found):
        ours = [one for one in found if one.suite == suite]
        every = [one for one in ours if one.candidates] or ours  # that a board measured nothing is said elsewhere
        alike: dict[str, list[Pick]] = {}
        for one in every:
            alike.setdefault(one.variant or one.sentence, []).append(one)
        for ones in alike.values():
            first = ones[0]
            if len(ones) == 1:
                said.append(first.line)
                continue
            backends = {one.backend for one in ones}
            names = [one.place.removesuffix(one.backend) if len(backends) == 1 else one.place for one in ones]
            places = f"{len(ones)} boards" if len(ones) == len(every) else joined(names, None)
            on = places + (first.backend if len(backends) == 1 else "")
            ship = f"Ship {first.variant}; `hil report` says why on each."
            said.append(f"{suite} on {on}: {first.sentence if first.variant is None else ship}")
    return said


def check_wish(wish: Wish, groups: Sequence[Group]) -> None:
    """Refuse what can't be meant of these groups.

    Raises:
        ConfigError: a bound on ticks where there are several counters; a tolerance where nothing was scored.
    """
    counters = sorted({group.counter for group in groups if len(group.complete)})
    for bound in wish.budget:
        if bound.metric == "ticks" and bound.counter is None and len(counters) > 1:
            ways = [f"{name}{bound.text[5:]}" for name, counter in COUNTERS.items() if counter in counters]
            raise ConfigError(f'"{bound.text}": these results have {" and ".join(counters)}; write {" or ".join(ways)}')
    rows = [plain_rows(group.complete) for group in groups if len(group.complete)]
    if wish.tolerance is not None and rows and not any(map(score_of, rows)):
        raise ConfigError("a tolerance needs a score that may be worse, and nothing was scored in these results")


def pick(
    results: Results,
    group: Group,
    wish: Wish | None = None,
    policy: Policy | None = None,
    spreads: Spreads | None = None,
) -> Pick:
    """Say which variant of a group to ship.

    Of those that keep the budget, and are shown at `policy`'s level to be worse than the best by no more than the
    tolerance, it is the cheapest on the axis; variants that are level there are told apart by RAM and flash. What the
    wish leaves open is as the suite says.
    """
    wish, policy = wish or Wish(), policy or Policy()
    said = group.run.suite(str(group.setup["suite"]))
    rows = {str(row["variant"]): row for row in plain_rows(group.complete)}
    score = score_of(rows.values())
    usual = METRICS["latency" if any(row["latency_us_median"] is not None for row in rows.values()) else "ticks"]
    axis = METRICS[wish.axis] if wish.axis else usual
    tolerance = wish.tolerance if wish.tolerance is not None else said.get("tolerance")
    if tolerance is None:
        values = [row[score.column] for row in rows.values() if row[score.column] is not None] if score else []
        best = (max if score and score.more_is_better else min)(values, default=None)
        tolerance = 0.0 if score is None else _TOLERATED * policy.margin(score, best)
    bounds = wish.budget or (parse_budget(str(said["budget"])) if said.get("budget") else ())
    side = side_maker(results)
    sides = {name: side(row) for name, row in rows.items()}
    asked = Question(rows, sides, score, tolerance, bounds, policy)
    words = Reasons(asked, group, axis)
    answer = Pick(
        str(group.setup["suite"]),
        f"{group.place}, {group.setup['backend']} backend{', emulated' if group.emulated else ''}",
        None,
        "",
        axis.name,
        score.name if score else None,
        tolerance,
        tuple(bound.text for bound in bounds),
        policy.level,
        None,
        (),
    )
    if len(rows) < 2:
        name = next(iter(rows), "No variant")
        only = f"Only {name} was measured completely" if rows else f"{name} was measured completely"
        return replace(answer, sentence=f"{only}, so there is nothing to choose from.")
    found = candidates(asked)
    answer = replace(answer, candidates=tuple(found.values()))
    within = [name for name, one in found.items() if one.status == "within"]
    having = [name for name in within if rows[name][axis.column] is not None]
    sources = sorted({str(rows[name]["power_source"]) for name in having})
    if axis.name == "energy" and len(sources) > 1:
        return replace(answer, sentence=words.unranked(f"energy from different sources ({joined(sources)})"))
    if not any(row[axis.column] is not None for row in rows.values()) or (within and not having):
        return replace(answer, sentence=words.unranked(words.missing((within or list(rows))[0])))
    spreads = unit_spreads(results) if spreads is None else spreads
    chosen, level = _cheapest(asked, having, axis, spreads) if having else (None, [])
    limit = float("inf") if chosen is None else float(rows[chosen][axis.column])
    opened = [
        name for name, one in found.items() if one.status == "open" and (rows[name][axis.column] or limit) < limit
    ]
    known = [name for name in opened if found[name].more_inputs is not None]
    first = found[_cheapest(asked, known, axis, spreads)[0]] if known else None
    if chosen is None:
        sentence = words.nobody(found, first)
    else:
        sentence = words.chosen(found[chosen], level, having, known, first)
    return replace(answer, variant=chosen, sentence=sentence, more_inputs=first.more_inputs if first else None)


def _cheapest(asked: Question, names: list[str], axis: Metric, spreads: Spreads) -> tuple[str, list[str]]:
    """Return the cheapest variant, and the others that are level with it on the axis."""
    left, level = names, names
    for metric in dict.fromkeys((axis, *(METRICS[name] for name in TIES))):
        having = [name for name in left if asked.rows[name][metric.column] is not None]
        if having:
            left = _level(asked, having, metric, spreads)
        level = left if metric is axis else level
    chosen = max(left, key=asked.better)
    return chosen, [name for name in level if name != chosen]


def _level(asked: Question, names: list[str], metric: Metric, spreads: Spreads) -> list[str]:
    """Return the variants that aren't shown to cost more than the one with the least figure."""
    cost = {name: float(asked.rows[name][metric.column]) for name in names}
    least = min(names, key=cost.__getitem__)
    margin = asked.policy.margin(metric, cost[least])
    if metric.test != "ticks":  # sizes are exact, and of an energy there is one figure
        most = cost[least] * (1 + margin) if metric.scale == "ratio" else cost[least] + margin
        return [name for name in names if cost[name] <= most]
    timed = "latency" if asked.rows[least]["counter"] == "cycles" else "ticks"
    pairs = [Match(asked.sides[least], asked.sides[name], (timed,)) for name in names if name != least]
    dearer = {row.b.variant for row in compare_sides(pairs, asked.policy, spreads)[0] if row.verdict == "worse"}
    return [name for name in names if name not in dearer]
