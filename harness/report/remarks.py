"""What a reader must know of the inputs and the accuracies of some cases; the same in the terminal and in a report.

An accuracy means nothing until the model is shown to know more than which class is the most frequent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from harness.measure.duty import duty_sentence
from harness.measure.input_columns import input_warnings
from harness.measure.interrupts import interrupt_warning
from harness.metrics.shares import binomial_tail
from harness.report.metrics import leading, scored_by
from harness.report.scores import by_chance, chance_level
from harness.report.stats import holm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    CaseRow = Mapping[str, Any]

#: Chance of taking any of several guessing variants for one that isn't.
_RISK: Final = 0.05


@dataclass(frozen=True)
class Caveat:
    """One thing to know.

    Attributes:
        title: what it is, in two or three words.
        text: what it means for the figures.
        tone: failed: figures are missing; warning: figures don't say what they seem to; note: good to know.
    """

    title: str
    text: str
    tone: Literal["failed", "warning", "note"]


def remarks(rows: Sequence[CaseRow]) -> list[Caveat]:
    """Return what is to be known of cases of one suite on one setup, warnings first.

    Rows of older runs, which lack a column, are not spoken of.
    """
    complete = [row for row in rows if row["status"] == "complete"]
    found = [
        *_random(complete),
        *_missing_classes(complete),
        *_ranges(complete),
        *_guessing(complete),
        *_chosen(complete),
        *_duty(complete),
        *_interrupted(complete),
    ]
    return sorted(found, key=lambda remark: remark.tone != "warning")


def _random(rows: Sequence[CaseRow]) -> Iterable[Caveat]:
    notes = dict.fromkeys(str(row.get("inputs_note")) for row in rows)
    for note in notes:
        if note.startswith("random"):
            text = f"The inputs are {note}. What depends on data may be another on real ones."
            yield Caveat("Random inputs", text, "warning")


def _missing_classes(rows: Sequence[CaseRow]) -> Iterable[Caveat]:
    known = [row for row in rows if row.get("classes_seen") is not None]
    for found, classes in sorted({(int(row["classes_seen"]), int(row["classes"])) for row in known}):
        if found < classes:
            score = leading(row.get("metric") for row in known)
            what = (score.called or score.name) if score else "score"
            text = f"Only {found} of {classes} classes occur among the inputs: the {what} says nothing of the others."
            yield Caveat("Missing classes", text, "warning")


def _ranges(rows: Sequence[CaseRow]) -> Iterable[Caveat]:
    """Yield the warnings on the range of the inputs; variants that are warned of in the same words stand together."""
    alike: dict[str, list[str]] = {}
    for row in rows:
        for sentence in input_warnings(row):
            alike.setdefault(sentence, []).append(str(row["variant"]))
    for sentence, names in alike.items():
        yield Caveat("Inputs out of range", f"{', '.join(names)}: {sentence}.", "warning")


def _guessing(rows: Sequence[CaseRow]) -> Iterable[Caveat]:
    known = [row for row in rows if row.get("majority_share") is not None or chance_level(row) is not None]
    poor = guessing(known)
    if poor:
        yield Caveat("Chance level", f"{guessing_sentence(poor, len(known))}.", "warning")


def _chosen(rows: Sequence[CaseRow]) -> Iterable[Caveat]:
    """Say which part of the inputs was used, if fewer than all were asked for."""
    asked_for = [row for row in rows if row.get("samples_asked") is not None]
    names = ("samples_asked", "samples", "classes_seen", "classes")
    for asked, samples, found, classes in sorted({tuple(int(row[name] or 0) for name in names) for row in asked_for}):
        if classes == 0 and asked <= samples:
            yield Caveat("Part of the inputs", f"{samples:,} of the suite's inputs were used.", "note")
        elif asked > samples:
            text = f"{asked:,} inputs were asked for; the suite has {samples:,}, and all of them were used."
            yield Caveat("All inputs", text, "note")
        else:
            text = (
                f"{samples:,} of the suite's inputs were used: of each class its share, {found} of {classes} classes."
            )
            yield Caveat("Part of the inputs", text, "note")


def _duty(rows: Sequence[CaseRow]) -> Iterable[Caveat]:
    """Say what a period makes of each case, and that a model with state was run without its past."""
    for row in rows:
        if (sentence := duty_sentence(row)) is not None:
            yield Caveat("Duty cycle", f"{row['variant']}: {sentence}.", "warning" if row.get("late") else "note")
    if any("has state" in str(row.get("inputs_note")) for row in rows):
        text = 'The state of the models is reset before each input. A suite with "sequence:" runs them step by step.'
        yield Caveat("State", text, "note")


def _interrupted(rows: Sequence[CaseRow]) -> Iterable[Caveat]:
    for row in rows:
        if (sentence := interrupt_warning(row)) is not None:
            yield Caveat("Interrupts", f"{row['variant']}: {sentence}.", "warning")


def guessing(rows: Sequence[CaseRow]) -> list[CaseRow]:
    """Return the rows that are not shown to be better than always answering the most frequent class.

    Against that share of the labels, each accuracy has an exact one-sided binomial test. The share is at least
    1 / classes, and no answer that doesn't look at the input is right more often. Several variants are tested together
    (Holm 1979), so that of any number of variants that guess, one passes in at most 5 % of the cases.

    Of another metric than top-1 the row is returned if its interval reaches down to what such an answer scores, where
    that is known. Rows of older runs, without `majority_share`, are left out.
    """
    by_accuracy = [
        row
        for row in rows
        if scored_by(row.get("metric")) == "accuracy"
        and row.get("majority_share") is not None
        and row.get("accuracy") is not None
    ]
    tails = [
        binomial_tail(round(row["accuracy"] * row["samples"]), int(row["samples"]), row["majority_share"])
        for row in by_accuracy
    ]
    poor = [row for row, tail in zip(by_accuracy, holm(tails), strict=True) if tail > _RISK]
    return poor or [row for row in rows if by_chance(row)]


def guessed(correct: Sequence[int], samples: int, share: float) -> bool:
    """Whether none of several models is shown to be better than always answering the most frequent class.

    Args:
        correct: how many of the inputs each has right.
        samples: inputs in all.
        share: of the most frequent class among their labels.
    """
    return min(holm([binomial_tail(count, samples, share) for count in correct])) > _RISK


def always_right(*shares: float) -> str:
    """Return in words what always answering the most frequent class scores, given the share of that class."""
    percents = sorted({f"{100 * share:.1f}" for share in shares}, key=float)
    return f"always answering the most frequent class of these labels ({' to '.join(percents)} % right)"


def guessing_sentence(rows: Sequence[CaseRow], total: int) -> str:
    """Say that variants are not better than guessing, and what guessing gives."""
    if scored_by(rows[0].get("metric")) == "accuracy":
        always, one, several = always_right(*(row["majority_share"] for row in rows)), "an accuracy", "accuracies"
    else:
        always, one, several = f"one that doesn't look at its input ({chance_level(rows[0]):g})", "a score", "scores"
    if len(rows) == total > 1:
        return f"No variant is shown to be better than {always}: their {several} may be chance"
    names = ", ".join(str(row["variant"]) for row in rows)
    verb = "is" if len(rows) == 1 else "are"
    return f"{names} {verb} not shown to be better than {always}: {one} like that may be chance"
