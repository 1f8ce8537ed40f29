"""The same variants on several boards: what each technique does on each of them, side by side and in words.

A ratio is always that of two cases on one board. What one board counts is never held against what another one does:
instructions of two cores, or instructions and cycles, are not the same work.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from harness.config.chip import CORE_TITLES, shipped_chips
from harness.report.answers_across import outputs_sentence
from harness.report.compare import compare_variants
from harness.report.groups import grouped
from harness.report.reasons import joined
from harness.report.why_skipped import why_not
from harness.store.results import plain_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.report.frame import Row, Verdict
    from harness.report.groups import Group
    from harness.store.results import Results

    CaseRow = dict[str, Any]

#: What is said once, wherever ratios of several boards stand beside each other.
MEANING: Final = (
    "Each ratio is that of two variants on one board; what two boards count is never held against each other. Ratios "
    'are real differences unless "about" or "perhaps" stands there (docs/comparing.md).'
)
#: Sizes whose ratios differ by less than this factor are said as a range.
_CLOSE: Final = 1.1
#: So many boards that read alike are named one by one; more are "the others".
_NAMED: Final = 2


@dataclass(frozen=True)
class Place:
    """Where a column was measured.

    Attributes:
        name: device or pool; with its backend if the same name was measured on another one, too.
        about: its core and what its code lacks, in words; "" if nothing is known.
        unit: what was counted there: instructions, emulated cycles, or measured cycles.
    """

    name: str
    about: str
    unit: str


@dataclass(frozen=True)
class Effect:
    """A variant against its baseline, both measured at one place.

    Attributes:
        place: where.
        ticks: ratio of what was counted; None if there is none.
        verdict: whether that is a real difference.
        ram: ratio of the peak RAM.
        ram_verdict: whether that is one.
        flash: ratio of the flash.
        missing: why there is nothing, in words; "" if there is.
    """

    place: Place
    ticks: float | None = None
    verdict: Verdict | None = None
    ram: float | None = None
    ram_verdict: Verdict | None = None
    flash: float | None = None
    missing: str = ""

    def figure(self, metric: Literal["ticks", "ram"]) -> tuple[float | None, Verdict | None]:
        """Return a ratio, and whether it is a real difference."""
        return (self.ticks, self.verdict) if metric == "ticks" else (self.ram, self.ram_verdict)


@dataclass(frozen=True)
class Technique:
    """A variant against the one that it was made from, its baseline; effects are in the order of the places."""

    variant: str
    technique: str
    baseline: str
    effects: tuple[Effect, ...]

    @property
    def sentence(self) -> str:
        """What it does on each board, in words."""
        parts = [_spoken(self.effects, "ticks"), _spoken(self.effects, "ram")]
        gone: dict[str, list[str]] = {}
        for one in self.effects:
            if one.missing:
                gone.setdefault(one.missing, []).append(one.place.name)
        parts += [f"nothing on {joined(names, None)}: {why}" for why, names in gone.items()]
        return f"{self.variant} against {self.baseline}: {'; '.join(part for part in parts if part)}."


@dataclass(frozen=True)
class SideBySide:
    """What the techniques of a suite do on each of several boards.

    Attributes:
        suite: its task.
        places: the boards, in the order in which they were measured.
        techniques: each variant that has a baseline.
        remarks: sentences on whether the boards' outputs are equal, and on boards that measured nothing.
    """

    suite: str
    places: tuple[Place, ...]
    techniques: tuple[Technique, ...]
    remarks: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """All of it in words."""
        return [f"{self.suite} on {self.boards}:", *(one.sentence for one in self.techniques), *self.remarks]

    @property
    def boards(self) -> str:
        """The boards, those that are alike together, with what they are."""
        alike: dict[str, list[str]] = {}
        for place in self.places:
            alike.setdefault(place.about, []).append(place.name)
        return joined([f"{', '.join(names)}{f' ({about})' if about else ''}" for about, names in alike.items()], None)


def side_by_side(results: Results, groups: Sequence[Group], rows: Iterable[Row]) -> list[SideBySide]:
    """Put what techniques do on several kinds of board side by side, for each suite that ran on at least two.

    Args:
        results: that the groups are of; their samples say whether outputs are equal.
        groups: of cases that can be compared.
        rows: the verdicts on each variant against its baseline.
    """
    verdicts = {(row.b.run, row.b.case, row.a.variant, row.metric): row for row in rows if row.a.run == row.b.run}
    found = []
    for suite in dict.fromkeys(str(group.setup["suite"]) for group in groups):
        mine = [group for group in groups if group.setup["suite"] == suite]
        measured = [group for group in mine if len(group.complete)]
        if len({group.setup["board"] for group in measured}) > 1:
            found.append(_of_suite(results, suite, measured, mine, verdicts))
    return found


def across_boards(results: Results) -> list[SideBySide]:
    """Return the same for the newest run of each suite in some results; nothing where no suite ran on several kinds."""
    complete = results.cases[results.cases["status"] == "complete"]
    if complete.empty or complete.groupby("suite")["board"].nunique().max() < 2:
        return []
    return side_by_side(results, grouped(results), compare_variants(results).rows)


def _of_suite(
    results: Results,
    suite: str,
    measured: Sequence[Group],
    every: Sequence[Group],
    verdicts: dict[tuple[str, int, str, str], Row],
) -> SideBySide:
    counts = Counter(str(group.setup["place"]) for group in measured)
    places = [_place(group, alone=counts[str(group.setup["place"])] == 1) for group in measured]
    cases = [{str(row["variant"]): row for row in plain_rows(group.cases.sort_values("case"))} for group in measured]
    pairs = {
        (name, str(row["baseline"])): str(row["technique"] or "")
        for rows in cases
        for name, row in rows.items()
        if row["baseline"] is not None
    }
    techniques = tuple(
        Technique(
            name,
            technique,
            baseline,
            tuple(_effect(at, rows, name, baseline, verdicts) for at, rows in zip(places, cases, strict=True)),
        )
        for (name, baseline), technique in pairs.items()
    )
    said = (outputs_sentence(results, [place.name for place in places], cases), *_nothing(every))
    return SideBySide(suite, tuple(places), techniques, tuple(sentence for sentence in said if sentence))


def _place(group: Group, *, alone: bool) -> Place:
    """Return what is to be known of where a group was measured."""
    setup, kind = group.setup, group.run.board(str(group.setup["board"]))
    chip = shipped_chips().get(str(kind.get("twin")))
    core = str(kind.get("mcu") or "")
    if chip is not None:
        core = chip.emulated_core if group.emulated else CORE_TITLES[chip.cpu]
    build = kind.get("build")
    options = build.get("cpu") if isinstance(build, dict) else None
    hard = ("-mfpu=", "-mfloat-abi=hard", "-mfloat-abi=softfp")
    soft = isinstance(options, list) and not any(str(option).startswith(hard) for option in options)
    engine = str(setup["engine"] or "").partition("(")[2].rstrip(")")
    about = ", ".join(part for part in (core, "float in software" if soft else "", engine) if part)
    name = str(setup["place"]) if alone else f"{setup['place']} ({setup['backend']})"
    unit = group.counter if group.emulated else f"measured {group.counter}"
    return Place(name, about, unit)


def _effect(
    place: Place,
    rows: dict[str, CaseRow],
    name: str,
    baseline: str,
    verdicts: dict[tuple[str, int, str, str], Row],
) -> Effect:
    """Hold a variant against its baseline at one place."""
    for one in (name, baseline):
        if one not in rows:
            return Effect(place, missing=f"{one} was not run")
        if rows[one]["status"] != "complete":
            return Effect(place, missing=_why(one, rows[one]))
    a, b = rows[baseline], rows[name]
    metrics = ("all", "ticks", "latency", "peak_ram")
    mine = {metric: verdicts.get((b["run"], b["case"], baseline, metric)) for metric in metrics}
    refused = mine["all"]
    if refused is not None:
        return Effect(place, missing=refused.reason)
    timed = mine["ticks"] or mine["latency"]
    return Effect(
        place,
        None if timed is None else timed.change,
        None if timed is None else timed.verdict,
        _ratio(b["ram_peak_bytes"], a["ram_peak_bytes"]),
        None if mine["peak_ram"] is None else mine["peak_ram"].verdict,
        _ratio(b["flash_bytes"], a["flash_bytes"]),
        "" if timed is not None and timed.change is not None else f"{name} has no count that could be compared",
    )


def _ratio(value: float | None, base: float | None) -> float | None:
    return float(value) / float(base) if value is not None and base else None


def _why(name: str, row: CaseRow) -> str:
    """Say in a few words why a case wasn't measured."""
    reason = str(row["reason"])
    short = why_not(reason)
    if short is not None:
        return f"{name} is {short}" if short.startswith("too large") else f"{short} of {name}"
    return f"{name} {row['status']}: {reason.partition(';')[0].partition(' (')[0].splitlines()[0]}"


def _nothing(groups: Sequence[Group]) -> Iterable[str]:
    """Say which boards measured nothing of a suite, and why."""
    gone: dict[str, list[str]] = {}
    for group in groups:
        if not len(group.complete):
            why = joined([f"{reason}{count}" for reason, count in _reasons(group).items()], None)
            gone.setdefault(why, []).append(str(group.setup["place"]))
    for why, names in gone.items():
        yield f"Nothing was measured on {joined(list(dict.fromkeys(names)), None)}: {why.removesuffix('.')}."


def _reasons(group: Group) -> dict[str, str]:
    """Return why a board measured nothing: each reason, and of how many variants it is the reason if not of all."""
    counts: Counter[str] = Counter()
    for reason in map(str, group.cases["reason"]):
        short = why_not(reason)
        told = reason.partition(" (")[0].removesuffix(f" for {group.setup['board']}")
        counts[told if short is None else short.partition(" by ")[0].partition(" for ")[0]] += 1
    some = {reason: f" ({count} variant{'s' * (count > 1)})" for reason, count in counts.items()}
    return some if len(counts) > 1 else dict.fromkeys(counts, "")


def _spoken(effects: Sequence[Effect], metric: Literal["ticks", "ram"]) -> str:
    """Return ratios with the boards that have them: those that read alike together, sizes that are close as a range."""
    found = [(one.place, *one.figure(metric)) for one in effects]
    known = [(place, value, verdict) for place, value, verdict in found if value is not None]
    ratios = [value for _, value, _ in known]
    exactly = all(ratio == 1 for ratio in ratios)
    alike: dict[tuple[str, str], list[str]] = {}
    for place, value, verdict in known:
        unit = place.unit if metric == "ticks" else "peak RAM"
        same = "" if verdict != "same" else "the same" if exactly else "about the same"
        doubt = "" if verdict in ("better", "worse") else "perhaps "
        alike.setdefault((unit, same or f"{doubt}{shown(value)}"), []).append(place.name)
    real = all(verdict in ("better", "worse") for _, _, verdict in known)
    if metric == "ram" and len(alike) > 1 and real and max(ratios) / min(ratios) < _CLOSE:
        return f"{shown(min(ratios))} to {shown(max(ratios))} the peak RAM"
    parts, said = [], ""
    most = max(alike.items(), key=lambda item: len(item[1]), default=None)
    rest = most is not None and len(most[1]) > _NAMED and len(alike) > 1  # named last, as the others
    for key, names in sorted(alike.items(), key=lambda item: rest and item == most):
        unit, figure = key
        what = f"{figure} {unit}" if figure.endswith("the same") else figure if unit == said else f"{figure} the {unit}"
        on = "the others" if rest and (key, names) == most else joined(names, None)
        parts.append(what if len(alike) == 1 and len(names) > 1 else f"{what} on {on}")
        said = unit
    return ", ".join(parts)


def shown(ratio: float) -> str:
    """Return a ratio in two or three digits: 0.62x, 0.025x, 12.3x; one that isn't 1 never reads 1.00x."""
    if ratio >= 100:
        return f"{ratio:,.0f}x"
    if ratio >= 10:
        return f"{ratio:.1f}x"
    if ratio < 0.095:
        return f"{ratio:.2g}x"
    text = f"{ratio:.2f}"
    return f"{text if text != '1.00' or ratio == 1 else f'{ratio:.4f}'}x"
