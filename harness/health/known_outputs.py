"""What boards give for the known inputs of a health check, held against what their siblings gave."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.errors import BoardError, MeasurementError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Outputs:
    """What a board gave.

    Attributes:
        crcs: CRC-32 of each output tensor.
        ticks: of each inference, cycles or instructions.
    """

    crcs: tuple[int, ...]
    ticks: tuple[int, ...]


def difference(expected: Outputs, got: Outputs, *, same_ticks: bool) -> str | None:
    """Say where outputs differ; None if they don't.

    Args:
        expected: what is right.
        got: what came.
        same_ticks: whether the ticks must be equal too, as an emulator's instructions are.
    """
    if len(expected.crcs) != len(got.crcs):
        return f"{len(got.crcs)} inputs were answered instead of {len(expected.crcs)}"
    if wrong := _places(expected.crcs, got.crcs):
        return (
            f"the output of {len(wrong)} of {len(expected.crcs)} inputs is another one, first that of input {wrong[0]}"
        )
    if not same_ticks or not (late := _places(expected.ticks, got.ticks)):
        return None
    return (
        f"{len(late)} of {len(expected.ticks)} inputs took another number of instructions, first input {late[0]}: "
        f"{got.ticks[late[0]]:,} instead of {expected.ticks[late[0]]:,}"
    )


def _places(expected: Sequence[int], got: Sequence[int]) -> list[int]:
    return [place for place, pair in enumerate(zip(expected, got, strict=True)) if pair[0] != pair[1]]


def hold_against(name: str, own: Outputs, siblings: Sequence[Outputs], *, same_ticks: bool) -> None:
    """Compare with what siblings gave: what most of them say is right; of two boards nobody knows which one is.

    Args:
        name: of the board, for messages.
        own: what it gave.
        siblings: what other boards gave when they were well.
        same_ticks: as for `difference`.

    Raises:
        MeasurementError: at least two siblings, and most of them, agree with each other and not with the board.
        BoardError: the outputs differ, and nobody can say whose are wrong.
    """
    if not siblings:
        return
    compared = [one if same_ticks else replace(one, ticks=own.ticks) for one in siblings]
    ((common, votes),) = Counter(compared).most_common(1)
    problem = difference(common, own, same_ticks=same_ticks)
    if problem is None:
        return
    if votes > 1 and 2 * votes > len(compared):
        raise MeasurementError(f"{name}: other answers than {votes} boards of its kind gave: {problem}")
    raise BoardError(
        f"{name}: other answers than another board gave, and which board is wrong can't be told: {problem}"
    )
