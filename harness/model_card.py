"""The model card of a firmware image: what goes in, what comes out, and how big the model is."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import ImageError

DType = Literal["int8", "uint8", "float32"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class TensorSpec(_Model):
    """Shape, type and quantization of a tensor: real = scale x (q - zero_point)."""

    shape: tuple[int, ...]
    dtype: DType
    scale: float | None = None
    zero_point: int | None = None

    @model_validator(mode="after")
    def _quantized_or_float(self) -> TensorSpec:
        if self.dtype != "float32" and (self.scale is None or self.zero_point is None or not self.scale > 0):
            raise ValueError(f"a tensor of type {self.dtype} needs a positive scale, and a zero_point")
        if any(size < 1 for size in self.shape):
            raise ValueError("every dimension must be at least 1")
        return self

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return self.size * np.dtype(self.dtype).itemsize

    def encode(self, real: npt.NDArray[np.float32]) -> npt.NDArray[np.generic]:
        """Return real values as this tensor's type, quantized as TensorFlow Lite does.

        Quantization: round(real / scale) + zero_point in float32, halves away from zero, saturated
        (tensorflow/lite/kernels/internal/reference/quantize.h).

        Args:
            real: float32 [N, ...] with `size` elements per sample, in row-major order of `shape`.

        Returns:
            [N, size] of `dtype`, little-endian.

        Raises:
            ImageError: the samples have another number of elements than the tensor.
        """
        count = real.shape[0]
        flat = real.reshape(count, -1).astype(np.float32, copy=False)
        if flat.shape[1] != self.size:
            raise ImageError(
                f"samples of {flat.shape[1]} values (shape {tuple(real.shape[1:])}) for a model whose input "
                f"has {self.size} (shape {self.shape}); use the inputs that the model was made for"
            )
        if self.scale is None or self.zero_point is None:
            return flat.astype("<f4")
        scaled = flat / np.float32(self.scale)
        rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)) + self.zero_point
        limits = np.iinfo(self.dtype)
        quantized: npt.NDArray[np.generic] = np.clip(rounded, limits.min, limits.max).astype(self.dtype)
        return quantized

    def decode(self, data: bytes) -> npt.NDArray[np.generic]:
        """Return the raw tensor as a flat array of `dtype`.

        Raises:
            ImageError: wrong number of bytes.
        """
        if len(data) != self.nbytes:
            raise ImageError(f"an output of {len(data)} bytes for a tensor of {self.nbytes}")
        values: npt.NDArray[np.generic] = np.frombuffer(data, np.dtype(self.dtype).newbyteorder("<"))
        return values


class PatchSpec(_Model):
    """How the first layers were cut into patches (harness/build/patch.py)."""

    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    layers: int = Field(ge=1)
    cached: bool = False


class ModelCard(_Model):
    """What an image says of its model; docs/link-protocol.md lists the keys."""

    card: Literal[1]
    board: str
    model: str
    engine: str
    input: TensorSpec
    output: TensorSpec
    macs: int | None = Field(default=None, ge=0)
    parameters: int | None = Field(default=None, ge=0)
    arena_bytes: int | None = Field(default=None, ge=0)
    tflite_sha256: str | None = None
    patches: PatchSpec | None = None


def parse_card(text: bytes, source: str) -> ModelCard:
    """Parse a card as found in an ELF or sent by a board.

    Args:
        text: the JSON; NULs behind it, as C strings have them, don't matter.
        source: where it was found, for messages.

    Raises:
        ImageError: it isn't one; the message says which key.
    """
    try:
        return ModelCard.model_validate_json(text.rstrip(b"\0"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole card"
        raise ImageError(f"{source}: the model card is wrong at {where}: {first['msg']}") from error
