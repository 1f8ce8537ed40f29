"""Reads BasicMotions as packed in aeon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from zoo.series import read_ts
from zoo.task import Split

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("Standing", "Running", "Walking", "Badminton")  # in the order of the file's header
SCALE = 0.1  # real input = SCALE * published value, as in the suite

SHA256 = {
    "TRAIN": "8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6",
    "TEST": "79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc",
}


def load_split(data: Path, split: str) -> Split:
    """Return the series, float32 [40, 100, 1, 6], and labels of "train" or "test", in the published order.

    Raises:
        SystemExit: the file is missing or holds other data.
    """
    part = split.upper()
    series, names = read_ts(data / f"aeon/datasets/data/BasicMotions/BasicMotions_{part}.ts", SHA256[part])
    raw = np.stack(series)[:, :, np.newaxis]
    x = (raw.astype(np.float64) * SCALE).astype(np.float32)
    return Split(raw, x, np.array([CLASSES.index(name) for name in names], np.uint8))
