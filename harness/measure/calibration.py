"""Holds the costs that estimates of cycles count against loops that a real board ran: by how much is each one off.

The image of firmware/calibrate has a loop for each kind of instruction. The virtual board tells how often each event of
costs.yaml happens in it, the real one how many cycles that took.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from harness.boards.opening import OnTwin, open_board
from harness.boards.start_image import start_image
from harness.boards.virtual.core.native import READ
from harness.boards.virtual.cycles.blocks import event_counts
from harness.boards.virtual.cycles.memory import mean_stalls
from harness.config import Device
from harness.config.chip import Calibrated, CycleCosts
from harness.errors import ConfigError, ImageError, MeasurementError
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.estimated_cycles import CycleEstimator, costs_of, flash_of, why_not_modelled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.boards.base import Board
    from harness.boards.virtual.cycles.costs import Costs
    from harness.config import BoardKind
    from harness.config.chip import FlashTiming
    from harness.image.elf import Image

_PREFIX: Final = "calibrate_"
_TABLE: Final = "calibrate_kernels"
_EMPTY: Final = "empty"
_INPUT_BYTES: Final = 4
_REPEATS: Final = 5
_RANK: Final = 1e-9
_ROUNDS: Final = 60
_LEAST: Final = 900  # events in a loop, so that a few cycles of something else are none of their cost
_TRACE_ENTRIES: Final = 1 << 20
#: Waits for flash, as events: a missed read of instructions, and one of data.
WAITS: Final = ("flash_instruction_wait", "flash_data_wait")


@dataclass(frozen=True)
class Loop:
    """A loop of the image.

    Attributes:
        name: of it.
        instructions: that an inference with it issues, as the virtual board counted them.
        events: how often each event happens in an inference with it, those of `WAITS` included.
        estimate: the cycles that the model gives for the same, without waits for flash.
    """

    name: str
    instructions: int
    events: Mapping[str, float]
    estimate: float


@dataclass(frozen=True)
class Calibration:
    """What a board says of the costs.

    Attributes:
        off: by how many cycles each cost is too small on this board; None where these loops can't tell it from others.
        unexplained: cycles of each loop that no change of costs explains, by name, as a share of its cycles.
    """

    off: Mapping[str, float | None]
    unexplained: Mapping[str, float]


def loop_names(image: Image) -> list[str]:
    """Return the names of an image's loops, in the order of their numbers.

    Raises:
        ImageError: it isn't the image of firmware/calibrate.
    """
    found = []
    at = image.symbols.get(_TABLE, 0)
    while (name := image.function_at(_word(image, at) & ~1) or "").startswith(_PREFIX):
        found.append(name.removeprefix(_PREFIX))
        at += 4
    if found[:1] != [_EMPTY]:
        raise ImageError(f"{image.path}: it isn't the image to calibrate with; make -C firmware/calibrate makes that")
    return found


def _word(image: Image, address: int) -> int:
    """Return a word that an image has in flash; 0 where it has none."""
    for segment in image.segments:
        if segment.address <= address <= segment.end - 4:
            at = address - segment.address
            return int.from_bytes(segment.data[at : at + 4], "little")
    return 0


def costs_of_kind(kind: BoardKind) -> tuple[dict[str, float], FlashTiming | None]:
    """Return the cycles of each event on the chip of a kind, with the waits for flash, and how it reads its flash."""
    flash = flash_of(kind)
    waits = {} if flash is None else dict(zip(WAITS, (flash.instruction_wait, flash.data_wait), strict=True))
    return {**costs_of(kind).cycles, **waits}, flash


def read_loops(kind: BoardKind, image: Image, costs: Costs | None = None) -> list[Loop]:
    """Run each loop on the virtual board of a kind, and return what happens in it.

    Args:
        kind: of the board, which the image is for.
        image: that of firmware/calibrate.
        costs: that the estimates are made with; None for those of the kind's chip.

    Raises:
        ConfigError: there is no virtual board of the kind, or no model of its core.
        ImageError: it is another image.
        BoardError: the image doesn't run there.
    """
    names = loop_names(image)
    with open_board(Device(name=f"{kind.name}-twin", kind=kind), "virtual") as board:
        if not isinstance(board, OnTwin):
            raise ConfigError(f"{kind.name}: its virtual board can't tell what happens in code")
        if (why := why_not_modelled(board)) is not None:
            raise ConfigError(f"{kind.name}: {why}")
        flash = flash_of(kind)
        estimator = CycleEstimator(board, None, costs or costs_of(kind))
        estimator.begin()
        link = Link(board.link(), board.name, Timing(baud=kind.baud))
        info = start_image(board, image, link, force=False)
        found = []
        for number, name in enumerate(names):
            before = _executed(board)
            estimator.marks.clear()
            inference = link.infer(_input(number))
            (interval,) = estimator.marks.inferences(inference.ticks, info.counter_overhead)
            begin, end = image.symbols[_PREFIX + name] & ~1, _end(image, name)
            events: dict[str, float] = dict(_events(board, before, begin, end))
            if flash is not None:
                events |= _misses(board, link, estimator, flash, number, info.counter_overhead)
            cycles = float(estimator.estimate([interval]).parts.sum())
            found.append(Loop(name, inference.ticks[0], events, cycles))
    return found


def read_cycles(board: Board, image: Image) -> list[float]:
    """Run each loop on a board that counts cycles, and return the median of what each inference took.

    Raises:
        ConfigError: it counts something else.
        BoardError: the image can't be flashed, or doesn't run.
    """
    if board.counter != "cycles":
        raise ConfigError(
            f"{board.name}: an emulated board counts {board.counter}, not cycles, so it says nothing of what these "
            "cost; attach a real one"
        )
    names = loop_names(image)
    link = Link(board.link(), board.name, Timing(baud=board.kind.baud))
    start_image(board, image, link, force=False)
    return [float(np.median(link.infer(_input(number), 1 + _REPEATS).ticks[1:])) for number in range(len(names))]


def calibrate(loops: Sequence[Loop], cycles: Sequence[float], costs: Mapping[str, float]) -> Calibration:
    """Return by how much each cost is off.

    Of each loop the empty one is taken off, in events and in cycles. What is left are linear equations in the costs,
    solved for the least sum of absolute remainders (least squares, weighted anew by what remains), so that a loop which
    no costs explain keeps its remainder and doesn't bend those of others. A cost counts as told only if the equations
    fix it alone, and if what it stands for happens often enough.

    Args:
        loops: what happens in each.
        cycles: that each took on the board, as many.
        costs: of each event in cycles, the waits for flash included.
    """
    names = sorted({name for loop in loops for name in loop.events})
    counts = np.array([[loop.events.get(name, 0.0) for name in names] for loop in loops])
    counts, taken = counts[1:] - counts[0], np.array(cycles[1:]) - cycles[0]
    left = taken - counts @ np.array([costs[name] for name in names])
    scale = np.abs(counts).max(axis=0)
    scaled = np.where(scale >= _LEAST, counts / np.maximum(scale, 1), 0.0)
    fixed = np.diag(np.linalg.pinv(scaled, rcond=_RANK) @ scaled)
    weights = np.ones(len(left))
    for _ in range(_ROUNDS):
        off = np.linalg.pinv(scaled * weights[:, None], rcond=_RANK) @ (left * weights) / np.maximum(scale, 1)
        weights = 1 / np.sqrt(np.maximum(np.abs(left - counts @ off), 1.0))
    rest = np.abs(left - counts @ off) / np.maximum(taken, 1)
    told = {name: float(off[at]) if fixed[at] > 1 - _RANK else None for at, name in enumerate(names)}
    return Calibration(told, dict(zip((loop.name for loop in loops[1:]), rest.tolist(), strict=True)))


def kept(found: Calibration, costs: Mapping[str, float], flash: FlashTiming | None, source: str) -> Calibrated:
    """Return a calibration as data of a chip: costs that are off, in sixteenths of a cycle, and whole waits for flash.

    Args:
        found: the calibration.
        costs: that it was made against, the waits for flash included.
        flash: how the chip reads its flash; None if that isn't known.
        source: which board told.
    """
    told = {name: costs[name] + off for name, off in found.off.items() if off is not None}
    cycles = {name: max(round(16 * cost) / 16, 0.0) for name, cost in told.items() if name not in WAITS}
    changed = {name: cost for name, cost in cycles.items() if cost != costs[name]}
    if flash is not None:
        waits = {name.removeprefix("flash_"): max(round(told[name]), 0) for name in WAITS if name in told}
        flash = flash.model_copy(update={**waits, "source": f"{flash.source}; waits by {source}", "validated": None})
    return Calibrated(cycle_costs=CycleCosts(source=source, cycles=changed), flash_timing=flash)


def _input(number: int) -> bytes:
    return number.to_bytes(_INPUT_BYTES, "little")


def _end(image: Image, name: str) -> int:
    begin = image.symbols[_PREFIX + name] & ~1
    return next(start + size for start, size, _ in image.functions if start == begin)


def _executed(board: OnTwin) -> dict[int, tuple[int, int]]:
    """Return how often each block ran, and how often the one in front ran into it, by its address."""
    profile = board.twin.profile()
    counts = zip(profile.executions.tolist(), profile.fall_throughs.tolist(), strict=True)
    return dict(zip(profile.address.tolist(), counts, strict=True))


def _events(board: OnTwin, before: Mapping[int, tuple[int, int]], begin: int, end: int) -> dict[str, int]:
    """Return how often each event happened in the code of [begin, end) since `before`."""
    profile, rows = board.twin.profile(), []
    for address, size, executions, fallen in zip(
        profile.address.tolist(),
        profile.size.tolist(),
        profile.executions.tolist(),
        profile.fall_throughs.tolist(),
        strict=True,
    ):
        if begin <= address < end:
            had = before.get(address, (0, 0))
            rows.append((address, board.twin.code(address, size) or b"", executions - had[0], fallen - had[1]))
    return event_counts(rows)


def _misses(
    board: OnTwin, link: Link, estimator: CycleEstimator, flash: FlashTiming, number: int, overhead: int
) -> dict[str, float]:
    """Return how many reads of flash miss in an inference: of instructions, and of data."""
    marks = estimator.marks
    with board.twin.traced(marks, flash, _TRACE_ENTRIES) as trace:
        marks.clear()
        inference = link.infer(_input(number))
    (interval,) = marks.inferences(inference.ticks, overhead)
    if trace.full:
        raise MeasurementError(f"loop {number} is too long for a simulation of the caches")
    entries = trace.entries(*interval.traced)
    blocks, times = np.unique(entries[(entries & np.uint64(READ)) == 0] & np.uint64(0xFFFFFFFF), return_counts=True)
    found = {}
    for wait, (instruction, data) in zip(WAITS, ((1, 0), (0, 1)), strict=True):
        counted = flash.model_copy(update={"instruction_wait": instruction, "data_wait": data})
        stalls = mean_stalls(entries, counted)
        found[wait] = sum(stalls.get(block, 0.0) * n for block, n in zip(blocks.tolist(), times.tolist(), strict=True))
    return found
