"""The weights of a layer, as its file has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.build.refusals import FULL_INT8
from harness.build.step import Array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.step import Node

#: What weights may be, by the type of activations.
_TAKEN = {"int8": ("int8", "int4"), "int16": ("int8",), "float32": ("float32",)}


@dataclass(frozen=True, eq=False)
class Filters:
    """Weights with output channels first, float32, or int8 with the scale of each channel; bias [channels].

    `bits` is 4 for int8 that is stored as int4.
    """

    values: NDArray[np.generic]
    bias: NDArray[np.generic]
    scales: tuple[float, ...]
    bits: int = 8

    @property
    def type(self) -> str:
        """What the names of float kernels and structs end in: float32 weights, or weights of 8 bits."""
        return "w8" if self.scales else "f32"

    @property
    def parameters(self) -> int:
        """How many there are, biases included."""
        return self.values.size + self.bias.size

    def arrays(self, fast: NDArray[np.generic], plain: NDArray[np.generic] | None = None) -> tuple[Array, ...]:
        """The constants of a float layer, with the weights laid out for the kernels."""
        scales = (Array("scales", np.array(self.scales, np.float32)),) if self.scales else ()
        return (Array("weights", fast, plain), *scales, Array("bias", self.bias))


def real_scales(node: Node, weights: Filters) -> list[float]:
    """Return, per channel, input scale x weight scale / output scale."""
    x, y = node.quantization(node.x), node.quantization(node.y)
    return [x.scale * scale / y.scale for scale in weights.scales]


def filters_of(node: Node, axis: int, biases: tuple[str, ...] = (), *, bias: int = 2) -> Filters:
    """Return the weights with output channels first; their channels are counted along `axis` in the file.

    Args:
        node: a layer with weights and perhaps a bias.
        axis: the dimension of the output channels.
        biases: types that the bias may have, that of none first; by default what int8 and float32 take.
        bias: the position of the bias among the inputs.

    Raises:
        ConfigError: they aren't constant, or of a type or quantization that no kernel takes.
    """
    filters, computes = node.second, node.x.dtype
    if filters.data is None:
        raise node.refused("weights that are computed", "constant weights")
    if filters.dtype not in _TAKEN[computes] and not filters.dequantized:
        dynamic = (computes, filters.dtype) in (("float32", "int8"), ("float32", "int4"))
        what = (
            f"{filters.dtype} weights with {computes} activations{' (dynamic-range quantization)' if dynamic else ''}"
        )
        loose = "constant float32 weights, or float16 ones behind a DEQUANTIZE"
        needed = f"{FULL_INT8}; or float32: convert it without optimizations" if dynamic else loose
        raise node.refused(what, FULL_INT8 if computes != "float32" else needed)
    values = np.ascontiguousarray(np.moveaxis(filters.data, axis, 0))
    count = len(values)
    scales: tuple[float, ...] = ()
    if filters.dtype in ("int8", "int4"):
        quantization = node.quantization(filters)
        if any(quantization.zero_points):
            what = f"{filters.dtype} weights with a zero point"
            raise node.refused(what, f"symmetric ones, as in {FULL_INT8}")
        scales = quantization.scales
        if len(scales) > 1 and (len(scales) != count or quantization.axis != axis):
            raise node.refused("scales along another dimension than outputs", "one scale per output")
        scales = scales if len(scales) > 1 else scales * count
    kinds = biases or (("int32",) if computes == "int8" else ("float32",))
    added = np.zeros(count, kinds[0])
    given = node.tensors[bias] if len(node.tensors) > bias else None
    if given is not None:
        if given.data is None or given.dtype not in kinds or given.shape != (count,):
            kind = " or ".join(kinds)
            raise node.refused(f"a bias that is not constant {kind}", f"{kind} bias")
        added = given.data.astype(given.dtype)
    return Filters(values, added, scales, 4 if filters.dtype == "int4" else 8)
