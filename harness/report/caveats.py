"""What a reader must know before believing a figure. Each caveat stands where it applies, and at the top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.measure.reference import low_agreement
from harness.report.counters import MEANINGS
from harness.report.groups import records
from harness.report.remarks import Caveat, remarks
from harness.report.units import CAUSES, spread_of
from harness.report.why_skipped import unfit
from harness.store.folders import injected_faults, pruned
from harness.store.place import unit_of
from harness.store.results import plain_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.report.frame import Comparison
    from harness.report.groups import Group

#: An interval of the accuracy that is wider than this (a share) calls for more samples.
_WIDE = 0.08

_NAMED = 4


def caveats(group: Group, comparison: Comparison) -> list[Caveat]:
    """Return what applies to a group, the worst first."""
    return [
        *_faults(group),
        *_incomplete(group),
        *_judged(group),
        *_disagreeing(comparison),
        *_unlike(group),
        *_emulated(group),
        *_power(group),
        *_units(group, comparison),
        *_noisy(comparison),
        *remarks(plain_rows(group.cases)),
        *_few_samples(group),
        *_refused(group, comparison),
        *_troubled(group),
        *_run(group),
    ]


def _faults(group: Group) -> Iterable[Caveat]:
    faults = injected_faults(group.run.about)
    if faults is not None:
        yield Caveat("Faults injected", f"On purpose: {_sentence(faults)} This run is no measurement.", "failed")
    if group.faulty:
        yield Caveat("Runs left out", f"Faults were injected into {', '.join(group.faulty)} on purpose.", "note")


def _incomplete(group: Group) -> Iterable[Caveat]:
    """Name the cases without figures, those with the same reason together."""
    alike: dict[tuple[str, str], list[str]] = {}
    rows = plain_rows(group.cases[group.cases["status"] != "complete"])
    if said := unfit(rows):
        yield Caveat("Can't run there", _sentence(f"Skipped on {group.setup['place']}: {said}"), "warning")
    for row in (row for row in rows if not unfit([row])):
        alike.setdefault((str(row["status"]), _sentence(str(row["reason"]))), []).append(str(row["variant"]))
    for (status, reason), names in alike.items():
        if len(names) == 1:
            yield Caveat(f"{names[0]} {status}", reason, "failed")
        else:
            yield Caveat(f"{len(names)} cases {status}", f"{', '.join(names)}: {reason}", "failed")


def _judged(group: Group) -> Iterable[Caveat]:
    """Say which cases are over a limit of their suite or of the gate, and which could not be held against one."""
    rows = plain_rows(group.cases)
    for row in rows:
        if row["verdict"] == "failed":
            yield Caveat(f"{row['variant']}: over a limit", _sentence(str(row["verdict_reason"])), "failed")
    for row in rows:
        if row["verdict"] == "unchecked":
            yield Caveat(f"{row['variant']}: limits not checked", _sentence(str(row["verdict_reason"])), "note")


def _emulated(group: Group) -> Iterable[Caveat]:
    if group.emulated:
        yield Caveat(
            "Emulated",
            f"No board was used. {group.counter.capitalize()} are {MEANINGS.get(group.counter, 'what it counts')}, and "
            "neither latency nor energy follows from them. Predictions, flash and RAM come from the same firmware that "
            "a board would run.",
            "warning",
        )


def _power(group: Group) -> Iterable[Caveat]:
    rows = group.complete
    measured = rows[rows["energy_uj"].notna()]
    simulated = measured[measured["power_source"].fillna("").str.contains("simulated", case=False)]
    if len(simulated):
        text = "The energy figures were made by a simulated power monitor. They say nothing about a real board."
        notes = "; ".join(simulated["power_note"].dropna().unique()) if "power_note" in simulated.columns else ""
        text += f" What it assumes: {_sentence(notes)}" if notes else ""
        yield Caveat("Simulated power", text, "warning")
    if len(measured["power_source"].dropna().unique()) > 1:
        sources = ", ".join(sorted(measured["power_source"].dropna().unique()))
        yield Caveat("Mixed power", f"Energy comes from different sources ({sources}): it is not compared.", "warning")


def _disagreeing(comparison: Comparison) -> Iterable[Caveat]:
    if comparison.disagreements:
        text = f"{_some(comparison.disagreements)}. One of them, or what emulates it, is wrong."
        yield Caveat("Boards disagree", f"{text} Find out which before using any figure of these boards.", "failed")


def _unlike(group: Group) -> Iterable[Caveat]:
    """Name the variants that don't predict what their reference does."""
    for row in plain_rows(group.complete):
        said = low_agreement(row)
        if said is not None:
            yield Caveat("Unlike the reference", _sentence(f"{row['variant']}: {said}"), "failed")


def _units(group: Group, comparison: Comparison) -> Iterable[Caveat]:
    """Say that several units of a real board were used, and by how much units differ if that is known."""
    rows = plain_rows(group.complete)
    count = len({unit_of(row) for row in rows})
    if group.emulated or count < 2:
        return
    text = (
        f"The variants were measured on {count} units of the board: differences between units ({CAUSES}) are in every "
        "comparison of latency and energy."
    )
    known = {metric: spread_of(comparison.spreads, metric, rows[0]) for metric in ("latency", "energy")}
    said = [f"{metric}: {spread.words}" for metric, spread in known.items() if spread is not None]
    if said:
        words = "; ".join(said)
        text += f" {words[0].upper()}{words[1:]}. A smaller difference between units is not called real."
    else:
        text += " How large they are is not known, as no image was measured on several units; --each measures that."
    yield Caveat("Several units", text, "warning")


def _noisy(comparison: Comparison) -> Iterable[Caveat]:
    noisy = {item.case.variant: item.reason for item in comparison.repeatability if item.noisy}
    if noisy:
        said = _some([f"{name}: {reason}" for name, reason in noisy.items()])
        yield Caveat("Noisy board", f"{said}. Differences of this size mean nothing.", "warning")


def _few_samples(group: Group) -> Iterable[Caveat]:
    score = group.score
    if score is None or score.unit != "share":
        return
    name = score.called or "an accuracy"
    rows = group.complete.dropna(subset=[f"{score.column}_low", f"{score.column}_high"])
    if rows.empty:
        return
    width = (rows[f"{score.column}_high"] - rows[f"{score.column}_low"]).max()
    if width > _WIDE:
        count = int(rows["samples"].min())
        text = f"With {count:,} inputs {name} is known only to within {100 * width / 2:.1f} points either way."
        yield Caveat("Few samples", text, "warning")
    if len(rows["samples"].unique()) > 1:
        low, high = int(rows["samples"].min()), int(rows["samples"].max())
        what = "accuracies" if score.name == "accuracy" else "scores"
        text = f"Variants ran on {low:,} to {high:,} inputs: {what} over different inputs can't be compared."
        yield Caveat("Different inputs", text, "warning")


def _refused(group: Group, comparison: Comparison) -> Iterable[Caveat]:
    """Say what was not compared and why, but for cases that are not complete: these are said to be."""
    complete = set(group.complete["variant"])
    reasons: dict[str, list[str]] = {}
    for row in comparison.rows:
        if row.verdict == "refused" and {row.a.variant, row.b.variant} <= complete:
            what = "" if row.metric == "all" else f" ({row.name.replace('_', ' ')})"
            reasons.setdefault(row.reason.removeprefix("refused: "), []).append(
                f"{row.b.variant} with {row.a.variant}{what}"
            )
    for reason, names in reasons.items():
        who = ", ".join(dict.fromkeys(names))
        yield Caveat("Not compared", _sentence(f"{who}: {reason}"), "warning")
    for text in comparison.unmatched:
        yield Caveat("No baseline", _sentence(text), "note")


def _troubled(group: Group) -> Iterable[Caveat]:
    rows = group.cases
    again = rows[rows["attempts"].fillna(1) > 1]
    if len(again):
        names = ", ".join(f"{row['variant']} ({row['attempts']})" for row in records(again))
        yield Caveat(
            "Repeated attempts",
            f"These were started more than once, because the infrastructure failed or pytest was asked to: {names}.",
            "note",
        )
    missing = rows[(rows["status"] == "complete") & rows["ram_reason"].notna()]
    for reason in missing["ram_reason"].unique():
        names = ", ".join(missing.loc[missing["ram_reason"] == reason, "variant"])
        yield Caveat("RAM incomplete", f"{names}: {_sentence(str(reason))}", "note")


def _run(group: Group) -> Iterable[Caveat]:
    about = group.run.about
    if about.get("state") == "recovered":
        yield Caveat("Recovered run", "The run was killed and finished from its journal.", "note")
    gone = pruned(about)
    if gone is not None:
        text = f"Its samples were pruned on {gone.on}: nothing can be compared input by input any more."
        yield Caveat("Samples pruned", text, "warning")
    damaged = about.get("damaged_lines")
    if isinstance(damaged, int) and damaged:
        yield Caveat("Damaged journal", f"{damaged:,} damaged lines of the run's journal were left out.", "note")
    if str(about.get("git_revision", "")).endswith("+"):
        text = "Files differed from the revision that is named: the run can't be traced to it alone."
        yield Caveat("Uncommitted files", text, "note")


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - _NAMED
    return "; ".join(texts[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
