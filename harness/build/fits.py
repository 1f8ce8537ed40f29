"""Whether the tensors of an operator can be its own: what else a kernel reads or writes, the lowering looks at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.build.step import Node


def one_for_one(node: Node) -> bool:
    """Whether the output has the values of the only computed input."""
    return node.x.elements == node.y.elements


def is_softmax(node: Node) -> bool:
    """Whether there is a last dimension, and an output for each input."""
    return one_for_one(node) and bool(node.x.shape)


def is_window(node: Node) -> bool:
    """Whether input and output are images."""
    return len(node.x.shape) == len(node.y.shape) == 4


def is_pool(node: Node) -> bool:
    """Whether the images have the same channels."""
    return is_window(node) and node.x.shape[3] == node.y.shape[3]


def is_convolution(node: Node) -> bool:
    """Whether there is a filter for each output channel."""
    filters = node.second.shape
    return is_window(node) and len(filters) == 4 and filters[0] == node.y.shape[3]


def is_depthwise(node: Node) -> bool:
    """Whether there is a filter for each output channel, and each input channel has equally many of them."""
    filters = node.second.shape
    if not is_window(node) or len(filters) != 4:
        return False
    return filters[0] == 1 and filters[3] == node.y.shape[3] and node.y.shape[3] % node.x.shape[3] == 0


def is_product(node: Node) -> bool:
    """Whether rows of the input and the weights are of one length."""
    if len(node.second.shape) != 2:
        return False
    outputs, depth = node.second.shape
    return node.x.elements % depth == 0 and node.y.elements == node.x.elements // depth * outputs


def is_padding(node: Node) -> bool:
    """Whether each dimension has two amounts of padding."""
    amounts = node.second
    if amounts.shape != (len(node.x.shape), 2) or len(node.x.shape) != len(node.y.shape):
        return False
    return amounts.data is None or bool((amounts.data.astype(float) >= 0).all())


def is_mean(node: Node) -> bool:
    """Whether what the axes leave is the output."""
    axes, rank = node.second.data, len(node.x.shape)
    if axes is None:
        return True  # refused by its lowering, in other words
    over = {int(axis) for axis in axes.flat}
    if any(not -rank <= axis < rank for axis in over):
        return False
    left = [size for d, size in enumerate(node.x.shape) if d not in over and d - rank not in over]
    return math.prod(left) == node.y.elements


def is_arg_max(node: Node) -> bool:
    """Whether the output is the input without its last dimension."""
    return bool(node.x.shape) and node.y.elements * node.x.shape[-1] == node.x.elements


def is_joined(node: Node) -> bool:
    """Whether the inputs are of the output's shape but along the axis, where they add up to it."""
    whole, axis = node.y.shape, node.option("Axis")
    parts = [part.shape for part in node.tensors if part is not None]
    if not -len(whole) <= axis < len(whole) or len(parts) < len(node.tensors):
        return False
    axis %= len(whole)
    if any((*part[:axis], whole[axis], *part[axis + 1 :]) != whole for part in parts):
        return False
    return sum(part[axis] for part in parts) == whole[axis]


def is_packed(node: Node) -> bool:
    """Whether the inputs are of one shape, which the output has along one dimension more."""
    whole, axis = node.y.shape, node.option("Axis")
    if not -len(whole) <= axis < len(whole):
        return False
    axis %= len(whole)
    part = (*whole[:axis], *whole[axis + 1 :])
    return whole[axis] == len(node.tensors) and all(x is not None and x.shape == part for x in node.tensors)


def any_shapes(_node: Node) -> bool:
    """Say yes: the lowering looks at the shapes."""
    return True
