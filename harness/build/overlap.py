"""How far the output of a kernel may reach into the memory of an input that nothing needs afterwards.

After "diagonal memory optimisation" (Blacker et al., "Reducing Memory Requirements for Convolutional Networks using
Diagonal Memory Optimisation", arXiv:2010.01668): a kernel that goes through its input from front to back is done with
the front of it long before its output is complete, so the output may begin a little before the input and overwrite it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.build.graph import ITEM_BYTES
from harness.build.step import ALIGNMENT

if TYPE_CHECKING:
    from harness.build.graph import Tensor
    from harness.build.lower import Program
    from harness.build.step import Step, Window


@dataclass(frozen=True)
class Overlap:
    """An output and an input that may share memory.

    Attributes:
        lead: how many bytes before the input the output must begin, at least.
        exact: it must begin just so many bytes before it.
    """

    lead: int
    exact: bool = False

    def saved(self, x_bytes: int, y_bytes: int) -> int:
        """Return by how much the two take less memory than side by side."""
        return max(min(x_bytes, y_bytes, y_bytes - self.lead), 0)


#: By the keys of two buffers, the input's and the output's.
Overlaps = dict[tuple[int, int], Overlap]


def overlap(step: Step, x: Tensor) -> Overlap | None:
    """Return how the output may share memory with an input that isn't needed afterwards; None: not at all."""
    y = step.output
    sizes = ITEM_BYTES[x.dtype], ITEM_BYTES[y.dtype]
    if x.dtype != y.dtype and 1 not in sizes:
        return None  # a compiler may take pointers to the two for pointers to different memory
    if step.order == "values" and (step.window is not None or x.elements == y.elements):
        return Overlap(_aligned(max(y.bytes - x.bytes, 0)))
    if step.order == "pixels" and step.window is not None:
        return Overlap(_aligned(_pixels_lead(step.window, *sizes)))
    if step.order == "channels" and step.window is not None and _rows_stay_ahead(step.window):
        return Overlap(0, exact=True)
    return None


def overlaps(program: Program, first: dict[int, int], last: dict[int, int]) -> Overlaps:
    """Return the buffers that may share memory, by what is known of their lives."""
    found: Overlaps = {}
    for position, step in enumerate(program.steps):
        target = program.storage[step.output.index]
        sources = [program.storage[x.index] for x in step.inputs]
        for x, source in zip(step.inputs, sources, strict=True):
            alone = [other.root for other in (*sources, target)].count(source.root) == 1
            alone = alone and target.root not in [other.root for other in sources]  # it works in another one's place
            if not alone or last.get(source.root) != position or first.get(target.root) != position:
                continue
            may = overlap(step, x)
            if may is None or (may.exact and (source.offset or target.offset)):
                continue
            lead = may.lead if may.exact else max(_aligned(may.lead + target.offset - source.offset), 0)
            found[source.root, target.root] = Overlap(lead, may.exact)
    return found


def _pixels_lead(window: Window, x_item: int, y_item: int) -> int:
    """Return the lead of a kernel that writes pixels in their order, a few at a time, each from what it sees.

    Two are written while the inputs of the first may still be read, of floats four.
    """
    together = 4 if x_item == ITEM_BYTES["float32"] else 2
    rows = np.maximum(np.arange(window.out_h) * window.stride_h - window.pad_top, 0)
    columns = np.maximum(np.arange(window.out_w) * window.stride_w - window.pad_left, 0)
    corners = (rows[:, np.newaxis] * window.in_w + columns).ravel()
    needed = np.minimum.accumulate(corners[::-1])[::-1] * window.in_c * x_item
    written = np.minimum(np.arange(window.pixels) + together, window.pixels) * window.out_c * y_item
    return max(int((written - needed).max()), 0)


def _rows_stay_ahead(window: Window) -> bool:
    """Whether a kernel that copies the rows that it sees, channel by channel, does so before they are overwritten."""
    if window.in_c != window.out_c:
        return False
    rows = np.arange(window.out_h)
    loaded = np.minimum(rows * window.stride_h - window.pad_top + window.k_h, window.in_h)
    return bool(((rows + 1) * window.out_w <= loaded * window.in_w).all())


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
