"""The model card of a firmware image: what goes in, what comes out, and how big the model is."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import ImageError

DType = Literal["int8", "uint8", "int16", "int32", "float32"]
#: A count of anything in a model. The results hold 64 bits, and floats are exact up to here.
Count = Annotated[int, Field(ge=0, le=2**53)]
#: Sizes of a tensor, outermost first. Every one of its bytes has a 32-bit address.
Shape = Annotated[tuple[Annotated[int, Field(ge=1, lt=2**32)], ...], Field(max_length=16)]


_SMALLEST_SCALE, _LARGEST_SCALE = (float(limit) for limit in (np.finfo("f4").tiny, np.finfo("f4").max))


class CardModel(BaseModel):
    """What a firmware image says of itself: a number is a number, never a text, a truth value, NaN or infinite."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)


class TensorSpec(CardModel):
    """Shape, type and quantization of a tensor: real = scale x (q - zero_point).

    An int32 tensor may have no quantization, and then means its whole numbers. A tensor that is one of several has a
    name.
    """

    name: Annotated[str, Field(min_length=1)] | None = None
    shape: Shape
    dtype: DType
    scale: float | None = None
    zero_point: int | None = None

    @model_validator(mode="after")
    def _quantized_or_float(self) -> TensorSpec:
        if self.nbytes >= 2**32:
            raise ValueError(f"a tensor of shape {self.shape} has {self.nbytes} bytes, more than 32 bits can address")
        if self.dtype == "float32":
            if self.scale is not None or self.zero_point is not None:
                raise ValueError("a tensor of type float32 has neither scale nor zero_point")
            return self
        if self.dtype == "int32" and self.scale is None and self.zero_point is None:
            return self
        if self.scale is None or self.zero_point is None:
            raise ValueError(f"a tensor of type {self.dtype} needs a scale and a zero_point")
        # What TensorFlow Lite keeps is a float32, and that is what inputs are divided by.
        if not _SMALLEST_SCALE <= self.scale <= _LARGEST_SCALE:
            raise ValueError(f"the scale must be a positive float32 number, not {self.scale!r}")
        limits = np.iinfo(self.dtype)
        if not limits.min <= self.zero_point <= limits.max:
            raise ValueError(
                f"the zero_point of a tensor of type {self.dtype} lies between {limits.min} and {limits.max}, "
                f"{self.zero_point} doesn't"
            )
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
        if self.dtype == "float32":
            return flat.astype("<f4")
        scaled = flat / np.float32(self.scale or 1.0)
        # As a float64 the sum is exact for int32 as well.
        rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)).astype(np.float64) + (self.zero_point or 0)
        limits = np.iinfo(self.dtype)
        little = np.dtype(self.dtype).newbyteorder("<")
        quantized: npt.NDArray[np.generic] = np.clip(rounded, limits.min, limits.max).astype(little)
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


class PatchSpec(CardModel):
    """How the first layers were cut into patches (harness/build/patch.py)."""

    rows: int = Field(ge=1, lt=2**32)
    columns: int = Field(ge=1, lt=2**32)
    layers: int = Field(ge=1, lt=2**32)
    cached: bool = False
    streamed: bool = False


#: First byte and length of a part of the input.
Piece = tuple[Count, Count]


Tensors = Annotated[tuple[TensorSpec, ...], Field(min_length=1, max_length=64)]


class ModelCard(CardModel):
    """What an image says of its model; docs/link-protocol.md lists the keys.

    `input` is short for `inputs` of one tensor, which needs no name then, and `output` likewise. `state_bytes` is what
    the model keeps from one inference to the next, 0 for nothing. `pieces` are the parts of an input that it takes one
    after the other and reads where they arrive.
    """

    card: Literal[1]
    board: str
    model: str
    engine: str
    one_input: TensorSpec | None = Field(default=None, alias="input")
    one_output: TensorSpec | None = Field(default=None, alias="output")
    several_inputs: Tensors | None = Field(default=None, alias="inputs")
    several_outputs: Tensors | None = Field(default=None, alias="outputs")
    state_bytes: Count = 0
    macs: Count | None = None
    parameters: Count | None = None
    arena_bytes: Count | None = None
    tflite_sha256: str | None = None
    patches: PatchSpec | None = None
    pieces: Annotated[tuple[Piece, ...], Field(max_length=2**16)] = ()

    @model_validator(mode="after")
    def _tensors_can_be_told_apart(self) -> ModelCard:
        for key in ("input", "output"):
            one, several = getattr(self, f"one_{key}"), getattr(self, f"several_{key}s")
            if (one is None) == (several is None):
                raise ValueError(f'it must have either "{key}" or "{key}s"')
            tensors = several or (one,)
            names = {tensor.name for tensor in tensors}
            if len(tensors) > 1 and (None in names or len(names) < len(tensors)):
                raise ValueError(f'each of several "{key}s" needs a "name" of its own')
            if sum(tensor.nbytes for tensor in tensors) >= 2**32:
                raise ValueError(f'"{key}s" have more bytes together than 32 bits can address')
        if self.pieces and max(start + size for start, size in self.pieces) != self.input_bytes:
            raise ValueError('"pieces" must end where the input ends')
        return self

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs, in the order in which they travel."""
        return self.several_inputs or _known(self.one_input)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs, in the order in which they travel."""
        return self.several_outputs or _known(self.one_output)

    @property
    def input(self) -> TensorSpec:
        """The only input.

        Raises:
            ImageError: there are several.
        """
        return self._only("input", self.inputs)

    @property
    def output(self) -> TensorSpec:
        """The only output.

        Raises:
            ImageError: there are several.
        """
        return self._only("output", self.outputs)

    @property
    def input_bytes(self) -> int:
        """Bytes of all inputs, which travel one after the other."""
        return sum(tensor.nbytes for tensor in self.inputs)

    @property
    def sent_bytes(self) -> int:
        """Bytes of an input that are on the board at once: all, or the largest of its pieces."""
        return max((size for _, size in self.pieces), default=self.input_bytes)

    @property
    def output_bytes(self) -> int:
        """Bytes of all outputs."""
        return sum(tensor.nbytes for tensor in self.outputs)

    def _only(self, what: str, tensors: tuple[TensorSpec, ...]) -> TensorSpec:
        if len(tensors) > 1:
            names = ", ".join(str(tensor.name) for tensor in tensors)
            raise ImageError(f"the model {self.model} has {len(tensors)} {what}s ({names}), and one is needed here")
        return tensors[0]


def _known(tensor: TensorSpec | None) -> tuple[TensorSpec, ...]:
    return () if tensor is None else (tensor,)


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
        problem = first["msg"].removeprefix("Value error, ")
        raise ImageError(f"{source}: the model card is wrong at {where}: {problem}; build the image again") from error
