"""An operator that is being lowered, and what becomes of it: kernel calls, ready to be written as C."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.build.requantize import ACTIVATIONS, activation_range
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from harness.build.graph import Graph, Operator, Quantization, Tensor
    from harness.build.requantize import Channel

    Values = NDArray[np.generic] | tuple[Channel, ...]

_SAME = 0  # TFLite's Padding; VALID is 1

#: Kernels load words.
ALIGNMENT = 4

#: What a user can do about integers without a scale.
QUANTIZED = "a model that was quantized by a converter"

#: struct hil_window has 16 bits for each number.
_GREATEST = (1 << 16) - 1


@dataclass(frozen=True, eq=False)
class Array:
    """A constant in flash.

    Attributes:
        name: what the struct's field is called.
        values: numbers (int8, float32), or the constants of each channel.
        plain_values: those for the plain C kernel where its layout is another.
    """

    name: str
    values: Values
    plain_values: Values | None = None

    def of(self, *, plain: bool) -> Values:
        """Return the values for the plain C kernel, or for the fast one."""
        return self.plain_values if plain and self.plain_values is not None else self.values

    def bytes(self, *, plain: bool = False) -> int:
        """Return the flash that they take."""
        values = self.of(plain=plain)
        return 16 * len(values) if isinstance(values, tuple) else values.nbytes


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

    @property
    def pointwise(self) -> bool:
        """Whether each output depends on one pixel, the next on the next."""
        return self.taps == 1 and self.stride_h == self.stride_w == 1


@dataclass(frozen=True, eq=False)
class Step:
    """A call of a kernel.

    Attributes:
        operator: the operator that it computes.
        kernel: the C function.
        struct: what its first argument points to.
        inputs: the tensors it reads from the arena, in the order of the C function's arguments.
        output: the tensor it writes.
        kept: tensors of the model's state that it reads and writes; arguments behind the inputs.
        fields: the struct's initializers, without the window and the arrays.
        arrays: the constants, in flash.
        has_plain: whether there is KERNEL_plain, too, which the plain build calls.
        window: the struct's window, where it has one.
        scratch_bytes: working memory in the arena; None if the kernel takes none.
        scratch_of: that of the same kernel with another window, where it depends on the window.
        overread_bytes: how far behind an input the kernel may read (and ignore what it gets).
        in_place: the output may take the place of the first input, if nothing else needs that.
        order: how the kernel, and the plain one, goes through an input, front to back, so that the output may overwrite
            what it is done with (overlap.py). "values": each value, or pixel, is read before it is written; "pixels":
            up to two pixels (of floats four) are written while what they see is read, or more once it is; "channels":
            channel by channel, the rows that a kernel sees are copied before the row is written; "": in another way,
            or more than once.
        macs: multiply-accumulates of one inference.
        parameters: weights and biases of the model.
        layer: position among the steps of the unpatched model.
    """

    operator: Operator
    kernel: str
    struct: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    fields: Mapping[str, object]
    arrays: tuple[Array, ...] = ()
    has_plain: bool = False
    kept: tuple[Tensor, ...] = ()
    window: Window | None = None
    scratch_bytes: int | None = None
    scratch_of: Callable[[Window], int] | None = None
    overread_bytes: int = 0
    in_place: bool = False
    order: str = ""
    macs: int = 0
    parameters: int = 0
    layer: int = 0

    def kernel_of(self, *, plain: bool) -> str:
        """Return the C function that a plain build calls, or a fast one."""
        return f"{self.kernel}_plain" if plain and self.has_plain else self.kernel


@dataclass(frozen=True, eq=False)
class Alias:
    """A tensor that takes no memory of its own: it begins `offset` bytes behind the start of another one."""

    output: Tensor
    source: Tensor
    offset: int = 0


class RefusedError(ConfigError):
    """An operator that can't be compiled.

    Attributes:
        operator: the operator.
        what: what is wrong with it.
        needed: what the user can do.
    """

    def __init__(self, source: str, operator: Operator, what: str, needed: str) -> None:
        super().__init__(f"{source}: operator {operator.index} ({operator.kind}): {what}. Needed: {needed}.")
        self.operator, self.what, self.needed = operator, what, needed


@dataclass(frozen=True)
class Node:
    """An operator with the tensors that its kernel is chosen by: one input (not a constant) and the first output."""

    graph: Graph
    operator: Operator
    x: Tensor
    y: Tensor

    @property
    def kind(self) -> str:
        """TFLite's name of the operator."""
        return self.operator.kind

    @property
    def tensors(self) -> list[Tensor | None]:
        """All inputs; None for one that is left out."""
        return [self.graph.tensors[index] if index >= 0 else None for index in self.operator.inputs]

    @property
    def outputs(self) -> list[Tensor]:
        """All outputs."""
        return [self.graph.tensors[index] for index in self.operator.outputs]

    @property
    def second(self) -> Tensor:
        """The second input: weights, amounts, axes."""
        return self.graph.tensors[self.operator.inputs[1]]

    def numbers(self, position: int) -> tuple[int, ...]:
        """Return the whole numbers of a constant input: axes, sizes, a permutation.

        Raises:
            ConfigError: it isn't constant.
        """
        data = self.graph.tensors[self.operator.inputs[position]].data
        if data is None or data.dtype.kind not in "iu":
            needed = "axes, sizes and positions that are constant: export it with a fixed input shape"
            raise self.refused(f"input {position} isn't known before it runs", needed)
        return tuple(data.ravel().tolist())

    def option(self, name: str) -> int:
        """Return an option that is a whole number."""
        return int(self.operator.options[name])

    @property
    def activation(self) -> int:
        """The fused activation, one of TFLite's ActivationFunctionType."""
        return int(self.operator.options.get("FusedActivationFunction", 0))

    def refused(self, what: str, needed: str) -> RefusedError:
        """Return the error for an operator that can't be compiled, to be raised by the caller."""
        return RefusedError(self.graph.source, self.operator, what, needed)

    def step(self, kernel: str, struct: str, fields: Mapping[str, object], *arrays: Array, **more: Any) -> Step:
        """Return a call of a kernel for this operator."""
        return Step(self.operator, kernel, struct, (self.x,), self.y, fields, arrays, **more)

    def quantization(self, tensor: Tensor) -> Quantization:
        """Return a tensor's quantization.

        Raises:
            ConfigError: it is of integers, but has none.
        """
        if tensor.quantization is None:
            raise self.refused(f"{tensor.dtype} without a scale", QUANTIZED)
        return tensor.quantization

    def limits(self, activation: int | None = None) -> tuple[int, int]:
        """Return the least and the greatest output that an activation, the fused one by default, lets through.

        Raises:
            ConfigError: it is not one of none, ReLU, ReLU6 and ReLU -1 to 1.
        """
        quantization = self.quantization(self.y)
        activation = self.activation if activation is None else activation
        self._check_activation(activation)
        return activation_range(activation, quantization.scale, quantization.zero, self.y.dtype)

    def float_limits(self, activation: int | None = None) -> dict[str, object]:
        """Return the fields of a float activation, the fused one by default.

        Raises:
            ConfigError: it is not one of none, ReLU, ReLU6 and ReLU -1 to 1.
        """
        activation = self.activation if activation is None else activation
        self._check_activation(activation)
        low, high = ACTIVATIONS[activation]
        return {
            "act_min": "-INFINITY" if low is None else f"{low:.1f}f",
            "act_max": "INFINITY" if high is None else f"{high:.1f}f",
        }

    def _check_activation(self, activation: int) -> None:
        if activation not in ACTIVATIONS:
            raise self.refused(f"activation {activation}", "none, ReLU or ReLU6")

    @property
    def dilation(self) -> tuple[int, int]:
        """How far apart the positions of a kernel are, in rows and columns."""
        options = self.operator.options
        return int(options.get("DilationHFactor", 1)), int(options.get("DilationWFactor", 1))

    def window(self, k_h: int, k_w: int, *, transposed: bool = False) -> Window:
        """Return the window of a convolution or pooling, padded as TFLite does.

        That of a transposed one slides over the input with zeros between its pixels.

        Raises:
            ConfigError: more than one image, or an output shape that doesn't follow from the input's.
        """
        x, y = self.x.shape, self.y.shape
        if len(x) != 4 or x[0] != 1:
            what = f"a batch of {x[0]}" if len(x) == 4 else f"input of shape {list(x)}"
            raise self.refused(what, "one image, [1, height, width, channels]: export it for a batch of 1")
        same, strides = self.option("Padding") == _SAME, (self.option("StrideH"), self.option("StrideW"))
        reach = [(k - 1) * d + 1 for k, d in zip((k_h, k_w), self.dilation, strict=True)]
        whole, small = (y, x) if transposed else (x, y)
        sizes = [_along(*sizes, same=same) for sizes in zip(whole[1:3], reach, strides, strict=True)]
        pads = self.operator.options.get("Pads", tuple(pad for _, pad in sizes))  # "Pads": see dilate.py
        if "Pads" not in self.operator.options and small[:3] != (1, *(size for size, _ in sizes)):
            wanted = ", ".join(str(size) for size, _ in sizes)
            what = "an input" if transposed else "output"
            raise self.refused(f"{what} of shape {list(small)}", f"[1, {wanted}, channels]")
        if transposed:
            strides, pads = (1, 1), (k_h - 1 - pads[0], k_w - 1 - pads[1])
        window = Window(x[1], x[2], x[3], y[1], y[2], y[3], k_h, k_w, *strides, *pads)
        for name, value in vars(window).items():
            if value > _GREATEST:
                raise self.refused(f"{name} is {value:,}", f"at most {_GREATEST:,}")
        return window


def initializer(fields: dict[str, int]) -> str:
    """Return a C initializer of a struct."""
    return "{" + ", ".join(f".{name} = {value}" for name, value in fields.items()) + "}"


def _along(size: int, kernel: int, stride: int, *, same: bool) -> tuple[int, int]:
    """Return output size and padding before the first input, along one dimension."""
    if not same:
        return (size - kernel) // stride + 1, 0
    out = -(-size // stride)
    return out, max((out - 1) * stride + kernel - size, 0) // 2
