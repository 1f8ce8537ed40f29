"""Cases scored by another metric than that of their suite, from the outputs that the results keep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.config import load_suite
from harness.errors import ConfigError, HilError, MeasurementError, StoreError
from harness.image.model_card import TensorSpec
from harness.measure.reference import load_reference
from harness.measure.scoring import score_columns
from harness.report.decide import Match, compare_sides
from harness.report.frame import Comparison, Policy
from harness.report.groups import RunOrigin
from harness.report.metrics import scored_by
from harness.report.pairing import side_maker
from harness.report.scores import firsts, outputs_of, targets_of
from harness.store.place import place_of
from harness.store.results import plain_rows
from harness.store.runs import read_run_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.config.data import SuiteData
    from harness.config.metric import MetricChoice
    from harness.config.suite import Suite
    from harness.report.pairing import Side
    from harness.store import Results

_NO_INPUTS = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class Rescored:
    """Cases by another metric, each variant against its baseline, and why some could not be scored."""

    sides: tuple[Side, ...]
    comparison: Comparison
    problems: tuple[str, ...]


def rescore(results: Results, choice: MetricChoice, suite: Path | None = None) -> Rescored:
    """Score the complete cases of one run by another metric. `suite` is where its suite is now, if it was moved."""
    origin = RunOrigin(str(results.runs["run"].iloc[0]), read_run_file(results.stored[0].path))
    make, problems = side_maker(results), []
    sides: dict[tuple[str, ...], Side] = {}
    for row in plain_rows(results.cases):
        try:
            if row["status"] == "complete":
                side = rescored(make(row), choice, origin.suite(row["suite"]), suite)
                sides[row["suite"], place_of(row), row["backend"], row["variant"]] = side
        except HilError as error:
            problems.append(f"{row['suite']}/{row['variant']}: {error}")
    metrics = (scored_by(str(choice)),)
    pairs = [(sides.get((*key[:3], str(side.row["baseline"]))), side) for key, side in sides.items()]
    policy = Policy(metrics=metrics, own=(choice.name,))
    rows, repeat = compare_sides([Match(base, side, metrics) for base, side in pairs if base is not None], policy)
    comparison = Comparison("variants", "the baseline", "each variant", rows, repeat, (), policy)
    return Rescored(tuple(sides.values()), comparison, tuple(problems))


def rescored(side: Side, choice: MetricChoice, about: dict[str, Any], suite: Path | None = None) -> Side:
    """Return a case as it would be if its suite had named another metric.

    Labels are those that the results keep. Inputs and references are read from the suite's file, where the metric needs
    them.

    Args:
        side: a complete case with its outputs.
        choice: the metric.
        about: what run.json says of the suite.
        suite: its file; None: the one that it was read from.

    Raises:
        ConfigError: labels or outputs don't fit the metric.
        StoreError: the outputs were not kept, or the suite's inputs are others now.
        MeasurementError: the metric has no value on these outputs.
    """
    classes = tuple(map(str, about.get("classes") or ()))
    metric, outputs = choice.open(classes), outputs_of(side)
    targets = replace(targets_of(side), classes=classes)
    inputs = _NO_INPUTS
    if choice.name in ("reconstruction", "agreement"):
        loaded = load_suite(suite or str(about.get("path")))
        places = firsts(side.samples)["sample"].to_numpy(dtype=np.int64)
        data = _data(side, loaded, places)
        inputs = data.real()
        if choice.name == "agreement":
            spec = TensorSpec(shape=(1, outputs.shape[1]), dtype="float32")
            reference = load_reference(loaded, loaded.variant(side.row["variant"]), spec, data)
            if reference is None:
                raise ConfigError(f"{loaded.path}: {side.row['variant']} has no reference to agree with")
            targets = replace(targets, reference=reference.expected)
    metric.check(targets, outputs.shape[1])
    read = metric.read(outputs, inputs)
    predicted = metric.predictions(read)
    if choice.name == "none":
        raise ConfigError("metric none scores nothing")
    columns = score_columns(metric, read, targets)
    samples = firsts(side.samples)
    kept: dict[str, Any] = {"score": pd.array(read[:, 0] if read.shape[1] == 1 else [None] * len(read), "Float64")}
    kept["prediction"] = pd.array([None] * len(read) if predicted is None else predicted, "Int64")
    blank = dict.fromkeys(name for name in side.row if name.startswith(("score", "accuracy")))
    row = {**side.row, **blank, **columns, "metric": choice.stored(classes)}
    return replace(side, row=row, samples=samples.assign(**kept))


def _data(side: Side, suite: Suite, places: NDArray[np.int64]) -> SuiteData:
    """Return a case's inputs from its suite.

    Raises:
        StoreError: they are others than those that were run.
    """
    data = suite.load_all()
    if len(places) and places[-1] >= len(data):
        raise StoreError(f"{suite.path} has {len(data):,} inputs, but the run used input {places[-1]}")
    data = data.take(places)
    if data.digest() != side.row["inputs_sha256"]:
        raise StoreError(f"{suite.path}: its inputs or labels are not those of run {side.row['run']} (another SHA-256)")
    if suite.variant(side.row["variant"]).resize is not None:
        raise MeasurementError(f"the inputs of {side.row['variant']} were resized: what the model got is not kept")
    if data.quantized:
        raise MeasurementError(
            f"{suite.path}: its inputs are quantized, and the results don't keep what they stand for"
        )
    return data
