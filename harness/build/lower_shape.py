"""From operators that pad tensors or sum them up to kernel calls: padding, pools, means, softmax."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.build.lower_move import check_scales
from harness.build.requantize import mean_scaling, quantize_multiplier, softmax_scaling
from harness.build.step import Array

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        return node.step(f"{name}_f32", "hil_pool_f32", node.float_limits(), window=node.window(*size), order="pixels")
    if node.quantization(node.y) != node.quantization(node.x):
        raise node.refused(
            "input and output of different scales", "the same scale and zero point for both, as converters give"
        )
    window, (low, high) = node.window(*size), node.limits()
    simple = name == "hil_max_pool" and window.in_c % 4 == 0 and (low, high) == (-128, 127)
    kernel = f"{name}_s8" if simple or name == "hil_average_pool" else f"{name}_s8_plain"
    return node.step(
        kernel, "hil_pool_s8", {"act_min": low, "act_max": high}, has_plain=simple, window=window, order="pixels"
    )


def mean(node: Node) -> Step:
    """Return the call of a mean over height and width, or over other axes."""
    found = neighbouring(node)
    if found is None:
        return reduction(node)
    count, channels = found
    if node.x.dtype == "float32":
        return node.step("hil_mean_f32", "hil_mean_f32", {"pixels": count, "channels": channels})
    before, after = node.quantization(node.x), node.quantization(node.y)
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


def neighbouring(node: Node) -> tuple[int, int] | None:
    """Return how many values each mean (or sum) is of, and how many there are, one beside the other; None: not so."""
    over, shape = _axes(node), node.x.shape
    # dimensions of one value between or beside them don't matter
    between = [d for d in range(over[0], over[-1] + 1) if d not in over and shape[d] > 1] if over else []
    if over and not between and prod(shape[: over[0]]) == 1:
        return prod(shape[over[0] : over[-1] + 1]), prod(shape[over[-1] + 1 :])
    return None


def _axes(node: Node) -> list[int]:
    return sorted({axis % len(node.x.shape) for axis in node.numbers(1)})


#: What each reduction does, by TFLite's name; of bool, all is the least and any the greatest.
_REDUCES = {
    **dict.fromkeys(("MEAN", "SUM"), "sum"),
    **dict.fromkeys(("REDUCE_MAX", "REDUCE_ANY"), "max"),
    **dict.fromkeys(("REDUCE_MIN", "REDUCE_ALL"), "min"),
}


def log_softmax(node: Node) -> Step:
    """Return the call of the logarithm of a softmax."""
    depth = node.x.shape[-1]
    return node.step("hil_log_softmax_f32", "hil_softmax_f32", {"rows": node.x.elements // depth, "depth": depth})


def reduction(node: Node) -> Step:
    """Return the call of a mean, a sum or an extremum over any axes."""
    over, what = _axes(node), _REDUCES[node.kind]
    loops: list[tuple[bool, int, int]] = []  # whether they are reduced, size, step
    for d, size in enumerate(node.x.shape):
        reduced, step = d in over, prod(node.x.shape[d + 1 :])
        if loops and loops[-1][0] == reduced:
            loops[-1] = reduced, loops[-1][1] * size, step
        elif size > 1:
            loops.append((reduced, size, step))
    fields: dict[str, object] = {}
    for name, reduced in (("kept", False), ("over", True)):
        mine = [(1, 0)] * 4 + [(size, step) for r, size, step in loops if r == reduced]
        fields |= {name: _sizes([n for n, _ in mine[-4:]]), f"{name}_step": _sizes([step for _, step in mine[-4:]])}
    count = node.x.elements // node.y.elements
    if node.x.dtype == "float32":
        fields["divisor"] = f"{count if node.kind == 'MEAN' else 1}.0f"
        return node.step(f"hil_reduce_strided_{what}_f32", "hil_reduce", fields)
    if what != "sum":
        check_scales(node, node.x, node.y)
        x, y = (replace(tensor, dtype="int8") for tensor in (node.x, node.y))
        return replace(node, x=x, y=y).step(f"hil_reduce_strided_{what}_s8", "hil_reduce", fields)
    before, after = node.quantization(node.x), node.quantization(node.y)
    real = before.scale / after.scale
    multiplier, left = mean_scaling(real, count) if node.kind == "MEAN" else quantize_multiplier(real)
    fields |= {"zeros": before.zero * count, "multiplier": multiplier, "shift": -left, "out_zero": after.zero}
    return node.step("hil_reduce_strided_sum_s8", "hil_reduce", fields)


def cumsum(node: Node) -> Step:
    """Return the call of running sums."""
    shape, axis = node.x.shape, node.numbers(1)[0] % len(node.x.shape)
    fields = {"rows": prod(shape[:axis]), "count": shape[axis], "channels": prod(shape[axis + 1 :])}
    fields |= {name.lower(): node.option(name) for name in ("Exclusive", "Reverse")}
    return node.step("hil_cumsum_f32", "hil_cumsum", fields, in_place=True)


def resize_bilinear(node: Node) -> Step:
    """Return the call that makes an image of another size, each value between four of the input."""
    check_scales(node, node.x, node.y)
    (_, in_h, in_w, channels), (_, out_h, out_w, _) = node.x.shape, node.y.shape
    places = _between_integers if node.x.dtype == "int8" else _between
    rows, down = places(node, in_h, out_h)
    columns, across = places(node, in_w, out_w)
    arrays = {"rows": rows, "columns": columns, "down": down, "across": across}
    fields = {"out_h": out_h, "out_w": out_w, "row": in_w * channels, "channels": channels}
    short = "s8" if node.x.dtype == "int8" else "f32"
    named = (Array(name, values) for name, values in arrays.items())
    return node.step(f"hil_resize_bilinear_{short}", f"hil_resize_{short}", fields, *named)


def _between(node: Node, size: int, out: int) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Return the two inputs that each output lies between, and how far from the first one.

    As tensorflow/lite/kernels/internal/reference/resize_bilinear.h does for float32.
    """
    corners, centres = (bool(node.operator.options[name]) for name in ("AlignCorners", "HalfPixelCenters"))
    scale = np.float32(size - 1) / np.float32(out - 1) if corners and out > 1 else np.float32(size) / np.float32(out)
    places = np.arange(out, dtype=np.float32)
    places = (places + np.float32(0.5)) * scale - np.float32(0.5) if centres else places * scale
    low, high = np.maximum(np.floor(places), 0), np.minimum(np.ceil(places), size - 1)
    return _inside(node, low, high, size), (places - low).astype(np.float32)


def _between_integers(node: Node, size: int, out: int) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Return the same in integers, the distances in 1/1024, as the reference does for int8."""
    corners, centres = (bool(node.operator.options[name]) for name in ("AlignCorners", "HalfPixelCenters"))
    numerator, denominator = (size - 1, out - 1) if corners and out > 1 else (size, out)
    scale = (1024 * numerator + denominator // 2) // denominator
    places = np.arange(out) * scale + (scale // 2 - 512 if centres else 0)
    low = np.maximum(np.trunc(places / 1024), 0).astype(np.int64)
    high = np.minimum(np.trunc((places + 1023) / 1024), size - 1)
    return _inside(node, low, high, size), (places - 1024 * low).astype(np.int32)


def _inside(node: Node, low: NDArray[Any], high: NDArray[Any], size: int) -> NDArray[np.uint16]:
    if low.max() >= size:  # what rounding a scale comes to in outputs of thousands of rows
        raise node.refused(f"an output that reaches over the {size} inputs", "a smaller output")
    return np.stack([low, high], axis=1).astype(np.uint16)


def softmax(node: Node) -> Step:
    """Return the call of a softmax, in fixed point for int8."""
    depth, beta = node.x.shape[-1], node.operator.options["Beta"]
    fields: dict[str, object] = {"rows": node.x.elements // depth, "depth": depth}
    if node.x.dtype == "float32":
        return node.step("hil_softmax_f32", "hil_softmax_f32", {**fields, "beta": f"{beta!r}f"})
    before, after = node.quantization(node.x), node.quantization(node.y)
    wide = node.y.dtype == "int16"
    prescribed, zero, slack = (1 / 65536, -32768, 0.001) if wide else (1 / 256, -128, 0.0)
    if abs(after.scale - prescribed) > slack * prescribed or after.zero != zero:
        what = f"output scale {after.scale} and zero point {after.zero}"
        raise node.refused(what, f"1/{round(1 / prescribed)} and {zero}, which TFLite prescribes")
    try:
        multiplier, shift, least = softmax_scaling(beta, before.scale)
    except ValueError as error:
        raise node.refused(str(error), "an input of a greater scale") from error
    fields |= {"multiplier": multiplier, "left_shift": shift, "diff_min": least}
    return node.step("hil_softmax_s8_s16" if wide else "hil_softmax_s8", "hil_softmax_s8", fields)
