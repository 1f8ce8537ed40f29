"""What a .tflite file says, as plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

#: Bytes of one element of each type that a tensor of a supported model may have.
ITEM_BYTES = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "float16": 2,
    "int16": 2,
    "float32": 4,
    "int32": 4,
    "uint32": 4,
    "float64": 8,
    "int64": 8,
    "uint64": 8,
}

#: More values than a board could hold aren't looked at one by one: a damaged shape mustn't take this computer's memory.
MOST_VALUES = 1 << 22


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
    """One tensor; `data` holds the values of a constant, those of int4 as int8.

    `dequantized`: int8 weights that stand for float32.
    """

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
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """A model.

    Attributes:
        source: the file's name, for messages.
        sha256: of the file.
        tensors: all tensors; their indices are those of the file.
        operators: in the order of execution.
        inputs: what it takes, in the order of the file.
        outputs: what it gives.
        state: tensors that keep their values from one inference to the next, by index, with those of the first.
    """

    source: str
    sha256: str
    tensors: Sequence[Tensor]
    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    state: Mapping[int, NDArray[np.generic]] = field(default_factory=dict)

    @property
    def input(self) -> Tensor:
        """The first input, mostly the only one."""
        return self.inputs[0]

    @property
    def output(self) -> Tensor:
        """The first output, mostly the only one."""
        return self.outputs[0]
