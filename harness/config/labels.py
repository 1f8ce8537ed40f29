"""Labels and groups of a suite, held against its inputs and what its metric takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def checked_labels(labels: NDArray[Any], takes: str, classes: int, name: str) -> NDArray[Any]:
    """Return labels in the type that a metric takes: int64 where they are classes, else float64.

    Args:
        labels: a row for each input.
        takes: what the metric takes: class, binary, several, value, or anything else for numbers of any kind.
        classes: how many classes the suite has; 0 if it names none.
        name: what errors call the labels.

    Raises:
        ConfigError: they don't fit the metric; the message names the first that is wrong.
    """
    if takes in ("class", "binary") or (takes == "reference" and classes):
        return _class_labels(labels, classes or 2, name)
    if takes == "several":
        return _several(labels, classes, name)
    if takes == "value" and (labels.ndim not in (1, 2) or 0 in labels.shape):
        raise ConfigError(
            f"{name} must be one number for each input, or a row of as many as the model has outputs, not of shape "
            f"{list(labels.shape)}"
        )
    finite = np.isfinite(labels).reshape(len(labels), -1).all(axis=1)
    if not finite.all():
        first = int(np.flatnonzero(~finite)[0])
        raise ConfigError(f"{name}: the label of sample {first} is not a finite number")
    return labels.astype(np.float64 if takes == "value" or labels.dtype.kind == "f" else np.int64)


def checked_groups(groups: NDArray[Any], inputs: int, name: str) -> NDArray[np.int64]:
    """Return the group of each input.

    Raises:
        ConfigError: it isn't a list of whole numbers, one for each input.
    """
    if groups.ndim != 1 or groups.dtype.kind not in "iu":
        raise ConfigError(
            f"{name} must be a list of whole numbers, the number of each input's group, not {groups.dtype} of shape "
            f"{list(groups.shape)}"
        )
    if len(groups) != inputs:
        raise ConfigError(f"{name} has {len(groups)} rows for {inputs} inputs")
    return groups.astype(np.int64)


def _class_labels(labels: NDArray[Any], classes: int, name: str) -> NDArray[np.int64]:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ConfigError(
            f"{name} must be a list of whole numbers (class indices), "
            f"not {labels.dtype} of shape {list(labels.shape)}{_label_hint(labels)}"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        first = int(wrong[0])
        raise ConfigError(
            f"{name}: label {int(labels[first])} of sample {first} is not one of the {classes} classes (0 to "
            f"{classes - 1})"
        )
    return labels.astype(np.int64)


def _several(labels: NDArray[Any], classes: int, name: str) -> NDArray[np.int64]:
    if labels.ndim != 2 or 0 in labels.shape:
        raise ConfigError(f"{name} must have a row of 0 and 1 for each input, not the shape {list(labels.shape)}")
    if classes and labels.shape[1] != classes:
        raise ConfigError(f"{name} has {labels.shape[1]} labels for each input, but the suite has {classes} classes")
    wrong = np.argwhere(~np.isin(labels, (0, 1)))
    if wrong.size:
        row, column = map(int, wrong[0])
        raise ConfigError(f"{name}: label {column} of sample {row} is {labels[row, column]}, not 0 or 1")
    return labels.astype(np.int64)


def _label_hint(labels: NDArray[Any]) -> str:
    if labels.ndim == 2 and labels.shape[1] > 1:
        return "; if each row has a 1 at its class, save labels.argmax(axis=1)"
    if labels.size and labels.ndim > 1 and labels.size == len(labels):
        return "; save labels.reshape(-1)"
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.trunc(labels)).all():
        return "; save labels.astype(numpy.int64)"
    return ""
