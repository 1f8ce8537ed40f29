"""What is to be done once so many instructions were issued."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Alarms:
    """Actions, each with the number of instructions since power-on at which it is due."""

    def __init__(self) -> None:
        self._set: list[tuple[int, Callable[[], None]]] = []

    def set(self, total: int, action: Callable[[], None]) -> None:
        """Have something done once `total` instructions were issued."""
        self._set.append((total, action))

    def due(self, total: int) -> Callable[[], None] | None:
        """Return an action that is due after `total` instructions, and forget it; None if none is."""
        for alarm in self._set:
            if alarm[0] <= total:
                self._set.remove(alarm)
                return alarm[1]
        return None

    def limit(self, total: int) -> int:
        """Return how many instructions may be issued until one is due, at most `total`; all since power-on."""
        return min([total, *(at for at, _ in self._set)])
