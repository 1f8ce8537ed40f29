"""Shoulder exercises: which of seven the wearer of a smart watch does, from two seconds of motion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from zoo.augment import turned_scaled_and_noisy
from zoo.shoulder import EXERCISES, SCALE, held, recordings, windows
from zoo.task import Conv, Depthwise, Layers, Pool, Split, Task

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 100  # 50 a second
EACH = {"train": 12, "test": 4}  # windows of a recording, evenly spread


def network(first: int, second: int, third: int) -> Layers:
    """Return the layers for so many channels."""
    return (
        Conv(first, (5, 1)),  # 100 steps
        Pool((2, 1)),
        Conv(second, (5, 1)),  # 50 steps
        Pool((2, 1)),
        Depthwise((5, 1)),
        Conv(third, (1, 1)),  # 25 steps
    )


def load_split(data: Path, split: str) -> Split:
    """Return the windows, int16 counts [n, 100, 1, 6], and their exercises; `groups` numbers recordings."""
    sets = recordings(data, split)
    raw = np.concatenate([windows(one, STEPS, EACH[split]) for one in sets])[:, :, np.newaxis]
    x = (raw.astype(np.float64) * SCALE).astype(np.float32)
    y = np.repeat(np.array([one.exercise for one in sets], np.uint8), EACH[split])
    return Split(raw, x, y, np.repeat([one.number for one in sets], EACH[split]))


TASK = Task(
    name="shoulder_exercises",
    shape=(STEPS, 1, 6),
    classes=len(EXERCISES),
    layers=network(16, 32, 48),
    narrow=network(8, 16, 24),
    small=(2, 1),
    seed=20,
    epochs=40,
    student_epochs=40,
    tuning_epochs=40,
    batch=32,
    rate=4e-3,
    representative=1008,
    augment=turned_scaled_and_noisy,
    load=load_split,
    validation=held,
    suite_inputs=168,
    suite_file="shoulder_exercises_test.npz",
    suite_array="series",
)
