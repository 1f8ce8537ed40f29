"""What a .tflite file says, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

#: Bytes of one element of each type that a tensor of a supported model may have.
ITEM_BYTES = {"int8": 1, "float16": 2, "float32": 4, "int32": 4}


@dataclass(frozen=True)
class Quantization:
    """Real value = scale x (q - zero point), per tensor or per channel of `axis`.

    Attributes:
        scales: float32 values, one or one per channel.
        zero_points: as many as there are scales.
        axis: the dimension that channels are counted along.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor; `data` holds the values of a constant one. `dequantized`: it stands for float32 (see fold.py)."""

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
        count = 1
        for size in self.shape:
            count *= size
        return count

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


def unsupported(graph: Graph, operator: Operator, what: str, needed: str) -> ConfigError:
    """Return the error for an operator that can't be compiled, to be raised by the caller."""
    return ConfigError(f"{graph.source}: operator {operator.index} ({operator.kind}): {what}. Needed: {needed}.")
