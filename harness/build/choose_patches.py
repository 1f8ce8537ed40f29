"""Chooses how a model is cut into patches: by RAM, under a limit of extra multiply-accumulates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.build.lower import lower
from harness.build.patch import cut
from harness.build.plan import least_bytes, plan_program
from harness.build.stage import Patches, Stage, part, stage_ends
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.build.graph import Graph
    from harness.build.lower import Program
    from harness.build.plan import Plan

_ROWS, _MOST_COLUMNS = (2, 3, 4, 6, 8, 12, 16, 24, 32), 6  # of patches that are tried: each call takes flash
_PACKED = 4  # of the most promising


def choose_patches(
    graph: Graph,
    *,
    grid: tuple[int, int] | None = None,
    cached: bool | None = False,
    streamed: bool = False,
    most_overhead: float | None = None,
) -> Patches | None:
    """Return the patches that take the least RAM, of those within 1 % of it the ones with the fewest MACs.

    RAM is the tensor arena and the buffer that the input arrives in.

    Args:
        graph: the model, as read from its file.
        grid: rows and columns of patches; None: whatever is best.
        cached: keep what neighbouring patches share instead of computing it again; None: whatever is best.
        streamed: take the input in parts.
        most_overhead: how many MACs more than the whole model, as a share of its own; None: any.

    Returns:
        None if no patches take less than the whole model, within the limit.

    Raises:
        ConfigError: an operator isn't supported.
    """
    program = lower(graph)
    found = []
    for patches in _candidates(graph, program, grid, cached=cached, most_overhead=most_overhead):
        try:
            patched = cut(graph, program, replace(patches, streamed=streamed))
        except ConfigError:
            continue  # rows that aren't whole words can't be kept
        sizes = least_bytes(graph, patched) + _arriving(graph, patched)
        found.append((sizes, sum(step.macs for step in patched.steps), patches, patched))
    if not found:
        return None
    # Packing is slow, and its result rarely differs from the least that is needed: pack the most promising only.
    smallest = min(least for least, *_ in found)
    promising = sorted((f for f in found if f[0] <= 1.01 * smallest), key=lambda f: (f[1], f[0]))[:_PACKED]
    plans = [plan_program(graph, patched, replace(patches, streamed=streamed)) for *_, patches, patched in promising]
    best = min(ram_bytes(graph, plan) for plan in plans)
    if best >= ram_bytes(graph, plan_program(graph, program, None)):
        return None
    return next(plan.patches for plan in plans if ram_bytes(graph, plan) <= 1.01 * best)


def ram_bytes(graph: Graph, plan: Plan) -> int:
    """Return what a planned model takes: its arena, and the buffer that the input arrives in."""
    return plan.arena_bytes + (plan.input_bytes or _whole_input(graph))


def _arriving(graph: Graph, program: Program) -> int:
    return max((piece.bytes for piece in program.pieces), default=_whole_input(graph))


def _whole_input(graph: Graph) -> int:
    return sum(tensor.bytes for tensor in graph.inputs)


def _candidates(
    graph: Graph,
    program: Program,
    grid: tuple[int, int] | None,
    *,
    cached: bool | None,
    most_overhead: float | None,
) -> Iterator[Patches]:
    """Yield the patches that are tried; those above the limit don't come so far, for a cut takes long."""
    macs = sum(step.macs for step in program.steps)
    for layers in stage_ends(graph, program):
        stage = Stage(graph, program, layers)
        _, height, width, _ = stage.last.shape
        grids = [grid] if grid else [(rows, 1) for rows in _ROWS]
        if not grid and not cached:
            grids += [(count, count) for count in range(2, min(height, width, _MOST_COLUMNS) + 1)]
        for rows, columns in grids:
            if columns == 1 and cached is not False:
                yield Patches(rows, columns, layers, cached=True)
            if cached or rows > height or columns > width:
                continue
            if most_overhead is None or _extra_macs(stage, rows, columns) <= most_overhead * macs:
                yield Patches(rows, columns, layers)


def _extra_macs(stage: Stage, rows: int, columns: int) -> float:
    """Return the MACs that are repeated: as many times as the rows and columns of all patches of an image overlap."""
    _, height, width, _ = stage.last.shape
    bands = [stage.regions((part(height, row, rows), range(1))) for row in range(rows)]
    stripes = [stage.regions((range(1), part(width, column, columns))) for column in range(columns)]
    extra = 0.0
    for step in stage.steps:
        root, (_, whole_h, whole_w, _) = stage.root(step.output), step.output.shape
        computed = sum(len(r[root][0]) for r in bands) * sum(len(s[root][1]) for s in stripes)
        extra += step.macs * (computed / (whole_h * whole_w) - 1)
    return extra
