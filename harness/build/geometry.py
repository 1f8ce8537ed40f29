"""How operators of any rank come down to rows: means, concatenations, padding, inputs that repeat."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from harness.build.graph import unsupported

if TYPE_CHECKING:
    from harness.build.graph import Graph, Operator, Tensor


@dataclass(frozen=True)
class Padding:
    """Four dimensions; the ones that need no padding are joined with those before them."""

    size: tuple[int, ...]
    before: tuple[int, ...]
    out: tuple[int, ...]


def mean_span(graph: Graph, operator: Operator, x: Tensor) -> tuple[int, int]:
    """Return how many values each mean is of, and how many means there are, one beside the other.

    Raises:
        ConfigError: the axes are not known or not neighbours, or something before them has more than one value.
    """
    axes = graph.tensors[operator.inputs[1]].data
    rank = len(x.shape)
    if axes is not None:
        over = sorted({int(a) % rank for a in axes.flat})
        # dimensions of one value between or beside them don't matter
        inside = [d for d in range(over[0], over[-1] + 1) if d in over or x.shape[d] > 1] if over else []
        if over and inside == [d for d in inside if d in over] and prod(x.shape[: over[0]]) == 1:
            return prod(x.shape[over[0] : over[-1] + 1]), prod(x.shape[over[-1] + 1 :])
    shown = "computed axes" if axes is None else f"axes {axes.flatten().tolist()}"
    what = f"mean of a tensor of shape {list(x.shape)} over {shown}"
    raise unsupported(graph, operator, what, "one image, and the mean over neighbouring axes, as 1 and 2")


def repeat_period(graph: Graph, operator: Operator, longer: Tensor, shorter: Tensor) -> int:
    """Return after how many values the shorter of two inputs starts again, as values of the longer are taken.

    Raises:
        ConfigError: it doesn't simply repeat.
    """
    shape = (1,) * (len(longer.shape) - len(shorter.shape)) + shorter.shape
    first = next((d for d, size in enumerate(shape) if size > 1), len(shape))
    if len(shape) == len(longer.shape) and shape[first:] == longer.shape[first:]:
        return shorter.elements
    what = f"inputs of shapes {list(longer.shape)} and {list(shorter.shape)}"
    raise unsupported(graph, operator, what, "the same shape, or a second input of the last dimensions or of one value")


def concatenation_axis(graph: Graph, operator: Operator, y: Tensor) -> int:
    """Return the axis, counted from the first dimension.

    Raises:
        ConfigError: a fused activation.
    """
    if operator.options.get("FusedActivationFunction", 0) != 0:
        raise unsupported(graph, operator, "a fused activation", "the activation as an operator of its own")
    return int(operator.options["Axis"]) % len(y.shape)


def padding_of(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Padding:
    """Return what is padded, in four dimensions.

    Raises:
        ConfigError: the padding is not constant, or of more than four dimensions that can't be joined.
    """
    amounts = graph.tensors[operator.inputs[1]].data
    if amounts is None:
        raise unsupported(graph, operator, "padding that is computed", "constant padding")
    pairs = [(int(before), int(after)) for before, after in amounts.reshape(-1, 2)]
    size, before, out = [1], [0], [1]
    for n, (low, high) in zip(x.shape, pairs, strict=True):
        if low == high == 0 and len(size) > 1:
            size[-1], before[-1], out[-1] = size[-1] * n, before[-1] * n, out[-1] * n
        else:
            size.append(n)
            before.append(low)
            out.append(low + n + high)
    size, before, out = _joined(size, before, out)
    if len(size) > 4 or prod(out) != y.elements:
        what = f"padding {pairs} of a tensor of shape {list(x.shape)} to {list(y.shape)}"
        raise unsupported(graph, operator, what, "at most four dimensions to pad")
    more = 4 - len(size)
    return Padding((1,) * more + tuple(size), (0,) * more + tuple(before), (1,) * more + tuple(out))


def _joined(size: list[int], before: list[int], out: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Leave out dimensions of one value at the front."""
    while len(size) > 1 and out[0] == 1:
        size, before, out = size[1:], before[1:], out[1:]
    return size, before, out
