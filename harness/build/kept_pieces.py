"""The calls of rows of patches that keep what the next ones need (see patch.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.build.lower import Place
from harness.build.pieces import Pieces
from harness.build.stage import Patches, Stage, hull, needed, part, row_bytes, stage_ends
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.build.graph import Graph, Tensor
    from harness.build.lower import Program
    from harness.build.step import Step


@dataclass(frozen=True)
class _Rows:
    """Of each image the rows to compute now, and those that have to be there, now or for the next ones."""

    new: Mapping[int, range]
    wanted: Mapping[int, range]


class KeptPieces(Pieces):
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
