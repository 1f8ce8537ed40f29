"""From operators that pad tensors or sum them up to kernel calls: padding, pools, means, softmax."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from harness.build.lower_move import check_scales
from harness.build.requantize import mean_scaling, softmax_scaling

if TYPE_CHECKING:
    from harness.build.step import Node, Step


#: What the names of kernels call types.
_SHORT = {"int8": "s8", "int16": "s16", "float32": "f32"}


def pad(node: Node) -> Step:
    """Return the call of a padding, by the value that stands for 0 or (PADV2) by a constant."""
    x, y = node.x, node.y
    check_scales(node, x, y)
    value = float(y.quantization.zero) if y.dtype == "int8" and y.quantization is not None else 0.0
    if node.kind == "PADV2":
        constant = node.graph.tensors[node.operator.inputs[2]]
        if constant.data is None or constant.dtype != y.dtype:
            raise node.refused("a value that is computed", f"a constant {y.dtype} value")
        check_scales(node, constant, y)
        value = float(constant.data.flat[0])
    size, before, out = _padding(node)
    fields = {
        "in": _sizes(size),
        "out": _sizes(out),
        "before": _sizes(before),
        "value": f"{value!r}f" if abs(value) != float("inf") else "INFINITY" if value > 0 else "-INFINITY",
    }
    return node.step(f"hil_pad_{_SHORT[y.dtype]}", "hil_pad", fields)


def _padding(node: Node) -> tuple[list[int], list[int], list[int]]:
    """Return sizes, padding before, and padded sizes of four dimensions.

    Dimensions that need no padding are joined with those before them.
    """
    amounts = node.second.data
    if amounts is None:
        raise node.refused("padding that is computed", "constant padding")
    pairs = [(int(before), int(after)) for before, after in amounts.reshape(-1, 2)]
    dimensions = [(1, 0, 1)]  # size, padding before, padded size
    for n, (low, high) in zip(node.x.shape, pairs, strict=True):
        if low == high == 0 and len(dimensions) > 1:
            size, before, out = dimensions[-1]
            dimensions[-1] = size * n, before * n, out * n
        else:
            dimensions.append((n, low, low + n + high))
    while len(dimensions) > 1 and dimensions[0][2] == 1:
        del dimensions[0]
    if len(dimensions) > 4 or prod(out for _, _, out in dimensions) != node.y.elements:
        what = f"padding {pairs} of a tensor of shape {list(node.x.shape)} to {list(node.y.shape)}"
        raise node.refused(what, "at most four dimensions to pad")
    dimensions = [(1, 0, 1)] * (4 - len(dimensions)) + dimensions
    return [d[0] for d in dimensions], [d[1] for d in dimensions], [d[2] for d in dimensions]


def _sizes(values: list[int]) -> str:
    return "{" + ", ".join(map(str, values)) + "}"


def pool(node: Node) -> Step:
    """Return the call of an average or maximum pooling."""
    size = node.option("FilterHeight"), node.option("FilterWidth")
    name = "hil_average_pool" if node.kind == "AVERAGE_POOL_2D" else "hil_max_pool"
    if node.x.dtype == "float32":
        return node.step(f"{name}_f32", "hil_pool_f32", node.float_limits(), window=node.window(*size))
    if node.quantization(node.y) != node.quantization(node.x):
        raise node.refused("input and output of different scales", "a pooling that changes scale")
    window, (low, high) = node.window(*size), node.limits()
    simple = name == "hil_max_pool" and window.in_c % 4 == 0 and (low, high) == (-128, 127)
    kernel = f"{name}_s8" if simple or name == "hil_average_pool" else f"{name}_s8_plain"
    return node.step(kernel, "hil_pool_s8", {"act_min": low, "act_max": high}, has_plain=simple, window=window)


def mean(node: Node) -> Step:
    """Return the call of a mean over height and width, or over other neighbouring axes."""
    if node.x.dtype == "float32":
        count, channels = neighbouring(node)
        return node.step("hil_mean_f32", "hil_mean_f32", {"pixels": count, "channels": channels})
    before, after = node.quantization(node.x), node.quantization(node.y)
    count, channels = neighbouring(node)
    multiplier, left = mean_scaling(before.scale / after.scale, count)
    simple = channels % 4 == 0
    fields = {
        "pixels": count,
        "channels": channels,
        "multiplier": multiplier,
        "shift": -left,
        "in_zero": before.zero,
        "out_zero": after.zero,
    }
    return node.step("hil_mean_s8" if simple else "hil_mean_s8_plain", "hil_mean_s8", fields, has_plain=simple)


def neighbouring(node: Node) -> tuple[int, int]:
    """Return how many values each mean (or sum) is of, and how many there are, one beside the other."""
    axes, shape = node.second.data, node.x.shape
    if axes is not None:
        over = sorted({int(a) % len(shape) for a in axes.flat})
        # dimensions of one value between or beside them don't matter
        between = [d for d in range(over[0], over[-1] + 1) if d not in over and shape[d] > 1] if over else []
        if over and not between and prod(shape[: over[0]]) == 1:
            return prod(shape[over[0] : over[-1] + 1]), prod(shape[over[-1] + 1 :])
    shown = "computed axes" if axes is None else f"axes {axes.flatten().tolist()}"
    what = f"{node.kind.lower()} of a tensor of shape {list(shape)} over {shown}"
    raise node.refused(what, "one image, and neighbouring axes, as 1 and 2")


def softmax(node: Node) -> Step:
    """Return the call of a softmax, in fixed point for int8."""
    depth, beta = node.x.shape[-1], node.operator.options["Beta"]
    fields: dict[str, object] = {"rows": node.x.elements // depth, "depth": depth}
    if node.x.dtype == "float32":
        return node.step("hil_softmax_f32", "hil_softmax_f32", {**fields, "beta": f"{beta!r}f"})
    before, after = node.quantization(node.x), node.quantization(node.y)
    if (after.scale, after.zero) != (1 / 256, -128):
        what = f"output scale {after.scale} and zero point {after.zero}"
        raise node.refused(what, "1/256 and -128, which TFLite prescribes")
    try:
        multiplier, shift, least = softmax_scaling(beta, before.scale)
    except ValueError as error:
        raise node.refused(str(error), "an input of a greater scale") from error
    fields |= {"multiplier": multiplier, "left_shift": shift, "diff_min": least}
    return node.step("hil_softmax_s8", "hil_softmax_s8", fields)
