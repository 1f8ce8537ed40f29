"""Training: one loop for every technique, with or without a teacher."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tf_keras import Model, losses, optimizers

if TYPE_CHECKING:
    from zoo.resize import Resize
    from zoo.task import Split, Task

#: The loss of each kind of answer, and what is printed beside it.
LOSSES = {
    "class": ("sparse_categorical_crossentropy", ["accuracy"]),
    "value": ("mae", []),
    "probability": ("binary_crossentropy", ["accuracy"]),
    "stream": ("binary_crossentropy", ["accuracy"]),
    "input": ("mse", []),
}
TEMPERATURE = 4.0  # of the teacher's and student's answers while distilling
HARD = 0.3  # share of the true labels in the loss while distilling


@dataclass(frozen=True)
class Plan:
    """How a network is trained.

    Attributes:
        epochs: how often it sees the data.
        rate: the learning rate at the start; it falls to zero along half a cosine.
        resize: what each input goes through after the augmentation, None: nothing.
        teacher: a trained network whose answers are learned besides the labels.
        callbacks: Keras callbacks.
    """

    epochs: int
    rate: float
    resize: Resize | None = None
    teacher: Model | None = None
    callbacks: list[Any] = field(default_factory=list)


def steps_of(task: Task, data: Split, epochs: int) -> int:
    """Return the number of steps in so many epochs."""
    return len(data) // task.batch * epochs


def fit(model: Model, task: Task, data: Split, held: Split, plan: Plan) -> None:
    """Train the network in place and print the loss on `held` after every epoch; it decides nothing."""
    loss, shown = LOSSES[task.answer]
    trained = model if plan.teacher is None else Distiller(model, plan.teacher)
    trained.compile(
        optimizer=optimizers.Adam(optimizers.schedules.CosineDecay(plan.rate, steps_of(task, data, plan.epochs))),
        loss=loss,
        metrics=shown,
    )
    batches = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data), seed=task.seed)
    batches = batches.map(lambda x, y: task.augment(x, y, task.seed)).batch(task.batch, drop_remainder=True)
    if plan.resize is not None:
        resize = plan.resize
        batches = batches.map(lambda x, y: (_resized(x, resize), y))
    kept = held.x if plan.resize is None else plan.resize(held.x)
    wanted = held.y
    if task.answer == "input":
        batches = batches.map(lambda x, _: (x, tf.reshape(x, (task.batch, -1))))
        wanted = kept.reshape(len(kept), -1)
    trained.fit(
        batches.prefetch(2), epochs=plan.epochs, validation_data=(kept, wanted), callbacks=plan.callbacks, verbose=2
    )


def _resized(x: Any, resize: Resize) -> Any:
    """Return a batch at another size, as zoo/resize.py does it up to rounding."""
    if resize.method == "bilinear":
        return tf.image.resize(x, (resize.height, resize.width), method="bilinear", antialias=False)
    _, rows, columns, channels = x.shape
    blocks = (-1, resize.height, rows // resize.height, resize.width, columns // resize.width, channels)
    return tf.reduce_mean(tf.reshape(x, blocks), axis=(2, 4))


class Distiller(Model):
    """Trains a student on the labels and on a teacher's softened answers.

    loss = HARD * cross-entropy(label, p) + (1 - HARD) * T^2 * cross-entropy(teacher at T, student at T), from
    "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531).
    """

    def __init__(self, student: Model, teacher: Model) -> None:
        super().__init__()
        self.student = student
        self.teacher = teacher

    def call(self, x: Any, *, training: bool = False) -> Any:
        """Return the student's answers."""
        return self.student(x, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Take one step."""
        x, y = data
        wanted = _softened(self.teacher(x, training=False))
        with tf.GradientTape() as tape:
            answers = self.student(x, training=True)
            hard = tf.reduce_mean(losses.sparse_categorical_crossentropy(y, answers))
            soft = tf.reduce_mean(losses.categorical_crossentropy(wanted, _softened(answers)))
            loss = HARD * hard + (1 - HARD) * TEMPERATURE**2 * soft
        weights = self.student.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        self.compiled_metrics.update_state(y, answers)
        return {metric.name: metric.result() for metric in self.metrics}


def _softened(probabilities: Any) -> Any:
    """Return softmax(logits / T) of the answers of a softmax."""
    return tf.nn.softmax(tf.math.log(probabilities + 1e-7) / TEMPERATURE)
