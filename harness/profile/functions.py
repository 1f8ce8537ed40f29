"""Where the instructions of an inference go, by function. Only the virtual board can tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.boards.opening import OnTwin
from harness.boards.start_image import start_image
from harness.errors import ConfigError
from harness.link.client import Link
from harness.link.timing import Timing

if TYPE_CHECKING:
    from harness.boards.base import Board
    from harness.image.elf import Image

#: Inferences that a profile averages over.
_REPEATS = 10


@dataclass(frozen=True, slots=True)
class FunctionShare:
    """Instructions of one function per inference, without those of the functions that it calls."""

    function: str
    instructions: float
    share: float


@dataclass(frozen=True, slots=True)
class FunctionProfile:
    """Instructions per inference by function, most first.

    Attributes:
        functions: everything that runs per inference; the agent's copying of the input is part of it.
        counter: what the board's own counter says of one inference, without the agent's part.
    """

    functions: tuple[FunctionShare, ...]
    counter: float


def profile_functions(board: Board, image: Image, data: bytes) -> FunctionProfile:
    """Start an image and count where the instructions of an inference on `data` go.

    Two batches of different length are counted, and one taken from the other, so that what the agent does once a
    batch falls out.

    Raises:
        ConfigError: the board can't count by address.
        HilError: the image can't be flashed or started.
    """
    if not isinstance(board, OnTwin):
        raise ConfigError(f"{board.name}: only the virtual board can count by function; add `--backend virtual`")
    link = Link(board.link(), board.name, Timing(baud=board.kind.baud))
    info = start_image(board, image, link, force=False)
    if len(info.pieces) > 1:
        raise ConfigError(
            f"{image.path}: it takes an input in {len(info.pieces)} parts, and what receives them would be "
            "counted, too; build it without --stream-input"
        )
    link.infer(data)
    marks = [_by_function(board, image)]
    ticks: tuple[int, ...] = ()
    for count in (1, 1 + _REPEATS):
        ticks = link.infer(data, count).ticks
        marks.append(_by_function(board, image))
    single = marks[1] - marks[0]
    batch = marks[2] - marks[1]
    differences = {name: (batch[name] - single[name]) / _REPEATS for name in batch}
    # What waits for the host runs as often as the host happens to make it; it is no part of an inference.
    per_inference = {name: value for name, value in differences.items() if value > 0}
    total = sum(per_inference.values())
    rows = [FunctionShare(name, value, value / total) for name, value in per_inference.items()]
    rows.sort(key=lambda row: (-row.instructions, row.function))
    return FunctionProfile(tuple(rows), sum(ticks) / len(ticks))


def _by_function(board: OnTwin, image: Image) -> Counter[str]:
    """Instructions since power-on, by function."""
    blocks = board.twin.profile()
    totals: Counter[str] = Counter()
    for address, instructions, executions in zip(
        blocks.address.tolist(), blocks.instructions.tolist(), blocks.executions.tolist(), strict=True
    ):
        totals[image.function_at(address) or f"0x{address:08X}"] += instructions * executions
    return totals
