"""Facts out of files that anybody may have written or damaged: what isn't as expected is unknown, never an error."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from harness.files.json_file import read_json
from harness.text.escape import xml_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LINE_CHARACTERS = 300
_TEXT_CHARACTERS = 20_000
_MOST = 1 << 53


def read_facts(path: Path) -> dict[str, Any]:
    """Return the object in a file, empty if there is none or it is damaged."""
    return read_json(path) or {}


def line(value: object, most: int = _LINE_CHARACTERS) -> str:
    """Return text on one printable line of at most so many characters; "" for what isn't text."""
    if not isinstance(value, str):
        return ""
    shown = xml_text(" ".join(value.split()))
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def text(value: object) -> str:
    """Return printable text of several lines; "" for what isn't text."""
    if not isinstance(value, str):
        return ""
    shown = "\n".join(xml_text(one.replace("\t", "    ").rstrip()) for one in value.split("\n"))
    return shown if len(shown) <= _TEXT_CHARACTERS else f"{shown[:_TEXT_CHARACTERS]}..."


def number(value: object) -> int | None:
    """Return a whole number, None for anything else; what a computer doesn't count up to is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST else None


def seconds(value: object) -> float | None:
    """Return a length of time, None for anything that can't be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def flag(value: object) -> bool | None:
    """Return yes or no, None for anything else."""
    return value if isinstance(value, bool) else None


def mapping(value: object) -> Mapping[str, Any]:
    """Return an object of a JSON file, empty for anything else."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list, none for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def moment(value: object) -> datetime | None:
    """Return a time in UTC, None for what isn't one or has no zone."""
    if not isinstance(value, str):
        return None
    try:
        when = datetime.fromisoformat(value)
        return when.astimezone(UTC) if when.tzinfo is not None else None
    except (ValueError, OverflowError, OSError):  # a year that no clock of the system knows
        return None


def touched(path: Path) -> datetime | None:
    """Return when a file was last written, None if it is gone."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError, OverflowError):
        return None
