"""Values out of files that anybody may have written or damaged: what isn't as expected is unknown, never an error."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import HilError

if TYPE_CHECKING:
    from collections.abc import Callable

#: What reading files that somebody else may have damaged can raise.
DAMAGE = (HilError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)
_MOST = 1 << 53

T = TypeVar("T")
U = TypeVar("U")


def tried(look: Callable[[], T], otherwise: U, unknown: list[str]) -> T | U:
    """Return what a function reads; if it can't, return `otherwise`, and add why to `unknown`."""
    try:
        return look()
    except DAMAGE as error:
        unknown.append(str(error) or type(error).__name__)
        return otherwise


def text(value: object) -> str:
    """Return text, "" for what isn't text."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """Return a whole number that JSON holds exactly, None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST else None


def mapping(value: object) -> dict[str, Any]:
    """Return an object of a JSON file, empty for anything else."""
    return value if isinstance(value, dict) else {}


def moment(value: object) -> datetime | None:
    """Return a time in UTC, None for what isn't one or has no zone."""
    try:
        when = datetime.fromisoformat(text(value))
        return when.astimezone(UTC) if when.tzinfo is not None else None
    except (ValueError, OverflowError, OSError):  # a year that no clock of the system knows
        return None
