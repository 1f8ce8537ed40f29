"""What a metric of a task is: what it knows of the inputs, what it returns, and the class that all metrics derive from.

A metric is made of pure functions over arrays: nothing of a board, a file or a run reaches it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from harness.errors import ConfigError, MeasurementError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.metrics.estimate import Estimate

#: What labels a metric needs; "any" is whatever a user's own function takes.
Labels = Literal["class", "binary", "value", "several", "reference", "none", "any"]
#: The level of the interval of a score.
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Targets:
    """What a suite knows of its N inputs.

    Attributes:
        labels: int64 [N], classes; float64 [N] or [N, k], values; int64 of 0 and 1 [N, k], several labels; or None.
        classes: names of the classes, or of the k labels.
        groups: the file (recording) that each input is from, int64 [N]: inputs of one file aren't independent.
        seconds: what one input lasts, for rates per hour.
        reference: what another computer gave: float64 [N, outputs], or classes, int64 [N].
    """

    labels: NDArray[Any] | None
    classes: tuple[str, ...] = ()
    groups: NDArray[np.int64] | None = None
    seconds: float | None = None
    reference: NDArray[Any] | None = None


@dataclass(frozen=True)
class Score:
    """A metric's value with its 95 % interval, None where it has none, and in words what it rests on."""

    value: float
    low: float | None
    high: float | None
    words: str


@dataclass(frozen=True)
class TaskMetric(ABC):
    """A metric of a task. Its parameters are the fields of the dataclass that derives from this.

    Attributes:
        name: how suites call it.
        title: what reports call it.
        unit: "share", "per hour", or "" for the unit of the labels.
        more_is_better: False for errors.
        margin: least difference of interest, in `unit`; where `relative` is set, a share of the baseline's value.
        relative: whether the margin is a share of the baseline's value: of errors, whose size depends on the labels.
        labels: what labels it needs.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str] = "share"
    more_is_better: ClassVar[bool] = True
    margin: ClassVar[float] = 0.005
    relative: ClassVar[bool] = False
    labels: ClassVar[Labels] = "class"

    def __str__(self) -> str:
        """Return the name with the parameters that differ from their default, like `topk(k=3)`."""
        changed = [f"{each.name}={getattr(self, each.name)}" for each in fields(self) if self._changed(each)]
        return f"{self.name}({', '.join(changed)})" if changed else self.name

    def _changed(self, each: Any) -> bool:
        return bool(getattr(self, each.name) != each.default)

    @abstractmethod
    def check(self, targets: Targets, outputs: int) -> None:
        """Refuse labels, or a number of outputs, that this metric can't score.

        Raises:
            ConfigError: they don't fit; one line says what does.
        """

    def read(self, outputs: NDArray[np.float64], inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what of each inference counts, shape [N, m].

        Args:
            outputs: the real values of the output tensor, shape [N, outputs].
            inputs: the real values that the model got, shape [N, ...].

        Raises:
            MeasurementError: an output is NaN or, where its size counts, not finite.
        """
        del inputs
        return numbers(outputs)

    def predictions(self, read: NDArray[np.float64]) -> NDArray[np.int64] | None:  # noqa: ARG002 (some need it)
        """Return the class that each inference says, shape [N]; None where the answer isn't a class."""
        return None

    @abstractmethod
    def score(self, read: NDArray[np.float64], targets: Targets) -> Score:
        """Return the value with its 95 % interval. The same arguments always give the same.

        Raises:
            MeasurementError: there are no inputs, or what was read has no such figure.
        """

    @abstractmethod
    def compare(
        self,
        a: NDArray[np.float64],
        b: NDArray[np.float64],
        targets: Targets,
        *,
        level: float,
        rng: np.random.Generator,
    ) -> Estimate:
        """Return score(b) - score(a) of what two sides read of the same inputs, with the test that belongs to it.

        Args:
            a: what the baseline read, shape [N, m].
            b: what the other side read of the same inputs.
            targets: what is known of these inputs.
            level: level of the interval, like 0.95.
            rng: random numbers of the bootstrap, where there is one.
        """


def numbers(values: NDArray[Any], what: str = "output") -> NDArray[np.float64]:
    """Return outputs as float64 [N, m].

    Raises:
        MeasurementError: there are none, or one of them isn't a finite number.
    """
    flat = np.asarray(values, np.float64).reshape(len(values), -1) if np.ndim(values) else np.empty((0, 0))
    if flat.size == 0:
        raise MeasurementError(f"a score needs at least one {what}")
    wrong = np.flatnonzero(~np.isfinite(flat).all(axis=1))
    if wrong.size:
        shown = flat[wrong[0]][~np.isfinite(flat[wrong[0]])][0]
        raise MeasurementError(
            f"{what} of input {wrong[0]} is {shown} (of {wrong.size} of {len(flat)} inputs it isn't a finite number): "
            "look for a division by zero or an overflow in the model"
        )
    return flat


def known_labels(targets: Targets, metric: str) -> NDArray[Any]:
    """Return the labels, and check the groups with them.

    Raises:
        ConfigError: there are none, one is NaN, or there aren't as many groups.
    """
    labels = targets.labels
    if labels is None or len(labels) == 0:
        raise ConfigError(f"metric {metric} needs labels, and the suite has none; metric: none measures without")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        at = int(np.flatnonzero(~np.isfinite(labels.reshape(len(labels), -1)).all(axis=1))[0])
        raise ConfigError(f"the label of input {at} is NaN or infinite: leave out inputs without a label")
    groups = targets.groups
    if groups is not None and groups.shape != (len(labels),):
        raise ConfigError(f"groups has shape {list(groups.shape)}, but there are {len(labels)} inputs: one for each")
    return labels


def class_labels(targets: Targets, metric: str, count: int | None = None) -> NDArray[np.int64]:
    """Return the labels of a metric of classes.

    Raises:
        ConfigError: they aren't whole numbers [N] from 0 to `count` - 1.
    """
    labels = known_labels(targets, metric)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ConfigError(
            f"metric {metric} needs one class for each input (whole numbers, [N]); the labels are {labels.dtype} "
            f"{list(labels.shape)}"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= (count or np.inf)))
    if wrong.size:
        most = "" if count is None else f" to {count - 1}: the model has {count} outputs"
        raise ConfigError(f"the label of input {wrong[0]} is {labels[wrong[0]]}, not one of 0{most}")
    return labels.astype(np.int64)
