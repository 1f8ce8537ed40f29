"""Where the instructions of an inference go, by function. Only the virtual board can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.boards.opening import OnTwin
from harness.boards.simavr.board import SimavrBoard
from harness.boards.start_image import start_image
from harness.boards.virtual.cycles.costs import PARTS
from harness.boards.virtual.cycles.marks import profile_cycles
from harness.errors import ConfigError
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.estimated_cycles import Estimates, estimator_of, why_not_modelled
from harness.profile.estimates import PartEstimate, Worth, worth_of

if TYPE_CHECKING:
    from harness.boards.base import Board
    from harness.boards.virtual.cycles.costs import Costs
    from harness.config.chip import FlashTiming
    from harness.image.elf import Image
    from harness.measure.estimated_cycles import CycleEstimator

#: Inferences that a profile averages over.
_REPEATS = 10


@dataclass(frozen=True, slots=True)
class FunctionShare:
    """Instructions of one function per inference, without those of the functions that it calls, and what they cost."""

    function: str
    instructions: float
    share: float
    estimate: PartEstimate | None


@dataclass(frozen=True, slots=True)
class FunctionProfile:
    """Instructions per inference by function, most first.

    Attributes:
        functions: everything that runs per inference; the agent's copying of the input is part of it.
        counter: what the board's own counter says of one inference, without the agent's part.
        worth: what the estimates of cycles are worth; None if there are none.
        why_no_estimates: if there are none.
    """

    functions: tuple[FunctionShare, ...]
    counter: float
    worth: Worth | None
    why_no_estimates: str | None = None


def profile_functions(
    board: Board, image: Image, data: bytes, flash: FlashTiming | None = None, costs: Costs | None = None
) -> FunctionProfile:
    """Start an image and count where the instructions of an inference on `data` go.

    Two batches of different length are counted, and one taken from the other, so that what the agent does once a
    batch falls out.

    Args:
        board: the board, opened.
        image: the image that is flashed and run.
        data: the input tensor, as bytes.
        flash: how flash is read, for the estimate of cycles; None for what is known of the board's chip.
        costs: of each event, for the same; None for those of the board's chip.

    Raises:
        ConfigError: the board can't count by address, or the image does more than an agent does.
        HilError: the image can't be flashed or started.
    """
    if isinstance(board, SimavrBoard):
        raise ConfigError(f"{board.name}: simavr can't count by function; see the layers without --functions")
    if not isinstance(board, OnTwin):
        raise ConfigError(f"{board.name}: only the virtual board can count by function; add `--backend virtual`")
    if image.in_program:
        raise ConfigError(
            f"{image.path}: the agent runs in another program, whose functions would be counted, too; see the layers "
            "without --functions, or build the model alone with `hil build`"
        )
    estimator, why = estimator_of(board, flash, costs), why_not_modelled(board)
    if estimator is not None:
        estimator.begin()
    link = Link(board.link(), board.name, Timing(baud=board.kind.baud))
    info = start_image(board, image, link, force=False)
    if len(info.pieces) > 1:
        raise ConfigError(
            f"{image.path}: it takes an input in {len(info.pieces)} parts, and what receives them would be "
            "counted, too; build it without --stream-input"
        )
    link.infer(data)
    if estimator is not None:
        estimates = Estimates(estimator, info)
        estimates.first(lambda: link.infer(data))
        estimator.end()
        if (why := estimates.problem) is not None:
            estimator = None
    marks = [_by_function(board, image, estimator)]
    ticks: tuple[int, ...] = ()
    for count in (1, 1 + _REPEATS):
        ticks = link.infer(data, count).ticks
        marks.append(_by_function(board, image, estimator))
    nothing = np.zeros(1 if estimator is None else 1 + len(PARTS))
    before, single, batch = ({name: mark.get(name, nothing) for name in marks[2]} for mark in marks)
    differences = {name: (batch[name] - 2 * single[name] + before[name]) / _REPEATS for name in batch}
    # What waits for the host runs as often as the host happens to make it; it is no part of an inference.
    per_inference = {name: figures for name, figures in differences.items() if figures[0] > 0}
    total = sum(figures[0] for figures in per_inference.values())
    rows = [
        FunctionShare(name, count, count / total, PartEstimate(count, tuple(parts)) if parts else None)
        for name, (count, *parts) in ((name, figures.tolist()) for name, figures in per_inference.items())
    ]
    rows.sort(key=lambda row: (-row.instructions, row.function))
    estimated = [row.estimate for row in rows if row.estimate is not None]
    worth = None if estimator is None else worth_of(estimated, estimator)
    return FunctionProfile(tuple(rows), sum(ticks) / len(ticks), worth, why)


def _by_function(
    board: OnTwin, image: Image, estimator: CycleEstimator | None
) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return instructions, and where there is an estimate the cycles by part, since power-on, by function."""
    blocks = board.twin.profile()
    figures = (blocks.instructions * blocks.executions).astype(np.float64)[:, None]
    if estimator is not None:
        cycles = profile_cycles(blocks, board.twin.code, estimator.marks.stalls, estimator.costs)
        figures = np.column_stack([figures, cycles])
    totals: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}
    for address, row in zip(blocks.address.tolist(), figures, strict=True):
        name = image.function_at(address) or f"0x{address:08X}"
        totals[name] = totals.get(name, 0) + row
    return totals
