"""Estimated cycles between the moments when the firmware reads its cycle counter, as it does around an inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.boards.virtual.cycles.blocks import BlockCost, block_cost
from harness.boards.virtual.cycles.costs import PARTS, shipped_costs
from harness.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.boards.virtual.core.block_table import BlockProfile
    from harness.boards.virtual.core.counter import BlockCounter
    from harness.boards.virtual.core.trace import Trace
    from harness.boards.virtual.cycles.costs import Costs

#: Cycles are added up as whole numbers of 1/SCALE below 2^53, which float64 holds exactly in whatever order: so an
#: estimate is the same on every computer.
SCALE = 1024
_Cycles = np.ndarray[Any, np.dtype[np.float64]]
#: Mean stall of a block by its first address, in cycles.
Stalls = dict[int, float]


@dataclass(frozen=True)
class Interval:
    """What ran between two readings of the counter.

    Attributes:
        instructions: that were issued.
        cycles: estimated, by part, in 1/SCALE, shape [PARTS].
        traced: the entries of the trace, if there is one: first and end.
    """

    instructions: int
    cycles: _Cycles
    traced: tuple[int, int]


def block_weights(
    blocks: np.ndarray[Any, np.dtype[np.uint32]],
    code: Callable[[int, int], bytes | None],
    stalls: Mapping[int, float],
    known: dict[tuple[int, int], BlockCost] | None = None,
    costs: Costs | None = None,
) -> tuple[_Cycles, _Cycles]:
    """Return what an execution and a fall-through of each block add to an estimate, in 1/SCALE cycles, by part.

    An execution counts the block with a jump to it and one at its end. A fall-through takes back what both cost: the
    jump to the block, and that of whichever block ends in front of it. These are the same instructions in all of them.

    Args:
        blocks: address, bytes and instructions of each, shape [N, 3].
        code: returns the bytes at an address; None where there is no memory.
        stalls: mean wait for memory of an execution of a block, by its address.
        known: cycles of blocks whose code is still the same, by address and bytes; those of others are added.
        costs: of each event; None for the shipped ones.

    Returns:
        Two arrays of shape [N, PARTS].
    """
    branch, flash = PARTS.index("branch"), PARTS.index("flash")
    known = {} if known is None else known
    costs = costs or shipped_costs()
    cycles = []
    for address, size, _ in blocks.tolist():
        if (address, size) not in known:
            known[address, size] = block_cost(address & 3, code(address, size) or b"", costs)
        cycles.append(known[address, size])
    leaves = {address + size: cost.leave for (address, size, _), cost in zip(blocks.tolist(), cycles, strict=True)}
    executed, fallen = np.zeros((2, len(blocks), len(PARTS)))
    starts = blocks[:, 0].tolist()
    executed[:] = np.array([cost.straight for cost in cycles]).reshape(-1, len(PARTS))
    executed[:, branch] += [cost.leave + cost.enter for cost in cycles]
    fallen[:, branch] = [-cost.enter - leaves.get(start, 0) for start, cost in zip(starts, cycles, strict=True)]
    executed, fallen = np.rint(executed * SCALE), np.rint(fallen * SCALE)
    executed[:, flash] = [round(stalls.get(start, 0.0) * SCALE) for start in starts]
    return executed, fallen


def profile_cycles(
    profile: BlockProfile,
    code: Callable[[int, int], bytes | None],
    stalls: Mapping[int, float],
    costs: Costs | None = None,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the estimated cycles of each row of a profile, by part, shape [N, PARTS]."""
    blocks = np.column_stack([profile.address, profile.size, profile.instructions])
    executed, fallen = block_weights(blocks, code, stalls, costs=costs)
    executions, fall_throughs = (counts.astype(np.float64) for counts in (profile.executions, profile.fall_throughs))
    scaled = executions[:, None] * executed + fall_throughs[:, None] * fallen
    return scaled / SCALE


class CycleMarks:
    """Notes the estimate at each reading of the cycle counter.

    Attributes:
        intervals: between the readings since `clear`.
        most: how many of them are wanted; further readings are passed over. None: all.
        shortest: the interval of the fewest instructions of all so far: two readings with nothing between them.
        trace: what is traced; None if nothing is.
        stalls: mean wait for flash of each block, by address; `use` sets it.
    """

    def __init__(
        self, counter: BlockCounter, code: Callable[[int, int], bytes | None], costs: Costs | None = None
    ) -> None:
        """Begin without a reading.

        Args:
            counter: of the CPU.
            code: returns the bytes at an address; None where there is no memory.
            costs: of each event; None for the shipped ones.
        """
        self._counter, self._code, self._costs = counter, code, costs
        self.most: int | None = None
        self._version = self._changes = -1
        self._known: dict[tuple[int, int], BlockCost] = {}
        self._executed, self._fallen = np.zeros((2, 0, len(PARTS)))
        self._last: tuple[int, _Cycles, int] | None = None
        self.stalls: Stalls = {}
        self.trace: Trace | None = None
        self.intervals: list[Interval] = []
        self.shortest: Interval | None = None

    def use(self, stalls: Stalls) -> None:
        """Count these waits for memory from now on, instead of those before."""
        self.stalls = stalls
        self._version, self._last = -1, None
        self.clear()

    def clear(self) -> None:
        """Forget the intervals."""
        self.intervals.clear()
        self._last = None

    def note(self) -> None:
        """Take a reading. Called while the CPU stands in the middle of the block that reads the counter."""
        if self.most is not None and len(self.intervals) >= self.most:
            return
        counter = self._counter
        executions, fall_throughs = counter.tally()
        if self._version != counter.version:
            self._version = counter.version
            if self._changes != counter.changes:
                self._changes = counter.changes
                self._known.clear()
            weights = block_weights(counter.blocks, self._code, self.stalls, self._known, self._costs)
            self._executed, self._fallen = weights
        cycles = executions.astype(np.float64) @ self._executed + fall_throughs.astype(np.float64) @ self._fallen
        now = counter.total, cycles, 0 if self.trace is None else self.trace.length
        if self._last is not None:
            interval = Interval(now[0] - self._last[0], cycles - self._last[1], (self._last[2], now[2]))
            self.intervals.append(interval)
            if self.shortest is None or interval.instructions < self.shortest.instructions:
                self.shortest = interval
        self._last = now

    def inferences(self, ticks: Sequence[int], overhead: int) -> Iterator[Interval]:
        """Yield the interval of each inference of which the board reported the instructions.

        Args:
            ticks: instructions of each inference, in their order, less the overhead.
            overhead: instructions of an empty measurement. What these cost is taken off, too.

        Raises:
            MeasurementError: no interval has as many instructions.
        """
        intervals = iter(self.intervals)
        empty = self.shortest
        if empty is None or empty.instructions != overhead:
            raise MeasurementError(f"no empty measurement of {overhead} instructions was seen")
        for number, each in enumerate(ticks):
            for interval in intervals:
                if interval.instructions == each + overhead:
                    yield Interval(each, interval.cycles - empty.cycles, interval.traced)
                    break
            else:
                raise MeasurementError(f"inference {number} of {each} instructions lies between no two readings")
