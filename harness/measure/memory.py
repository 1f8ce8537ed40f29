"""Peak RAM in four parts: static, tensor arena, stack and heap high-water."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import MeasurementError

if TYPE_CHECKING:
    from harness.boards.base import Board
    from harness.image.elf import Image
    from harness.link.client import Link
    from harness.link.messages import DeviceStats


@dataclass(frozen=True, slots=True)
class PeakRam:
    """What a model needed of RAM, bytes: of the arena that part which was used, where the engine can tell.

    What isn't known is None, and `reason` says why.
    """

    static_bytes: int
    arena_bytes: int
    stack_bytes: int | None
    heap_bytes: int | None
    reason: str | None = None

    @property
    def total_bytes(self) -> int | None:
        """Sum of the four parts; None if one of them isn't known."""
        if self.stack_bytes is None or self.heap_bytes is None:
            return None
        return self.static_bytes + self.arena_bytes + self.stack_bytes + self.heap_bytes


def stack_high_water(content: bytes, pattern: int) -> int:
    """Return how many bytes of a stack painted with a word were used, from the lowest changed word to the top."""
    used = np.flatnonzero(np.frombuffer(content, "<u4") != pattern)
    return len(content) - 4 * int(used[0]) if used.size else 0


def heap_high_water(content: bytes, pattern: int) -> int:
    """Return how many bytes of a painted heap were used, from its bottom to the highest changed word."""
    used = np.flatnonzero(np.frombuffer(content, "<u4") != pattern)
    return 4 * (int(used[-1]) + 1) if used.size else 0


def measure_peak_ram(board: Board, image: Image, link: Link | None = None) -> PeakRam:
    """Read stack and heap of a board after a run, and add what the image that ran reserves.

    The probe reads them; where there is none, the agent is asked over the link. An engine that knows how much of its
    arena it needed is believed; of others, all that is reserved counts.

    Raises:
        MeasurementError: the stack was never painted, or has reached its bottom, so that its depth is unknown; or the
            agent reports more than there is.
        BoardError: the memory can't be read.
    """
    stats = None if link is None else link.stats()
    if image.in_program:
        return _in_program(board, image, stats)
    bottom, top = image.stack
    heap_bottom, heap_top = image.heap
    if not board.reads_memory and stats is not None:
        if (stats.stack_bytes, stats.heap_bytes) != (top - bottom, heap_top - heap_bottom):
            raise MeasurementError(
                f"{board.name}: the agent reports {stats.stack_bytes} bytes of stack and {stats.heap_bytes} of heap, "
                f"but {image.path.name} has {top - bottom} and {heap_top - heap_bottom}; build the image again"
            )
        stack, heap = stats.stack_used_bytes, stats.heap_used_bytes
    else:
        pattern = image.symbols["__paint_pattern"]
        stack, heap = stack_high_water(board.read_memory(bottom, top - bottom), pattern), 0
        if heap_top > heap_bottom:
            heap = heap_high_water(board.read_memory(heap_bottom, heap_top - heap_bottom), pattern)
    if not 0 < stack < top - bottom:
        raise MeasurementError(
            f"{board.name}: the stack of {image.path.name} (0x{bottom:X} to 0x{top:X}) was never painted or used, or "
            "has overflowed; its depth is unknown. Use the agent's start-up code, and a smaller arena"
        )
    if heap > heap_top - heap_bottom:  # only an agent can say so
        raise MeasurementError(
            f"{board.name}: the agent reports {heap} bytes used of a heap of {heap_top - heap_bottom}; "
            "build the image again"
        )
    return PeakRam(image.ram_static_bytes, _arena(board, image, stats), stack, heap)


def _in_program(board: Board, image: Image, stats: DeviceStats | None) -> PeakRam:
    """Return what is known where the agent is a task of another program: the stack only if the agent was told it."""
    why = "the agent runs in another program: its heap and variables are not the model's alone"
    stack: int | None = None
    if stats is None or stats.stack_bytes == 0:
        why += ", and it wasn't told its stack, or was called on another one"
    elif not 0 < stats.stack_used_bytes < stats.stack_bytes:
        raise MeasurementError(
            f"{board.name}: the stack of {stats.stack_bytes} bytes that the agent of {image.path.name} runs on has "
            "overflowed, or nearly so; its depth is unknown. Give that task a larger one"
        )
    else:
        stack = stats.stack_used_bytes
    return PeakRam(image.ram_static_bytes, _arena(board, image, stats), stack, None, why)


def _arena(board: Board, image: Image, stats: DeviceStats | None) -> int:
    arena = 0 if stats is None else stats.arena_used_bytes
    if arena > image.ram_arena_bytes:
        raise MeasurementError(
            f"{board.name}: hil_model_arena_used() says {arena} bytes, but the section .arena has "
            f"{image.ram_arena_bytes}; put the engine's arena into it, and count only that"
        )
    return arena or image.ram_arena_bytes
