"""What a metric of a task is: what it knows of the inputs, what it returns, and the class that all metrics derive from.

A metric is made of pure functions over arrays: nothing of a board, a file or a run reaches it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError, MeasurementError

if TYPE_CHECKING:
    from harness.metrics.estimate import Estimate

#: Real values of inputs, outputs or scores.
Floats = NDArray[np.float64]
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

    Raises:
        ConfigError: labels, groups and reference have other lengths, or one of them is NaN.
    """

    labels: NDArray[Any] | None
    classes: tuple[str, ...] = ()
    groups: NDArray[np.int64] | None = None
    seconds: float | None = None
    reference: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        known = {key: values for key in _ARRAYS if (values := getattr(self, key)) is not None}
        counts = {key: len(values) for key, values in known.items()}
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{count} {key}" for key, count in counts.items())
            raise ConfigError(f"every input has one of each, but there are {said}")
        for key, values in known.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                at = int(np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))[0])
                raise ConfigError(f"{key}: that of input {at} is NaN or infinite; leave out inputs without a value")

    def at(self, places: NDArray[np.intp] | slice) -> Targets:
        """Return what is known of some of the inputs."""
        some = {key: values[places] for key in _ARRAYS if (values := getattr(self, key)) is not None}
        return replace(self, **some)


_ARRAYS = ("labels", "groups", "reference")


class Test(NamedTuple):
    """The level of a difference's interval, and the random numbers of its bootstrap."""

    level: float
    rng: np.random.Generator


@dataclass(frozen=True)
class Score:
    """A metric's value with its 95 % interval, None where it has none, and in words what it rests on."""

    value: float
    low: float | None
    high: float | None
    words: str


class TaskMetric(ABC):
    """A metric of a task. Those that derive from this are frozen dataclasses, whose fields are their parameters.

    Attributes:
        name: how suites call it.
        title: what reports call it.
        unit: "share", "per hour", or "" for the unit of the labels.
        more_is_better: False for errors.
        margin: least difference of interest, in `unit`; where `relative` is set, a share of the baseline's value.
        relative: whether the margin is a share of the baseline's value: of errors, whose size depends on the labels.
        labels: what labels it needs.
    """

    name: str
    title: str
    unit: str = "share"
    more_is_better: bool = True
    margin: float = 0.005
    relative: bool = False
    labels: Labels = "class"

    def __str__(self) -> str:
        """Return the name with the parameters that differ from their default, like `topk(k=3)`."""
        said = {each.name: getattr(self, each.name) for each in fields(self) if each.repr}  # type: ignore[arg-type]
        defaults = {each.name: each.default for each in fields(self)}  # type: ignore[arg-type]
        changed = [f"{name}={value}" for name, value in said.items() if value != defaults[name]]
        return f"{self.name}({', '.join(changed)})" if changed else self.name

    @abstractmethod
    def check(self, targets: Targets, outputs: int) -> None:
        """Refuse labels, or a number of outputs, that this metric can't score.

        Raises:
            ConfigError: they don't fit; one line says what does.
        """

    def read(self, outputs: Floats, inputs: NDArray[np.float32]) -> Floats:
        """Return what of each inference counts, shape [N, m].

        Args:
            outputs: the real values of the output tensor, shape [N, outputs].
            inputs: the real values that the model got, shape [N, ...].

        Raises:
            MeasurementError: an output is NaN or, where its size counts, not finite.
        """
        return numbers(outputs)

    def predictions(self, read: Floats) -> NDArray[np.int64] | None:
        """Return the class that each inference says, shape [N]; None where the answer isn't a class."""
        return None

    @abstractmethod
    def score(self, read: Floats, targets: Targets) -> Score:
        """Return the value with its 95 % interval. The same arguments always give the same.

        Raises:
            MeasurementError: there are no inputs, or what was read has no such figure.
        """

    def compare(self, a: Floats, b: Floats, targets: Targets, *, level: float, rng: np.random.Generator) -> Estimate:
        """Return score(b) - score(a) of what two sides read of the same inputs, with the test that belongs to it.

        Args:
            a: what the baseline read, shape [N, m].
            b: what the other side read of the same inputs.
            targets: what is known of these inputs.
            level: level of the interval, like 0.95.
            rng: random numbers of the bootstrap, where there is one.

        Raises:
            MeasurementError: there are no inputs, the sides have other numbers of them, or there is no such figure.
        """
        if len(a) != len(b):
            raise MeasurementError(f"metric {self}: {len(a)} inputs can't be compared with {len(b)} others")
        return self.difference(a, b, targets, Test(level, rng))

    @abstractmethod
    def difference(self, a: Floats, b: Floats, targets: Targets, test: Test) -> Estimate:
        """Return what `compare` does."""


def numbers(values: NDArray[Any], what: str = "output") -> Floats:
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


def known_labels(targets: Targets, metric: TaskMetric, count: int | None = None) -> NDArray[Any]:
    """Return the labels; `count` is how many inputs there are, where that is known.

    Raises:
        ConfigError: there are none.
        MeasurementError: there are more or fewer than inputs.
    """
    labels = targets.labels
    if labels is None or len(labels) == 0:
        raise ConfigError(f"metric {metric} needs labels, and there are none; metric: none measures without")
    if count is not None and count != len(labels):
        raise MeasurementError(f"metric {metric}: {count} outputs can't be scored against {len(labels)} labels")
    return labels


def class_labels(targets: Targets, metric: TaskMetric, count: int | None = None) -> NDArray[np.int64]:
    """Return the labels of a metric of classes; `count` is how many inputs there are, where that is known.

    Raises:
        ConfigError: they aren't classes: whole numbers from 0, shape [N].
        MeasurementError: there are more or fewer than inputs.
    """
    labels = known_labels(targets, metric, count)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ConfigError(
            f"metric {metric} needs one class for each input (whole numbers, [N]); the labels are {labels.dtype} "
            f"{list(labels.shape)}"
        )
    if labels.min() < 0:
        at = int(np.flatnonzero(labels < 0)[0])
        raise ConfigError(f"the label of input {at} is {labels[at]}: classes are counted from 0")
    return labels.astype(np.int64)


def require(right: bool, metric: TaskMetric, what: str) -> None:  # noqa: FBT001 (reads like assert)
    """Refuse a parameter's value.

    Raises:
        ConfigError: it isn't right.
    """
    if not right:
        raise ConfigError(f"metric {metric.name}: {what}")


def is_number(value: object, *, whole: bool = False) -> bool:
    """Whether a parameter is a finite number, or a whole one; YAML's yes and no aren't."""
    kinds = int if whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
