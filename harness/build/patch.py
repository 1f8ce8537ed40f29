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
    from collections.abc import Iterator

    from harness.build.graph import Graph
    from harness.build.window import Window


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


@dataclass(frozen=True)
class _Band:
    """Rows (or columns) `start` to `stop` - 1 of a tensor."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class _Stage:
    """The patched layers, whose inputs and outputs are images [1, height, width, channels]."""

    steps: tuple[Step, ...]
    windows: tuple[Window, ...]

    @property
    def images(self) -> tuple[Tensor, ...]:
        """The stage's input, then what each layer makes of it."""
        return (self.steps[0].inputs[0], *(step.output for step in self.steps))


def longest_stage(graph: Graph, program: Program) -> int:
    """Return how many of the first layers can be patched: a chain of windows that slide over images."""
    count = 0
    root = program.storage[graph.input.index].root
    for position, step in enumerate(program.steps):
        reads_chain = [program.storage[x.index].root for x in step.inputs] == [root]
        later = [x for other in program.steps[position + 1 :] for x in other.inputs]
        if step.window is None or not reads_chain or any(program.storage[x.index].root == root for x in later):
            break
        root = program.storage[step.output.index].root
        count += 1
    return count


def cut(graph: Graph, program: Program, patches: Patches) -> Program:
    """Return a program that computes the same, the first layers in patches.

    Raises:
        ConfigError: the layers can't be patched, or not into that many pieces.
    """
    stage = _stage(graph, program, patches)
    pieces = _Pieces(stage, program, patches)
    for rows, columns in _grid(stage, patches):
        if patches.cached:
            pieces.add_cached(rows)
        else:
            pieces.add(rows, columns)
    steps = (*pieces.steps, *program.steps[patches.layers :])
    return Program(steps, {**program.storage, **pieces.storage})


def _stage(graph: Graph, program: Program, patches: Patches) -> _Stage:
    longest = longest_stage(graph, program)
    if not 1 <= patches.layers <= longest:
        what = f"{patches.layers} layers can't be patched"
        raise ConfigError(
            f"{graph.source}: {what}; the chain of convolutions and poolings it begins with has {longest}."
        )
    steps = program.steps[: patches.layers]
    stage = _Stage(steps, tuple(step.window for step in steps if step.window is not None))
    last = stage.windows[-1]
    if not (1 <= patches.rows <= last.out_h and 1 <= patches.columns <= last.out_w):
        what = f"{patches.rows} x {patches.columns} patches are too many"
        raise ConfigError(
            f"{graph.source}: {what} for an image of {last.out_h} x {last.out_w} after {patches.layers} layers."
        )
    if patches.cached and patches.columns != 1:
        raise ConfigError(f"{graph.source}: the overlap can be kept for one column of patches, not {patches.columns}.")
    if patches.cached and any(_row_bytes(image) % 4 for image in stage.images):
        raise ConfigError(
            f"{graph.source}: the overlap can be kept where a row of each image has a multiple of 4 bytes."
        )
    return stage


def _grid(stage: _Stage, patches: Patches) -> Iterator[tuple[_Band, _Band]]:
    last = stage.windows[-1]
    for row in range(patches.rows):
        for column in range(patches.columns):
            yield _part(last.out_h, row, patches.rows), _part(last.out_w, column, patches.columns)


def _part(size: int, index: int, count: int) -> _Band:
    return _Band(size * index // count, size * (index + 1) // count)


def _needed(out: _Band, kernel: int, stride: int, pad: int, size: int) -> tuple[_Band, int]:
    """Return which inputs some outputs depend on, and the padding before them."""
    first = out.start * stride - pad
    stop = (out.stop - 1) * stride - pad + kernel
    return _Band(max(first, 0), min(stop, size)), max(-first, 0)


def _row_bytes(image: Tensor) -> int:
    return image.shape[2] * image.shape[3] * ITEM_BYTES[image.dtype]


class _Pieces:
    """Collects the calls of all patches, and the tensors that they need."""

    def __init__(self, stage: _Stage, program: Program, patches: Patches) -> None:
        self.steps: list[Step] = []
        self.storage: dict[int, Place] = {}
        self._stage = stage
        self._program = program
        self._next = max(program.storage) + 1
        # With `cached`: a buffer for each image inside of the stage, and which of its rows are there.
        self._kept: list[tuple[Tensor, _Band]] = []
        if patches.cached:
            self._kept = [(self._tensor(image, 1, 1), _Band(0, 0)) for image in stage.images[1:-1]]

    def add(self, rows: _Band, columns: _Band) -> None:
        """Compute one patch of the stage's output anew."""
        regions = [(rows, columns)]
        pads: list[tuple[int, int]] = []
        for window in reversed(self._stage.windows):
            rows, top = _needed(rows, window.k_h, window.stride_h, window.pad_top, window.in_h)
            columns, left = _needed(columns, window.k_w, window.stride_w, window.pad_left, window.in_w)
            regions.insert(0, (rows, columns))
            pads.insert(0, (top, left))
        images = self._stage.images
        x = self._read(images[0], *regions[0])
        for index, (step, window) in enumerate(zip(self._stage.steps, self._stage.windows, strict=True)):
            out_rows, out_columns = regions[index + 1]
            last = index == len(self._stage.steps) - 1
            in_place = last and self._is_view(images[-1], out_rows, out_columns)
            make = self._view if in_place else self._region
            y = make(images[index + 1], out_rows, out_columns)
            self._call(step, window, x, y, pads[index])
            if last and not in_place:
                self._copy(step, y, self._view(images[-1], out_rows, out_columns), y.shape[1], to=images[-1])
            x = y

    def add_cached(self, rows: _Band) -> None:
        """Compute the next rows of the stage's output from what earlier calls left and from new input rows."""
        stage = self._stage
        last = len(stage.steps) - 1
        wanted = rows  # the rows of a layer's output that don't exist yet
        plan: list[tuple[_Band, _Band, int]] = []
        for index in range(last, -1, -1):
            window = stage.windows[index]
            needed, top = _Band(window.in_h, window.in_h), 0
            if wanted.size > 0:  # else the image is complete down to its last row
                needed, top = _needed(wanted, window.k_h, window.stride_h, window.pad_top, window.in_h)
            plan.insert(0, (wanted, needed, top))
            done = self._kept[index - 1][1].stop if index else needed.start
            wanted = _Band(min(max(needed.start, done), needed.stop), needed.stop)
        for index, (step, window) in enumerate(zip(stage.steps, stage.windows, strict=True)):
            new, needed, top = plan[index]
            if index < last:
                self._make_room(index, plan[index + 1][1])
            if new.size == 0:
                continue
            y = self._view(stage.images[-1], new, _Band(0, window.out_w)) if index == last else self._held(index, new)
            x = self._held(index - 1, needed) if index else self._view(stage.images[0], needed, _Band(0, window.in_w))
            self._call(step, window, x, y, (top, window.pad_left))

    def _make_room(self, index: int, wanted: _Band) -> None:
        """Move those of the kept rows that are wanted to the front of the buffer behind layer `index`."""
        buffer, held = self._kept[index]
        moved = _Band(wanted.start, held.stop)
        source = self._held(index, moved) if held.start < moved.start < moved.stop else None
        self._kept[index] = (buffer, wanted)
        if source is not None:
            self._copy(self._stage.steps[index], source, self._held(index, moved), 1)

    def _held(self, index: int, rows: _Band) -> Tensor:
        """Return rows of the image behind layer `index` in their buffer."""
        buffer, held = self._kept[index]
        image = self._stage.images[index + 1]
        return self._placed(
            image, rows.size, image.shape[2], Place(buffer.index), (rows.start - held.start) * _row_bytes(image)
        )

    def _call(self, step: Step, window: Window, x: Tensor, y: Tensor, pad: tuple[int, int]) -> None:
        smaller = replace(
            window,
            in_h=x.shape[1],
            in_w=x.shape[2],
            out_h=y.shape[1],
            out_w=y.shape[2],
            pad_top=pad[0],
            pad_left=pad[1],
        )
        self.steps.append(
            replace(
                step,
                inputs=(x,),
                output=y,
                window=smaller,
                scratch_bytes=step.scratch_of(smaller) if step.scratch_of else step.scratch_bytes,
                macs=step.macs * smaller.pixels // window.pixels,
            )
        )

    def _read(self, image: Tensor, rows: _Band, columns: _Band) -> Tensor:
        """Return a part of the stage's input as a tensor of its own: in place if it has whole rows, else as a copy."""
        view = self._view(image, rows, columns)
        if self._is_view(image, rows, columns):
            return view
        part = self._region(image, rows, columns)
        self._copy(self._stage.steps[0], view, part, rows.size, source=image)
        return part

    def _copy(
        self, step: Step, x: Tensor, y: Tensor, rows: int, *, source: Tensor | None = None, to: Tensor | None = None
    ) -> None:
        """Copy rows of equal length, out of an image `source` or into an image `to` whose rows are longer."""
        row_bytes = x.bytes // rows
        fields = {
            "rows": str(rows),
            "row_bytes": str(row_bytes),
            "from_stride": str(row_bytes if source is None else _row_bytes(source)),
            "to_stride": str(row_bytes if to is None else _row_bytes(to)),
        }
        call = Step(step.operator, "hil_copy_rows", "hil_copy_rows", (x,), y, fields, layer=step.layer)
        self.steps.append(call)

    @staticmethod
    def _is_view(image: Tensor, rows: _Band, columns: _Band) -> bool:
        """Whether a part of an image is one piece of memory that starts at a word."""
        return columns == _Band(0, image.shape[2]) and rows.start * _row_bytes(image) % 4 == 0

    def _view(self, image: Tensor, rows: _Band, columns: _Band) -> Tensor:
        """Return a tensor that begins where the part of the image does."""
        offset = rows.start * _row_bytes(image) + columns.start * image.shape[3] * ITEM_BYTES[image.dtype]
        return self._placed(image, rows.size, columns.size, self._program.storage[image.index], offset)

    def _placed(self, image: Tensor, height: int, width: int, base: Place, offset: int) -> Tensor:
        tensor = self._tensor(image, height, width)
        self.storage[tensor.index] = Place(base.root, base.offset + offset)
        return tensor

    def _region(self, image: Tensor, rows: _Band, columns: _Band) -> Tensor:
        return self._tensor(image, rows.size, columns.size)

    def _tensor(self, image: Tensor, height: int, width: int) -> Tensor:
        tensor = replace(image, index=self._next, shape=(1, height, width, image.shape[3]), data=None)
        self._next += 1
        self.storage[tensor.index] = Place(tensor.index)
        return tensor
