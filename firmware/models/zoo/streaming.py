"""Networks that take one step at a time and keep what they need of the earlier ones in variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tf_keras import Model, layers

if TYPE_CHECKING:
    from zoo.task import Task

NAME = "stream"  # of a model that `Stream` can be made of
CHANNELS, NEAR, FAR, UNITS = 24, 5, 32, 16  # NEAR and FAR: steps that a convolution reaches over


def build(task: Task) -> Model:
    """Return the network over a whole sequence, with random weights: its answer is the greatest of its steps'.

    Before the first step there were zeros, in the input and behind the first convolution, as in the variables.
    """
    sequence = layers.Input(task.shape)
    x = layers.ZeroPadding2D(((NEAR - 1, 0), (0, 0)))(sequence)
    x = layers.Conv2D(CHANNELS, (NEAR, 1), activation="relu", name="near")(x)
    x = layers.ZeroPadding2D(((FAR - 1, 0), (0, 0)))(x)
    x = layers.DepthwiseConv2D((FAR, 1), name="far")(x)
    x = layers.Dense(UNITS, activation="relu", name="mix")(x)
    x = layers.Dense(1, activation="sigmoid", name="answer")(x)
    return Model(sequence, layers.GlobalMaxPooling2D()(x), name=NAME)


class Stream(tf.Module):
    """The same network for one step, [1, 1, 1, bands]: the last steps are in two variables."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.weights = {layer.name: [tf.constant(w) for w in layer.get_weights()] for layer in model.layers}
        self.bands = model.input_shape[-1]
        self.inputs = tf.Variable(tf.zeros((1, NEAR - 1, 1, self.bands)))
        self.hidden = tf.Variable(tf.zeros((1, FAR - 1, 1, CHANNELS)))

    def function(self) -> Any:
        """Return the concrete function of a step."""
        return tf.function(self.step).get_concrete_function(tf.TensorSpec((1, 1, 1, self.bands), tf.float32, "step"))

    def step(self, step: Any) -> Any:
        """Return the probability that the keyword has just been said, [1, 1]."""
        kernel, bias = self.weights["near"]
        x = tf.nn.relu(tf.nn.conv2d(_with_earlier(self.inputs, step), kernel, 1, "VALID") + bias)
        kernel, bias = self.weights["far"]
        x = tf.nn.depthwise_conv2d(_with_earlier(self.hidden, x), kernel, (1, 1, 1, 1), "VALID") + bias
        kernel, bias = self.weights["mix"]
        x = tf.nn.relu(tf.matmul(tf.reshape(x, (1, CHANNELS)), kernel) + bias)
        kernel, bias = self.weights["answer"]
        return tf.sigmoid(tf.matmul(x, kernel) + bias)


def _with_earlier(variable: Any, step: Any) -> Any:
    """Return the earlier steps and this one, and keep all but the first."""
    steps = tf.concat([variable.read_value(), step], axis=1)
    variable.assign(steps[:, 1:])
    return steps
