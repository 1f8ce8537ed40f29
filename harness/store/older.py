"""What tables of older versions of the schema hold in other words than those of this one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WORDS: Final = "estimated_cycles_error"
#: How versions 8 and 9 wrote the range of an error, in percent, and the kind of code.
_RANGE: Final = re.compile(r"([+-]\d+) to ([+-]\d+) % \(integer code")


def _end(group: int) -> Callable[[str], float | None]:
    def read(words: str) -> float | None:
        found = _RANGE.match(words)
        return None if found is None else int(found[group]) / 100

    return read


def _code(words: str) -> str | None:
    """Return the kind of code; None where waits for flash weren't known, since that was all that was said then."""
    return None if "aren't known" in words else "float" if "float code" in words else "integer"


#: How a column that older files lack follows from one that they have.
_FROM_WORDS: Final[Mapping[str, Callable[[str], Any]]] = {
    "estimated_cycles_error_low": _end(1),
    "estimated_cycles_error_high": _end(2),
    "estimated_cycles_code": _code,
}


def column_behind(name: str) -> str | None:
    """Return the column of older files that a column follows from; None if from none."""
    return _WORDS if name in _FROM_WORDS else None


def from_older(name: str, older: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """Return a column of a table that lacks it, from the one that `column_behind` names."""
    return pa.array([None if words is None else _FROM_WORDS[name](words) for words in older.to_pylist()], kind)
