"""Every optimization technique: how a task's .tflite file is made in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from zoo import export
from zoo.aware import with_simulated_quantization
from zoo.network import build, start
from zoo.pruning import remove_channels, with_masks, without_masks
from zoo.resize import Resize
from zoo.training import Plan, fit, steps_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from tf_keras import Model
    from zoo.task import Layers, Split, Task

TUNING_RATE = 0.25  # of the learning rate, for networks that start from trained weights
AWARE_RATE = 0.05  # of the learning rate, for quantization-aware training


@dataclass(frozen=True)
class Workshop:
    """What the techniques work with.

    Attributes:
        task: the task.
        data: what is trained on.
        held: what only prints an accuracy.
        representative: the first training inputs, which set the ranges of int8 activations.
        weights: the file that keeps the weights of the float32 network between techniques.
    """

    task: Task
    data: Split
    held: Split
    representative: NDArray[np.float32]
    weights: Path

    def scratch(self, spec: Layers, epochs: int, *, teacher: bool = False, resize: Resize | None = None) -> Model:
        """Return a network trained from random weights."""
        task = self.task
        resize = resize or task.resize
        shape = task.shape if resize is None else (resize.height, resize.width, task.shape[2])
        taught = self.baseline() if teacher else None
        start(task.seed)
        model = build(task, shape, spec)
        fit(model, task, self.data, self.held, Plan(epochs, task.rate, resize, taught))
        return model

    def baseline(self) -> Model:
        """Return the float32 network, trained now unless it was before."""
        task = self.task
        if not self.weights.is_file():
            part = self.weights.with_suffix(".part")
            part.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.savez(file, *self.scratch(task.layers, task.epochs).get_weights())
            part.replace(self.weights)
        start(task.seed)
        shape = task.shape if task.resize is None else (task.resize.height, task.resize.width, task.shape[2])
        model = build(task, shape, task.layers)
        with np.load(self.weights) as arrays:
            model.set_weights([arrays[f"arr_{i}"] for i in range(len(arrays.files))])
        return model

    def tune(self, model: Model, plan: Plan) -> None:
        """Train a network that has weights already."""
        fit(model, self.task, self.data, self.held, plan)

    def int8(self, model: Model, resize: Resize | None = None) -> bytes:
        """Return the network after full-int8 post-training quantization."""
        resize = resize or self.task.resize
        return export.int8(model, self.representative if resize is None else resize(self.representative))


def _float32(shop: Workshop) -> bytes:
    return export.float32(shop.baseline())


def _int8(shop: Workshop) -> bytes:
    return shop.int8(shop.baseline())


def _int8_weights(shop: Workshop) -> bytes:
    return export.int8_weights(export.float32(shop.baseline()))


def _int16x8(shop: Workshop) -> bytes:
    return export.int16x8(export.float32(shop.baseline()), shop.representative)


def _int4(shop: Workshop) -> bytes:
    return export.int4(export.float32(shop.baseline()), shop.representative)


def _int8_qat(shop: Workshop) -> bytes:
    """Train on with simulated quantization, at a small rate."""
    model = with_simulated_quantization(shop.baseline(), shop.representative)
    shop.tune(model, Plan(shop.task.tuning_epochs, shop.task.rate * AWARE_RATE))
    return export.int8(model, shop.representative[:0])


def _channel_pruned(shop: Workshop) -> bytes:
    """Keep the strongest channels, train on."""
    task = shop.task
    wide = shop.baseline()
    narrow = build(task, task.shape, task.narrow)
    remove_channels(wide, narrow, task.narrow)
    shop.tune(narrow, Plan(task.tuning_epochs, task.rate * TUNING_RATE))
    return shop.int8(narrow)


def _sparse(shop: Workshop) -> bytes:
    """Set the smallest weights to zero step by step while training on."""
    task = shop.task
    plan = Plan(task.tuning_epochs, task.rate * TUNING_RATE)
    model, callbacks = with_masks(shop.baseline(), steps_of(task, shop.data, plan.epochs))
    shop.tune(model, replace(plan, callbacks=callbacks))
    return shop.int8(without_masks(model))


def _student(shop: Workshop) -> bytes:
    return shop.int8(shop.scratch(shop.task.narrow, shop.task.student_epochs))


def _student_distilled(shop: Workshop) -> bytes:
    return shop.int8(shop.scratch(shop.task.narrow, shop.task.student_epochs, teacher=True))


def _small_input(shop: Workshop) -> bytes:
    task = shop.task
    resize = Resize("area", task.shape[0] // task.small[0], task.shape[1] // task.small[1])
    return shop.int8(shop.scratch(task.layers, task.epochs, resize=resize), resize)


def _searched(shop: Workshop) -> bytes:
    task = shop.task
    if task.searched is None:
        message = f"{task.name}: no network was searched for"
        raise SystemExit(message)
    layers, shrink = task.searched
    resize = Resize("area", task.shape[0] // shrink, task.shape[1] // shrink)
    return shop.int8(shop.scratch(layers, task.epochs, resize=resize), resize)


def _redistributed(shop: Workshop) -> bytes:
    return shop.int8(shop.scratch(shop.task.redistributed, shop.task.epochs))


TECHNIQUES: dict[str, Callable[[Workshop], bytes]] = {
    "float32": _float32,
    "int8": _int8,
    "int8_qat": _int8_qat,
    "int8_weights": _int8_weights,
    "int16x8": _int16x8,
    "int4": _int4,
    "channel_pruned_int8": _channel_pruned,
    "sparse_int8": _sparse,
    "student_int8": _student,
    "student_distilled_int8": _student_distilled,
    "small_input_int8": _small_input,
    "searched_int8": _searched,
    "redistributed_int8": _redistributed,
}
