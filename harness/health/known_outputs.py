"""What boards answer to the known inputs of a health check, kept so that siblings can be compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import BoardError, MeasurementError
from harness.files.json_file import read_json, write_json
from harness.health.event import checked_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.boards.base import Backend
    from harness.config import Device


@dataclass(frozen=True)
class Answers:
    """What a board answered.

    Attributes:
        crcs: CRC-32 of each output tensor.
        ticks: of each inference, cycles or instructions.
    """

    crcs: tuple[int, ...]
    ticks: tuple[int, ...]


def difference(expected: Answers, got: Answers, *, same_ticks: bool) -> str | None:
    """Say where answers differ; None if they don't.

    Args:
        expected: what is right.
        got: what came.
        same_ticks: whether the ticks must be equal too, as an emulator's instructions are.
    """
    if len(expected.crcs) != len(got.crcs):
        return f"{len(got.crcs)} inputs were answered instead of {len(expected.crcs)}"
    wrong = [index for index, pair in enumerate(zip(expected.crcs, got.crcs, strict=True)) if pair[0] != pair[1]]
    if wrong:
        return (
            f"the output of {len(wrong)} of {len(expected.crcs)} inputs is another one, first that of input {wrong[0]}"
        )
    if not same_ticks:
        return None
    late = [index for index, pair in enumerate(zip(expected.ticks, got.ticks, strict=True)) if pair[0] != pair[1]]
    if not late:
        return None
    return (
        f"{len(late)} of {len(expected.ticks)} inputs took another number of instructions, first input {late[0]}: "
        f"{got.ticks[late[0]]:,} instead of {expected.ticks[late[0]]:,}"
    )


def hold_against(name: str, own: Answers, siblings: Sequence[Answers], *, same_ticks: bool) -> None:
    """Compare with what siblings answered: what most of them say is right; of two boards nobody knows which one is.

    Args:
        name: of the board, for messages.
        own: its answers.
        siblings: answers of other boards, when they were well.
        same_ticks: as for `difference`.

    Raises:
        MeasurementError: at least two siblings, and most of them, agree with each other and not with the board.
        BoardError: the answers differ, and nobody can say whose are wrong.
    """
    if not siblings:
        return
    compared = [one if same_ticks else Answers(one.crcs, own.ticks) for one in siblings]
    ((common, votes),) = Counter(compared).most_common(1)
    problem = difference(common, own, same_ticks=same_ticks)
    if problem is None:
        return
    if votes > 1 and 2 * votes > len(compared):
        raise MeasurementError(f"{name}: other answers than {votes} boards of its kind gave: {problem}")
    raise BoardError(
        f"{name}: other answers than another board gave, and which board is wrong can't be told: {problem}"
    )


def load_answers(state: Path, device: Device, backend: Backend, task: str) -> tuple[Answers, ...]:
    """Return what other boards of a kind and backend answered to a task in their last passed check."""
    own = _path(state, device, backend, task)
    found = (_answers(read_json(path)) for path in sorted(own.parent.glob("[!.]*.json")) if path != own)
    return tuple(answers for answers in found if answers is not None)


def save_answers(state: Path, device: Device, backend: Backend, task: str, answers: Answers) -> None:
    """Keep what a board answered in a passed check, for its siblings.

    Raises:
        OSError: it can't be written.
    """
    content = {"device": device.name, "crcs": list(answers.crcs), "ticks": list(answers.ticks)}
    write_json(_path(state, device, backend, task), content)


def _path(state: Path, device: Device, backend: Backend, task: str) -> Path:
    folder = state / "checks" / f"{device.kind.name}-{backend}-{task}"
    return folder / f"{checked_name(device.name, 'the device')}.json"


def _answers(content: Mapping[str, object] | None) -> Answers | None:
    crcs, ticks = (content.get(key) for key in ("crcs", "ticks")) if content is not None else (None, None)
    if not isinstance(crcs, list) or not isinstance(ticks, list) or len(crcs) != len(ticks):
        return None
    return Answers(tuple(crcs), tuple(ticks)) if all(isinstance(value, int) for value in (*crcs, *ticks)) else None
