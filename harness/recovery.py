"""What is done after a failure of the infrastructure: from the gentlest step to the last one, then giving up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.errors import BoardError, FlashError, ProbeError

if TYPE_CHECKING:
    from harness.boards.base import Board

#: So many cases in a row that the board never answered in, and it is the board rather than an image.
_SILENT_CASES = 2


class Step(StrEnum):
    """How the next attempt begins."""

    RESET = "reset"
    REFLASH = "reflash"
    POWER_CYCLE = "power cycle"


def plan(retries: int, *, power: bool) -> tuple[Step, ...]:
    """Return the steps of a case's retries, in their order.

    Args:
        retries: how often to try again.
        power: whether the board's power can be switched; that is one more attempt, and the last.
    """
    if retries == 0:
        return ()
    return (Step.RESET, *[Step.REFLASH] * (retries - 1), *[Step.POWER_CYCLE] * power)


def choose(planned: Step, error: BoardError, *, answered: bool) -> Step:
    """Return the step to take: a reset can't help where the image isn't known to be in flash."""
    if planned is Step.RESET and (not answered or isinstance(error, FlashError)):
        return Step.REFLASH
    return planned


def prepare(board: Board, step: Step) -> None:
    """Do what a step needs before the image is started.

    Raises:
        BoardError: the board can't be reached, or its power can't be switched.
    """
    if step is Step.POWER_CYCLE:
        board.power_cycle()
    elif step is Step.REFLASH:
        board.reconnect()


@dataclass
class Health:
    """What a run knows of one board: whether to go on with it.

    Attributes:
        given_up: why the board is not used any more in this run; None as long as it is.
    """

    given_up: str | None = None
    _silent: int = 0

    def worked(self) -> None:
        """Note that the board answered."""
        self._silent = 0

    def failed(self, error: BoardError, *, answered: bool) -> None:
        """Note that a case failed for good.

        Probe or flash failing is the board's fault. Firmware that never answers may be the image's, so it takes two
        cases in a row. Firmware that answered and then failed says nothing about the board.
        """
        self._silent = 0 if answered else self._silent + 1
        if isinstance(error, (ProbeError, FlashError)) or self._silent >= _SILENT_CASES:
            self.given_up = str(error)

    def check(self, board: str) -> None:
        """Refuse a board that was given up.

        Raises:
            BoardError: it was, with the reason.
        """
        if self.given_up is not None:
            raise BoardError(f"{board}: not tried again in this run, because it was given up: {self.given_up}")
