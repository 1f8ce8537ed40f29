"""Estimated cycles of the parts of an inference, and where they go. docs/cycles.md says what they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.boards.virtual.cycles.costs import PARTS
from harness.boards.virtual.cycles.marks import SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.boards.virtual.cycles.marks import Interval
    from harness.measure.estimated_cycles import CycleEstimator, Validity


@dataclass(frozen=True, slots=True)
class PartEstimate:
    """Estimated cycles of a layer, a function or a whole inference.

    Attributes:
        instructions: that it issues.
        parts: its cycles by `PARTS`.
    """

    instructions: float
    parts: tuple[float, ...]

    @property
    def cycles(self) -> float:
        """All of them."""
        return sum(self.parts)

    def content(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "estimated_cycles": self.cycles,
            "estimated_cycles_per_instruction": self.cycles / self.instructions if self.instructions else None,
            "estimated_cycles_by_part": dict(zip(PARTS, self.parts, strict=True)),
        }


def joined(estimates: Sequence[PartEstimate]) -> PartEstimate:
    """Return several, one at least, as one."""
    instructions = sum(each.instructions for each in estimates)
    return PartEstimate(instructions, tuple(map(sum, zip(*(each.parts for each in estimates), strict=True))))


@dataclass(frozen=True, slots=True)
class Worth:
    """What an estimate is worth: its error as far as it is known, and the model."""

    validity: Validity
    model: str

    def content(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return self.validity.content() | {"cycle_model": self.model}


def worth_of(estimates: Sequence[PartEstimate], estimator: CycleEstimator) -> Worth:
    """Return what estimates of one inference are worth."""
    parts = np.array([each.parts for each in estimates], np.float64).reshape(-1, len(PARTS))
    return Worth(estimator.validity(parts), estimator.model)


def estimates_by_layer(intervals: Sequence[Interval], ticks: Sequence[int]) -> tuple[PartEstimate, ...] | None:
    """Return the estimate of each layer, and of what lies outside of layers, as the last; None if it can't be told.

    The firmware reads its counter when a layer ends, and again when it goes on; before the first layer, and after the
    last. A layer that runs in several pieces can't be told from others.

    Args:
        intervals: between the readings of a profiled inference and of what came before it.
        ticks: instructions of each layer, as the board reported them, less what a mark costs.
    """
    count = 2 * len(ticks) + 1
    if not ticks or len(intervals) < count:
        return None
    own = list(intervals[-count:])
    layers, outside = own[:-1:2], own[-1]
    costs = {layer.instructions - each for layer, each in zip(layers, ticks, strict=True)}
    empty = [interval for interval in intervals[:-count] if interval.instructions in costs]
    if len(costs) != 1 or not empty:
        return None
    cycles = [layer.cycles - empty[-1].cycles for layer in layers]
    found = [PartEstimate(each, tuple((one / SCALE).tolist())) for each, one in zip(ticks, cycles, strict=True)]
    return (*found, PartEstimate(outside.instructions, tuple((outside.cycles / SCALE).tolist())))
