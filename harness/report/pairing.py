"""Which cases can be held against each other, and why others can't."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.report.by_input import by_input
from harness.report.frame import CaseId
from harness.store.place import unit_of, where
from harness.store.results import plain_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.report.frame import Policy
    from harness.report.metrics import Metric
    from harness.store.results import Results

CaseRow = dict[str, Any]

_INTEGERS = ("case", "sample", "repeat", "label", "prediction", "ticks", "output_crc", "group")
_SAMPLE_COLUMNS = (*_INTEGERS, "score", "target")
_ID_COLUMNS = tuple(field.name for field in fields(CaseId) if field.name != "unit")
_NO_SAMPLES = pd.DataFrame(
    {name: pd.Series(dtype="Int64" if name in _INTEGERS else "Float64") for name in _SAMPLE_COLUMNS}
)


@dataclass(frozen=True)
class Side:
    """One case with its samples, in the order in which they were recorded.

    Attributes:
        row: a row of the case table.
        samples: its rows of the sample table.
        faults: what was injected into its run on purpose, None if nothing was.
        pruned: why the samples aren't there any more, None if they weren't pruned.
        arrays: returns its rows of the table `outputs` or `targets`.
    """

    row: CaseRow
    samples: pd.DataFrame
    faults: str | None = None
    pruned: str | None = None
    arrays: Callable[[str], pd.DataFrame] | None = None

    @property
    def id(self) -> CaseId:
        """Which case it is."""
        return CaseId(**{name: self.row[name] for name in _ID_COLUMNS}, unit=unit_of(self.row))

    @cached_property
    def firsts(self) -> pd.DataFrame:
        """The first inference on each input, in the order of the inputs."""
        return self.samples[self.samples["repeat"] == 0].sort_values("sample")

    @cached_property
    def labels(self) -> pd.Series:
        """The label of each input."""
        return self.samples.drop_duplicates("sample").set_index("sample")["label"].sort_index()


def side_maker(results: Results) -> Callable[[CaseRow], Side]:
    """Return what makes a side of a row of the case table; it reads the samples of each run once."""
    faults = {row["run"]: row["faults"] for row in plain_rows(results.runs)}
    stored = {item.path.name: item for item in results.stored}

    @cache
    def samples_of(run: str) -> dict[int, pd.DataFrame]:
        table = by_input(results.of_run(run).table("samples", (*_SAMPLE_COLUMNS, "step")))
        return {int(str(case)): rows for case, rows in table.groupby("case")}

    @cache
    def arrays_of(run: str, table: str) -> pd.DataFrame:
        return results.of_run(run).table(table)

    def side(row: CaseRow) -> Side:
        run = row["run"]
        gone = stored[run].missing("samples") if run in stored else None
        samples = _NO_SAMPLES if gone is not None else samples_of(run).get(row["case"], _NO_SAMPLES)

        def arrays(table: str) -> pd.DataFrame:
            rows: pd.DataFrame = arrays_of(run, table)
            mine: pd.DataFrame = rows[rows["case"] == row["case"]]
            return mine

        return Side(row, samples, faults.get(run), gone, arrays)

    return side


def refusal(a: Side, b: Side, policy: Policy) -> str | None:
    """Return why two cases can't be compared at all, None if they can."""
    for side in (a, b):
        if side.row["status"] != "complete":
            return f"{named(side.row)} is {side.row['status']}: {str(side.row['reason']).removesuffix('.')}"
        if side.faults is not None:
            return f"faults were injected into run {side.row['run']} ({side.faults}): it is no measurement"
        if side.pruned is not None:
            return side.pruned
    for name, what in (("suite", "suites"), ("backend", "backends"), ("counter", "counters")):
        if a.row[name] != b.row[name]:
            return f"different {what}: {a.row[name]} against {b.row[name]}"
    if a.row["engine"] != b.row["engine"] and not policy.across_engines:
        engines = f"{a.row['engine']} against {b.row['engine']}"
        return f"different inference engines: {engines}; --across-engines compares them nevertheless"
    return _other_inputs(a, b)


def _other_inputs(a: Side, b: Side) -> str | None:
    known = (a.row["inputs_sha256"], b.row["inputs_sha256"])
    inputs = a.labels, b.labels
    if len(inputs[0]) == 0 or len(inputs[1]) == 0:
        return "there are no samples to compare"
    if not inputs[0].index.equals(inputs[1].index):
        return f"different inputs: {len(inputs[0]):,} against {len(inputs[1]):,}; measure both on the same ones"
    if not inputs[0].equals(inputs[1]):
        count = int((inputs[0] != inputs[1]).sum())
        return f"different inputs: {count:,} of {len(inputs[0]):,} labels differ"
    if None not in known and known[0] != known[1]:
        return "different inputs: the data of the suite has changed"
    return None


def counter_refusal(a: CaseRow, b: CaseRow) -> str | None:
    """Return why the counters of two comparable cases can't be compared, None if they can."""
    if a["board"] != b["board"] and a["counter"] != "cycles":
        return f"{a['counter']} of different kinds of board, {a['board']} and {b['board']}, are not the same work"
    if a["clock_hz"] != b["clock_hz"]:
        return f"different clocks: {_hertz(a['clock_hz'])} against {_hertz(b['clock_hz'])}"
    return None


def energy_refusal(a: CaseRow, b: CaseRow) -> str | None:
    """Return why the energies of two comparable cases can't be compared, None if they can."""
    if a["power_source"] != b["power_source"]:
        return f"energy from different sources: {a['power_source']} against {b['power_source']}"
    return counter_refusal(a, b)


def missing(metric: Metric, *rows: CaseRow) -> str | None:
    """Return why a metric is not there on one of the sides, None if it is on all."""
    for row in rows:
        if row[metric.column] is None:
            why = row.get(metric.reason)
            return f"{named(row)} has no {metric.name}" + (f": {why}" if why else "")
    return None


def named(row: CaseRow) -> str:
    """Return how a case is called in a sentence."""
    return f"{row['suite']}/{row['variant']} on {where(row)} of run {row['run']}"


def _hertz(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,} Hz"
