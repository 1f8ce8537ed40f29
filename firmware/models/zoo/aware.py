"""Quantization-aware training: a network with simulated quantization, whose ranges start from data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
from tf_keras import Model, layers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def with_simulated_quantization(model: Model, representative: NDArray[np.float32]) -> Model:
    """Return the network with simulated int8 quantization of weights and activations.

    TensorFlow Model Optimization lets the range of every activation start at -6 to 6 and approach the data by a
    thousandth per step. In the few hundred steps of a small task it would never arrive, and half of the int8 values
    would stand for negative numbers that no ReLU gives. So the ranges start at what the float32 network has.

    Args:
        model: the trained float32 network.
        representative: the inputs that set the ranges.
    """
    aware = tfmot.quantization.keras.quantize_model(model)
    for layer in aware.layers:
        for weight in layer.weights:
            tensor, _, end = weight.name.removesuffix(":0").rpartition("_")
            if end not in {"min", "max"} or tensor.endswith("kernel"):
                continue
            values = _values(model, tensor, representative)
            extreme = tf.reduce_min(values) if end == "min" else tf.reduce_max(values)
            weight.assign(tf.minimum(extreme, 0.0) if end == "min" else tf.maximum(extreme, 0.0))
    return aware


def _values(model: Model, tensor: str, x: NDArray[np.float32]) -> Any:
    """Return what the float32 network has where the other one has a range.

    Raises:
        ValueError: a range of an unknown kind.
    """
    name, _, kind = tensor.rpartition("/")
    if name == "quantize_layer":
        return tf.convert_to_tensor(x)
    layer = model.get_layer(name.removeprefix("quant_"))
    if kind == "output":
        return Model(model.input, layer.output)(x, training=False)
    if kind == "pre_activation" and isinstance(layer, layers.Dense):
        return Model(model.input, layer.input)(x, training=False) @ layer.kernel + layer.bias
    message = f"{tensor}: no rule for the start of this range"
    raise ValueError(message)
