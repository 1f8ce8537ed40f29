"""From int8 poolings, means and softmax to kernel calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.build.geometry import mean_span
from harness.build.graph import unsupported
from harness.build.lower_elementwise import int8_limits
from harness.build.requantize import mean_scaling, softmax_scaling
from harness.build.step import Step, quantization_of
from harness.build.window import window_of

if TYPE_CHECKING:
    from harness.build.graph import Graph, Operator, Tensor


def pool(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of an int8 average or maximum pooling."""
    quantization = quantization_of(graph, operator, y)
    if quantization != quantization_of(graph, operator, x):
        raise unsupported(graph, operator, "input and output of different scales", "a pooling that changes scale")
    size = int(operator.options["FilterHeight"]), int(operator.options["FilterWidth"])
    window = window_of(graph, operator, x, y, size)
    low, high = int8_limits(graph, operator, y)
    average = operator.kind == "AVERAGE_POOL_2D"
    simple = not average and window.in_c % 4 == 0 and (low, high) == (-128, 127)
    return Step(
        operator,
        "hil_average_pool_s8" if average else "hil_max_pool_s8" if simple else "hil_max_pool_s8_plain",
        "hil_pool_s8",
        (x,),
        y,
        {"act_min": str(low), "act_max": str(high)},
        has_plain=simple,
        window=window,
    )


def mean(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of an int8 mean over height and width, or over other neighbouring axes."""
    before, after = quantization_of(graph, operator, x), quantization_of(graph, operator, y)
    count, channels = mean_span(graph, operator, x)
    multiplier, left = mean_scaling(before.scales[0] / after.scales[0], count)
    simple = channels % 4 == 0
    return Step(
        operator,
        "hil_mean_s8" if simple else "hil_mean_s8_plain",
        "hil_mean_s8",
        (x,),
        y,
        {
            "pixels": str(count),
            "channels": str(channels),
            "multiplier": str(multiplier),
            "shift": str(-left),
            "in_zero": str(before.zero_points[0]),
            "out_zero": str(after.zero_points[0]),
        },
        has_plain=simple,
    )


def softmax(graph: Graph, operator: Operator, x: Tensor, y: Tensor) -> Step:
    """Return the call of the fixed-point softmax."""
    before, after = quantization_of(graph, operator, x), quantization_of(graph, operator, y)
    if (after.scales[0], after.zero_points[0]) != (1 / 256, -128):
        what = f"output scale {after.scales[0]} and zero point {after.zero_points[0]}"
        raise unsupported(graph, operator, what, "1/256 and -128, which TFLite prescribes")
    try:
        multiplier, shift, least = softmax_scaling(operator.options["Beta"], before.scales[0])
    except ValueError as error:
        raise unsupported(graph, operator, str(error), "an input of a greater scale") from error
    depth = x.shape[-1]
    return Step(
        operator,
        "hil_softmax_s8",
        "hil_softmax_s8",
        (x,),
        y,
        {
            "rows": str(x.elements // depth),
            "depth": str(depth),
            "multiplier": str(multiplier),
            "left_shift": str(shift),
            "diff_min": str(least),
        },
    )
