"""Where a sliding window starts and ends: padding and output size as TFLite computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.build.graph import unsupported

if TYPE_CHECKING:
    from harness.build.graph import Graph, Operator, Tensor

SAME = 0  # TFLite's Padding; VALID is 1

#: struct hil_window has 16 bits for each number.
GREATEST = (1 << 16) - 1


@dataclass(frozen=True)
class Window:
    """Fields of struct hil_window: sizes in pixels and channels."""

    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    k_h: int
    k_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int

    @property
    def taps(self) -> int:
        """Positions of the kernel."""
        return self.k_h * self.k_w

    @property
    def pixels(self) -> int:
        """Output pixels."""
        return self.out_h * self.out_w

    def initializer(self) -> str:
        """The window as a C initializer."""
        return "{" + ", ".join(f".{name} = {value}" for name, value in vars(self).items()) + "}"


def window_of(graph: Graph, operator: Operator, x: Tensor, y: Tensor, kernel: tuple[int, int]) -> Window:
    """Return the window of a convolution or pooling.

    Args:
        graph: the model, which messages name.
        operator: its options give padding and strides.
        x: input, [1, height, width, channels].
        y: output, [1, height, width, channels].
        kernel: height and width.

    Raises:
        ConfigError: more than one image, dilation, or an output shape that doesn't follow from the input's.
    """
    if len(x.shape) != 4 or x.shape[0] != 1:
        raise unsupported(graph, operator, f"input of shape {list(x.shape)}", "one image, [1, height, width, channels]")
    dilation = operator.options.get("DilationHFactor", 1), operator.options.get("DilationWFactor", 1)
    if dilation != (1, 1):
        raise unsupported(graph, operator, f"dilation {dilation}", "dilation 1, or a kernel that skips inputs")
    same = operator.options["Padding"] == SAME
    out_h, pad_top = _along(x.shape[1], kernel[0], int(operator.options["StrideH"]), same=same)
    out_w, pad_left = _along(x.shape[2], kernel[1], int(operator.options["StrideW"]), same=same)
    if y.shape[:3] != (1, out_h, out_w):
        raise unsupported(graph, operator, f"output of shape {list(y.shape)}", f"[1, {out_h}, {out_w}, channels]")
    window = Window(
        in_h=x.shape[1],
        in_w=x.shape[2],
        in_c=x.shape[3],
        out_h=out_h,
        out_w=out_w,
        out_c=y.shape[3],
        k_h=kernel[0],
        k_w=kernel[1],
        stride_h=int(operator.options["StrideH"]),
        stride_w=int(operator.options["StrideW"]),
        pad_top=pad_top,
        pad_left=pad_left,
    )
    for name, value in vars(window).items():
        if value > GREATEST:
            raise unsupported(graph, operator, f"{name} is {value:,}", f"at most {GREATEST:,}")
    return window


def _along(size: int, kernel: int, stride: int, *, same: bool) -> tuple[int, int]:
    """Return output size and padding before the first input, along one dimension."""
    if not same:
        return (size - kernel) // stride + 1, 0
    out = -(-size // stride)
    return out, max((out - 1) * stride + kernel - size, 0) // 2
