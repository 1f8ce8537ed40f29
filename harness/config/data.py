"""The test inputs of a suite and their labels, checked before any board is touched."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.config.inputs import FromInputs
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
        raw: the inputs, shape [N, ...], in the type of the file.
        labels: the index of the right class of each, int64, shape [N].
        scale: real value of one step of `raw`.
        offset: real value of a raw 0.
        indices: place of each input in the suite's data, ascending, int64, shape [N]; None: these are all of them.
        asked: how many inputs were asked for; None: all.
        of: how many inputs the suite's data have in all; None: these are all of them.
        quantized: whether `raw` holds values of the model's input type as it has them; then there is no scale.
    """

    raw: NDArray[Any]
    labels: NDArray[np.int64]
    scale: float
    offset: float
    indices: NDArray[np.int64] | None = None
    asked: int | None = None
    of: int | None = None
    quantized: bool = False

    def __len__(self) -> int:
        return len(self.labels)

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
        return replace(self, raw=self.raw[rows], labels=self.labels[rows], indices=self.places[rows], of=self.total)

    def chosen(self, count: int | None) -> SuiteData:
        """Return so many inputs, of each class its share (`harness.config.subset`); all if there are no more.

        Args:
            count: how many inputs; None for all.

        Raises:
            ConfigError: fewer than one is asked for.
        """
        if count is None:
            return self
        if count < 1:
            raise ConfigError(f"at least 1 sample is needed, not {count}")
        return replace(self.take(stratified(self.labels, count)), asked=count)

    def digest(self) -> str:
        """Return the SHA-256 of the inputs, their labels and their scale."""
        content = self.raw.tobytes() + self.labels.tobytes() + f"{self.scale} {self.offset}".encode()
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


def read_data(inputs: Inputs, labels: Labels, folder: Path, classes: tuple[str, ...]) -> SuiteData:
    """Read inputs and labels of a suite, and check them against each other.

    Args:
        inputs: as the suite says.
        labels: as the suite says.
        folder: that their paths are relative to.
        classes: of the suite.

    Raises:
        ConfigError: a file is missing or damaged, or they don't fit together.
    """
    read = inputs.read(folder, classes)
    found = read.labels if isinstance(labels, FromInputs) else labels.read(folder, classes).values
    if found is None:
        raise ConfigError(f'{inputs.name} has no labels of its own, as "labels: from inputs" says')
    return build_data(
        read.values,
        found,
        classes=len(classes),
        scale=inputs.scale * read.step,
        offset=inputs.offset,
        inputs_name=inputs.name,
        labels_name=labels.name,
        quantized=inputs.quantized,
    )


def build_data(
    raw: NDArray[Any],
    labels: NDArray[Any],
    *,
    classes: int,
    scale: float,
    offset: float,
    inputs_name: str,
    labels_name: str,
    quantized: bool = False,
) -> SuiteData:
    """Check inputs and labels against each other.

    Args:
        raw: inputs, shape [N, ...].
        labels: class indices, shape [N].
        classes: how many classes there are.
        scale: real value of one step of `raw`.
        offset: real value of a raw 0.
        inputs_name: what errors call the inputs.
        labels_name: what errors call the labels.
        quantized: inputs are raw values of the model's input type.

    Raises:
        ConfigError: counts differ, there is nothing, a label is no class, or an input is not finite in float32.
    """
    if raw.ndim < 1 or raw.size == 0:
        raise ConfigError(f"{inputs_name} is empty")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ConfigError(
            f"{labels_name} must be a list of whole numbers (class indices), "
            f"not {labels.dtype} of shape {list(labels.shape)}{_label_hint(labels)}"
        )
    if len(raw) != len(labels):
        raise ConfigError(f"{inputs_name} has {len(raw)} inputs, but {labels_name} has {len(labels)} labels")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        first = int(wrong[0])
        raise ConfigError(
            f"{labels_name}: label {int(labels[first])} of sample {first} is not one of the "
            f"{classes} classes (0 to {classes - 1})"
        )
    if quantized and raw.dtype.kind not in "iu":
        raise ConfigError(
            f"{inputs_name}: quantized inputs are whole numbers of the model's input type, not {raw.dtype}"
        )
    data = SuiteData(raw, labels.astype(np.int64), scale, offset, quantized=quantized)
    ends = raw if raw.dtype.kind == "f" else np.array([raw.min(), raw.max()])
    _require_finite(ends, to_real(ends, scale, offset), inputs_name)
    return data


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


def _label_hint(labels: NDArray[Any]) -> str:
    if labels.ndim == 2 and labels.shape[1] > 1:
        return "; if each row has a 1 at its class, save labels.argmax(axis=1)"
    if labels.size and labels.ndim > 1 and labels.size == len(labels):
        return "; save labels.reshape(-1)"
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.trunc(labels)).all():
        return "; save labels.astype(numpy.int64)"
    return ""
