"""A metric that is the user's own function, and the one of suites that measure only performance."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable  # noqa: TC003 (a field's type)
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import ConfigError, MeasurementError
from harness.metrics.base import Floats, Labels, Score, TaskMetric, Test, is_number, known_labels, numbers, require
from harness.metrics.bootstrap import Bootstrapped, Statistic, Units, units_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.metrics.base import Targets
    from harness.metrics.estimate import Estimate


@dataclass(frozen=True)
class Own(Bootstrapped):
    """A function of outputs, float64 [N, outputs], and labels [N, ...], that returns a number.

    Its intervals come from inputs drawn again, within each class where labels are classes: it is called some thousand
    times.

    Attributes:
        name: `module:function`; the current folder is looked at first.
        title: what reports call it; else the name.
        unit: of its values.
        more_is_better: False for an error.
        margin: least difference of interest, a share of the baseline's value.
    """

    name: str = field(repr=False)
    title: str = ""
    unit: str = ""
    more_is_better: bool = True
    margin: float = 0.01
    function: Callable[..., Any] = field(init=False, repr=False, compare=False)

    relative = True
    resamples = 1000
    labels: Labels = "any"

    def __post_init__(self) -> None:
        require(is_number(self.margin) and self.margin > 0, self, f"margin is a number above 0, not {self.margin!r}")
        object.__setattr__(self, "title", self.title or self.name)
        object.__setattr__(self, "function", load_function(self.name))

    def check(self, targets: Targets, outputs: int) -> None:
        """Accept whatever there is."""

    def read(self, outputs: Floats, inputs: NDArray[np.float32]) -> Floats:
        """Return all outputs, [N, outputs]."""
        return numbers(outputs)

    def units(self, targets: Targets, count: int) -> Units:
        labels = targets.labels
        classes = labels if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu" else None
        return units_of(count, targets.groups, classes)

    def statistic(self, read: Floats, targets: Targets) -> Statistic:
        labels = None if targets.labels is None else known_labels(targets, self, len(read))

        def value(places: NDArray[np.intp]) -> float:
            try:
                found = float(self.function(read[places], None if labels is None else labels[places]))
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                raise MeasurementError(f"metric {self.name} failed on {len(places)} inputs: {said}") from error
            if not math.isfinite(found):
                raise MeasurementError(f"metric {self.name} gave {found} on {len(places)} inputs: no finite number")
            return found

        every = np.arange(len(read))
        return lambda weights: np.array([value(np.repeat(every, row.astype(np.int64))) for row in weights])

    def score(self, read: Floats, targets: Targets) -> Score:
        try:
            return super().score(read, targets)
        except MeasurementError as error:
            value = float(self.statistic(read, targets)(np.ones((1, len(read))))[0])
            return Score(value, None, None, f"{value:.4g} ({self.words(read, targets)}; no interval: {error})")


def load_function(path: str) -> Callable[..., Any]:
    """Return the function that `module:function` names; the current folder is looked at before installed packages.

    Raises:
        ConfigError: the module can't be imported, or has no such function.
    """
    module, _, name = path.partition(":")
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(import_module(module), name, None)
    except Exception as error:
        raise ConfigError(f'{path}: module "{module}" can\'t be imported: {type(error).__name__}: {error}') from error
    finally:
        sys.path[:] = before
    if not callable(function):
        raise ConfigError(f'{path}: module "{module}" has no function "{name}"')
    return function  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Unscored(TaskMetric):
    """Performance only: nothing is scored."""

    name = "none"
    title = "performance only"
    labels = "none"

    def check(self, targets: Targets, outputs: int) -> None:
        """Accept whatever there is."""

    def read(self, outputs: Floats, inputs: NDArray[np.float32]) -> Floats:
        """Return nothing of each inference, [N, 0]."""
        return np.empty((len(outputs), 0))

    def score(self, read: Floats, targets: Targets) -> Score:
        return Score(math.nan, None, None, "performance only: outputs aren't scored")

    def difference(self, a: Floats, b: Floats, targets: Targets, test: Test) -> Estimate:
        """Refuse: there is nothing to compare."""
        raise MeasurementError("metric none scores nothing, so that there is no difference to test")
