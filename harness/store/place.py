"""Where a case belongs: its pool of boards, without one its device; and which unit of the board measured it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: So many boards are named one by one.
_NAMED = 4


def place_of(row: Mapping[str, Any]) -> str:
    """Return what rows have in common that may stand together: the name of their pool, without one their device's.

    Args:
        row: of the case table, with None for what is missing.
    """
    return str(row.get("pool") or row["device"])


def unit_of(row: Mapping[str, Any]) -> str:
    """Return which specimen of its board a case ran on: the chip's id; on emulators, or if no id is known, the device.

    Args:
        row: of the case table, with None for what is missing.
    """
    uid = row.get("board_uid")
    return str(uid) if uid and row["backend"] == "hardware" else str(row["device"])


def boards_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return how many boards of a pool measured rows, and their names; "" if the rows have no pool.

    Args:
        rows: of one place, with None for what is missing.
    """
    pooled = sorted({str(row["device"]) for row in rows if row.get("pool")}, key=_natural)
    if not pooled:
        return ""
    names = ", ".join(pooled) if len(pooled) <= _NAMED else f"{pooled[0]} ... {pooled[-1]}"
    return f"{len(pooled)} board{'s' if len(pooled) > 1 else ''}: {names}"


def spelled(place: str, boards: str) -> str:
    """Return a place with the boards that measured there, like `nano33 (2 boards: bench-1, bench-2)`."""
    return f"{place} ({boards})" if boards else place


def where(row: Mapping[str, Any]) -> str:
    """Return a case's place, and its device if that is another word."""
    place, device = place_of(row), str(row["device"])
    return device if place == device else f"{place} ({device})"


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort bench-10 behind bench-9."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", name)]
