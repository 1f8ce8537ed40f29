"""Where the work of an inference goes, by layer of the model, as the board itself counts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.boards.start_image import start_image
from harness.errors import ImageError, MeasurementError, NoLayersError, UnknownRequestError
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.estimated_cycles import Estimates, estimator_of, why_not_modelled
from harness.profile.estimates import estimates_by_layer, worth_of

if TYPE_CHECKING:
    from harness.boards.base import Board, Counter
    from harness.boards.virtual.cycles.costs import Costs
    from harness.config.chip import FlashTiming
    from harness.image.elf import Image
    from harness.image.layer_table import LayerSpec
    from harness.measure.estimated_cycles import CycleEstimator
    from harness.profile.estimates import PartEstimate, Worth


@dataclass(frozen=True, slots=True)
class LayerShare:
    """One layer's part of an inference.

    Attributes:
        layer: number of the layer in the order of execution, from 0.
        spec: what the layer is; None if the image doesn't say.
        name: what the engine calls it while it runs; None if it doesn't say.
        ticks: what it took, by the board's counter.
        share: of the whole inference, 0 to 1.
    """

    layer: int
    spec: LayerSpec | None
    name: str | None
    ticks: int
    share: float

    @property
    def ticks_per_mac(self) -> float | None:
        """Ticks per multiply-accumulate; None if the layer has none, or isn't known to have any."""
        return self.ticks / self.spec.macs if self.spec is not None and self.spec.macs else None


@dataclass(frozen=True, slots=True)
class Profile:
    """One inference by layer.

    Attributes:
        counter: what the ticks are.
        layers: in the order of execution; none if the engine can't tell.
        total: ticks of the inference that was measured by layer, less what the measuring costs.
        inference: ticks of an ordinary inference on the same input, right before.
        why_no_layers: if there are none.
        estimates: estimated cycles of each layer and of what lies outside of them; None if there is no estimate.
        worth: what these are worth.
        why_no_estimates: if there are none on an emulated board.
    """

    counter: Counter
    layers: tuple[LayerShare, ...]
    total: int
    inference: int
    why_no_layers: str | None = None
    estimates: tuple[PartEstimate, ...] | None = None
    worth: Worth | None = None
    why_no_estimates: str | None = None

    @property
    def rest(self) -> int:
        """Ticks of the inference that belong to no layer; all of them if there are no layers."""
        return self.total - sum(row.ticks for row in self.layers)


def profile_image(
    board: Board, image: Image, data: bytes, flash: FlashTiming | None = None, costs: Costs | None = None
) -> Profile:
    """Start an image, flashing it unless the board holds it already, and profile an inference.

    Args:
        board: the board, opened.
        image: the image that is flashed and run.
        data: the input tensor, as bytes.
        flash: how flash is read, for the estimate of cycles; None for what is known of the board's chip.
        costs: of each event, for the same; None for those of the board's chip.

    Raises:
        HilError: as `start_image` and `profile_layers`.
    """
    estimator, why = estimator_of(board, flash, costs), why_not_modelled(board)
    if image.in_program:
        board.notes.append("the agent runs in another program, whose interrupts and tasks are in the counts")
        if estimator is not None:
            estimator, why = None, "what interrupts and tasks of another program take isn't estimated"
    if estimator is not None:
        estimator.begin()
    link = Link(board.link(), board.name, Timing(baud=board.kind.baud))
    info = start_image(board, image, link, force=False)
    if estimator is not None:
        estimates = Estimates(estimator, info, most=None)
        estimates.first(lambda: link.infer(data))
        if (why := estimates.problem) is not None:
            estimator = None
    return profile_layers(link, image, data, board.counter, estimator, why)


def profile_layers(
    link: Link,
    image: Image,
    data: bytes,
    counter: Counter,
    estimator: CycleEstimator | None = None,
    why_no_estimates: str | None = None,
) -> Profile:
    """Profile an inference on a board that runs `image`.

    Ordinary and profiled inferences are run twice, and the second of each is taken: the first finds cold caches.

    Args:
        link: a connected link to the board.
        image: what the board runs.
        data: the input tensor, as bytes.
        counter: what the board counts.
        estimator: of the board, which has seen it start and an inference; None for no estimate.
        why_no_estimates: if there is no estimator, where one could be expected.

    Raises:
        ImageError: the image was linked with an agent that knows no profiles.
        MeasurementError: the profiled inference gave another output than the ordinary one, or other layers than the
            image lists.
        BoardError: the link failed.
    """
    ordinary = link.infer(data, 2)
    inference = ordinary.ticks[-1]
    try:
        link.profile(data)
        if estimator is not None:
            estimator.marks.clear()
        measured = link.profile(data)
    except NoLayersError:
        why = "the engine in this image doesn't tell one layer from another"
        return Profile(counter, (), inference, inference, why, why_no_estimates=why_no_estimates or why)
    except UnknownRequestError as error:
        raise ImageError(
            f"{image.path}: too old to be profiled: its agent doesn't know how. Build it again with the agent of this "
            f"release, or see where instructions go with `--functions` ({error})"
        ) from error
    if measured.output != ordinary.output:
        raise MeasurementError(
            f"{image.path}: the inference that was measured by layer gave another output than the ordinary one (first "
            f"bytes {measured.output[:16].hex(' ')}, {ordinary.output[:16].hex(' ')}), so its engine's "
            "hil_model_profile() doesn't do what hil_model_invoke() does"
        )
    specs = image.layers
    if specs is not None and len(specs) != len(measured.layers):
        raise MeasurementError(
            f"{image.path}: the board reports {len(measured.layers)} layers, but the image lists {len(specs)}; "
            "build the image again"
        )
    known = specs or [None] * len(measured.layers)
    names = measured.names or [None if spec is None else spec.kind for spec in known]
    rows = (
        LayerShare(number, spec, name, ticks, ticks / measured.total)
        for number, (spec, name, ticks) in enumerate(zip(known, names, measured.layers, strict=True))
    )
    estimates = None if estimator is None else estimates_by_layer(estimator.marks.intervals, measured.layers)
    worth = None if estimates is None or estimator is None else worth_of(estimates, estimator)
    if estimator is not None and estimates is None:
        why_no_estimates = "layers that run in several pieces, like patches, can't be told from others"
    return Profile(
        counter,
        tuple(rows),
        measured.total,
        inference,
        estimates=estimates,
        worth=worth,
        why_no_estimates=why_no_estimates,
    )
