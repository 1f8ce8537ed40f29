"""The test inputs of a suite and their labels, checked before any board is touched."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.config.inputs import FromInputs, RandomInputs
from harness.config.labels import checked_groups, checked_labels
from harness.config.subset import stratified
from harness.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.config.inputs import Inputs, Labels


#: Values that are converted at once.
_AT_ONCE: Final = 2**20


@dataclass(frozen=True)
class SuiteData:
    """Inputs as they are stored, and what they are. All arrays have a row for each input, in the same order.

    Attributes:
        raw: the inputs, shape [N, ...], in the type of the file; [N, 0] if they are random.
        labels: the index of the right class of each, int64 [N]; of other metrics also float64 [N] or [N, k], or int64
            [N, k] with 0 and 1; None: there are none.
        scale: real value of one step of `raw`.
        offset: real value of a raw 0.
        indices: place of each input in the suite's data, ascending, int64, shape [N]; None: these are all of them.
        asked: how many inputs were asked for; None: all.
        of: how many inputs the suite's data have in all; None: these are all of them.
        quantized: whether `raw` holds values of the model's input type as it has them; then there is no scale.
        groups: the group of each input, like its recording, int64, shape [N]; None: each is one of its own.
        random: whether the inputs are drawn at random, for each model in the range of its own input.
    """

    raw: NDArray[Any]
    labels: NDArray[Any] | None
    scale: float
    offset: float
    indices: NDArray[np.int64] | None = None
    asked: int | None = None
    of: int | None = None
    quantized: bool = False
    groups: NDArray[np.int64] | None = None
    random: bool = False

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def total(self) -> int:
        """How many inputs the suite's data have in all."""
        return len(self) if self.of is None else self.of

    @property
    def places(self) -> NDArray[np.int64]:
        """Place of each input in the suite's data, int64, shape [N]: what pairs the inputs of two runs."""
        return np.arange(len(self), dtype=np.int64) if self.indices is None else self.indices

    def take(self, rows: NDArray[np.int64]) -> SuiteData:
        """Return only some rows, of every array that has a row for each input.

        Args:
            rows: which inputs of the suite, ascending, int64.
        """
        given: dict[str, Any] = {"raw": self.raw, "labels": self.labels, "groups": self.groups, "indices": self.places}
        taken: dict[str, Any] = {name: array[rows] for name, array in given.items() if array is not None}
        return replace(self, **taken, of=self.total)

    def chosen(self, count: int | None) -> SuiteData:
        """Return so many inputs, of each class its share (`harness.config.subset`); all if there are no more.

        Groups stay whole, so that there may be more inputs than were asked for.

        Args:
            count: how many inputs; None for all.

        Raises:
            ConfigError: fewer than one is asked for.
        """
        if count is None:
            return self
        if count < 1:
            raise ConfigError(f"at least 1 sample is needed, not {count}")
        return replace(self.take(stratified(self.strata, count, groups=self.groups)), asked=count)

    @property
    def strata(self) -> NDArray[np.int64]:
        """The class of each input, int64, shape [N]; 0 for all where labels are no classes."""
        if self.labels is None or self.labels.ndim != 1 or self.labels.dtype.kind != "i":
            return np.zeros(len(self), dtype=np.int64)
        return self.labels

    def digest(self) -> str:
        """Return the SHA-256 of the inputs (of random ones, of their places), their labels, groups and scale."""
        content = self.places.tobytes() if self.random else self.raw.tobytes()
        content += b"".join(array.tobytes() for array in (self.labels, self.groups) if array is not None)
        content += f"{self.scale} {self.offset}".encode()
        return hashlib.sha256(content).hexdigest()

    def real(self) -> NDArray[np.float32]:
        """Return the inputs as the model was trained on them: scale * raw + offset, shape [N, ...]."""
        return to_real(self.raw, self.scale, self.offset)


def to_real(raw: NDArray[Any], scale: float, offset: float) -> NDArray[np.float32]:
    """Return scale * raw + offset, computed in float64, as float32; what is too large for it becomes infinite."""
    flat, real = raw.reshape(-1), np.empty(raw.size, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, raw.size, _AT_ONCE):  # whole, the float64 would take eight times the memory of bytes
            part = slice(start, start + _AT_ONCE)
            real[part] = flat[part].astype(np.float64) * scale + offset
    return real.reshape(raw.shape)


def read_data(
    folder: Path, inputs: Inputs, labels: Labels | None, groups: Labels | None, classes: tuple[str, ...], takes: str
) -> SuiteData:
    """Read inputs, labels and groups of a suite, and check them against each other.

    Args:
        folder: of the suite file.
        inputs: as the suite says.
        labels: as the suite says.
        groups: as the suite says.
        classes: as the suite says.
        takes: what labels its metric takes, as `harness.metrics` says.

    Raises:
        ConfigError: a file is missing or damaged, or they don't fit together.
    """
    if isinstance(inputs, RandomInputs):
        return random_data(inputs.random)
    read = inputs.read(folder, classes)
    found = read.labels
    if not isinstance(labels, FromInputs):
        found = None if labels is None else labels.read(folder, classes).values
    elif found is None:
        raise ConfigError(f'{inputs.name} has no labels of its own, as "labels: from inputs" says')
    return build_data(
        read.values,
        found,
        classes=len(classes),
        scale=inputs.scale * read.step,
        offset=inputs.offset,
        inputs_name=inputs.name,
        labels_name="labels" if labels is None else labels.name,
        quantized=inputs.quantized,
        takes=takes,
        groups=None if groups is None else groups.read(folder, ()).values,
        groups_name="groups" if groups is None else groups.name,
    )


def build_data(
    raw: NDArray[Any],
    labels: NDArray[Any] | None,
    *,
    classes: int,
    scale: float,
    offset: float,
    inputs_name: str,
    labels_name: str,
    quantized: bool = False,
    takes: str = "class",
    groups: NDArray[Any] | None = None,
    groups_name: str = "groups",
) -> SuiteData:
    """Check inputs, labels and groups against each other.

    Args:
        raw: inputs, shape [N, ...].
        labels: class indices, shape [N], or what else the metric takes; None: there are none.
        classes: how many classes there are.
        scale: real value of one step of `raw`.
        offset: real value of a raw 0.
        inputs_name: what errors call the inputs.
        labels_name: what errors call the labels.
        quantized: inputs are raw values of the model's input type.
        takes: what labels the suite's metric takes, as `harness.metrics` says.
        groups: the group of each input, shape [N].
        groups_name: what errors call the groups.

    Raises:
        ConfigError: counts differ, there is nothing, a label doesn't fit the metric, or an input is not finite in
            float32.
    """
    if raw.ndim < 1 or raw.size == 0:
        raise ConfigError(f"{inputs_name} is empty")
    if quantized and raw.dtype.kind not in "iu":
        raise ConfigError(
            f"{inputs_name}: quantized inputs are whole numbers of the model's input type, not {raw.dtype}"
        )
    if labels is not None:
        rows = len(labels) if labels.ndim else 1
        fitting = checked_labels(labels, takes, classes, labels_name) if labels.ndim else labels
        if labels.ndim == 0 or len(raw) != rows:
            raise ConfigError(f"{inputs_name} has {len(raw)} inputs, but {labels_name} has {rows} labels")
        labels = fitting
    if groups is not None:
        groups = checked_groups(groups, len(raw), groups_name)
    data = SuiteData(raw, labels, scale, offset, groups=groups, quantized=quantized)
    ends = raw if raw.dtype.kind == "f" else np.array([raw.min(), raw.max()])
    _require_finite(ends, to_real(ends, scale, offset), inputs_name)
    return data


def random_data(count: int) -> SuiteData:
    """Return so many inputs that are drawn at random, for each model in the range of its own input."""
    return SuiteData(np.zeros((count, 0), np.float32), None, 1.0, 0.0, random=True)


def _require_finite(raw: NDArray[Any], real: NDArray[np.float32], name: str) -> None:
    """Refuse what is not finite, as it is stored or as the float32 that a model gets."""
    finite = np.isfinite(real).reshape(len(real), -1)
    if finite.all():
        return
    first = int(np.flatnonzero(~finite.all(axis=1))[0])
    value = raw.reshape(len(raw), -1)[first][~finite[first]][0]
    if not np.isfinite(value):
        raise ConfigError(f"{name}: sample {first} contains a value that is not a finite number ({value})")
    raise ConfigError(
        f"{name}: sample {first} contains {value:g}, which is too large for a model's numbers (float32) once scale and "
        "offset are applied"
    )
