"""The test inputs of a suite and their labels, checked before any board is touched."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.config.document import did_you_mean
from harness.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class SuiteData:
    """Inputs as they are stored, and what they are.

    Attributes:
        raw: the inputs, shape [N, ...], in the type of the file.
        labels: the index of the right class of each, int64, shape [N].
        scale: real value of one step of `raw`.
        offset: real value of a raw 0.
    """

    raw: NDArray[Any]
    labels: NDArray[np.int64]
    scale: float
    offset: float

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self, count: int) -> str:
        """Return the SHA-256 of the first `count` inputs, their labels and their scale."""
        content = self.raw[:count].tobytes() + self.labels[:count].tobytes() + f"{self.scale} {self.offset}".encode()
        return hashlib.sha256(content).hexdigest()

    def real(self) -> NDArray[np.float32]:
        """Return the inputs as the model was trained on them: scale * raw + offset, shape [N, ...]."""
        values: NDArray[np.float64] = self.raw.astype(np.float64) * self.scale + self.offset
        return values.astype(np.float32)


def load_array(path: Path, array: str | None) -> NDArray[Any]:
    """Read one array of an .npz file, or a whole .npy file.

    Raises:
        ConfigError: the file or array is missing or damaged, or isn't made of numbers.
    """
    try:
        values = np.load(path, allow_pickle=False)
        if isinstance(values, np.lib.npyio.NpzFile):
            with values as several:
                if array is None:
                    names = ", ".join(several.files)
                    raise ConfigError(f'{path} holds several arrays; say which with "array:": {names}')
                if array not in several.files:
                    raise ConfigError(f'{path} has no array "{array}"{did_you_mean(array, several.files)}')
                values = several[array]
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path} can't be read as an .npz or .npy file: {error}") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        what = f'{path}: array "{array}"' if array else str(path)
        raise ConfigError(f"{what} must be made of numbers, not {values.dtype}")
    return values


def build_data(
    raw: NDArray[Any],
    labels: NDArray[Any],
    *,
    classes: int,
    scale: float,
    offset: float,
    samples: int | None,
    inputs_name: str,
    labels_name: str,
) -> SuiteData:
    """Check inputs and labels against each other and take the first `samples`.

    Args:
        raw: inputs, shape [N, ...].
        labels: class indices, shape [N].
        classes: how many classes there are.
        scale: real value of one step of `raw`.
        offset: real value of a raw 0.
        samples: how many to use; None: all.
        inputs_name: what errors call the inputs.
        labels_name: what errors call the labels.

    Raises:
        ConfigError: counts differ, there is nothing, a label is no class, an input is not finite, or
            more samples are asked for than there are.
    """
    if raw.ndim < 1 or len(raw) == 0:
        raise ConfigError(f"{inputs_name} is empty")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ConfigError(
            f"{labels_name} must be a list of whole numbers (class indices), "
            f"not {labels.dtype} of shape {list(labels.shape)}"
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
    if raw.dtype.kind == "f" and not np.isfinite(raw).all():
        first = int(np.flatnonzero(~np.isfinite(raw.reshape(len(raw), -1)).all(axis=1))[0])
        raise ConfigError(f"{inputs_name}: sample {first} contains a value that is not a finite number")
    if samples is not None and samples < 1:
        raise ConfigError(f"at least 1 sample is needed, not {samples}")
    if samples is not None and samples > len(raw):
        raise ConfigError(f"{samples} samples were asked for, but {inputs_name} has only {len(raw)}")
    return SuiteData(raw[:samples], labels[:samples].astype(np.int64), scale, offset)
