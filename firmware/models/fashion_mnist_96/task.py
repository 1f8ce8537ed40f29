"""Fashion-MNIST scaled up to 96 x 96: a network whose first layers need most of the memory."""

from __future__ import annotations

from dataclasses import replace

from fashion_mnist.task import TASK as FASHION_MNIST
from zoo.augment import mirrored
from zoo.resize import Resize
from zoo.task import Conv, Depthwise, Layers


def _bottleneck(expanded: int, channels: int, stride: int, kernel: int = 3) -> Layers:
    """Return an inverted bottleneck without a shortcut: wide, filtered, narrow and linear (MobileNetV2)."""
    return (
        Conv(expanded, (1, 1)),
        Depthwise((kernel, kernel), (stride, stride)),
        Conv(channels, (1, 1), relu=False),
    )


LAYERS = (
    Conv(16, stride=(2, 2)),  # 48 x 48
    *_bottleneck(48, 16, 2),  # 24 x 24
    *_bottleneck(48, 24, 2),  # 12 x 12
    *_bottleneck(72, 40, 2),  # 6 x 6
    *_bottleneck(120, 48, 1),  # 6 x 6
    Conv(96, (1, 1)),
)

# Kernels as large as their strides, so that patches of the first stages need none of each other's inputs. What the
# network then sees less of the image is made up for by one more bottleneck where the tensors are small.
REDISTRIBUTED = (
    Conv(16, (2, 2), (2, 2)),  # 48 x 48
    *_bottleneck(48, 16, 2, kernel=2),  # 24 x 24
    *_bottleneck(48, 24, 2, kernel=2),  # 12 x 12
    *_bottleneck(72, 40, 2),  # 6 x 6
    *_bottleneck(120, 48, 1),  # 6 x 6
    *_bottleneck(120, 48, 1),  # 6 x 6
    Conv(96, (1, 1)),
)

TASK = replace(
    FASHION_MNIST,
    name="fashion_mnist_96",
    variants=("int8", "redistributed_int8"),
    layers=LAYERS,
    redistributed=REDISTRIBUTED,
    resize=Resize("bilinear", 96, 96),
    epochs=5,
    augment=mirrored,  # five epochs are too few for more
    suite_inputs=200,
)
