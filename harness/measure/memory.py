"""Peak RAM in four parts: static, tensor arena, stack and heap high-water."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import MeasurementError

if TYPE_CHECKING:
    from harness.boards.base import Board
    from harness.image import Image


@dataclass(frozen=True, slots=True)
class PeakRam:
    """What an image needed of RAM, bytes. `total` is what a board must have."""

    static_bytes: int
    arena_bytes: int
    stack_bytes: int
    heap_bytes: int

    @property
    def total_bytes(self) -> int:
        """Sum of the four parts."""
        return self.static_bytes + self.arena_bytes + self.stack_bytes + self.heap_bytes


def stack_high_water(content: bytes, pattern: int) -> int:
    """Return how many bytes of a painted stack were used.

    Args:
        content: the stack region, lowest address first, a whole number of words.
        pattern: the word that it was painted with.

    Returns:
        Bytes from the lowest word that differs from `pattern` to the top.
    """
    used = np.flatnonzero(np.frombuffer(content, "<u4") != pattern)
    return len(content) - 4 * int(used[0]) if used.size else 0


def heap_high_water(content: bytes, pattern: int) -> int:
    """Return how many bytes of a painted heap were used, from its bottom to the highest changed word."""
    used = np.flatnonzero(np.frombuffer(content, "<u4") != pattern)
    return 4 * (int(used[-1]) + 1) if used.size else 0


def measure_peak_ram(board: Board, image: Image) -> PeakRam:
    """Read stack and heap through the probe after a run, and add what the image reserves.

    Raises:
        MeasurementError: the stack was never painted, or has reached its bottom, so that its depth is unknown.
        BoardError: the memory can't be read.
    """
    pattern = image.symbols["__paint_pattern"]
    bottom, top = image.stack
    stack = stack_high_water(board.read_memory(bottom, top - bottom), pattern)
    if stack == top - bottom:
        raise MeasurementError(
            f"{board.name}: the stack of {image.path.name} (0x{bottom:X} to 0x{top:X}) was never painted, or has "
            "overflowed; its depth is unknown. Use the agent's start-up code, and a smaller arena"
        )
    heap_bottom, heap_top = image.heap
    heap = 0
    if heap_top > heap_bottom:
        heap = heap_high_water(board.read_memory(heap_bottom, heap_top - heap_bottom), pattern)
    return PeakRam(image.ram_static_bytes, image.ram_arena_bytes, stack, heap)
