"""The test inputs of a suite and their labels, checked before any board is touched."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.config.labels import checked_groups, checked_labels
from harness.config.subset import stratified
from harness.errors import ConfigError
from harness.text.meant import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: How files begin that numpy saved: one array, or several in a ZIP archive.
_NPY: Final = b"\x93NUMPY"
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")

#: What people have instead: how such files begin or what their names end with, what they are, and how it is saved.
_TABLE: Final = "numpy.savez(FILE, inputs=numpy.loadtxt(TABLE, delimiter=',', dtype=numpy.float32))"
_WAV: Final = "numpy.savez(FILE, inputs=numpy.stack([scipy.io.wavfile.read(path)[1] for path in PATHS]))"
_PLAIN: Final = "numpy.savez(FILE, inputs=inputs, labels=labels)"
_OTHERS: Final = (
    ((b"RIFF", ".wav"), "a WAV file", _WAV),
    ((b"\x80", ".pkl", ".pickle"), "a pickle", _PLAIN),
    ((b"\x89PNG", b"\xff\xd8\xff"), "an image", _PLAIN),
    ((b"PAR1",), "a Parquet file", _PLAIN),
    ((b"\x89HDF",), "an HDF5 file", _PLAIN),
    ((b"MATLAB", ".mat"), "a MATLAB file", _PLAIN),
    ((".csv", ".txt", ".tsv"), "a table as text", _TABLE),
)


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
        groups: the group of each input, like its recording, int64, shape [N]; None: each is one of its own.
        random: whether the inputs are drawn at random, for each model in the range of its own input.
    """

    raw: NDArray[Any]
    labels: NDArray[Any] | None
    scale: float
    offset: float
    indices: NDArray[np.int64] | None = None
    asked: int | None = None
    groups: NDArray[np.int64] | None = None
    random: bool = False

    def __len__(self) -> int:
        return len(self.raw)

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
        return replace(self, **taken)

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
    """Return scale * raw + offset in float32; what is too large for it becomes infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        values: NDArray[np.float64] = raw.astype(np.float64) * scale + offset
        return values.astype(np.float32)


#: An array may unpack to so many bytes: a compressed file of a few KB can hold gigabytes of zeros.
MOST_BYTES: Final = 2**31


def load_array(path: Path, array: str | None) -> NDArray[Any]:
    """Read one array of an .npz file, or a whole .npy file. Nothing is ever unpickled.

    Raises:
        ConfigError: the file or array is missing or damaged, of another kind, or isn't made of numbers.
    """
    what = f'{path}: array "{array}"' if array else str(path)
    try:
        with path.open("rb") as file:
            start = file.read(len(_NPY))
        if not start.startswith((_NPY, *_ZIP)):
            raise ConfigError(_not_numpy(path, start))
        values = np.load(path, allow_pickle=False)
        if isinstance(values, np.lib.npyio.NpzFile):
            with values as several:
                values = _array_of(several, path, array)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        if "allow_pickle" in str(error):
            raise ConfigError(
                f"{what} holds Python objects, which are not read, because they can run code; save plain numbers: "
                "numpy.savez(FILE, inputs=numpy.asarray(inputs, dtype=numpy.float32))"
            ) from None
        raise ConfigError(f"{what} can't be read as an .npz or .npy file: {error}") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        hint = "; save it as numbers, with .astype(numpy.uint8)" if values.dtype.kind == "b" else ""
        raise ConfigError(f"{what} must be made of numbers, not {values.dtype}{hint}")
    return values


def _array_of(several: Any, path: Path, array: str | None) -> Any:
    if array is None:
        names = ", ".join(several.files)
        raise ConfigError(f'{path} holds several arrays; say which with "array:": {names}')
    if array not in several.files:
        raise ConfigError(f'{path} has no array "{array}"{did_you_mean(array, several.files)}')
    parts = several.zip.infolist() if several.zip is not None else []
    size = max((part.file_size for part in parts if part.filename.removesuffix(".npy") == array), default=0)
    if size > MOST_BYTES:
        most = f"at most {MOST_BYTES:,} are read; split it"
        raise ConfigError(f'{path}: array "{array}" unpacks to {size:,} bytes, and {most}')
    return several[array]


def _not_numpy(path: Path, start: bytes) -> str:
    """Say what is taken instead of a file that is something else, and how to make it."""
    if not start:
        return f"{path} can't be read as an .npz or .npy file: it is empty"
    ending = path.suffix.lower()
    signs = [(sign, kind, how) for all_signs, kind, how in _OTHERS for sign in all_signs]
    begins = [found for found in signs if isinstance(found[0], bytes) and start.startswith(found[0])]
    named = [found for found in signs if found[0] == ending]
    _, kind, how = (begins + named + [("", "", _PLAIN)])[0]
    return (
        f"{path} can't be read as an .npz or .npy file{f': it is {kind}' if kind else ''}; inputs and labels are "
        f"arrays of numbers that numpy saved. Make one in Python: {how}"
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
        takes: what labels the suite's metric takes, as `harness.metrics` says.
        groups: the group of each input, shape [N].
        groups_name: what errors call the groups.

    Raises:
        ConfigError: counts differ, there is nothing, a label doesn't fit the metric, or an input is not finite in
            float32.
    """
    if raw.ndim < 1 or raw.size == 0:
        raise ConfigError(f"{inputs_name} is empty")
    if labels is not None:
        rows = len(labels) if labels.ndim else 1
        fitting = checked_labels(labels, takes, classes, labels_name) if labels.ndim else labels
        if labels.ndim == 0 or len(raw) != rows:
            raise ConfigError(f"{inputs_name} has {len(raw)} inputs, but {labels_name} has {rows} labels")
        labels = fitting
    if groups is not None:
        groups = checked_groups(groups, len(raw), groups_name)
    data = SuiteData(raw, labels, scale, offset, groups=groups)
    _require_finite(raw, data.real(), inputs_name)
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
