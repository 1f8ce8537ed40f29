"""Whether inputs lie in the range that a model expects: wrong scaling shows here before it shows in the accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from harness.image.model_card import TensorSpec

#: A greater share of values outside of the range calls for a warning. Models quantized with minimum and maximum of
#: their calibration data see hardly any; docs/results.md says what the shipped suites have.
SATURATED_LIMIT: Final = 0.01
#: Fewer codes than these, of 256, call for a warning if they stand for more values than they are.
FEW_CODES: Final = 32


@dataclass(frozen=True)
class InputRange:
    """The range of a case's inputs, held against what an input tensor can hold.

    Attributes:
        low: smallest real value that the model gets.
        high: largest real value that the model gets.
        saturated: share of the values that lie outside of the tensor's range, so that its nearest end stands for them.
        codes: how many different codes occur once the values are quantized.
        values: how many different values they stand for; counted only where the codes are few.
        of: the variant whose input tensor that is.
        note: why it is another variant's, or why nothing was checked.
    """

    low: float
    high: float
    saturated: float | None = None
    codes: int | None = None
    values: int | None = None
    of: str | None = None
    note: str | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the case table."""
        return {
            "inputs_min": self.low,
            "inputs_max": self.high,
            "inputs_saturated": self.saturated,
            "inputs_codes": self.codes,
            "inputs_values": self.values,
            "inputs_range_of": self.of,
            "inputs_note": self.note,
        }


def input_range(
    real: NDArray[np.float32], variant: str, spec: TensorSpec, others: Mapping[str, TensorSpec]
) -> InputRange:
    """Hold inputs against the range of the model's input tensor.

    A float32 input says nothing of the range that its model expects. Then the variant of the same suite is asked whose
    input has the same shape, is quantized, and holds the widest range.

    Args:
        real: what the model gets, before quantization, [N, ...].
        variant: name of the variant that is run.
        spec: type, shape and quantization of its input.
        others: inputs of the suite's other variants by name, whose inputs are made in the same way.
    """
    ends = float(real.min()), float(real.max())
    if _quantized(spec):
        return _held(real, ends, spec, variant)
    alike = {
        name: other for name, other in others.items() if _quantized(other) and _sizes(other.shape) == _sizes(spec.shape)
    }
    if not alike:
        note = "the input is float32, and no other variant has a quantized one that says which range is expected"
        return InputRange(*ends, note=note)
    widest = max(alike, key=lambda name: alike[name].scale or 0.0)
    note = f"the input is float32; the range is that of {widest}'s input"
    return _held(real, ends, alike[widest], widest, note)


def input_warnings(row: Mapping[str, Any]) -> list[str]:
    """Return sentences on inputs that don't lie in the range that the model expects.

    Args:
        row: a row of the case table.
    """
    saturated, codes, values = (row.get(f"inputs_{name}") for name in ("saturated", "codes", "values"))
    if saturated is None or codes is None:
        return []
    of = "the model's input"
    if row["inputs_range_of"] != row["variant"]:
        of = f"{row['inputs_range_of']}'s input (a float32 input states no range)"
    reach = f"the inputs reach from {row['inputs_min']:.4g} to {row['inputs_max']:.4g}"
    if saturated > SATURATED_LIMIT:
        what = f"{100 * saturated:.1f} % of the values lie outside of the range of {of}"
    elif codes == 1 or (codes < FEW_CODES and values is not None and values >= 2 * codes):
        what = f"all values come to {codes} of the 256 codes of {of}"
    else:
        return []
    return [f"{reach}, and {what}; check `scale:` and `offset:` of the suite's inputs"]


def _quantized(spec: TensorSpec) -> bool:
    return spec.dtype != "float32"


def _sizes(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size > 1)


def _held(
    real: NDArray[np.float32], ends: tuple[float, float], spec: TensorSpec, of: str, note: str | None = None
) -> InputRange:
    """Hold values against a quantized tensor.

    A value is outside if the code that it would have is none of the type's: half a step beyond the end is still inside.
    """
    limits = np.iinfo(spec.dtype)
    step, zero = np.float32(spec.scale or 1.0), spec.zero_point or 0
    lowest, highest = (limits.min - zero - 0.5) * step, (limits.max - zero + 0.5) * step
    outside = float(np.mean((real <= lowest) | (real >= highest)))
    codes = len(np.unique(spec.encode(real)))
    return InputRange(*ends, outside, codes, len(np.unique(real)) if codes < FEW_CODES else None, of, note)
