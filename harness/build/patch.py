"""Patch-based inference: the first layers run piece by piece, so that no whole image of theirs is ever in memory.

After MCUNetV2 (Lin et al., "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning",
arXiv:2110.15352): the output of the patched stage is cut into pieces, and each is computed from the part of the input
that it depends on. Neighbouring parts overlap; what lies in the overlap is computed again, or, with `cached`, kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.build.graph import ITEM_BYTES, Tensor
from harness.build.lower import Place, Program
from harness.build.step import Step
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.build.graph import Graph


@dataclass(frozen=True)
class Patches:
    """How a model is cut.

    Attributes:
        rows: pieces from top to bottom.
        columns: pieces from left to right.
        layers: how many of the first layers are patched.
        cached: keep what neighbouring pieces share instead of computing it again; for one column only.
    """

    rows: int
    columns: int
    layers: int
    cached: bool = False

    def __str__(self) -> str:
        kept = ", overlap kept" if self.cached else ""
        return f"{self.rows} x {self.columns} patches through the first {self.layers} layers{kept}"


def longest_stage(graph: Graph, program: Program) -> int:
    """Return how many of the first layers can be patched: a chain of windows that slide over images."""
    count, image = 0, None
    root = program.storage[graph.input.index].root
    kept = {program.storage[tensor.index].root for tensor in graph.outputs}
    for position, step in enumerate(program.steps):
        reads_chain = [program.storage[x.index].root for x in step.inputs] == [root]
        later = [x for other in program.steps[position + 1 :] for x in other.inputs]
        if step.window is None or not reads_chain or any(program.storage[x.index].root == root for x in later):
            break
        if root in kept or image not in (None, step.inputs[0].shape):  # somebody reads it whole, or in another shape
            break
        image = step.output.shape
        root = program.storage[step.output.index].root
        count += 1
    return count


def cut(graph: Graph, program: Program, patches: Patches) -> Program:
    """Return a program that computes the same, the first layers in patches.

    Raises:
        ConfigError: the layers can't be patched, or not into that many pieces.
    """
    pieces = _Pieces(graph, program, patches)
    last = pieces.windows[-1]
    for row in range(patches.rows):
        rows = _part(last.out_h, row, patches.rows)
        if patches.cached:
            pieces.add_cached(rows)
            continue
        for column in range(patches.columns):
            pieces.add(rows, _part(last.out_w, column, patches.columns))
    return Program((*pieces.calls, *program.steps[patches.layers :]), pieces.storage)


def _part(size: int, index: int, count: int) -> range:
    return range(size * index // count, size * (index + 1) // count)


def _needed(out: range, kernel: int, stride: int, pad: int, size: int) -> tuple[range, int]:
    """Return which inputs some outputs depend on, and the padding before them."""
    first = out.start * stride - pad
    stop = (out.stop - 1) * stride - pad + kernel
    return range(max(first, 0), min(stop, size)), max(-first, 0)


def _row_bytes(image: Tensor) -> int:
    return image.shape[2] * image.shape[3] * ITEM_BYTES[image.dtype]


class _Pieces:
    """Collects the calls of all patches, and the tensors that they need. A range is of rows, or of columns.

    Attributes:
        windows: those of the patched layers.
        calls: the kernel calls so far.
        storage: where each tensor lies.
    """

    def __init__(self, graph: Graph, program: Program, patches: Patches) -> None:
        self.calls: list[Step] = []
        self.storage = dict(program.storage)
        self._layers = program.steps[: patches.layers]
        longest = longest_stage(graph, program)
        if not 1 <= patches.layers <= longest:
            raise ConfigError(
                f"{graph.source}: {patches.layers} layers can't be patched; the chain of convolutions and poolings it "
                f"begins with has {longest}."
            )
        #: The input, then what each layer makes of it, [1, height, width, channels].
        self._images = (self._layers[0].inputs[0], *(step.output for step in self._layers))
        self.windows = [step.window for step in self._layers if step.window is not None]
        last = self.windows[-1]
        if not (1 <= patches.rows <= last.out_h and 1 <= patches.columns <= last.out_w):
            raise ConfigError(
                f"{graph.source}: {patches.rows} x {patches.columns} patches are too many for an image of "
                f"{last.out_h} x {last.out_w} after {patches.layers} layers."
            )
        if patches.cached and patches.columns != 1:
            what = f"the overlap can be kept for one column of patches, not {patches.columns}"
            raise ConfigError(f"{graph.source}: {what}.")
        if patches.cached and any(_row_bytes(image) % 4 for image in self._images):
            what = "the overlap can be kept where a row of each image has a multiple of 4 bytes"
            raise ConfigError(f"{graph.source}: {what}.")
        # With `cached`: a buffer for each image between two layers, and which of its rows are there.
        self._kept: list[tuple[Tensor, range]] = []
        if patches.cached:
            self._kept = [(self._tensor(image, 1, 1), range(0)) for image in self._images[1:-1]]

    def add(self, rows: range, columns: range) -> None:
        """Compute one patch of the stage's output anew."""
        regions = [(rows, columns)]
        pads: list[tuple[int, int]] = []
        for window in reversed(self.windows):
            rows, top = _needed(rows, window.k_h, window.stride_h, window.pad_top, window.in_h)
            columns, left = _needed(columns, window.k_w, window.stride_w, window.pad_left, window.in_w)
            regions.insert(0, (rows, columns))
            pads.insert(0, (top, left))
        x = self._read(*regions[0])
        for index, (image, region) in enumerate(zip(self._images[1:], regions[1:], strict=True)):
            last = image is self._images[-1]
            in_place = last and self._is_whole(image, *region)
            y = self._view(image, *region) if in_place else self._tensor(image, len(region[0]), len(region[1]))
            self._call(index, x, y, pads[index])
            if last and not in_place:
                self._copy(index, y, self._view(image, *region), y.shape[1], to_stride=_row_bytes(image))
            x = y

    def add_cached(self, rows: range) -> None:
        """Compute the next rows of the stage's output from what earlier calls left and from new input rows."""
        last = len(self._layers) - 1
        wanted = rows  # the rows of a layer's output that don't exist yet
        plan: list[tuple[range, range, int]] = []
        for index in range(last, -1, -1):
            window = self.windows[index]
            needed, top = range(window.in_h, window.in_h), 0
            if wanted:  # else the image is complete down to its last row
                needed, top = _needed(wanted, window.k_h, window.stride_h, window.pad_top, window.in_h)
            plan.insert(0, (wanted, needed, top))
            done = self._kept[index - 1][1].stop if index else needed.start
            wanted = range(min(max(needed.start, done), needed.stop), needed.stop)
        for index, (new, needed, top) in enumerate(plan):
            window = self.windows[index]
            if index < last:
                self._make_room(index, plan[index + 1][1])
            if not new:
                continue
            y = self._view(self._images[-1], new, range(window.out_w)) if index == last else self._held(index, new)
            x = self._held(index - 1, needed) if index else self._view(self._images[0], needed, range(window.in_w))
            self._call(index, x, y, (top, window.pad_left))

    def _make_room(self, index: int, wanted: range) -> None:
        """Move those of the kept rows that are wanted to the front of the buffer behind layer `index`."""
        buffer, held = self._kept[index]
        moved = range(wanted.start, held.stop)
        source = self._held(index, moved) if held.start < moved.start < moved.stop else None
        self._kept[index] = (buffer, wanted)
        if source is not None:
            self._copy(index, source, self._held(index, moved), 1)

    def _held(self, index: int, rows: range) -> Tensor:
        """Return rows of the image behind layer `index` in their buffer."""
        buffer, held = self._kept[index]
        image = self._images[index + 1]
        offset = (rows.start - held.start) * _row_bytes(image)
        return self._tensor(image, len(rows), image.shape[2], Place(buffer.index, offset))

    def _call(self, index: int, x: Tensor, y: Tensor, pad: tuple[int, int]) -> None:
        step, window = self._layers[index], self.windows[index]
        sizes = {"in_h": x.shape[1], "in_w": x.shape[2], "out_h": y.shape[1], "out_w": y.shape[2]}
        smaller = replace(window, **sizes, pad_top=pad[0], pad_left=pad[1])
        self.calls.append(
            replace(
                step,
                inputs=(x,),
                output=y,
                window=smaller,
                scratch_bytes=step.scratch_of(smaller) if step.scratch_of else step.scratch_bytes,
                macs=step.macs * smaller.pixels // window.pixels,
            )
        )

    def _read(self, rows: range, columns: range) -> Tensor:
        """Return a part of the stage's input as a tensor of its own: in place if it has whole rows, else as a copy."""
        image = self._images[0]
        view = self._view(image, rows, columns)
        if self._is_whole(image, rows, columns):
            return view
        part = self._tensor(image, len(rows), len(columns))
        self._copy(0, view, part, len(rows), from_stride=_row_bytes(image))
        return part

    def _copy(
        self,
        index: int,
        x: Tensor,
        y: Tensor,
        rows: int,
        *,
        from_stride: int | None = None,
        to_stride: int | None = None,
    ) -> None:
        """Copy rows, each behind the last, or so many bytes from the start of one to that of the next."""
        step, size = self._layers[index], x.bytes // rows
        strides = {"from_stride": from_stride or size, "to_stride": to_stride or size}
        fields = {"rows": rows, "row_bytes": size, **strides}
        call = Step(step.operator, "hil_copy_rows", "hil_copy_rows", (x,), y, fields, layer=step.layer)
        self.calls.append(call)

    @staticmethod
    def _is_whole(image: Tensor, rows: range, columns: range) -> bool:
        """Whether a part of an image is one piece of memory that starts at a word."""
        return columns == range(image.shape[2]) and rows.start * _row_bytes(image) % 4 == 0

    def _view(self, image: Tensor, rows: range, columns: range) -> Tensor:
        """Return a tensor that begins where the part of the image does."""
        offset = rows.start * _row_bytes(image) + columns.start * image.shape[3] * ITEM_BYTES[image.dtype]
        base = self.storage[image.index]
        return self._tensor(image, len(rows), len(columns), Place(base.root, base.offset + offset))

    def _tensor(self, image: Tensor, height: int, width: int, place: Place | None = None) -> Tensor:
        """Return a tensor of an image's type and channels, at a place or with memory of its own."""
        index = len(self.storage)
        self.storage[index] = place or Place(index)
        return replace(image, index=index, shape=(1, height, width, image.shape[3]), data=None)
