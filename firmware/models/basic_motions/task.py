"""BasicMotions: what a person with a smart watch does, from ten seconds of acceleration and rotation."""

from __future__ import annotations

from basic_motions.dataset import CLASSES, load_split
from zoo.augment import turned_scaled_and_noisy
from zoo.series import last_of_each_class
from zoo.task import Conv, Depthwise, Layers, Pool, Task


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


TASK = Task(
    name="basic_motions",
    shape=(100, 1, 6),
    classes=len(CLASSES),
    layers=network(16, 32, 48),
    narrow=network(8, 16, 24),
    small=(2, 1),
    seed=20,
    epochs=200,
    student_epochs=200,
    tuning_epochs=200,
    batch=16,
    rate=4e-3,
    representative=32,
    augment=turned_scaled_and_noisy,
    load=load_split,
    validation=lambda split: last_of_each_class(split.y, 2),
    suite_inputs=40,
    suite_file="basic_motions_test.npz",
    suite_array="series",
)
