"""What a case's row says of its inputs: which they are, what guessing scores on them, and in which range they lie.

Wrong scaling shows in the range before it shows in the accuracy.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.config.inputs import RandomInputs
from harness.config.subset import SEED, class_counts, majority_share
from harness.errors import HilError
from harness.image.elf import load_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from harness.config import BoardKind, Suite, Variant
    from harness.config.data import SuiteData
    from harness.image.model_card import TensorSpec

#: A greater share of values outside of the range calls for a warning. Models quantized with minimum and maximum of
#: their calibration data see hardly any; docs/results.md says what the shipped suites have.
SATURATED_LIMIT: Final = 0.01
#: Fewer codes than these, of 256, call for a warning if they stand for more values than they are.
FEW_CODES: Final = 32


def data_columns(suite: Suite, data: SuiteData) -> dict[str, Any]:
    """Return the columns on the inputs that are used, which are the same for all variants of a suite."""
    columns: dict[str, Any] = {
        "inputs_sha256": data.digest(),
        "samples_asked": data.asked,
        "metric": suite.metric.stored(suite.classes),
        "input_s": suite.seconds,
    }
    if suite.metric.labels(suite.classes) in ("class", "binary") and data.labels is not None:
        columns |= {
            "classes": len(suite.classes) or 2,
            "classes_seen": len(class_counts(data.labels)),
            "majority_share": majority_share(data.labels),
        }
    return columns


def range_columns(
    real: NDArray[np.float32], suite: Suite, variant: Variant, spec: TensorSpec, kind: BoardKind
) -> dict[str, Any]:
    """Return the columns on the range of the inputs.

    Args:
        real: what the model gets, before quantization, [N, ...].
        suite: the suite that is run.
        variant: the variant that is run.
        spec: type, shape and quantization of the model's input.
        kind: the kind of board; says which images the other variants have.
    """
    if isinstance(suite.inputs, RandomInputs):
        note = f"random, over the range of the input{f' ({spec.dtype}: 0 to 1)' * (spec.scale is None)}, seed {SEED}"
        return {"inputs_min": float(real.min()), "inputs_max": float(real.max()), "inputs_note": note}
    others: dict[str, TensorSpec] = {}
    if spec.dtype == "float32":  # its own input says nothing of the range that it expects
        for other in suite.variants:
            if other.name != variant.name and other.resize == variant.resize:
                with suppress(HilError):  # an image that is missing or wrong fails its own case
                    others[other.name] = load_image(suite.image_path(other, kind), kind).card.input
    return input_range(real, variant.name, spec, others, suite.inputs.note)


def input_range(
    real: NDArray[np.float32], variant: str, spec: TensorSpec, others: Mapping[str, TensorSpec], said: str = ""
) -> dict[str, Any]:
    """Hold inputs against the range of the model's input tensor; return the columns of the case table.

    A float32 input says nothing of the range that its model expects. Then the variant of the same suite is asked whose
    input has the same shape, is quantized, and holds the widest range.

    Args:
        real: what the model gets, before quantization, [N, ...].
        variant: name of the variant that is run.
        spec: type, shape and quantization of its input.
        others: inputs of the suite's other variants by name, whose inputs are made in the same way.
        said: what the suite notes of its inputs.
    """
    of, note = variant, None
    if spec.dtype == "float32":
        alike = {n: o for n, o in others.items() if o.dtype != "float32" and _sizes(o.shape) == _sizes(spec.shape)}
        of = max(alike, key=lambda name: alike[name].scale or 0.0, default="")
        note = f"the input is float32; the range is that of {of}'s input"
        if not of:
            note = "the input is float32, and no other variant has a quantized one that says which range is expected"
        spec = alike.get(of, spec)
    held = {} if spec.dtype == "float32" else _held(real, spec)
    return {
        "inputs_min": float(real.min()),
        "inputs_max": float(real.max()),
        **{f"inputs_{name}": held.get(name) for name in ("saturated", "codes", "values")},
        "inputs_range_of": of or None,
        "inputs_note": "; ".join(filter(None, (said, note))) or None,
    }


def _sizes(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size > 1)


def _held(real: NDArray[np.float32], spec: TensorSpec) -> dict[str, Any]:
    """Hold values against a quantized tensor.

    A value is outside if the code that it would have is none of the type's: half a step beyond the end is still inside.

    Returns:
        saturated: share of the values that lie outside, so that the range's nearest end stands for them.
        codes: how many different codes occur once the values are quantized.
        values: how many different values they stand for; counted only where the codes are few.
    """
    limits = np.iinfo(spec.dtype)
    step, zero = np.float32(spec.scale or 1.0), spec.zero_point or 0
    lowest, highest = (limits.min - zero - 0.5) * step, (limits.max - zero + 0.5) * step
    codes = len(np.unique(spec.encode(real)))
    return {
        "saturated": float(np.mean((real <= lowest) | (real >= highest))),
        "codes": codes,
        "values": len(np.unique(real)) if codes < FEW_CODES else None,
    }


def input_warnings(row: Mapping[str, Any]) -> list[str]:
    """Return sentences on a case's inputs that don't lie in the range that the model expects."""
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
