"""`metric:` of a suite: its name, its parameters, and which other keys it needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field, model_serializer, model_validator

from harness.config.document import Model
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.config.document import Document
    from harness.metrics.base import TaskMetric

#: What labels a metric takes, with whether a suite must, may or must not have `labels:` and `classes:`.
_MUST, _MAY, _MUST_NOT = "needs", "may have", "takes no"
_KEYS: Final[dict[str, dict[str, str]]] = {
    "class": {"labels": _MUST, "classes": _MUST},
    "binary": {"labels": _MUST, "classes": _MAY},
    "value": {"labels": _MUST, "classes": _MUST_NOT},
    "several": {"labels": _MUST, "classes": _MAY},
    "reference": {"labels": _MAY, "classes": _MAY},
    "none": {"labels": _MUST_NOT, "classes": _MUST_NOT},
}
#: What the metrics that every command knows of take; others are asked, which imports numpy.
_KNOWN: Final = {"top1": "class", "none": "none"}


class MetricChoice(Model):
    """The metric that a suite names, with its parameters. As text: `topk {"k": 3}`."""

    name: str = Field(min_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _spelled(cls, data: Any) -> Any:
        if isinstance(data, str):
            name, _, parameters = data.partition(" ")
            try:
                found = json.loads(parameters or "{}")
            except ValueError:
                found = None
            if not isinstance(found, dict):
                raise ValueError(f"{data!r} is no metric; write top1, or {{name: topk, k: 3}}")  # noqa: TRY004 (what pydantic reports)
            return {"name": name, "parameters": found}
        if isinstance(data, dict) and "parameters" not in data:
            return {"name": data.get("name", ""), "parameters": {k: v for k, v in data.items() if k != "name"}}
        return data

    @model_serializer
    def __str__(self) -> str:
        return f"{self.name} {json.dumps(self.parameters)}" if self.parameters else self.name

    @property
    def own(self) -> bool:
        """Whether it is a function of the user's, `module:function`."""
        return ":" in self.name

    def stored(self, classes: tuple[str, ...]) -> str:
        """Return it as the results name it: a class is its number there, since they don't have the suite's names."""
        named = {key: classes.index(value) for key, value in self.parameters.items() if value in classes}
        return str(self.model_copy(update={"parameters": {**self.parameters, **named}}))

    def labels(self, classes: tuple[str, ...] = ()) -> str:
        """Return what labels it takes, as `harness.metrics` says.

        Raises:
            ConfigError: as `open`.
        """
        return _KNOWN[self.name] if self.name in _KNOWN and not self.parameters else self.open(classes).labels

    def open(self, classes: tuple[str, ...] = ()) -> TaskMetric:
        """Return what computes it for a suite of some classes.

        Raises:
            ConfigError: there is no such metric, or it has no such parameter.
        """
        from harness.metrics.registry import task_metric  # noqa: PLC0415 (it imports numpy, which few commands need)

        return task_metric(self.name, classes=classes, **self.parameters)


def check_metric(document: Document, given: Mapping[str, Any]) -> None:
    """Refuse a metric that is unknown, or that doesn't go with the other keys of a suite.

    Args:
        document: the suite file.
        given: its keys with their values, `metric` among them.

    Raises:
        ConfigError: names file, line and key.
    """
    metric: MetricChoice = given["metric"]
    try:
        labels = metric.labels(given["classes"])
    except ConfigError as error:
        raise document.error(("metric",), str(error)) from error
    for key, rule in _KEYS.get(labels, {}).items():
        there = bool(given[key])
        if there != (rule == _MUST) and rule != _MAY:
            hint = "" if there else f"; add `{key}:`"
            where = key if there else "metric"
            raise document.error((where,), f"metric {metric.name} {rule} {key}{hint}")
    if len(given["classes"]) == 1:
        raise document.error(("classes",), "must have at least 2 of them, not 1")
    if labels == "binary" and given["classes"] and len(given["classes"]) != 2:
        raise document.error(("classes",), f"metric {metric.name} takes two classes, not {len(given['classes'])}")
    if hasattr(given["inputs"], "random") and (labels not in ("none", "reference") or given["labels"]):
        raise document.error(("inputs", "random"), "random inputs have no labels; use metric none or agreement")
