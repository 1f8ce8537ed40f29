"""A suite's metric on what a board answered: what each sample gets, and the columns of the case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import ConfigError, MeasurementError
from harness.measure.reference import agreement_columns, real_outputs
from harness.metrics.base import Targets
from harness.metrics.classes import top1

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.config import Suite
    from harness.config.data import SuiteData
    from harness.image.model_card import TensorSpec
    from harness.measure.reference import Reference
    from harness.metrics.base import TaskMetric


@dataclass(frozen=True, eq=False)
class Scoring:
    """How the answers of one model are scored.

    Attributes:
        metric: the suite's.
        targets: what is known of each input.
        inputs: real values as the model gets them, float32 [N, ...].
        output: type and quantization of the model's output.
        reference: what the model should answer; None if nothing says that.
    """

    metric: TaskMetric
    targets: Targets
    inputs: NDArray[np.float32]
    output: TensorSpec
    reference: Reference | None

    def sample(self, index: int, raw: NDArray[Any]) -> dict[str, Any]:
        """Return the columns of a sample that an output tensor, flat as it came, and the input's label give.

        Raises:
            MeasurementError: the output is no answer: it has a NaN, for instance.
        """
        read = self.metric.read(real_outputs(raw[None], self.output), self.inputs[index : index + 1])
        predicted = self.metric.predictions(read)
        columns: dict[str, Any] = {"prediction": None if predicted is None else predicted[0]}
        if read.shape[1] == 1 and self.metric.name != "top1":
            columns["score"] = read[0, 0]
        labels, groups = self.targets.labels, self.targets.groups
        if labels is not None and labels.ndim == 1:
            columns["label" if labels.dtype.kind == "i" else "target"] = labels[index]
        if groups is not None:
            columns["group"] = groups[index]
        return columns

    def columns(self, raw: NDArray[Any]) -> dict[str, Any]:
        """Return the columns of the case table that all outputs, [N, outputs] as they came, give.

        Raises:
            MeasurementError: the metric has no value on them.
        """
        read = self.metric.read(real_outputs(raw, self.output), self.inputs)
        columns = score_columns(self.metric, read, self.targets)
        if self.reference is not None:
            columns |= agreement_columns(self.reference, self.metric.predictions(read), raw, self.output)
        return columns


def score_columns(metric: TaskMetric, read: NDArray[np.float64], targets: Targets) -> dict[str, Any]:
    """Return the columns of the case table that say how well a model does: its score, and the accuracy of classes.

    Raises:
        MeasurementError: the metric has no value on what it read.
    """
    columns: dict[str, Any] = {}
    predicted, labels = metric.predictions(read), targets.labels
    if predicted is not None and labels is not None and labels.ndim == 1 and labels.dtype.kind == "i":
        accuracy = top1(predicted, labels)
        columns |= {"accuracy": accuracy.value, "accuracy_low": accuracy.low, "accuracy_high": accuracy.high}
    if metric.name != "none":
        score = metric.score(read, targets)
        columns |= {"score": score.value, "score_low": score.low, "score_high": score.high, "score_words": score.words}
    return columns


def scoring(
    suite: Suite, data: SuiteData, real: NDArray[np.float32], output: TensorSpec, reference: Reference | None
) -> Scoring:
    """Return how a suite's metric scores a model.

    Args:
        suite: the suite.
        data: the inputs that are used.
        real: their real values as the model gets them.
        output: the model's output.
        reference: what it should answer, if anything says that.

    Raises:
        ConfigError: labels, classes or the number of outputs don't fit the metric.
    """
    expected = None if reference is None else reference.expected
    targets = Targets(data.labels, suite.classes, data.groups, suite.seconds, expected)
    metric = suite.metric.open(suite.classes)
    try:
        metric.check(targets, output.size)
        metric.read(np.zeros((1, output.size)), real[:1])
    except (ConfigError, MeasurementError) as error:
        raise ConfigError(f"{suite.path}: metric: {error}") from error
    return Scoring(metric, targets, real, output, reference)
