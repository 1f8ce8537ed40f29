"""Units of one kind of board: by how much they differ, and whether they agree where they have to.

On a farm the variants of a run are measured on whichever boards of a pool are free, so that what units differ by
(clock source, supply, chip corner) is in a comparison of latency or energy. An image that was measured on several
units tells how much that is. What doesn't depend on the unit has to be equal: an image's outputs, on emulators its
instructions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.metrics.estimate import student_quantile
from harness.report.metrics import METRICS
from harness.store.place import unit_of
from harness.store.results import plain_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from harness.store.results import Results

    CaseRow = Mapping[str, Any]

#: What differs from unit to unit, in words.
CAUSES: Final = "clock source, supply, chip corner"

#: How the words on a spread begin.
SAME_IMAGE: Final = "the same image differs by up to"

_METRICS: Final = ("latency", "energy")
_NAMED = 3
#: exp() of more is no number.
_LARGEST_LOG = 700.0


@dataclass(frozen=True)
class UnitSpread:
    """By how much units of a kind of board differ in a metric, from images that several of them ran.

    Attributes:
        units: most units that ran one image; at least 2.
        ratio: largest / smallest of an image's medians on its units, of the image where they differ most.
        sd: standard deviation of the logarithm of one unit's figure about the mean of all, pooled over images.
    """

    units: int
    ratio: float
    sd: float

    def margin(self, level: float) -> float:
        """Return by which factor figures of two units may differ at a level, the units' effects taken as normal.

        That is sqrt(2) x sd x Student's quantile for one degree of freedom fewer than there are units: few units say
        little of others.
        """
        return math.exp(min(student_quantile(level, self.units - 1) * math.sqrt(2) * self.sd, _LARGEST_LOG))

    def floor(self, level: float) -> float:
        """Return the ratio up to which a difference may be one of units: what was seen, and `margin`, if it is more."""
        return max(self.ratio, self.margin(level))

    @property
    def words(self) -> str:
        """The spread in words."""
        return f"{SAME_IMAGE} {100 * (self.ratio - 1):.2g} % on {self.units} units"


#: Spreads by metric, kind of board, clock and source of the energy.
Spreads = dict[tuple[Any, ...], UnitSpread]


def unit_spreads(results: Results) -> Spreads:
    """Return what results say of the differences between units. Runs with injected faults don't count."""
    faulty = set(results.runs.loc[results.runs["faults"].notna(), "run"])
    logs: dict[tuple[Any, ...], dict[tuple[Any, ...], dict[str, list[float]]]] = {}
    for row in plain_rows(results.cases[results.cases["status"] == "complete"]):
        if row["backend"] != "hardware" or row["image_sha256"] is None or row["run"] in faulty:
            continue
        image = tuple(row[name] for name in ("suite", "image_sha256", "inputs_sha256", "samples"))
        for metric in _METRICS:
            value = row[METRICS[metric].column]
            if value is not None and value > 0:
                units = logs.setdefault(_kind(metric, row), {}).setdefault(image, {})
                units.setdefault(unit_of(row), []).append(math.log(value))
    found = {kind: _spread(images.values()) for kind, images in logs.items()}
    return {kind: spread for kind, spread in found.items() if spread is not None}


def spread_of(spreads: Spreads, metric: str, row: CaseRow) -> UnitSpread | None:
    """Return what is known of the units of the board that a case ran on; None if nothing is."""
    return spreads.get(_kind(metric, row))


def other_units(a: CaseRow, b: CaseRow) -> bool:
    """Whether two cases were measured on two units of one kind of real board."""
    return bool(a["backend"] == b["backend"] == "hardware" and a["board"] == b["board"] and unit_of(a) != unit_of(b))


def _kind(metric: str, row: CaseRow) -> tuple[Any, ...]:
    return metric, row["board"], row["clock_hz"], row["power_source"] if metric == "energy" else None


def _spread(images: Iterable[Mapping[str, Sequence[float]]]) -> UnitSpread | None:
    levels = [np.array([np.median(values) for values in units.values()]) for units in images if len(units) > 1]
    if not levels:
        return None
    squares = sum(float(np.sum((level - level.mean()) ** 2)) for level in levels)
    freedom = sum(len(level) - 1 for level in levels)
    ratio = max(math.exp(float(np.ptp(level))) for level in levels)
    return UnitSpread(max(map(len, levels)), ratio, math.sqrt(squares / freedom))


def disagreements(results: Results, rows: Iterable[CaseRow]) -> list[str]:
    """Return a sentence for each image that gave on one board what it didn't on another, though it has to.

    Outputs have to be equal on all boards, instructions on all emulated ones. Only cases of one run, or of one harness
    and one clean revision, are held against each other: another version of an emulator may count otherwise.

    The newest case of each image and board counts.
    """
    revisions = {row["run"]: row["git_revision"] for row in plain_rows(results.runs)}
    alike: dict[tuple[Any, ...], dict[str, CaseRow]] = {}
    for row in sorted(rows, key=lambda row: (str(row["started_utc"]), row["case"])):
        if row["status"] == "complete" and row["image_sha256"] is not None:
            revision = revisions.get(row["run"])
            made = row["run"] if revision is None or revision.endswith("+") else (row["harness_version"], revision)
            names = ("suite", "variant", "board", "backend", "image_sha256", "inputs_sha256", "samples")
            alike.setdefault((*(row[name] for name in names), made), {})[unit_of(row)] = row
    read: dict[str, pd.DataFrame] = {}
    found = (_disagreement(results, list(units.values()), read) for units in alike.values() if len(units) > 1)
    return list(dict.fromkeys(sentence for sentence in found if sentence))


def _disagreement(results: Results, cases: list[CaseRow], read: dict[str, pd.DataFrame]) -> str | None:
    """Hold the cases of one image against what most of the boards gave."""
    columns = ["output_crc"] if cases[0]["backend"] == "hardware" else ["ticks", "output_crc"]
    tables = [_first_runs(results, case, read)[columns] for case in cases]
    marks = [table.to_csv() for table in tables]
    most = max(marks, key=marks.count)
    usual = tables[marks.index(most)]
    odd = [(case, table) for case, table, mark in zip(cases, tables, marks, strict=True) if mark != most]
    if not odd:
        return None
    case, table = odd[0]
    same = usual.reindex(table.index)
    other = [name for name in columns if not same[name].equals(table[name])]
    what = " and ".join({"ticks": str(case["counter"]), "output_crc": "outputs"}[name] for name in other)
    differ = (same[other] != table[other]).fillna(value=True).any(axis=1)
    names = ", ".join(str(one["device"]) for one, _ in odd[:_NAMED])
    names += f" and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
    usually = ", ".join(str(one["device"]) for one, mark in zip(cases, marks, strict=True) if mark == most)
    return (
        f"{case['suite']}/{case['variant']}: the same image gave other {what} on {names} than on {usually} "
        f"({int(differ.sum()):,} of {len(table):,} inputs on {case['device']})"
    )


def _first_runs(results: Results, case: CaseRow, read: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return ticks and output of the first inference on each input, by input."""
    run = case["run"]
    if run not in read:
        read[run] = results.of_run(run).table("samples", ["case", "sample", "repeat", "ticks", "output_crc"])
    rows = read[run]
    mine: pd.DataFrame = rows[(rows["case"] == case["case"]) & (rows["repeat"] == 0)]
    return mine.set_index("sample").sort_index()
