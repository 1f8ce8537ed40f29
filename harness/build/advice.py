"""What would fit where a model doesn't."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.build.choose_patches import choose_patches
from harness.build.plan import plan_memory
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.build.graph import Graph
    from harness.build.plan import Plan
    from harness.build.sizes import TooLargeError
    from harness.config import BoardKind

_MOST_OVERHEAD = 0.15  # of --patches auto


def advice(
    graph: Graph, plan: Plan, error: TooLargeError, kinds: Iterable[BoardKind], make: Callable[[Plan], object]
) -> list[str]:
    """Return what would fit, a line each: patches, another kind of board, int8.

    Args:
        graph: the model.
        plan: what didn't fit.
        error: how much it needs at least.
        kinds: the kinds of board that there are.
        make: makes an image of another plan of the model, and raises ConfigError if that doesn't fit.
    """
    lines = []
    chosen = None if plan.patches else choose_patches(graph, cached=None, most_overhead=_MOST_OVERHEAD)
    if chosen is not None:
        patched = plan_memory(graph, chosen)
        try:
            make(patched)
        except ConfigError:
            pass  # as well too large
        else:
            more = f"{patched.macs / plan.macs:.2f} times the MACs"
            lines.append(f"It fits with --patches auto: {patched.arena_bytes:,} B of arena, {more}.")
    large = [k for k in kinds if k.flash.size >= error.flash_bytes and _holds(k, error.ram_bytes, plan.arena_bytes)]
    if large:
        lines.append(f"Large enough: {', '.join(f'{kind.name} ({kind.title})' for kind in large)}.")
    floats = [t for t in graph.tensors if t.data is None and t.dtype == "float32"]
    if sum(t.bytes for t in floats) > sum(t.bytes for t in graph.tensors if t.data is None) / 2:
        lines.append(f"As full int8 it takes about a quarter: some {plan.arena_bytes // 4:,} B of arena.")
    return lines


def _holds(kind: BoardKind, ram_bytes: int, arena_bytes: int) -> bool:
    """Whether a kind's RAM holds so much, or one of its memories the arena of it and the others the rest."""
    rest = ram_bytes - arena_bytes
    apart = (ram.size >= arena_bytes and kind.ram_bytes - ram.size >= rest for ram in kind.memories)
    return kind.ram.size >= ram_bytes or (len(kind.memories) > 1 and any(apart))
