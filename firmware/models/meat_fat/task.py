"""Fat in meat: how many percent a sample holds, from its near-infrared spectrum."""

from __future__ import annotations

import numpy as np
from meat_fat.dataset import MONITORING, load_split
from zoo.augment import unchanged
from zoo.task import Dense, Task

TASK = Task(
    name="meat_fat",
    shape=(90, 1, 1),
    layers=(Dense(32), Dense(16)),
    seed=20,
    epochs=300,
    batch=8,
    rate=0.01,
    representative=129,
    augment=unchanged,
    load=load_split,
    validation=lambda split: np.arange(len(split)) >= len(split) - MONITORING,
    suite_inputs=43,
    suite_file="meat_fat_test.npz",
    suite_array="spectra",
    answer="value",
    variants=("float32", "int8", "int8_weights"),
)
