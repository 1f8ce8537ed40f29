"""The first layers of a model as a stage that can be cut into patches: from one image, the input, to one image.

Within it images may branch and be summed again, as residual blocks do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.build.graph import ITEM_BYTES
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.build.graph import Graph, Tensor
    from harness.build.lower import Program
    from harness.build.step import Step

    Region = tuple[range, range]


@dataclass(frozen=True)
class Patches:
    """How a model is cut.

    Attributes:
        rows: pieces from top to bottom.
        columns: pieces from left to right.
        layers: how many of the first layers are patched.
        cached: keep what neighbouring pieces share instead of computing it again; for one column only.
        streamed: take the input in as many parts as there are rows of patches, each when it is needed.
    """

    rows: int
    columns: int
    layers: int
    cached: bool = False
    streamed: bool = False

    def __str__(self) -> str:
        kept = ", overlap kept" if self.cached else ""
        parts = f", input in {self.rows} parts" if self.streamed else ""
        return f"{self.rows} x {self.columns} patches through the first {self.layers} layers{kept}{parts}"


#: The kernels' structs that work value by value.
_POINTWISE = {
    *("hil_add_s8", "hil_mul_s8", "hil_extremum_s8", "hil_lookup_s8", "hil_requantize"),
    *("hil_binary_f32", "hil_elementwise_f32", "hil_unary_f32", "hil_quantize", "hil_cast"),
}


def stage_ends(graph: Graph, program: Program) -> tuple[int, ...]:
    """Return how many of the first layers may be patched: as many as give one image that all else depends on."""
    ends = []
    place = program.storage[graph.input.index]
    images = {place.root: graph.input.shape}
    kept = {program.storage[tensor.index].root for tensor in graph.outputs} | set(graph.state)
    last_read: dict[int, int] = {}
    for position, step in enumerate(program.steps):
        last_read |= {program.storage[x.index].root: position for x in step.inputs}
    for position, step in enumerate(program.steps):
        target = program.storage[step.output.index]
        fits = all(images.get(program.storage[x.index].root) == x.shape for x in step.inputs)
        if not (fits and _slides(step)) or target.offset or target.root in images or target.root in graph.state:
            break
        if any(program.storage[x.index].offset for x in step.inputs):
            break
        inner = images.keys() | set()
        images[target.root] = step.output.shape
        if all(last_read.get(root, -1) <= position for root in inner) and not kept & inner:
            ends.append(position + 1)
    return tuple(ends)


def _slides(step: Step) -> bool:
    """Whether a part of the output depends on a part of the inputs, and where that is depends on where this is."""
    if len(step.output.shape) != 4:
        return False
    if step.window is not None:
        return len(step.inputs) == 1
    if step.struct not in _POINTWISE or any(x.shape != step.output.shape for x in step.inputs):
        return False
    repeats = step.fields.get("period", 1)
    if len(step.inputs) > 1:
        return repeats == step.output.elements
    return repeats in (1, step.output.shape[3])


def needed(step: Step, out: range, *, rows: bool = True) -> tuple[range, int]:
    """Return which rows (or columns) of its inputs a step's outputs depend on, and the padding before them."""
    window = step.window
    if window is None:
        return out, 0
    kernel, stride, pad, size = (
        (window.k_h, window.stride_h, window.pad_top, window.in_h)
        if rows
        else (window.k_w, window.stride_w, window.pad_left, window.in_w)
    )
    first = out.start * stride - pad
    start = min(max(first, 0), size)
    return range(start, max(start, min((out.stop - 1) * stride - pad + kernel, size))), max(-first, 0)


def part(size: int, index: int, count: int) -> range:
    """Return the rows, or columns, of one of `count` parts of about the same size."""
    return range(size * index // count, size * (index + 1) // count)


def hull(first: range, second: range | None) -> range:
    """Return the range that holds both."""
    return first if second is None else range(min(first.start, second.start), max(first.stop, second.stop))


def row_bytes(image: Tensor) -> int:
    """Return the bytes of a row of an image, [1, height, width, channels]."""
    return image.shape[2] * image.shape[3] * ITEM_BYTES[image.dtype]


class Stage:
    """The first `layers` layers of a program. An image is known by the tensor whose memory it has, its root.

    Attributes:
        steps: its calls, whole.
        image: its input.
        input: the root of that.
        last: its output.
        output: the root of that.

    Raises:
        ConfigError: they can't be patched.
    """

    def __init__(self, graph: Graph, program: Program, layers: int) -> None:
        ends = stage_ends(graph, program)
        if layers not in ends:
            where = f"behind layer {', '.join(map(str, ends))} of it" if ends else "nowhere"
            raise ConfigError(
                f"{graph.source}: the first {layers} layers can't be patched; what it begins with (convolutions, "
                f"poolings, and sums of them) can be cut {where}."
            )
        self._storage = program.storage
        self.steps = program.steps[:layers]
        self.image, self.last = graph.input, self.steps[-1].output
        self.input, self.output = self.root(self.image), self.root(self.last)

    def root(self, tensor: Tensor) -> int:
        """Return the image that a tensor of the whole model is."""
        return self._storage[tensor.index].root

    def regions(self, region: Region) -> dict[int, Region]:
        """Return which rows and columns of each image a part of the output depends on."""
        found = {self.output: region}
        for step in reversed(self.steps):
            rows, columns = found[self.root(step.output)]
            takes = needed(step, rows)[0], needed(step, columns, rows=False)[0]
            for x in step.inputs:
                had = found.get(self.root(x))
                found[self.root(x)] = takes if had is None else (hull(takes[0], had[0]), hull(takes[1], had[1]))
        return found
