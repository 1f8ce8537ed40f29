"""Pruning: whole channels, which leaves a smaller dense network, and single weights, which leaves zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow_model_optimization as tfmot
from tf_keras import layers
from zoo.task import Conv

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tf_keras import Model
    from zoo.task import Layers

SPARSITY = 0.8  # of the kernels of convolutions and fully connected layers; depthwise ones stay dense
UPDATES = 20  # times that the mask is drawn anew


def remove_channels(wide: Model, narrow: Model, spec: Layers) -> None:
    """Fill a narrow network with the most important channels of a wide one, in place.

    A channel's importance is the L1 norm of its filter with batch normalization folded in: how much it can add to
    the next layer.

    Args:
        wide: the trained network.
        narrow: the same with fewer channels.
        spec: the layers of the narrow one, which say how many channels stay.
    """
    counts = [layer.channels for layer in spec if isinstance(layer, Conv)]
    kept = np.arange(wide.input_shape[-1])  # channels that are left of what enters the layer
    for at, (old, new) in enumerate(zip(wide.layers, narrow.layers, strict=True)):
        weights = old.get_weights()
        if isinstance(old, layers.DepthwiseConv2D):
            new.set_weights([weights[0][:, :, kept]])
        elif isinstance(old, layers.Conv2D):
            chosen = _strongest(weights[0], wide.layers[at + 1], counts.pop(0))
            new.set_weights([weights[0][:, :, kept][..., chosen]])
            kept = chosen
        elif isinstance(old, layers.BatchNormalization):
            new.set_weights([values[kept] for values in weights])
        elif isinstance(old, layers.Dense):
            new.set_weights([weights[0][kept], weights[1]])


def _strongest(kernel: NDArray[np.float32], normalization: Any, count: int) -> NDArray[np.intp]:
    """Return the channels with the greatest L1 norm, in their old order."""
    gamma, _, _, variance = normalization.get_weights()
    norm = np.abs(kernel).sum(axis=(0, 1, 2)) * np.abs(gamma) / np.sqrt(variance + normalization.epsilon)
    return np.sort(np.argsort(-norm, kind="stable")[:count])


def with_masks(model: Model, steps: int) -> tuple[Model, list[Any]]:
    """Return the network with masks that grow over the first half of so many steps, and the callbacks for that."""
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.3,
        final_sparsity=SPARSITY,
        begin_step=0,
        end_step=steps // 2,
        frequency=max(1, steps // 2 // UPDATES),
    )
    masked = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
    return masked, [tfmot.sparsity.keras.UpdatePruningStep()]


def without_masks(model: Model) -> Model:
    """Return the plain network, whose pruned weights are zeros."""
    return tfmot.sparsity.keras.strip_pruning(model)
