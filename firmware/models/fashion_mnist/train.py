"""Trains the Fashion-MNIST network and writes it as a float32 and as a full-int8 .tflite file.

    TF_USE_LEGACY_KERAS=1 python train.py --data /usr/share/datasets/fashion-mnist

CPU only, seeded; some minutes on two cores. The last 5,000 training images choose nothing but are
printed as validation; the test images are never read here.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # read by TensorFlow when it is imported
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
from dataset import load, to_input
from tf_keras import Model, layers, optimizers, utils

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SEED = 20
EPOCHS = 24
BATCH = 128
VALIDATION = 5_000
REPRESENTATIVE = 500  # training images that set the activations' ranges


def network() -> Model:
    """Return the network: 0.95 million multiply-accumulates, 12.7 thousand parameters.

    Every convolution is followed by batch normalization (folded into it on export) and ReLU.
    """
    image = layers.Input((28, 28, 1))
    x = _conv(image, 8)  # 28 x 28 x 8
    x = layers.MaxPooling2D(2)(x)
    x = _conv(x, 32)  # 14 x 14 x 32
    x = _separable(x, 64, stride=2)  # 7 x 7 x 64
    x = _separable(x, 96, stride=1)  # 7 x 7 x 96
    x = layers.GlobalAveragePooling2D()(x)
    return Model(image, layers.Dense(10, activation="softmax")(x))


def _conv(x: Any, channels: int) -> Any:
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def _separable(x: Any, channels: int, stride: int) -> Any:
    x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(channels, 1, use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def train(images: NDArray[np.float32], labels: NDArray[np.uint8]) -> Model:
    """Return the network, trained on all but the last `VALIDATION` images."""
    utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    model = network()
    x, y = images[:-VALIDATION], labels[:-VALIDATION]
    steps = len(x) // BATCH * EPOCHS
    model.compile(
        optimizer=optimizers.Adam(optimizers.schedules.CosineDecay(4e-3, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    data = (
        tf.data.Dataset.from_tensor_slices((x, y))
        .shuffle(len(x), seed=SEED)
        .map(_augment)
        .batch(BATCH, drop_remainder=True)
        .prefetch(2)
    )
    model.fit(data, epochs=EPOCHS, validation_data=(images[-VALIDATION:], labels[-VALIDATION:]), verbose=2)
    return model


def _augment(image: Any, label: Any) -> tuple[Any, Any]:
    """Mirror half of the images and shift each by up to two pixels."""
    image = tf.image.random_flip_left_right(image, seed=SEED)
    image = tf.image.random_crop(tf.pad(image, [[2, 2], [2, 2], [0, 0]]), (28, 28, 1), seed=SEED)
    return image, label


def export(model: Model, representative: NDArray[np.float32] | None) -> bytes:
    """Return the model as a .tflite file for one image, full int8 if representative images are given."""
    call = tf.function(model).get_concrete_function(tf.TensorSpec((1, 28, 28, 1), tf.float32, name="image"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([call], model)
    if representative is not None:

        def samples() -> Iterator[list[NDArray[np.float32]]]:
            for image in representative:
                yield [image[np.newaxis]]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    return converter.convert()


def main() -> None:
    """Train, export, write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    images, labels = load(args.data, "train")
    inputs = to_input(images)
    model = train(inputs, labels)
    for name, representative in (("float32", None), ("int8", inputs[:REPRESENTATIVE])):
        part = args.out / f"fashion_mnist_{name}.tflite.part"
        part.write_bytes(export(model, representative))
        part.replace(args.out / f"fashion_mnist_{name}.tflite")


if __name__ == "__main__":
    main()
