"""The options of operators: of custom ones they are maps in FlexBuffers, and none of any may be impossible."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

DAMAGED = "the file is damaged. Export it again."

#: Fields of options that have a default which means something; without the others an operator isn't defined.
_OPTIONAL = {"FusedActivationFunction", "WeightsFormat", "QuantizedBiasType"}

_AT_LEAST_1 = {"StrideW", "StrideH", "FilterWidth", "FilterHeight", "DilationWFactor", "DilationHFactor"}

#: Stands for the table of options of an operator that has a map instead.
MAP = "FlexBuffers"


def read_map(content: bytes, fields: tuple[str, ...]) -> dict[str, int]:
    """Return the whole numbers and truth values that a map has under these names; what is missing is left out.

    Raises:
        ValueError: there is no map, or one has something else.
    """
    from flatbuffers import flexbuffers  # noqa: PLC0415  (comes with the package tflite)

    found: dict[str, int] = {}
    try:
        root = flexbuffers.GetRoot(bytearray(content))
        if not root.IsMap:
            raise ValueError("its options are no map")
        for field in fields:
            try:
                value = root.AsMap[field]
            except KeyError:
                continue
            if not (value.IsInt or value.IsBool):
                raise ValueError(f"its option {field} is no whole number")
            found[field] = int(value.AsInt if value.IsInt else value.AsBool)
    except (AssertionError, RecursionError, TypeError) as error:
        raise ValueError("its options can't be read") from error
    return found


def complete(options: dict[str, Any], fields: Sequence[str], what: str) -> dict[str, Any]:
    """Return an operator's options, as they are.

    Raises:
        ConfigError: some are missing or impossible; begins with `what`.
    """
    missing = [field for field in fields if field not in options and field not in _OPTIONAL]
    if missing:
        raise ConfigError(f"{what}: its options are missing ({', '.join(missing)}): {DAMAGED}")
    for field, value in options.items():
        if not isinstance(value, (int, float)):
            continue
        small, odd = field in _AT_LEAST_1 and value < 1, field == "Padding" and value not in (0, 1)
        if small or odd or not math.isfinite(value):
            raise ConfigError(f"{what}: its option {field} is {value}: {DAMAGED}")
    return options
