"""Estimated cycles of an image that a real board runs: the same inputs on the virtual board of that kind."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.config import Device
from harness.errors import HilError, MeasurementError
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.estimated_cycles import INFERENCES, Estimates, estimator_of, why_not_modelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.config import BoardKind
    from harness.image.elf import Image


def twin_columns(kind: BoardKind, image: Image, sequences: Sequence[Sequence[bytes]], output: bytes) -> dict[str, Any]:
    """Return the columns of the case table with the estimate, or with the reason why there is none.

    Args:
        kind: of the board.
        image: that it runs.
        sequences: of each input the steps, as they go over the link; those of the first inferences are run.
        output: of the first step on the board. Where the virtual board gives another one, it doesn't run the same code.
    """
    try:
        return _estimated(kind, image, sequences, output)
    except HilError as error:
        return {"estimated_cycles_reason": f"on the virtual board: {error}"}


def _estimated(kind: BoardKind, image: Image, sequences: Sequence[Sequence[bytes]], output: bytes) -> dict[str, Any]:
    with open_board(Device(name=f"{kind.name}-twin", kind=kind), "virtual") as board:
        estimator = estimator_of(board)
        if estimator is None:
            raise MeasurementError(str(why_not_modelled(board)))
        estimator.begin()
        link = Link(board.link(), board.name, Timing(baud=kind.baud))
        info = start_image(board, image, link, force=False)
        estimates = Estimates(estimator, info)
        if estimates.first(lambda: link.infer(sequences[0][0])).output != output:
            raise MeasurementError("the first input gives another output than on the board")
        steps = [step for done in link.infer_sequences(_enough(sequences)) for step in done]
        return estimates.columns([step.ticks[0] for step in steps])


def _enough(sequences: Sequence[Sequence[bytes]]) -> Sequence[Sequence[bytes]]:
    """Return the first inputs, of as many steps as are estimated, or all."""
    count = steps = 0
    for sequence in islice(sequences, INFERENCES):
        if steps >= INFERENCES:
            break
        count, steps = count + 1, steps + len(sequence)
    return sequences[:count]
