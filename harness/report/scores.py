"""Scores of a suite's metric, held against each other input by input, from what the results keep of each inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.errors import StoreError
from harness.metrics.base import Targets
from harness.store.arrays import real_outputs, stacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from harness.metrics.base import TaskMetric
    from harness.report.pairing import Side

#: What a model scores that doesn't look at its input, by metric, where that is known. Of classes see `remarks`.
CHANCE: Final = {"roc_auc": 0.5, "pauc": 0.5, "reconstruction": 0.5, "r2": 0.0}


def chance_level(row: Mapping[str, Any]) -> float | None:
    """Return what a model scores by a case's metric that doesn't look at its input; None where that isn't known."""
    name = str(row.get("metric") or "top1").partition(" ")[0]
    classes = row.get("classes")
    if name == "binary":
        return row.get("majority_share")
    return 1 / classes if name == "balanced_accuracy" and classes else CHANCE.get(name)


def by_chance(row: Mapping[str, Any]) -> bool:
    """Whether a case's score isn't shown to be better than that: its interval reaches down to it."""
    level, low = chance_level(row), row.get("score_low")
    return level is not None and low is not None and low <= level


def targets_of(side: Side) -> Targets:
    """Return what the results keep of a case's inputs, in the order of the inputs.

    Raises:
        StoreError: labels that are several numbers each aren't there any more.
    """
    rows = firsts(side.samples)
    columns = {name: _column(rows, name) for name in ("label", "target", "group")}
    labels: NDArray[Any] | None = columns["target"]
    if columns["label"] is not None:
        labels = columns["label"].astype(np.int64)
    if labels is None and side.arrays is not None and len(kept := side.arrays("targets")):
        labels = stacked(kept, "values")
        if np.isin(labels, (0, 1)).all():
            labels = labels.astype(np.int64)
    groups = columns["group"]
    classes = tuple(str(number) for number in range(int(side.row["classes"] or 0)))
    return Targets(labels, classes, None if groups is None else groups.astype(np.int64), side.row["input_s"])


def read_of(metric: TaskMetric, side: Side) -> NDArray[np.float64]:
    """Return what a metric took of each inference of a case, in the order of the inputs, [N, m].

    Raises:
        StoreError: the results don't keep enough of it.
    """
    rows = firsts(side.samples)
    kept = _column(rows, "score")
    if kept is not None:
        return kept[:, None]
    outputs = outputs_of(side)
    return metric.read(outputs, np.empty((len(outputs), 0), np.float32))


def outputs_of(side: Side) -> NDArray[np.float64]:
    """Return the real values of a case's outputs, in the order of the inputs, [N, outputs].

    Raises:
        StoreError: not all of them were kept.
    """
    kept = side.arrays("outputs") if side.arrays is not None else None
    if kept is None or kept.empty:
        raise StoreError(f"the outputs of {side.row['variant']} in run {side.row['run']} were not kept")
    outputs = real_outputs(kept)
    if len(outputs) != len(firsts(side.samples)):
        raise StoreError(
            f"only {len(outputs):,} of {len(firsts(side.samples)):,} outputs of run {side.row['run']} are left"
        )
    return outputs


def firsts(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the first inference on each input, in the order of the inputs."""
    return samples[samples["repeat"] == 0].drop_duplicates("sample").sort_values("sample")


def _column(rows: pd.DataFrame, name: str) -> NDArray[np.float64] | None:
    """Return a column that every row has; None if one hasn't."""
    values = rows[name]
    return None if values.isna().any() or rows.empty else values.to_numpy(dtype=np.float64)
