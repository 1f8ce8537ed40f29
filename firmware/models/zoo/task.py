"""What the training of a task needs to know: its data, its network, and how long to train."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from zoo.resize import Resize


#: What a task's answers may be: the class, a real value, the probability of one thing, that at each step of a
#: sequence, or the input once more.
ANSWERS = ("class", "value", "probability", "stream", "input")

#: The techniques that a task is trained in unless it says otherwise.
USUAL = (
    "float32",
    "int8",
    "int8_qat",
    "int8_weights",
    "channel_pruned_int8",
    "sparse_int8",
    "student_int8",
    "student_distilled_int8",
    "small_input_int8",
)


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, batch normalization and, unless `relu` is false, ReLU."""

    channels: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    relu: bool = True


@dataclass(frozen=True)
class Depthwise:
    """A depthwise convolution without bias, batch normalization, ReLU."""

    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Pool:
    """The maximum over blocks that don't overlap."""

    size: tuple[int, int] = (2, 2)


@dataclass(frozen=True)
class Dense:
    """A fully connected layer with bias and ReLU; the first of a network takes everything that is before it."""

    units: int


Layers = tuple[Conv | Depthwise | Pool | Dense, ...]


@dataclass(frozen=True)
class Split:
    """Inputs and labels.

    Attributes:
        raw: the inputs as they were published, [n, ...].
        x: the inputs as the models take them, float32 [n, height, width, channels].
        y: the index of the class of each, or the value, [n].
        groups: which recording each was cut from, [n]; None: each is one of its own.
    """

    raw: NDArray[Any]
    x: NDArray[np.float32]
    y: NDArray[Any]
    groups: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, which: slice | NDArray[Any]) -> Split:
        """Return some of them."""
        groups = None if self.groups is None else self.groups[which]
        return Split(self.raw[which], self.x[which], self.y[which], groups)


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        name: its folder, and how the names of its files begin.
        shape: height, width and channels of the data.
        layers: the network; what `answer` needs follows.
        narrow: the same with fewer channels: what channel pruning leaves, and the student.
        small: how many rows and columns become one in the variant with a smaller input.
        searched: the network that an architecture search found best, and how many rows and columns become one.
        redistributed: the network with a smaller receptive field in its first stages and a larger one in its last.
        seed: of the weights, the order of the batches and the augmentation.
        epochs: of a network that starts from random weights.
        student_epochs: of the students.
        tuning_epochs: of one that starts from trained weights.
        batch: inputs per step.
        rate: the learning rate at the start.
        representative: how many training inputs set the ranges of int8 activations.
        augment: (input, label, seed) -> (input, label), TensorFlow operations.
        load: (folder of the data, "train" or "test") -> the split, in the published order.
        validation: training split -> true for each of the inputs that are not trained on.
        suite_inputs: the test inputs that the suite sends, from the first on.
        suite_file: the file in suites/data.
        suite_array: the name of the inputs in that file.
        classes: how many there are, if the answer is a class.
        answer: one of ANSWERS.
        resize: how the data becomes the input of every variant; None: as it is.
        variants: the techniques that it is trained in, by the names in zoo/techniques.py.
    """

    name: str
    shape: tuple[int, int, int]
    layers: Layers
    seed: int
    epochs: int
    batch: int
    rate: float
    representative: int
    augment: Callable[[Any, Any, int], tuple[Any, Any]]
    load: Callable[[Path, str], Split]
    validation: Callable[[Split], NDArray[np.bool_]]
    suite_inputs: int
    suite_file: str
    suite_array: str
    classes: int = 0
    answer: str = "class"
    narrow: Layers = ()
    small: tuple[int, int] = (1, 1)
    searched: tuple[Layers, int] | None = None
    redistributed: Layers = ()
    student_epochs: int = 0
    tuning_epochs: int = 0
    resize: Resize | None = None
    variants: tuple[str, ...] = USUAL


def load_task(name: str) -> Task:
    """Return the task of a folder.

    Raises:
        SystemExit: there is no such task.
    """
    try:
        task: Task = importlib.import_module(f"{name}.task").TASK
    except ModuleNotFoundError as error:
        message = f"There is no task {name}: {error}. A task is a folder with a task.py."
        raise SystemExit(message) from error
    return task


def split_training(task: Task, data: Split) -> tuple[Split, Split]:
    """Return what is trained on and what is kept for validation."""
    held = task.validation(data)
    return data.take(~held), data.take(held)
