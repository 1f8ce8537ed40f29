"""What a model gave on the machine that trained it, and how far a board agrees with that."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.data.numpy_file import load_array
from harness.errors import ConfigError
from harness.metrics.classes import top1

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from harness.config import Suite, Variant
    from harness.config.data import SuiteData
    from harness.image.model_card import TensorSpec

#: Below this share of equal predictions, with its interval, something else than rounding differs.
EXPECTED: Final = 0.95


@dataclass(frozen=True, eq=False)
class Reference:
    """What a reference says of N inputs.

    Attributes:
        name: what errors and results call it.
        classes: its prediction for each input, shape [N].
        outputs: its real-valued outputs, shape [N, outputs]; None: only classes are known.
        sha256: of classes and outputs.
    """

    name: str
    classes: NDArray[np.int64]
    outputs: NDArray[np.float64] | None
    sha256: str

    @property
    def expected(self) -> NDArray[Any]:
        """The outputs, or the classes where only these are known."""
        return self.classes if self.outputs is None else self.outputs


def load_reference(suite: Suite, variant: Variant, output: TensorSpec, data: SuiteData) -> Reference | None:
    """Read what a variant's reference, if it has one, says of the inputs that are used.

    Raises:
        ConfigError: its file or array is missing, or its values can't be those of this model on these inputs.
    """
    source = variant.reference
    if source is None:
        return None
    name = f"{source.file}[{source.array}]" if source.array else source.file
    where = f"{suite.path}: reference {name}"
    try:
        values = load_array(suite.path.parent / source.file, source.array)
    except ConfigError as error:
        raise ConfigError(f"{suite.path}: reference: {error}") from error
    count = data.total
    if values.ndim < 1 or len(values) != count:
        rows = len(values) if values.ndim else 1
        raise ConfigError(
            f"{where} has {rows} rows, but the suite has {count} inputs: it needs one for each, in the same order. "
            "Make it anew: hil reference --help"
        )
    if values.ndim == 1:
        classes, outputs = _classes(values, output.size, where), None
    else:
        outputs = _outputs(values, output, where)
        classes = outputs.argmax(axis=1).astype(np.int64)
    classes, outputs = classes[data.places], None if outputs is None else outputs[data.places]
    content = classes.tobytes() + (b"" if outputs is None else outputs.tobytes())
    return Reference(name, classes, outputs, hashlib.sha256(content).hexdigest())


def _classes(values: NDArray[Any], count: int, where: str) -> NDArray[np.int64]:
    if values.dtype.kind not in "iu":
        raise ConfigError(
            f"{where} is a list of {values.dtype}: classes are whole numbers, outputs have two dimensions"
        )
    wrong = np.flatnonzero((values < 0) | (values >= count))
    if wrong.size:
        first = int(wrong[0])
        raise ConfigError(f"{where}: class {int(values[first])} of input {first} is not one of 0 to {count - 1}")
    return values.astype(np.int64)


def _outputs(values: NDArray[Any], output: TensorSpec, where: str) -> NDArray[np.float64]:
    flat = values.reshape(len(values), -1)
    if flat.shape[1] != output.size:
        raise ConfigError(
            f"{where} has {flat.shape[1]} outputs for each input (shape {list(values.shape)}), but the model has "
            f"{output.size}; classes are a list of whole numbers"
        )
    if values.dtype.kind in "iu":
        if values.dtype != output.dtype:
            raise ConfigError(
                f"{where} is made of {values.dtype}, but the model's output is {output.dtype}: save the real values"
            )
        return real_outputs(flat, output)
    finite = np.isfinite(flat).all(axis=1)
    if not finite.all():
        first = int(np.flatnonzero(~finite)[0])
        raise ConfigError(f"{where}: input {first} has an output that is not a finite number")
    return flat.astype(np.float64)


def real_outputs(raw: NDArray[Any], output: TensorSpec) -> NDArray[np.float64]:
    """Return raw outputs as the real values that they stand for."""
    values = raw.astype(np.float64)
    if output.scale is None or output.zero_point is None:
        return values
    return (values - output.zero_point) * output.scale


def agreement_columns(
    reference: Reference, predictions: NDArray[np.int64] | None, outputs: NDArray[Any], output: TensorSpec
) -> dict[str, Any]:
    """Return the columns of the case table that say how far a board agrees with a reference.

    The board's raw outputs have the shape [N, outputs]. Where they are no classes, there are no `predictions`.
    """
    columns: dict[str, Any] = {"reference": reference.name, "reference_sha256": reference.sha256}
    if predictions is not None:
        share = top1(predictions, reference.classes)
        columns |= {"agreement": share.value, "agreement_low": share.low, "agreement_high": share.high}
    if reference.outputs is not None:
        greatest = float(np.abs(real_outputs(outputs, output) - reference.outputs).max())
        columns["reference_difference_max"] = greatest if np.isfinite(greatest) else None
    return columns


def low_agreement(row: Mapping[str, Any]) -> str | None:
    """Say that a case (missing values None or NaN) agrees with its reference less than rounding explains, if so."""
    high = row.get("agreement_high")
    if high is None or not float(high) < EXPECTED:
        return None
    low, share = float(row["agreement_low"]), float(row["agreement"])
    return (
        f"only {100 * share:.1f} % of its predictions are those of its reference (95 % interval {100 * low:.1f} to "
        f"{100 * float(high):.1f} %): the shape, order or scale of the inputs, or the model, is another one than where "
        "the reference was made"
    )
