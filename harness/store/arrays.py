"""Arrays of the results: outputs as they came from the board, and targets that are more than one number.

In a journal an array is its type and its bytes in base64, in a table a list; float32 outputs stand in a column of their
own, so that what came as an integer stays one.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.case_parts import OUTPUTS, SAMPLES, TARGETS
from harness.schema import JOURNAL_FIELDS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from harness.column import Column

#: The tables that hold arrays, with the kind of their records in the journal.
ARRAY_TABLES: Final[dict[str, tuple[str, tuple[Column, ...]]]] = {
    "outputs": ("output", OUTPUTS),
    "targets": ("target", TARGETS),
}
#: The kinds of records that are about one inference.
INFERENCE_KINDS: Final = ("sample", *(kind for kind, _ in ARRAY_TABLES.values()))
_COLUMNS = {column.name: column for column in (*SAMPLES, *OUTPUTS, *TARGETS)}
_TYPES = ("int8", "uint8", "int16", "int32", "float32", "float64")


def packed(array: NDArray[Any]) -> list[str]:
    """Return what the journal holds of a flat array of numbers."""
    return [array.dtype.name, base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()]


def unpacked(values: Any) -> NDArray[Any]:
    """Return an array from what the journal holds of it.

    Raises:
        ValueError, TypeError: it holds something else.
    """
    name, data = values
    if name not in _TYPES:
        raise ValueError(f"no array is of type {name!r}")
    try:
        return np.frombuffer(base64.b64decode(data, validate=True), np.dtype(name).newbyteorder("<"))
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def inference_row(kind: str, values: Any) -> dict[str, Any]:
    """Return the columns of a sample, an output or a target from its line of the journal.

    Raises:
        ValueError, TypeError: the line holds something else.
    """
    if kind == "sample":
        row = dict(zip(JOURNAL_FIELDS["samples"], values, strict=True))
    elif kind == "target":
        sample, array = values
        row = {"sample": sample, "values": unpacked(array)}
    else:
        sample, step, tensor, array, scale, zero_point = values
        raw = unpacked(array)
        row = {"sample": sample, "step": step, "tensor": tensor, "scale": scale, "zero_point": zero_point}
        row["real" if raw.dtype.kind == "f" else "raw"] = raw
    wrong = [name for name, value in row.items() if not (isinstance(value, np.ndarray) or _COLUMNS[name].holds(value))]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} can't be right")
    return row


def stacked(rows: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Return a column of arrays of one length as float64 [N, length], in the order of the samples."""
    ordered = rows.sort_values("sample", kind="stable")
    return np.stack([np.asarray(array, np.float64) for array in ordered[column]])


def real_outputs(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the real values of a case's outputs, [N, outputs], in the order of the samples.

    Several output tensors stand one behind the other.
    """
    parts = []
    for _, tensor in rows.groupby("tensor", sort=True):
        if tensor["raw"].isna().all():
            parts.append(stacked(tensor, "real"))
            continue
        raw = stacked(tensor, "raw")
        if tensor["scale"].notna().all():
            raw = (raw - float(tensor["zero_point"].iloc[0])) * float(tensor["scale"].iloc[0])
        parts.append(raw)
    return np.concatenate(parts, axis=1)
