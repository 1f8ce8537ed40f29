"""The search: every candidate's cost is measured first, and only those within the budgets are trained."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from harness.config import load_suite
from harness.errors import ConfigError, HilError, StoreError
from harness.farm.lab_access import LabAccess
from harness.files.replacing import replacing
from harness.image.elf import load_image
from harness.locks.waiting import NOW
from harness.measure.limits import check_limits
from harness.report.pareto import front
from harness.run.options import Options
from harness.run.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.boards.backends import Wanted
    from harness.config import Suite
    from harness.config.suite import Limits
    from harness.locks.waiting import Patience
    from harness.search.making import Maker, Stage
    from harness.search.space import Candidate

Verdict = Literal["front", "dominated", "over a limit", "not trained", "failed"]

#: What candidates are compared in, by column of the results: 1 where more is better, -1 where less is.
AXES: Final = {"accuracy": 1, "ticks_median": -1, "ram_peak_bytes": -1, "flash_bytes": -1}
_ACCURACY = ("accuracy", "accuracy_low", "accuracy_high")
_COST_SAMPLES = 3
_COST_COLUMNS = ("ticks_median", "ram_peak_bytes", "flash_bytes")


@dataclass(frozen=True)
class Judged:
    """What became of a candidate.

    Attributes:
        candidate: which.
        verdict: "front": no other candidate is at least as good in accuracy, ticks, RAM and flash.
        reason: why it isn't on the front; "" for what is.
        row: the case row of its last measurement; None if it was never measured. Its accuracy counts only where
            `trained`.
        trained: whether it was trained.
        macs: multiply-accumulates, as the image's card says.
    """

    candidate: Candidate
    verdict: Verdict
    reason: str
    row: Mapping[str, Any] | None = None
    trained: bool = False
    macs: int | None = None


@dataclass(frozen=True)
class Search:
    """How a search is done.

    Attributes:
        maker: makes the candidates.
        device: a device or kind.
        backend: where it runs.
        lab_file: devices.yaml.
        limits: budgets, by column of the results.
        most_trained: train at most so many, those with the most multiply-accumulates; None: all.
        samples: validation inputs used; None: all.
        say: called with each line of progress.
        patience: whether to wait while somebody else has the board.
        elsewhere: measures the variants of a suite on other boards all at once: told the suite, how many samples, and
            the folder of the runs, it yields the name of each with its row, or with why it has none. None: on `device`.
    """

    maker: Maker
    device: str
    backend: Wanted
    lab_file: Path | None
    limits: Limits
    most_trained: int | None
    samples: int | None
    say: Callable[[str], None]
    patience: Patience = NOW
    elsewhere: Callable[[Suite, int | None, Path], Iterator[tuple[str, Mapping[str, Any] | str]]] | None = None


def run_search(search: Search, candidates: Sequence[Candidate]) -> list[Judged]:
    """Measure, train and judge candidates; write search.json and front.yaml into the maker's folder.

    Returns:
        One verdict per candidate, in their order.

    Raises:
        HilError: the device or the backend is wrong, or results can't be written. A candidate that fails is judged so.
    """
    judged: dict[str, Judged] = {}
    affordable = _measure(search, candidates, "cost", judged)
    chosen = _choose(search, affordable, judged)
    trained = _measure(search, [each.candidate for each in chosen], "train", judged)
    rows = pd.DataFrame([_figures(each) for each in trained], columns=list(AXES))
    best = front(rows, AXES)
    for index, each in enumerate(trained):
        verdict: Verdict = "front" if best[index] else "dominated"
        reason = "" if best[index] else _dominator(trained, rows, best, index)
        judged[each.candidate.name] = replace(each, verdict=verdict, reason=reason)
    result = [judged[candidate.name] for candidate in candidates]
    _write(search, result)
    return result


def _measure(search: Search, candidates: Sequence[Candidate], stage: Stage, judged: dict[str, Judged]) -> list[Judged]:
    """Make and measure candidates; those that fail or break a limit are judged, the others returned."""
    made: dict[str, tuple[Candidate, int | None]] = {}
    for number, candidate in enumerate(candidates, 1):
        verb = "training" if stage == "train" else "shaping"
        search.say(f"{verb} {number} of {len(candidates)}: {candidate.name} ({candidate})")
        try:
            image = search.maker.image(candidate, stage)
        except ConfigError as error:
            judged[candidate.name] = Judged(candidate, "failed", str(error))
            search.say(f"  {error}")
            continue
        made[candidate.name] = (candidate, load_image(image).card.macs)
    if not made:
        return []
    path = search.maker.suite([candidate for candidate, _ in made.values()], stage)
    suite = load_suite(path)
    kept = []
    for variant, row in _rows(search, suite, _COST_SAMPLES if stage == "cost" else search.samples):
        candidate, macs = made[variant]
        if isinstance(row, str):
            judged[candidate.name] = Judged(candidate, "failed", row, macs=macs)
            search.say(f"  {candidate.name}: {row}")
            continue
        each = _check(search, Judged(candidate, "dominated", "", row, trained=stage == "train", macs=macs))
        if each.verdict == "over a limit":
            judged[candidate.name] = each
        else:
            kept.append(each)
    return kept


def _rows(search: Search, suite: Suite, samples: int | None) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    """Measure the variants of a suite; yield the name of each with its row, or with why it has none."""
    runs = search.maker.folder / "runs"
    if search.elsewhere is not None:
        yield from search.elsewhere(suite, samples, runs)
        return
    options = Options(
        selectors=(search.device,),
        backend=search.backend,
        lab_file=search.lab_file,
        results_dir=runs,
        samples=samples,
        retries=2,
        patience=search.patience,
    )
    session = Session.build(options, LabAccess.of(options))
    session.suites = {suite.path: suite}
    with contextlib.closing(session):
        for variant in suite.variants:
            try:
                yield variant.name, session.measure(session.targets[0], suite, variant, None)[0]
            except StoreError:
                raise
            except HilError as error:
                yield variant.name, str(error)


def _check(search: Search, each: Judged) -> Judged:
    """Hold a measured candidate against the budgets; the accuracy of untrained weights says nothing."""
    row = each.row or {}
    limits = {name: limit for name, limit in search.limits.items() if each.trained or not name.startswith("accuracy")}
    checked = check_limits(limits, row)
    if checked.unchecked:
        raise ConfigError(f"{search.maker.space.path}: limits: {'; '.join(checked.unchecked)}")
    figures = ", ".join(f"{name} {row[name]:,.0f}" for name in _COST_COLUMNS if row.get(name) is not None)
    over = "; ".join(checked.exceeded)
    search.say(f"  {each.candidate.name}: {figures}{f': {over}' if over else ''}")
    return replace(each, verdict="over a limit", reason=over) if over else each


def _choose(search: Search, affordable: list[Judged], judged: dict[str, Judged]) -> list[Judged]:
    """Return those that are trained: the largest, because among networks of one family they tend to be the best."""
    if search.most_trained is None or len(affordable) <= search.most_trained:
        return affordable
    ranked = sorted(affordable, key=lambda each: -(each.macs or 0))
    for each in ranked[search.most_trained :]:
        reason = f"{search.most_trained} larger candidates were trained instead"
        judged[each.candidate.name] = replace(each, verdict="not trained", reason=reason)
    return [each for each in affordable if each.candidate.name not in judged]


def _figures(each: Judged) -> dict[str, float]:
    row = each.row or {}
    missing = [axis for axis in AXES if row.get(axis) is None]
    if missing:
        raise ConfigError(f"{each.candidate.name}: no {', '.join(missing)} was measured, so it can't be compared")
    return {axis: float(row[axis]) for axis in AXES}


def _dominator(trained: Sequence[Judged], rows: pd.DataFrame, best: Sequence[bool], index: int) -> str:
    """Name a candidate of the front that is at least as good in everything."""
    for other, each in enumerate(trained):
        if best[other] and not front(rows.iloc[[other, index]], AXES)[1]:
            return f"{each.candidate.name} is at least as good in everything"
    return ""


def _write(search: Search, result: Sequence[Judged]) -> None:
    """Write what was found: search.json with everything, front.yaml to be run as a suite."""
    entries = [
        {
            "name": each.candidate.name,
            "params": dict(each.candidate.params),
            "verdict": each.verdict,
            "reason": each.reason,
            "trained": each.trained,
            "macs": each.macs,
            # the accuracy of weights that were never trained is left out
            "measured": each.row and {**each.row, **({} if each.trained else dict.fromkeys(_ACCURACY))},
        }
        for each in result
    ]
    content = {"search": str(search.maker.space.path), "axes": dict(AXES), "candidates": entries}
    with replacing(search.maker.folder / "search.json") as draft:
        draft.write_text(json.dumps(content, indent=1, default=str) + "\n")
    best = [each.candidate for each in result if each.verdict == "front"]
    if best:
        search.maker.suite(best, "train", name="front")
