"""From a suite's inputs to the bytes that go over the link, and from the bytes that come back to a model's answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.config.steps import flat_steps
from harness.errors import ImageError
from harness.image.input_tensors import model_inputs, parts_by_tensor
from harness.image.model_card import TensorSpec
from harness.measure.input_columns import range_columns
from harness.measure.reference import real_outputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.config import BoardKind, Suite, Variant
    from harness.config.data import SuiteData
    from harness.config.sequence import Sequence as SequenceKeys
    from harness.image.elf import Image

_STATE = "the model has state, which is reset before each input"


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """The inputs of a model.

    Attributes:
        steps: of each input the steps, of each step the bytes of all tensors; one step where inputs are no sequences.
        real: their real values, float32 [N, ...]; [N, 0] where an input has several tensors or steps.
        columns: what the results say of them.
    """

    steps: tuple[tuple[bytes, ...], ...]
    real: NDArray[np.float32]
    columns: dict[str, Any]

    @property
    def first(self) -> tuple[bytes, ...]:
        """The first step of each input, which a model without a past may get."""
        return tuple(steps[0] for steps in self.steps)


def encode_inputs(suite: Suite, variant: Variant, data: SuiteData, image: Image, kind: BoardKind) -> ModelInputs:
    """Turn a suite's inputs into a model's input tensors.

    Raises:
        ImageError: the model takes other tensors, or inputs of another shape.
    """
    card, flat = image.card, flat_steps(data)
    try:
        parts = parts_by_tensor(flat, card)
    except ImageError as error:
        raise ImageError(f"{image.path}: {error}") from error
    encoded, real = [], np.empty((len(flat), 0), np.float32)
    columns: dict[str, Any] = {}
    for spec, part in zip(card.inputs, parts, strict=True):
        try:
            real = model_inputs(part, spec, variant.resize)
        except ImageError as error:
            where = f'tensor "{spec.name}": ' if len(parts) > 1 else ""
            raise ImageError(f"{image.path}: {where}{error}") from error
        encoded.append([row.tobytes() for row in spec.encode(real)])
        if len(parts) == 1 or data.random:
            columns = range_columns(real, suite, variant, spec, kind)
    rows = [b"".join(tensors) for tensors in zip(*encoded, strict=True)]
    counts = np.ones(len(data), np.int64) if data.lengths is None else data.lengths
    ends = np.cumsum(counts).tolist()
    steps = tuple(tuple(rows[end - count : end]) for end, count in zip(ends, counts.tolist(), strict=True))
    if len(parts) > 1 or data.lengths is not None:
        real = np.empty((len(data), 0), np.float32)
    if card.state_bytes and suite.sequence is None:
        columns["inputs_note"] = "; ".join(filter(None, (columns.get("inputs_note"), _STATE)))
    return ModelInputs(steps, real, columns)


@dataclass(frozen=True)
class Answers:
    """How the output bytes of a model become one answer for each input.

    Attributes:
        outputs: the model's output tensors.
        sequence: how the steps' outputs become one answer; None where an input is one inference.
    """

    outputs: tuple[TensorSpec, ...]
    sequence: SequenceKeys | None

    @property
    def spec(self) -> TensorSpec:
        """What an answer is: the output as it came, or real values where it is made of several tensors or steps."""
        if len(self.outputs) == 1 and self.sequence is None:
            return self.outputs[0]
        return TensorSpec(shape=(sum(tensor.size for tensor in self.outputs),), dtype="float32")

    def split(self, output: bytes) -> list[NDArray[Any]]:
        """Return each output tensor as it came, flat."""
        ends = np.cumsum([tensor.nbytes for tensor in self.outputs])[:-1].tolist()
        parts = zip([0, *ends], [*ends, len(output)], strict=True)
        return [spec.decode(output[start:end]) for spec, (start, end) in zip(self.outputs, parts, strict=True)]

    def decide(self, steps: Sequence[list[NDArray[Any]]]) -> NDArray[Any]:
        """Return one answer of the output tensors of all steps of an input."""
        if len(self.outputs) == 1 and self.sequence is None:
            return steps[0][0]
        real = np.array(
            [np.concatenate([real_outputs(*pair) for pair in zip(step, self.outputs, strict=True)]) for step in steps]
        )
        if self.sequence is None or self.sequence.decide == "last":
            return np.asarray(real[-1])
        if self.sequence.decide == "mean":
            return np.asarray(real.mean(axis=0))
        if self.sequence.decide == "max":
            return np.asarray(real.max(axis=0))
        # A NaN is no answer, and must not pass for one that lies below the threshold.
        found = np.where(np.isnan(real).any(axis=0), np.nan, (real > self.sequence.threshold).any(axis=0))
        return np.asarray(found)
