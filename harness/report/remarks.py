"""What a reader must know of the inputs and the accuracies of some cases; the same in the terminal and in a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.measure.input_columns import input_warnings
from harness.report.chance import guessing, guessing_sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    CaseRow = Mapping[str, Any]


@dataclass(frozen=True)
class Remark:
    """One thing to know: what it is in a few words, a sentence, and whether figures don't say what they seem to."""

    title: str
    text: str
    tone: Literal["warning", "note"]


def remarks(rows: Sequence[CaseRow]) -> list[Remark]:
    """Return what is to be known of cases of one suite on one setup, warnings first.

    Args:
        rows: of the case table; those of older runs, which lack a column, are not spoken of.
    """
    complete = [row for row in rows if row["status"] == "complete"]
    found = [*_missing_classes(complete), *_ranges(complete), *_guessing(complete), *_chosen(complete)]
    return sorted(found, key=lambda remark: remark.tone != "warning")


def _missing_classes(rows: Sequence[CaseRow]) -> Iterable[Remark]:
    known = [row for row in rows if row.get("classes_seen") is not None]
    for found, classes in sorted({(int(row["classes_seen"]), int(row["classes"])) for row in known}):
        if found < classes:
            text = f"Only {found} of {classes} classes occur among the inputs: the accuracy says nothing of the others."
            yield Remark("Missing classes", text, "warning")


def _ranges(rows: Sequence[CaseRow]) -> Iterable[Remark]:
    """Yield the warnings on the range of the inputs; variants that are warned of in the same words stand together."""
    alike: dict[str, list[str]] = {}
    for row in rows:
        for sentence in input_warnings(row):
            alike.setdefault(sentence, []).append(str(row["variant"]))
    for sentence, names in alike.items():
        yield Remark("Inputs out of range", f"{', '.join(names)}: {sentence}.", "warning")


def _guessing(rows: Sequence[CaseRow]) -> Iterable[Remark]:
    known = [row for row in rows if row.get("majority_share") is not None]
    poor = guessing(known)
    if poor:
        yield Remark("Chance level", f"{guessing_sentence(poor, len(known))}.", "warning")


def _chosen(rows: Sequence[CaseRow]) -> Iterable[Remark]:
    """Say which part of the inputs was used, if fewer than all were asked for."""
    asked_for = [row for row in rows if row.get("samples_asked") is not None]
    names = ("samples_asked", "samples", "classes_seen", "classes")
    for asked, samples, found, classes in sorted({tuple(int(row[name]) for name in names) for row in asked_for}):
        if asked > samples:
            text = f"{asked:,} inputs were asked for; the suite has {samples:,}, and all of them were used."
            yield Remark("All inputs", text, "note")
        else:
            text = (
                f"{samples:,} of the suite's inputs were used: of each class its share, {found} of {classes} classes."
            )
            yield Remark("Part of the inputs", text, "note")
