"""What two comparable cases say about one metric: an exact change, an estimate with an interval, or why nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from harness.config.subset import majority_share
from harness.errors import HilError
from harness.metrics.estimate import Estimate, quantile
from harness.metrics.shares import accuracy_difference
from harness.report.metrics import scored_by, task_of
from harness.report.pairing import counter_refusal, energy_refusal, missing
from harness.report.remarks import always_right, guessed
from harness.report.repeat import MAD_TO_SD
from harness.report.scores import by_chance, chance_level, firsts, read_of, targets_of
from harness.report.stats import ratio_of_medians, widened
from harness.report.units import other_units
from harness.schema import SIMULATED
from harness.store.place import place_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.report.frame import Policy, Repeatability, Verdict
    from harness.report.metrics import Metric
    from harness.report.pairing import Side
    from harness.report.units import UnitSpread

_FEWEST = 20

#: The caveat of a pair that two units of a board were measured for.
TWO_UNITS: Final = "measured on two units of the board"


@dataclass(frozen=True)
class Evidence:
    """What is known of a metric of a pair.

    Attributes:
        unit: unit of the values.
        samples: paired inputs that it rests on.
        change: ratio or difference, None if it can't be had.
        exact: whether chance has no part in it.
        estimate: the change with its interval, unless it is exact.
        verdict: where it is settled without looking at the interval: refused, or can't tell.
        reason: a sentence on why the verdict is so.
        averages: whether more inputs would narrow the interval.
        flips: of an accuracy, how many inputs only b, and only a, has right.
        caveats: what shakes trust in it, or may mislead.
        detail: the counts behind it, in words.
        units: by how much units differ, if the two sides were measured on two of them; None: not, or it isn't known.
    """

    unit: str
    samples: int = 0
    change: float | None = None
    exact: bool = False
    estimate: Estimate | None = None
    verdict: Verdict | None = None
    reason: str | None = None
    averages: bool = True
    flips: tuple[int, int] | None = None
    caveats: tuple[str, ...] = ()
    detail: str | None = None
    units: UnitSpread | None = None


@dataclass(frozen=True)
class Asked:
    """What is known of a pair beside its two sides, and how to decide.

    Attributes:
        repeat: how well each of the two repeats.
        between: what the figure varies by from run to run, a share; 0 if it is not known.
        units: by how much units of the board differ in it, None if that is not known or is what is asked.
        policy: margins, level and seed that decide.
        rng: random numbers of the bootstrap.
    """

    repeat: tuple[Repeatability | None, ...]
    between: float
    units: UnitSpread | None
    policy: Policy
    rng: np.random.Generator


def compare_metric(metric: Metric, a: Side, b: Side, asked: Asked) -> Evidence | None:
    """Return what a pair says of a metric, None if neither side has it. `a` is the side that is the baseline."""
    cycles = a.row["counter"] == "cycles"
    units = asked.units
    if units is not None and not (units.ratio > 1 and other_units(a.row, b.row)):
        units = None
    if metric.test == "ticks" and cycles != (metric.name == "latency"):
        return None  # one or the other: they are the same inferences
    if metric.name in ("accuracy", "score") and metric.name not in {scored_by(side.row["metric"]) for side in (a, b)}:
        return None
    if a.row[metric.column] is None and b.row[metric.column] is None:
        return None
    unit = a.row["counter"] if metric.name == "ticks" else metric.unit
    why = missing(metric, a.row, b.row)
    if why is not None:
        return Evidence(unit, verdict="can't tell", reason=f"can't tell: {why}")
    if metric.test == "accuracy":
        evidence = _accuracy(a, b, asked.policy)
    elif metric.test == "score":
        evidence = compare_scores(metric, a, b, asked)
    elif metric.test == "ticks":
        evidence = _ticks(unit, a, b, replace(asked, units=units))
    elif metric.test == "energy":
        evidence = _energy(unit, a, b)
    else:
        difference = float(b.row[metric.column]) - float(a.row[metric.column])
        evidence = Evidence(unit, change=difference, exact=True)
    return replace(evidence, caveats=(*evidence.caveats, *_general_caveats(metric, a, b)), units=units)


def _general_caveats(metric: Metric, a: Side, b: Side) -> tuple[str, ...]:
    caveats = []
    if a.row["engine"] != b.row["engine"]:
        caveats.append(f"different inference engines: {a.row['engine']} against {b.row['engine']}")
    if a.row["board"] != b.row["board"]:
        caveats.append(f"different kinds of board: {a.row['board']} against {b.row['board']}")
        return tuple(caveats)
    timed = metric.name in ("latency", "energy")
    for what in ("arena", "code") if timed else ():
        places = a.row[f"{what}_memory"], b.row[f"{what}_memory"]
        if None not in places and places[0] != places[1]:
            caveats.append(f"{what} in different memories: {places[0]} against {places[1]}")
    if other_units(a.row, b.row) and (timed or not _pooled(a, b)):
        caveats.append(TWO_UNITS)
    return tuple(caveats)


def _pooled(a: Side, b: Side) -> bool:
    return a.row["pool"] is not None and place_of(a.row) == place_of(b.row)


def _accuracy(a: Side, b: Side, policy: Policy) -> Evidence:
    left, right = a.firsts, b.firsts
    label = left["label"].to_numpy(dtype=np.int64)
    predictions = [side["prediction"].to_numpy(dtype=np.int64) for side in (left, right)]
    count = len(label)
    other = int(np.count_nonzero(predictions[0] != predictions[1]))
    if a.id.image_sha256 is not None and a.id.image_sha256 == b.id.image_sha256:
        if other:
            reason = f"can't tell: the same image gave another answer for {other:,} of {count:,} inputs"
            return Evidence("share", count, verdict="can't tell", reason=reason)
        return Evidence("share", count, 0.0, exact=True, detail="the same image")
    crcs = [side["output_crc"].to_numpy(dtype=np.float64, na_value=np.nan) for side in (left, right)]
    if bool(np.array_equal(crcs[0], crcs[1])) and not other:
        return Evidence("share", count, 0.0, exact=True, detail=f"all {count:,} outputs are equal to the bit")
    correct = [each == label for each in predictions]
    gained = int(np.count_nonzero(correct[1] & ~correct[0]))
    lost = int(np.count_nonzero(correct[0] & ~correct[1]))
    rights = [int(np.count_nonzero(side)) for side in correct]
    share = majority_share(label)
    if guessed(rights, count, share):
        reason = f"can't tell: neither is shown to be better than {always_right(share)}"
        change = (gained - lost) / count
        return Evidence("share", count, change, verdict="can't tell", reason=reason, averages=False)
    estimate = accuracy_difference(gained, lost, count, level=policy.level)
    note = f"of {count:,} inputs {gained:,} are right only now and {lost:,} only before; {other:,} answers differ"
    return Evidence("share", count, estimate.change, estimate=estimate, flips=(gained, lost), detail=note)


def compare_scores(metric: Metric, a: Side, b: Side, asked: Asked) -> Evidence:
    """Return what a pair says of the score of the suite's metric, by that metric's own paired test."""
    unit, count = metric.unit, len(firsts(b.samples))
    words = [str(side.row["metric"] or "top1") for side in (a, b)]
    if words[0] != words[1]:
        reason = f"can't tell: another metric, {words[1]} after {words[0]}"
        return Evidence(unit, count, verdict="can't tell", reason=reason)
    try:
        task, targets = task_of(words[1], asked.policy.own), targets_of(b)
        left, right = (read_of(task, side) for side in (a, b))
        change = float(b.row[metric.column]) - float(a.row[metric.column])
        same_image = a.id.image_sha256 is not None and a.id.image_sha256 == b.id.image_sha256
        if np.array_equal(left, right):
            detail = "the same image" if same_image else "what counts of the outputs is equal for every input"
            return Evidence(unit, count, change, exact=True, detail=detail)
        if same_image:
            other = int(np.count_nonzero((left != right).any(axis=1)))
            reason = f"can't tell: the same image gave another answer for {other:,} of {count:,} inputs"
            return Evidence(unit, count, verdict="can't tell", reason=reason)
        if by_chance(a.row) and by_chance(b.row):
            reason = f"can't tell: neither is shown to be better than chance ({chance_level(b.row):g})"
            return Evidence(unit, count, change, verdict="can't tell", reason=reason, averages=False)
        estimate = task.compare(left, right, targets, level=asked.policy.level, rng=asked.rng)
    except HilError as error:
        return Evidence(unit, count, verdict="can't tell", reason=f"can't tell: {error}")
    return Evidence(unit, count, estimate.change, estimate=estimate, detail=b.row["score_words"])


def _per_input(side: Side) -> NDArray[np.float64]:
    timed = side.samples[side.samples["ticks"].notna()]
    return timed.groupby("sample")["ticks"].median().sort_index().to_numpy(dtype=np.float64)


def _ticks(unit: str, a: Side, b: Side, asked: Asked) -> Evidence:
    why = counter_refusal(a.row, b.row)
    if why is not None:
        return Evidence(unit, verdict="refused", reason=f"refused: {why}")
    left, right = _per_input(a), _per_input(b)
    count = len(left)
    if count == 0 or count != len(right):
        reason = f"can't tell: {count:,} inputs were timed against {len(right):,}"
        return Evidence(unit, verdict="can't tell", reason=reason)
    noisy = [item for item in asked.repeat if item is not None and item.noisy]
    same_image = a.id.image_sha256 is not None and a.id.image_sha256 == b.id.image_sha256
    if a.row["backend"] != "hardware":
        return _counted(unit, left, right, same_image=same_image, noisy=noisy)
    estimate = ratio_of_medians(left, right, level=asked.policy.level, resamples=asked.policy.resamples, rng=asked.rng)
    caveats = tuple(dict.fromkeys(item.reason for item in noisy))
    spread = _pair_spread(left, right) if same_image else 0.0
    if spread > asked.policy.repeat_limit:
        caveats += (f"noisy: the same image spreads by {100 * spread:.2g} % between the two",)
    averages = not (caveats or asked.between or asked.units)
    if not averages:
        extra = [max(item.cv or 0.0, abs(item.drift or 0.0)) for item in noisy]
        if asked.units is not None:
            extra.append(math.log(asked.units.margin(asked.policy.level)) / quantile(asked.policy.level))
        estimate = widened(estimate, [*extra, spread, asked.between])
    if count < _FEWEST:
        caveats += (f"only {count} inputs",)
    return Evidence(unit, count, estimate.change, estimate=estimate, averages=averages, caveats=caveats)


def _counted(
    unit: str, left: NDArray[np.float64], right: NDArray[np.float64], *, same_image: bool, noisy: list[Repeatability]
) -> Evidence:
    """Compare instructions, which repeat exactly, input by input."""
    count = len(left)
    differ = int(np.count_nonzero(left != right))
    if noisy or (same_image and differ):
        found = noisy[0].reason if noisy else f"the same image counted otherwise for {differ:,} of {count:,} inputs"
        return Evidence(unit, count, verdict="can't tell", reason=f"can't tell: the emulator doesn't repeat: {found}")
    ratios = right / left
    more, less = int(np.count_nonzero(right > left)), int(np.count_nonzero(right < left))
    span = f"{100 * (ratios.min() - 1):+.2f} to {100 * (ratios.max() - 1):+.2f} %"
    note = (
        f"per input {span}; {more:,} of {count:,} inputs take more, {less:,} fewer" if differ else "every input equal"
    )
    change = float(np.median(right) / np.median(left))
    return Evidence(unit, count, change, exact=True, detail=note)


def _pair_spread(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Return the coefficient of variation of one inference, from two of the same image on each input."""
    ratios = np.log(right / left)
    return MAD_TO_SD * float(np.median(np.abs(ratios - np.median(ratios)))) / math.sqrt(2)


def _energy(unit: str, a: Side, b: Side) -> Evidence:
    why = energy_refusal(a.row, b.row)
    if why is not None:
        return Evidence(unit, verdict="refused", reason=f"refused: {why}")
    change = float(b.row["energy_uj"]) / float(a.row["energy_uj"])
    made = " of simulated energy" if a.row["power_source"] == SIMULATED else ""
    reason = f"can't tell: {100 * (change - 1):+.2f} %{made}, but one figure for each side says nothing of their spread"
    return Evidence(unit, change=change, verdict="can't tell", reason=reason)
