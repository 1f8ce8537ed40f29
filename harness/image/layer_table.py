"""The layers of the model in a firmware image: which operator each is, and how much work it has."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationError, model_validator

from harness.errors import ImageError
from harness.image.model_card import CardModel, Count, Shape

#: The agent has room for the ticks of so many (docs/link-protocol.md).
MOST_LAYERS = 128


class LayerSpec(CardModel):
    """One layer, which is one operator of the model, in however many pieces the engine computes it.

    Attributes:
        layer: its number, from 0, as the firmware marks it.
        operator: position of the operator in the .tflite file.
        kind: TFLite's name of the operator.
        kernel: the C function that computes it.
        output: shape of the tensor that it writes.
        macs: multiply-accumulates that are executed, those that overlapping pieces repeat included.
        bytes_moved: bytes of inputs, outputs and constants, summed over the kernel calls; what a call reads several
            times counts once.
        parameters: how many weights and biases it uses.
    """

    layer: Count
    operator: Count
    kind: str = Field(min_length=1)
    kernel: str = Field(min_length=1)
    output: Shape
    macs: Count
    bytes_moved: Count
    parameters: Count


class _Table(CardModel):
    version: Literal[1]
    layers: tuple[LayerSpec, ...] = Field(min_length=1, max_length=MOST_LAYERS)

    @model_validator(mode="after")
    def _in_order(self) -> _Table:
        numbers = [spec.layer for spec in self.layers]
        if numbers != list(range(len(numbers))):
            raise ValueError(f"layers must be numbered 0 to {len(numbers) - 1} in order, not {numbers}")
        return self


def parse_layers(text: bytes, source: str) -> tuple[LayerSpec, ...]:
    """Parse the table of layers of an image (section .hil_layers), in order.

    Args:
        text: the JSON; NULs behind it, as C strings have them, don't matter.
        source: where it was found, for messages.

    Raises:
        ImageError: it is damaged; the message says where.
    """
    try:
        return _Table.model_validate_json(text.rstrip(b"\0")).layers
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole table"
        problem = first["msg"].removeprefix("Value error, ")
        raise ImageError(
            f"{source}: the table of layers is wrong at {where}: {problem}; build the image again"
        ) from error
