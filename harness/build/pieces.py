"""The calls of patches that compute anew whatever they depend on (see patch.py)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.build.graph import ITEM_BYTES
from harness.build.lower import Place, Program
from harness.build.stage import Patches, Stage, needed, part, row_bytes
from harness.build.step import Step

if TYPE_CHECKING:
    from harness.build.graph import Tensor

    Region = tuple[range, range]


class Pieces:
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
