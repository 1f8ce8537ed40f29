"""Makes the small random models that the engine is tested with. Needs TensorFlow (firmware/models/requirements.txt).

    TF_USE_LEGACY_KERAS=1 python make_models.py --count 8 --out data

Each seed gives a chain of random layers and a network with branches, each written as int8 and as float32. Weights
are random; the ranges of the activations come from random inputs, so that scales and zero points differ from layer to
layer.
Single operators with any quantization are made without TensorFlow, by random_models.py.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # read by TensorFlow when it is imported

import numpy as np
import tensorflow as tf
from tf_keras import Model, initializers, layers, utils

ACTIVATIONS = (None, "relu", "relu6")
#: What a chain ends in, and whether its int8 file takes and gives float32 (QUANTIZE and DEQUANTIZE).
ENDS = ("mean", "flatten", "softmax", "image", "mean", "flatten", "softmax", "float")


def chain(seed: int) -> Model:
    """Return a model of random layers."""
    utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    image = layers.Input((int(rng.integers(7, 20)), int(rng.integers(7, 20)), int(rng.choice([1, 1, 3, 4, 6, 8]))))
    x = image
    for _ in range(int(rng.integers(3, 6))):
        x = _layer(rng, x)
    end = ENDS[seed % len(ENDS)]
    if end == "mean":
        x = layers.GlobalAveragePooling2D(keepdims=bool(seed & 8))(x)
    elif end in ("flatten", "softmax"):
        x = layers.Dense(int(rng.integers(2, 14)), activation=_activation(rng), **_initial(rng))(layers.Flatten()(x))
    if end == "softmax":
        x = layers.Softmax()(layers.Dense(int(rng.integers(2, 14)), **_initial(rng))(x))
    return Model(image, x)


def branches(seed: int) -> Model:
    """Return a small network with what a chain doesn't have: sums, products, concatenation, padding, activations."""
    utils.set_random_seed(seed)
    rng = np.random.default_rng(1000 + seed)
    channels = int(rng.choice([4, 6, 8]))
    if seed % 4 == 3:  # a series in time
        image = layers.Input((int(rng.integers(20, 40)), int(rng.integers(2, 7))))
        x = layers.Conv1D(channels, 5, 2, "same", activation="relu", **_initial(rng))(image)
        y = layers.Conv1D(channels, 3, 1, "same", **_initial(rng))(x)
        x = layers.MaxPooling1D(2)(layers.Add()([x, tf.nn.tanh(y)]))
        x = layers.Concatenate()([x, tf.nn.sigmoid(x)])
        return Model(image, layers.Dense(5, **_initial(rng))(layers.GlobalAveragePooling1D()(x)))
    image = layers.Input((int(rng.integers(9, 14)), int(rng.integers(9, 14)), int(rng.choice([1, 3, 4]))))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(image)
    x = _act(rng, layers.Conv2D(channels, 3, 2, "valid", **_initial(rng))(x))
    y = layers.Conv2D(channels, 3, 1, "same", activation="relu", **_initial(rng))(x)
    y = layers.Conv2D(channels, 1, **_initial(rng))(y)
    x = layers.ReLU()(layers.Add()([x, y])) if seed % 2 else layers.Add()([x, y])
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(channels, 1, activation="sigmoid", **_initial(rng))(gate)
    x = layers.Multiply()([x, gate])
    z = _act(rng, layers.Conv2D(int(rng.choice([3, 4])), 1, **_initial(rng))(x))
    x = layers.Concatenate()([x, layers.MaxPooling2D(3, 1, "same")(x), z])
    x = x * 0.5 + rng.normal(size=x.shape[-1]).astype(np.float32)
    x = layers.AveragePooling2D(2)(_act(rng, x))
    return Model(image, layers.Softmax()(layers.Dense(4, **_initial(rng))(layers.Flatten()(x))))


def recurrent(*, unroll: bool) -> Model:
    """Return a GRU, whose steps are a loop with subgraphs (WHILE), or operators each."""
    utils.set_random_seed(2)
    x = layers.Input((4, 3))
    return Model(x, layers.Dense(3)(layers.Flatten()(layers.GRU(5, return_sequences=True, unroll=unroll)(x))))


def _act(rng: np.random.Generator, x: tf.Tensor) -> tf.Tensor:
    kind = rng.choice(["hard_swish", "leaky", "tanh", "sigmoid", "relu6"])
    if kind == "hard_swish":
        return x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0)
    if kind == "leaky":
        return layers.LeakyReLU(0.2)(x)
    return {"tanh": tf.nn.tanh, "sigmoid": tf.nn.sigmoid, "relu6": tf.nn.relu6}[kind](x)


def _layer(rng: np.random.Generator, x: tf.Tensor) -> tf.Tensor:
    height, width = x.shape[1:3]
    kernel = int(rng.integers(1, min(height, 5) + 1)), int(rng.integers(1, min(width, 5) + 1))
    strides = int(rng.integers(1, 4))
    padding = str(rng.choice(["same", "valid"]))
    kind = rng.choice(["conv", "conv", "pointwise", "depthwise", "depthwise", "max", "average"])
    if kind == "max":
        return layers.MaxPooling2D(kernel, (strides, min(strides, 2)), padding)(x)
    if kind == "average":
        return layers.AveragePooling2D(kernel, strides, padding)(x)
    if kind == "depthwise":
        if rng.random() < 0.5 and min(height, width) >= 3:
            kernel = (3, 3)
        many = 2 if rng.random() < 0.25 else 1
        names = {"depthwise_initializer": _initial(rng)["kernel_initializer"]}
        return layers.DepthwiseConv2D(
            kernel,
            min(strides, 2),
            padding,
            depth_multiplier=many,
            activation=_activation(rng),
            bias_initializer=_initial(rng)["bias_initializer"],
            **names,
        )(x)
    channels = int(rng.choice([3, 4, 5, 8, 12, 16]))
    if kind == "pointwise":
        kernel, strides = (1, 1), 1
    return layers.Conv2D(channels, kernel, min(strides, 2), padding, activation=_activation(rng), **_initial(rng))(x)


def _activation(rng: np.random.Generator) -> str | None:
    return ACTIVATIONS[int(rng.integers(len(ACTIVATIONS)))]


def _initial(rng: np.random.Generator) -> dict[str, initializers.Initializer]:
    return {
        "kernel_initializer": initializers.RandomNormal(
            0.0, float(rng.uniform(0.1, 0.6)), seed=int(rng.integers(1 << 30))
        ),
        "bias_initializer": initializers.RandomNormal(0.0, 0.5, seed=int(rng.integers(1 << 30))),
    }


def export(model: Model, seed: int, *, quantized: bool) -> bytes:
    """Return the model as a .tflite file for one input."""
    shape = (1, *model.input_shape[1:])
    call = tf.function(model).get_concrete_function(tf.TensorSpec(shape, tf.float32, name="x"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([call], model)
    if quantized:
        rng = np.random.default_rng(seed)
        inputs = [rng.uniform(-1.0, 1.5, shape).astype(np.float32) for _ in range(16)]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([x] for x in inputs)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if ENDS[seed % len(ENDS)] != "float":
            converter.inference_input_type = converter.inference_output_type = tf.int8
        # One scale for a whole matrix, as older converters did, in every second model.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = bool(seed & 1)
    return converter.convert()


def main() -> None:
    """Write the models, and one with an operator that the engine doesn't have."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for kind, make in (("chain", chain), ("branch", branches)):
        for seed in range(args.first, args.first + args.count):
            model = make(seed)
            for name in ("int8", "float32"):
                content = export(model, seed, quantized=name == "int8")
                (args.out / f"{kind}{seed:02}_{name}.tflite").write_bytes(content)
    for name, quantized in (("int8", True), ("float32", False)):
        content = export(recurrent(unroll=quantized), 0, quantized=quantized)
        (args.out / f"gru_{name}.tflite").write_bytes(content)
    x = layers.Input((4, 4, 4))
    unsupported = Model(x, tf.math.sign(layers.MaxPooling2D(2)(x)))
    (args.out / "unsupported.tflite").write_bytes(export(unsupported, 0, quantized=False))


if __name__ == "__main__":
    main()
