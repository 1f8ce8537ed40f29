"""What a first suite says of the data that its user has: which part is inputs, which labels, and their scale."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pyarrow import ArrowException, csv, parquet

from harness.data.numpy_file import load_array
from harness.data.readers import read
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from harness.image.model_card import TensorSpec

#: What people call such arrays and columns, in the order in which they are looked for.
_INPUTS: Final = ("inputs", "images", "x", "x_test", "data", "features", "signals")
_LABELS: Final = ("labels", "label", "y", "y_test", "targets", "target", "classes", "class")
#: How bytes become real values in training, most often: by scale and offset.
_OF_BYTES: Final = ((1.0, 0.0), (1 / 255, 0.0), (2 / 255, -1.0))


@dataclass(frozen=True)
class Data:
    """What a suite says of its data, and the labels, if there are any.

    Attributes:
        inputs: the value of `inputs:`.
        labels: the value of `labels:`; None: there are none.
        values: the labels themselves.
        classes: their names, where the data have them.
    """

    inputs: dict[str, Any]
    labels: dict[str, Any] | str | None = None
    values: NDArray[Any] | None = None
    classes: tuple[str, ...] = ()


def find_data(path: Path, spec: TensorSpec, folder: Path) -> Data:
    """Look for inputs and labels in an .npz, .npy, CSV or Parquet file, or in a folder of images by class.

    Args:
        path: the file or folder.
        spec: the model's input.
        folder: of the suite, which paths will be relative to.

    Raises:
        ConfigError: it can't be read, or nothing in it has as many values as the input.
    """
    file = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    if path.is_dir():
        return _images(path, file, spec)
    if path.suffix.lower() in (".csv", ".parquet"):
        return _table(path, file, spec)
    arrays = _arrays(path)
    rows = {name: len(array) for name, array in arrays.items() if array.ndim}
    fitting = [name for name, array in arrays.items() if rows.get(name) and array[0].size == spec.size]
    name = _first(fitting, _INPUTS)
    if name not in fitting:
        there = ", ".join(f"{name or 'an array'} {list(array.shape)}" for name, array in arrays.items())
        raise ConfigError(f"{path}: no array has rows of {spec.size:,} values ({list(spec.shape)}); there are {there}")
    others = [other for other in arrays if other != name and rows.get(other) == rows[name]]
    label = _first(_known(others) or (others if len(others) == 1 else ()), _LABELS)
    inputs = _entry(file, name) | _scale(arrays[name], spec)
    return Data(inputs) if label is None else Data(inputs, _entry(file, label), arrays[label])


def _images(path: Path, file: str, spec: TensorSpec) -> Data:
    """Return what is in a folder that has a folder of images for each class."""
    sizes = spec.shape[1:]
    if len(sizes) not in (2, 3) or (len(sizes) == 3 and sizes[2] not in (1, 3)):
        raise ConfigError(f"{path} is a folder, as of images; the model's input, {list(spec.shape)}, is no image")
    color = "rgb" if sizes[2:] == (3,) else "grey"
    keys = {"images": path, "size": sizes[:2], "color": color, "list": None, "crop": None, "resize": None}
    found = read("images", Path(), (), keys)
    inputs = {"images": file, "size": list(sizes[:2]), "color": color}
    return Data(inputs | _scale(found.values, spec), "from inputs", found.labels, found.classes)


def _table(path: Path, file: str, spec: TensorSpec) -> Data:
    """Return what is in a table: a column of labels by its name, or the last one; all others are inputs."""
    form = path.suffix.lower()[1:]
    try:
        if form == "csv":
            with csv.open_csv(path) as table:
                names = table.schema.names
        else:
            names = parquet.read_schema(path).names
    except (OSError, ArrowException) as error:
        raise ConfigError(f"{path} can't be read: {error}") from error
    label = _first(_known(names) or names[spec.size :][-1:], _LABELS)
    inputs = [name for name in names if name != label]
    if len(inputs) != spec.size:
        what = f"{len(names)} columns, of which {label or 'none'} may be the labels"
        raise ConfigError(f"{path}: the model's input {list(spec.shape)} takes {spec.size:,} columns; there are {what}")
    start = os.path.commonprefix(inputs)  # noqa: RUF071 (letters are meant)
    short = start and not (label or "").startswith(start) and not set(start) & set("*?[]")
    entry = {form: file, "columns": [f"{start}*"] if short and len(inputs) > 1 else inputs}
    if label is None:
        return Data(entry)
    more = {"delimiter": ","} if form == "csv" else {}
    found = read(form, Path(), (), {form: path, "columns": label, **more})
    return Data(entry, {form: file, "columns": label}, found.values, found.classes)


def _known(names: Iterable[str | None]) -> list[str | None]:
    return [name for name in names if (name or "").lower() in _LABELS]


def _arrays(path: Path) -> Mapping[str | None, NDArray[Any]]:
    """Return the arrays of a file by name; None is that of an .npy file.

    Raises:
        ConfigError: it can't be read.
    """
    try:
        with np.load(path, allow_pickle=False) as several:
            names = list(several.files)
    except (OSError, ValueError, AttributeError):
        names = []  # load_array says what is wrong with it
    return {name: load_array(path, name) for name in names or (None,)}


def _first(names: Iterable[str | None], preferred: tuple[str, ...]) -> str | None:
    """Return the name that is most often used for it; the first of those that aren't."""
    order = {name: number for number, name in enumerate(preferred)}
    return min(names, key=lambda name: order.get((name or "").lower(), len(order)), default=None)


def _entry(file: str, array: str | None) -> dict[str, Any]:
    return {"file": file} if array is None else {"file": file, "array": array}


def _scale(array: NDArray[Any], spec: TensorSpec) -> dict[str, float]:
    """Return the scale of bytes by which they fill the range of a quantized input; nothing for other types."""
    if array.dtype != np.uint8 or spec.scale is None or spec.zero_point is None:
        return {}
    limits = np.iinfo(spec.dtype)
    ends = np.array([spec.scale * (limit - spec.zero_point) for limit in (limits.min, limits.max)])
    scale, offset = min(_OF_BYTES, key=lambda way: float(np.abs(np.array([0, 255]) * way[0] + way[1] - ends).sum()))
    return {"scale": scale, **({"offset": offset} if offset else {})} if scale != 1 else {}
