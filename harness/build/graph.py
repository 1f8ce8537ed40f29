"""What a .tflite file says, as plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

#: Bytes of one element of each type that a tensor of a supported model may have.
ITEM_BYTES = {"int8": 1, "float16": 2, "float32": 4, "int32": 4}


@dataclass(frozen=True)
class Quantization:
    """Real value = scale x (q - zero point), per tensor or per channel of `axis`: as many zero points as scales."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int

    @property
    def scale(self) -> float:
        """The scale of the whole tensor."""
        return self.scales[0]

    @property
    def zero(self) -> int:
        """The zero point of the whole tensor."""
        return self.zero_points[0]


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor; `data` holds the values of a constant. `dequantized`: int8 weights that stand for float32."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None
    data: NDArray[np.generic] | None
    dequantized: bool = False

    @property
    def elements(self) -> int:
        """How many values the tensor has."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """How many bytes its values take."""
        return self.elements * ITEM_BYTES[self.dtype]


@dataclass(frozen=True)
class Operator:
    """One operator: its place in the file, its TFLite name, tensors by index (-1: left out), options by name."""

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, float]


@dataclass(frozen=True)
class Graph:
    """A model of one input and one output."""

    source: str
    sha256: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    input: Tensor
    output: Tensor
