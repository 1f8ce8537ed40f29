"""Shoulder anomaly: does the wearer of a smart watch do the exercise that it knows? By how well motion is rebuilt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from zoo.augment import scaled_and_noisy
from zoo.shoulder import EXERCISES, SCALE, held, recordings, windows
from zoo.task import Dense, Split, Task

if TYPE_CHECKING:
    from pathlib import Path

NORMAL = EXERCISES.index("trapezius extension")
WINDOW, STEP = 100, 4  # samples of a window; those whose mean is a step of the input
EACH = {"train": 120, "test": 6}  # windows of a recording, evenly spread


def load_split(data: Path, split: str) -> Split:
    """Return the inputs, int16 counts [n, 25, 1, 6], and 0 for the known exercise, 1 for another.

    `groups` numbers recordings. For training there are those of the known exercise only, and all of the held subject.
    """
    sets = [one for one in recordings(data, split) if split == "test" or one.exercise == NORMAL or one.held]
    cut = np.concatenate([windows(one, WINDOW, EACH[split]) for one in sets])
    raw = np.rint(cut.reshape(len(cut), -1, STEP, 6).mean(axis=2)).astype(np.int16)[:, :, np.newaxis]
    x = (raw.astype(np.float64) * SCALE).astype(np.float32)
    y = np.repeat(np.array([one.exercise != NORMAL for one in sets], np.uint8), EACH[split])
    return Split(raw, x, y, np.repeat([one.number for one in sets], EACH[split]))


TASK = Task(
    name="shoulder_anomaly",
    shape=(WINDOW // STEP, 1, 6),
    layers=(Dense(48), Dense(8), Dense(48)),
    seed=20,
    epochs=100,
    batch=64,
    rate=2e-3,
    representative=1440,
    augment=scaled_and_noisy,
    load=load_split,
    validation=held,
    suite_inputs=252,
    suite_file="shoulder_anomaly_test.npz",
    suite_array="series",
    answer="input",
    variants=("float32", "int8", "int8_weights"),
)
