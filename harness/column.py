"""What a column of the results is: its type, its unit and its meaning."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

DType = Literal["string", "Int64", "Float64", "boolean", "datetime", "integers", "numbers"]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: its name; ends with the unit where there is one.
        dtype: pandas type; all of them can be missing (NA). "datetime" is in UTC, to the microsecond; "integers" and
            "numbers" are arrays of int32 and float64.
        unit: unit of the values, "" if there is none.
        meaning: what it says, in one line.
        score: True if it says how well the model did, so that it exists only for a complete case.
    """

    name: str
    dtype: DType
    unit: str
    meaning: str
    score: bool = False

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.dtype in ("Int64", "Float64")

    @property
    def limitable(self) -> bool:
        """Whether a limit can be set on it: on numbers, but on no estimate."""
        return self.numeric and not self.name.startswith("estimated_")

    def holds(self, value: object) -> bool:
        """Whether a value can stand in it: one of its type, or None for a missing one."""
        if value is None:
            return True
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return type(value) is {"string": str, "boolean": bool, "datetime": datetime}.get(self.dtype)
        if self.dtype == "Int64":
            return (isinstance(value, int) or value.is_integer()) and -(2**63) <= value < 2**63
        return self.dtype == "Float64" and abs(value) <= sys.float_info.max
