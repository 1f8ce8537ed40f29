"""Fashion-MNIST: ten kinds of clothes in 28 x 28 grey pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from fashion_mnist.dataset import load, to_input
from zoo.augment import mirrored_and_shifted
from zoo.task import USUAL, Conv, Depthwise, Layers, Pool, Split, Task

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VALIDATION = 5_000


def network(first: int, second: int, third: int, fourth: int) -> Layers:
    """Return the layers for so many channels."""
    return (
        Conv(first),  # 28 x 28
        Pool(),
        Conv(second),  # 14 x 14
        Depthwise(stride=(2, 2)),
        Conv(third, (1, 1)),  # 7 x 7
        Depthwise(),
        Conv(fourth, (1, 1)),  # 7 x 7
    )


def candidate(params: dict[str, int]) -> tuple[Layers, int]:
    """Return the layers of a candidate of fashion_mnist_search.yaml, and how many rows and columns become one."""
    return network(params["first"], params["second"], params["third"], params["fourth"]), params["shrink"]


def load_split(data: Path, split: str) -> Split:
    """Return the images and labels, "train" or "test"."""
    images, labels = load(data / "usr/share/datasets/fashion-mnist", {"train": "train", "test": "t10k"}[split])
    return Split(images, to_input(images), labels)


def held_out(split: Split) -> NDArray[np.bool_]:
    """Keep the last images for validation."""
    return np.arange(len(split)) >= len(split) - VALIDATION


TASK = Task(
    name="fashion_mnist",
    shape=(28, 28, 1),
    classes=10,
    layers=network(8, 32, 64, 96),
    narrow=network(4, 16, 32, 48),
    small=(2, 2),
    searched=(network(8, 16, 64, 96), 2),  # of `make search`, the most accurate one of the front
    seed=20,
    epochs=24,
    student_epochs=12,
    tuning_epochs=8,
    batch=128,
    rate=4e-3,
    representative=500,
    augment=mirrored_and_shifted,
    load=load_split,
    validation=held_out,
    suite_inputs=1_000,
    suite_file="fashion_mnist_test1000.npz",
    suite_array="images",
    variants=(*USUAL, "int16x8", "int4", "searched_int8"),
)
