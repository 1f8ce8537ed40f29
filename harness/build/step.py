"""One kernel call, ready to be written as C: what lowering makes of one operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.build.graph import unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from harness.build.graph import Graph, Operator, Quantization, Tensor
    from harness.build.requantize import Channel
    from harness.build.window import Window


@dataclass(frozen=True, eq=False)
class Array:
    """A constant in flash.

    Attributes:
        name: what the struct's field is called.
        values: numbers (int8, float32), or the constants of each channel.
        plain: the values for the plain C kernel where its layout is another.
    """

    name: str
    values: NDArray[np.generic] | tuple[Channel, ...]
    plain: NDArray[np.generic] | tuple[Channel, ...] | None = None

    @property
    def bytes(self) -> int:
        """Flash that the fast kernel's values take."""
        return 16 * len(self.values) if isinstance(self.values, tuple) else self.values.nbytes


@dataclass(frozen=True, eq=False)
class Step:
    """A call of a kernel.

    Attributes:
        operator: the operator that it computes.
        kernel: the C function, and the struct of the same or of another name.
        inputs: the tensors it reads from the arena, in the order of the C function's arguments.
        output: the tensor it writes.
        fields: the struct's initializers, without the window and the arrays.
        arrays: the constants, in flash.
        has_plain: whether there is KERNEL_plain, too, which the plain build calls.
        window: the struct's window, where it has one.
        scratch_bytes: working memory in the arena; None if the kernel takes none.
        scratch_of: that of the same kernel with another window, where it depends on the window.
        overread_bytes: how far behind an input the kernel may read (and ignore what it gets).
        in_place: the output may take the place of the first input, if nothing else needs that.
        macs: multiply-accumulates of one inference.
        parameters: weights and biases of the model.
        layer: position among the steps of the unpatched model.
    """

    operator: Operator
    kernel: str
    struct: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    fields: dict[str, str]
    arrays: tuple[Array, ...] = ()
    has_plain: bool = False
    window: Window | None = None
    scratch_bytes: int | None = None
    scratch_of: Callable[[Window], int] | None = None
    overread_bytes: int = 0
    in_place: bool = False
    macs: int = 0
    parameters: int = 0
    layer: int = 0

    @property
    def flash_bytes(self) -> int:
        """Flash that the constants take."""
        return sum(array.bytes for array in self.arrays)


def quantization_of(graph: Graph, operator: Operator, tensor: Tensor) -> Quantization:
    """Return a tensor's quantization; an int8 tensor without one is an error."""
    if tensor.quantization is None:
        what = f"tensor {tensor.index} ({tensor.name}) is int8 but has no scale"
        raise unsupported(graph, operator, what, "a model that was quantized by a converter")
    return tensor.quantization
