"""Every metric by its name."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, Final

from harness.errors import ConfigError
from harness.metrics.binary import Binary, FalseAccepts
from harness.metrics.classes import Agreement, BalancedAccuracy, MacroF1, Top1, TopK
from harness.metrics.own import Own, Unscored
from harness.metrics.ranking import AveragePrecision, PartialAuc, Reconstruction, RocAuc
from harness.metrics.several import Hamming, MultilabelAp
from harness.metrics.values import R2, MeanAbsoluteError, RootMeanSquareError
from harness.text.meant import did_you_mean

if TYPE_CHECKING:
    from harness.metrics.base import TaskMetric

#: The metrics that a suite's `metric:` may name, beside `module:function`.
METRICS: Final[dict[str, type[TaskMetric]]] = {
    kind.name: kind
    for kind in (
        Top1, TopK, BalancedAccuracy, MacroF1, Binary, FalseAccepts, RocAuc, PartialAuc, AveragePrecision,
        Reconstruction, MeanAbsoluteError, RootMeanSquareError, R2, MultilabelAp, Hamming, Agreement, Unscored,
    )
}  # fmt: skip


def task_metric(name: str, *, classes: tuple[str, ...] = (), **parameters: Any) -> TaskMetric:
    """Return a metric by its name.

    Args:
        name: of `METRICS`.
        classes: names of the suite's classes, so that the parameter `positive` may be one of them.
        **parameters: what the metric takes, like `k` of topk.

    Raises:
        ConfigError: no metric or parameter is called so, one is missing, or has a value that it can't have.
    """
    kind = Own if ":" in name else METRICS.get(name)
    if kind is None:
        raise ConfigError(f'no metric is called "{name}"{did_you_mean(name, METRICS)}')
    known = {each.name: each for each in fields(kind) if each.init and each.name != "name"}  # type: ignore[arg-type]
    for parameter in parameters:
        if parameter not in known:
            hint = did_you_mean(parameter, known) or "; it has none"
            raise ConfigError(f'metric {name} has no parameter "{parameter}"{hint}')
    for each in known.values():
        if each.default is MISSING and each.name not in parameters:
            raise ConfigError(f"metric {name} needs {each.name}: metric: {{name: {name}, {each.name}: ...}}")
    positive = parameters.get("positive")
    if isinstance(positive, str):
        if positive not in classes:
            raise ConfigError(f'metric {name}: no class is called "{positive}"{did_you_mean(positive, classes)}')
        parameters["positive"] = classes.index(positive)
    return Own(name, **parameters) if kind is Own else kind(**parameters)
