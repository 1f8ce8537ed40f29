"""Patch-based inference: the first layers run piece by piece, so that no whole image of theirs is ever in memory.

After MCUNetV2 (Lin et al., "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning",
arXiv:2110.15352): the output of the patched stage is cut into pieces, and each is computed from the part of the input
that it depends on. Neighbouring parts overlap; what lies in the overlap is computed again, or, with `cached`, kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.build.graph import ITEM_BYTES
from harness.build.lower import Piece, Place, Program
from harness.build.stage import Stage, hull, needed, row_bytes, stage_ends
from harness.build.step import Step
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.build.graph import Graph, Tensor

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
    pieces = _Cached(graph, program, patches, stage) if patches.cached else _Pieces(program, patches, stage)
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


def part(size: int, index: int, count: int) -> range:
    """Return the rows, or columns, of one of `count` parts of about the same size."""
    return range(size * index // count, size * (index + 1) // count)


class _Pieces:
    """Collects the calls of all patches, and the tensors that they need. A range is of rows, or of columns.

    Attributes:
        calls: the kernel calls so far.
        storage: where each tensor lies.
    """

    def __init__(self, program: Program, patches: Patches, stage: Stage) -> None:
        self.calls: list[Step] = []
        self.storage = dict(program.storage)
        self._stage, self._patches = stage, patches
        self._band = range(0)

    def add(self, row: int) -> range:
        """Compute a row of patches of the stage's output anew. Returns the rows of the input that it took."""
        stage, (_, height, width, _) = self._stage, self._stage.last.shape
        rows, count = part(height, row, self._patches.rows), self._patches.columns
        regions = [stage.regions((rows, part(width, column, count))) for column in range(count)]
        self._band = regions[0][stage.input][0]
        for region in regions:
            self._add(region)
        return self._band

    def _add(self, regions: dict[int, Region]) -> None:
        stage = self._stage
        images: dict[int, Tensor] = {}  # the part of each image that this patch has
        for step in stage.steps:
            root = stage.root(step.output)
            region = regions[root]
            xs, pads = [], (0, 0)
            for x in step.inputs:
                (rows, top), (columns, left) = needed(step, region[0]), needed(step, region[1], rows=False)
                pads = top, left
                source = stage.root(x)
                if source == stage.input:
                    xs.append(self._read(step, (rows, columns)))
                else:
                    xs.append(self._crop(step, images[source], regions[source], (rows, columns)))
            last = root == stage.output
            in_place = last and self._is_whole(step.output, *region)
            y = (
                self._view(step.output, *region)
                if in_place
                else self._tensor(step.output, len(region[0]), len(region[1]))
            )
            self._call(step, tuple(xs), y, pads, fresh=not last)
            if last and not in_place:
                self._copy(step, y, self._view(step.output, *region), y.shape[1], to_stride=row_bytes(step.output))
            images[root] = y

    def _crop(self, step: Step, image: Tensor, has: Region, wanted: Region) -> Tensor:
        """Return a part of a part of an image: in place if it has whole rows, else as a copy."""
        if has == wanted:
            return image
        rows, columns = (range(w.start - h.start, w.stop - h.start) for w, h in zip(wanted, has, strict=True))
        return self._part(step, image, rows, columns)

    def _read(self, step: Step, region: Region) -> Tensor:
        """Return a part of the stage's input, of which only the band is there if it comes in parts."""
        rows, columns = region
        before = self._band.start if self._patches.streamed else 0
        return self._part(step, self._stage.image, range(rows.start - before, rows.stop - before), columns)

    def _part(self, step: Step, image: Tensor, rows: range, columns: range) -> Tensor:
        view = self._view(image, rows, columns)
        if self._is_whole(image, rows, columns):
            return view
        copied = self._tensor(image, len(rows), len(columns))
        self._copy(step, view, copied, len(rows), from_stride=row_bytes(image))
        return copied

    def _call(self, step: Step, xs: tuple[Tensor, ...], y: Tensor, pad: tuple[int, int], *, fresh: bool) -> None:
        """Add a call; the output may take an input's place only if it is `fresh`, no part of something that lasts."""
        window = step.window
        if window is None:
            fields = dict(step.fields) | {"count": y.elements}
            if len(xs) > 1:
                fields["period"] = y.elements
            self.calls.append(replace(step, inputs=xs, output=y, fields=fields, in_place=step.in_place and fresh))
            return
        sizes = {"in_h": xs[0].shape[1], "in_w": xs[0].shape[2], "out_h": y.shape[1], "out_w": y.shape[2]}
        smaller = replace(window, **sizes, pad_top=pad[0], pad_left=pad[1])
        self.calls.append(
            replace(
                step,
                inputs=xs,
                output=y,
                window=smaller,
                scratch_bytes=step.scratch_of(smaller) if step.scratch_of else step.scratch_bytes,
                macs=step.macs * smaller.pixels // window.pixels,
                in_place=step.in_place and fresh,
            )
        )

    def _copy(
        self,
        step: Step,
        x: Tensor,
        y: Tensor,
        rows: int,
        *,
        from_stride: int | None = None,
        to_stride: int | None = None,
    ) -> None:
        """Copy rows, each behind the last, or so many bytes from the start of one to that of the next."""
        size = x.bytes // rows
        strides = {"from_stride": from_stride or size, "to_stride": to_stride or size}
        fields = {"rows": rows, "row_bytes": size, **strides}
        call = Step(step.operator, "hil_copy_rows", "hil_copy_rows", (x,), y, fields, layer=step.layer)
        self.calls.append(call)

    @staticmethod
    def _is_whole(image: Tensor, rows: range, columns: range) -> bool:
        """Whether a part of an image is one piece of memory that starts at a word."""
        return columns == range(image.shape[2]) and rows.start * row_bytes(image) % 4 == 0

    def _view(self, image: Tensor, rows: range, columns: range) -> Tensor:
        """Return a tensor that begins where the part of the image does."""
        offset = rows.start * row_bytes(image) + columns.start * image.shape[3] * ITEM_BYTES[image.dtype]
        base = self.storage[image.index]
        return self._tensor(image, len(rows), len(columns), Place(base.root, base.offset + offset))

    def _tensor(self, image: Tensor, height: int, width: int, place: Place | None = None) -> Tensor:
        """Return a tensor of an image's type and channels, at a place or with memory of its own."""
        index = len(self.storage)
        self.storage[index] = place or Place(index)
        return replace(image, index=index, shape=(1, height, width, image.shape[3]), data=None)


@dataclass(frozen=True)
class _Rows:
    """Of each image the rows to compute now, and those that have to be there, now or for the next ones."""

    new: Mapping[int, range]
    wanted: Mapping[int, range]


class _Cached(_Pieces):
    """The same for rows of patches that keep what the next ones need of each image between two layers."""

    def __init__(self, graph: Graph, program: Program, patches: Patches, stage: Stage) -> None:
        super().__init__(program, patches, stage)
        if patches.columns != 1:
            what = f"the overlap can be kept for one column of patches, not {patches.columns}"
            raise ConfigError(f"{graph.source}: {what}.")
        if any(row_bytes(image) % 4 for image in (stage.image, *(step.output for step in stage.steps))):
            what = "the overlap can be kept where a row of each image has a multiple of 4 bytes"
            raise ConfigError(f"{graph.source}: {what}.")
        self._plans = self._planned(graph, program)
        self._readers = {stage.root(x): step for step in stage.steps for x in step.inputs}  # the last one of each image
        #: What there is of each image, and which of its rows.
        self._images: dict[int, tuple[Tensor, range]] = {}

    def add(self, row: int) -> range:
        """Compute what follows from what earlier calls left and from new rows of the input. Returns those it took."""
        stage = self._stage
        new, wanted = self._plans[row].new, self._plans[row].wanted
        self._band = wanted.get(stage.input, range(0))
        for step in stage.steps:
            root = stage.root(step.output)
            if new[root]:
                takes, top = needed(step, new[root])
                xs = tuple(self._rows_of(step, x, takes) for x in step.inputs)
                if root == stage.output:
                    y = self._view(step.output, new[root], range(step.output.shape[2]))
                else:
                    y = self._room(step, wanted[root], new[root])
                left = 0 if step.window is None else step.window.pad_left
                self._call(step, xs, y, (top, left), fresh=root != stage.output and y is self._images[root][0])
            for source in {stage.root(x): x for x in step.inputs if self._readers[stage.root(x)] is step}.values():
                self._keep(step, source, row + 1)
        return self._band

    def _planned(self, graph: Graph, program: Program) -> list[_Rows]:
        """Return of each image the rows to compute with each part of the input, and those that have to be there.

        The input is parted as the rows of the deepest image need it that has as many: of the images behind it there
        may be nothing to compute now and then.
        """
        stage, count = self._stage, self._patches.rows
        ends = [n for n in stage_ends(graph, program) if n <= self._patches.layers]
        driver = Stage(graph, program, max(n for n in ends if program.steps[n - 1].output.shape[1] >= count))
        whole = stage.regions((range(stage.last.shape[1]), range(1)))
        done = dict.fromkeys(whole, 0)
        plans = []
        for index in range(count):
            rows = part(driver.last.shape[1], index, count)
            done[stage.input] = driver.regions((rows, range(1)))[stage.input][0].stop
            new = {}
            for step in stage.steps:
                root = stage.root(step.output)
                stop = first = done[root]
                while stop < whole[root][0].stop and all(
                    needed(step, range(stop, stop + 1))[0].stop <= done[stage.root(x)] for x in step.inputs
                ):
                    stop += 1
                new[root], done[root] = range(first, stop), stop
            wanted: dict[int, range] = {}
            for step in reversed(stage.steps):
                root = stage.root(step.output)
                if root in wanted:  # strides may leave out rows
                    new[root] = range(min(max(new[root].start, wanted[root].start), done[root]), done[root])
                if new[root] or done[root] < whole[root][0].stop:  # else it is complete
                    takes, _ = needed(step, new[root])
                    for x in step.inputs:
                        wanted[stage.root(x)] = hull(takes, wanted.get(stage.root(x)))
            plans.append(_Rows(new, {r: range(min(w.start, done[r]), done[r]) for r, w in wanted.items()}))
        return plans

    def _rows_of(self, step: Step, x: Tensor, rows: range) -> Tensor:
        if self._stage.root(x) == self._stage.input:
            return self._read(step, (rows, range(x.shape[2])))
        return self._held(x, rows)

    def _held(self, image: Tensor, rows: range) -> Tensor:
        """Return rows of an image that are there."""
        there, held = self._images[self._stage.root(image)]
        if rows == held:
            return there
        offset = (rows.start - held.start) * row_bytes(image)
        return self._tensor(image, len(rows), image.shape[2], Place(there.index, offset))

    def _room(self, step: Step, wanted: range, new: range) -> Tensor:
        """Return memory for new rows of an image, behind those that were kept."""
        image, root = step.output, self._stage.root(step.output)
        kept = range(wanted.start, new.start)
        source = self._held(image, kept) if kept else None
        self._images[root] = (self._tensor(image, len(wanted), image.shape[2]), wanted)
        if source is not None:
            self._copy(step, source, self._held(image, kept), 1)
        return self._held(image, new)

    def _keep(self, step: Step, image: Tensor, following: int) -> None:
        """Keep what the next rows of patches need of an image; the rest of its memory becomes free."""
        root = self._stage.root(image)
        if root not in self._images:
            return
        _, held = self._images[root]
        next_wanted = self._plans[following].wanted.get(root) if following < len(self._plans) else None
        kept = range(max(next_wanted.start, held.start), held.stop) if next_wanted else range(0)
        if kept and kept != held:
            source = self._held(image, kept)
            self._images[root] = (self._tensor(image, len(kept), image.shape[2]), kept)
            self._copy(step, source, self._held(image, kept), 1)
