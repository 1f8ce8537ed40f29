"""Japanese Vowels: which of nine men said /ae/, from 12 cepstrum coefficients every 6.4 ms."""

from __future__ import annotations

from japanese_vowels.dataset import STEPS, load_split
from zoo.augment import cut_and_noisy
from zoo.series import last_of_each_class
from zoo.task import Conv, Depthwise, Layers, Pool, Task


def network(first: int, second: int, third: int) -> Layers:
    """Return the layers for so many channels."""
    return (
        Conv(first, (3, 1)),  # 30 steps
        Conv(second, (3, 1)),  # 30 steps
        Pool((2, 1)),
        Depthwise((3, 1)),
        Conv(third, (1, 1)),  # 15 steps
    )


TASK = Task(
    name="japanese_vowels",
    shape=(STEPS, 1, 12),
    classes=9,
    layers=network(32, 48, 64),
    narrow=network(16, 24, 32),
    small=(2, 1),
    seed=20,
    epochs=100,
    student_epochs=100,
    tuning_epochs=100,
    batch=32,
    rate=4e-3,
    representative=225,
    augment=cut_and_noisy,
    load=load_split,
    validation=lambda split: last_of_each_class(split.y, 5),
    suite_inputs=370,
    suite_file="japanese_vowels_test.npz",
    suite_array="series",
)
