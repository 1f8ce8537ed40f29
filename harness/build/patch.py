"""Patch-based inference: the first layers run piece by piece, so that no whole image of theirs is ever in memory.

After MCUNetV2 (Lin et al., "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning",
arXiv:2110.15352): the output of the patched stage is cut into pieces, and each is computed from the part of the input
that it depends on. Neighbouring parts overlap; what lies in the overlap is computed again, or, with `cached`, kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.build.kept_pieces import KeptPieces
from harness.build.lower import Piece, Program
from harness.build.pieces import Pieces
from harness.build.stage import Patches, Stage, row_bytes, stage_ends
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.build.graph import Graph


def cut(graph: Graph, program: Program, patches: Patches) -> Program:
    """Return a program that computes the same, the first layers in patches.

    Its input is read where it arrives and never written, so that it needs no place in the arena, unless the model has
    several inputs or state.

    Raises:
        ConfigError: the layers can't be patched, or not into that many pieces.
    """
    stage = Stage(graph, program, patches.layers)
    _, height, width, _ = stage.last.shape
    if patches.cached:  # images before the last one may have a new row more often
        height = max(program.steps[n - 1].output.shape[1] for n in stage_ends(graph, program) if n <= patches.layers)
    if not (1 <= patches.rows <= height and 1 <= patches.columns <= width):
        raise ConfigError(
            f"{graph.source}: {patches.rows} x {patches.columns} patches are too many for an image of "
            f"{height} x {width}{'' if patches.cached else f' after {patches.layers} layers'}."
        )
    shared = len(graph.inputs) == 1 and not graph.state
    if patches.streamed and not shared:
        raise ConfigError(f"{graph.source}: only the input of a model with one input and no state can come in parts.")
    pieces = KeptPieces(graph, program, patches, stage) if patches.cached else Pieces(program, patches, stage)
    parts: list[Piece] = []
    for row in range(patches.rows):
        before = len(pieces.calls)
        band, bytes_of_row = pieces.add(row), row_bytes(stage.image)
        calls = len(pieces.calls) - before
        if band or not parts:
            parts.append(Piece(band.start * bytes_of_row, len(band) * bytes_of_row, calls))
        else:  # it needs nothing that isn't there
            parts[-1] = replace(parts[-1], calls=parts[-1].calls + calls)
    rest = program.steps[patches.layers :]
    if not patches.streamed:
        parts = [Piece(0, graph.input.bytes, len(pieces.calls))] if shared else []
    if parts:
        parts[-1] = replace(parts[-1], calls=parts[-1].calls + len(rest))
    return Program((*pieces.calls, *rest), pieces.storage, tuple(parts))
