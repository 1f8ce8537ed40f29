"""What a page draws of the answers behind a score: of classes, of yes and no, and of values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from harness.errors import HilError
from harness.metrics.curves import confusion, residuals, roc
from harness.metrics.ranking import Positive, Ranked
from harness.report.metrics import scored_by, task_of
from harness.report.pairing import side_maker
from harness.report.plots.answers import confusion_matrix, residual_plot, roc_curves
from harness.report.scores import firsts, read_of, targets_of
from harness.store.results import plain_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from harness.metrics.base import TaskMetric
    from harness.report.groups import Group
    from harness.report.pairing import Side
    from harness.store import Results

#: More classes make a matrix that nobody can read; more curves than colours neither.
_MOST_CLASSES: Final = 20
_MOST_CURVES: Final = 5


def answer_figures(results: Results, group: Group) -> Iterator[tuple[str, str, Figure]]:
    """Yield title, caption and drawing of what a group's complete cases answered, where the results keep that.

    A matrix and residuals are those of the case with the best score, ROC curves of the best few.
    """
    score = group.score
    cases = group.complete
    if score is None or cases.empty:
        return
    cases = cases.dropna(subset=[score.column]).sort_values(
        score.column, ascending=not score.more_is_better, kind="stable"
    )
    make = side_maker(results)
    sides = [make(row) for row in plain_rows(cases)]
    try:
        if sides and all(side.pruned is None and len(side.samples) for side in sides):
            task = task_of(str(sides[0].row["metric"] or "top1"))
            yield from _drawn(task, sides, group)
    except HilError:  # outputs that were not kept, or a function of somebody's own
        return


def _drawn(task: TaskMetric, sides: list[Side], group: Group) -> Iterator[tuple[str, str, Figure]]:
    best = sides[0]
    name = str(best.row["variant"])
    classes = [str(one) for one in group.run.suite(str(best.row["suite"])).get("classes") or ()]
    rows = firsts(best.samples)
    answered = rows["prediction"].notna().all() and rows["label"].notna().all()
    if answered and 1 < (count := int(best.row["classes"] or 0)) <= _MOST_CLASSES:
        matrix = confusion(rows["label"].to_numpy(np.int64), rows["prediction"].to_numpy(np.int64), count)
        caption = "Rows: the right class; columns: the answer, by its number; behind each row its recall."
        missing = [label for label, inputs in zip(classes, matrix.sum(axis=1), strict=False) if not inputs]
        if missing:
            caption += f" No input is of {', '.join(missing)}."
        yield f"Answers of {name} by class", caption, confusion_matrix(matrix, classes or [*map(str, range(count))])
    if isinstance(task, Positive) and scored_by(str(best.row["metric"])) == "score":
        curves = {}
        for side in sides[:_MOST_CURVES]:
            read, targets = read_of(task, side), targets_of(side)
            whole = task.ranked(read, targets) if isinstance(task, Ranked) else (read[:, 0], task.truth(targets))
            curves[str(side.row["variant"])] = roc(*whole)
        yield "ROC", "Found against false positives at every threshold; dashed: chance.", roc_curves(curves)
    if task.labels == "value":
        targets = targets_of(best)
        read = read_of(task, best)
        wanted = np.asarray(targets.labels, np.float64).reshape(len(read), -1)
        yield f"Residuals of {name}", "Each point is an input.", residual_plot(residuals(read, wanted))
