"""Networks of a few kinds of layers, made for one task's shape."""

from __future__ import annotations

import math
import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # read by TensorFlow when it is imported
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tf_keras import Model, backend, layers, utils
from zoo import streaming
from zoo.task import Conv, Dense, Depthwise, Pool

if TYPE_CHECKING:
    from zoo.task import Layers, Task


def start(seed: int) -> None:
    """Forget earlier networks and their names, and seed everything: what follows doesn't depend on what was before."""
    backend.clear_session()
    utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build(task: Task, shape: tuple[int, int, int], spec: Layers) -> Model:
    """Return the network with random weights.

    Every convolution is followed by batch normalization, which is folded into it on export. What ends in channels of a
    height and width is averaged over these. A fully connected layer gives the answer: softmax over classes, sigmoid for
    a probability, nothing more for a value or the input.
    """
    if task.answer == "stream":
        return streaming.build(task)
    image = layers.Input(shape)
    x = image
    for layer in spec:
        x = _add(x, layer)
    if not isinstance(spec[-1], Dense):
        x = layers.GlobalAveragePooling2D()(x)
    units = {"class": task.classes, "input": math.prod(shape)}.get(task.answer, 1)
    activation = {"class": "softmax", "probability": "sigmoid"}.get(task.answer)
    return Model(image, layers.Dense(units, activation=activation)(x))


def _add(x: Any, layer: Conv | Depthwise | Pool | Dense) -> Any:
    if isinstance(layer, Dense):
        return layers.Dense(layer.units, activation="relu")(layers.Flatten()(x))
    if isinstance(layer, Pool):
        return layers.MaxPooling2D(layer.size)(x)
    if isinstance(layer, Depthwise):
        x = layers.DepthwiseConv2D(layer.kernel, strides=layer.stride, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))
    padding = "valid" if layer.kernel == (1, 1) else "same"
    x = layers.Conv2D(layer.channels, layer.kernel, strides=layer.stride, padding=padding, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if layer.relu else x
