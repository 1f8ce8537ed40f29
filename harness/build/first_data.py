"""What a first suite says of a file of data that its user has: which arrays are inputs and labels, and their scale."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.data.numpy_file import load_array
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from harness.image.model_card import TensorSpec

#: What people call such arrays, in the order in which they are looked for.
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
    """

    inputs: dict[str, Any]
    labels: dict[str, Any] | None = None
    values: NDArray[Any] | None = None


def find_data(path: Path, spec: TensorSpec, folder: Path) -> Data:
    """Look for inputs and labels in an .npz or .npy file.

    Args:
        path: the file.
        spec: the model's input.
        folder: of the suite, which paths will be relative to.

    Raises:
        ConfigError: it can't be read, or no array in it has rows of as many values as the input.
    """
    arrays = _arrays(path)
    rows = {name: len(array) for name, array in arrays.items() if array.ndim}
    fitting = [name for name, array in arrays.items() if rows.get(name) and array[0].size == spec.size]
    name = _first(fitting, _INPUTS)
    if name not in fitting:
        there = ", ".join(f"{name or 'an array'} {list(array.shape)}" for name, array in arrays.items())
        raise ConfigError(f"{path}: no array has rows of {spec.size:,} values ({list(spec.shape)}); there are {there}")
    others = [other for other in arrays if other != name and rows.get(other) == rows[name]]
    known = [other for other in others if (other or "").lower() in _LABELS]
    label = _first(known or (others if len(others) == 1 else ()), _LABELS)
    file = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    return Data(
        _entry(file, name) | _scale(arrays[name], spec),
        None if label is None else _entry(file, label),
        None if label is None else arrays[label],
    )


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
