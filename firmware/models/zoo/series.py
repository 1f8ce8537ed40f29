"""Reads .ts files, the format of the time series of aeon, and refuses any whose content is not the expected one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def read_ts(path: Path, sha256: str) -> tuple[list[NDArray[np.float32]], list[str]]:
    """Return the series, float32 [steps, channels] each, and their labels, in the order of the file.

    A line is one series: channels separated by colons, steps by commas, the label last.

    Raises:
        SystemExit: the file is missing or holds other data.
    """
    if not path.is_file():
        message = f"{path} is missing. Run `make -C firmware/models data`, or pass --data."
        raise SystemExit(message)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        message = f"{path} holds other data than expected: its SHA-256 differs from the one in dataset.py."
        raise SystemExit(message)
    series, labels = [], []
    for line in content.decode("utf-8").splitlines():
        if not line.strip() or line.startswith(("#", "@")):
            continue
        *channels, label = line.strip().split(":")
        steps = [np.array(channel.split(","), np.float64) for channel in channels]
        series.append(np.stack(steps, axis=1).astype(np.float32))
        labels.append(label)
    return series, labels


def last_of_each_class(labels: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Return true for the last `count` of each class."""
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        held[np.flatnonzero(labels == label)[-count:]] = True
    return held
