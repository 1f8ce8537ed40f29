"""What is done after a failure of the infrastructure: from the gentlest step to the last one, then giving up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from harness.errors import BoardError, EmulatorError, FlashError, LockedError, ProbeError
from harness.run.access import NOT_OURS, TAKEN_AWAY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.boards.base import Board
    from harness.link.client import Link
    from harness.link.messages import Info
    from harness.store.cases import CaseRecord, Stage

#: A reset goes through what has failed here: the probe, the emulator, or the image that it would start.
_BEYOND_RESET = (ProbeError, EmulatorError, FlashError)
#: What ends an attempt and says nothing of the board.
_NO_BOARDS_FAULT = (*NOT_OURS, KeyboardInterrupt, SystemExit)
#: No retry unlocks a part, and another run's board is not to be touched.
_FINAL = (LockedError, *TAKEN_AWAY)


class Step(StrEnum):
    """How the next attempt begins."""

    RESET = "reset"
    REFLASH = "reflash"
    POWER_CYCLE = "power cycle"
    REOPEN = "opening again"


def plan(retries: int, *, power: bool) -> tuple[Step, ...]:
    """Return the steps of a case's retries, in their order.

    Args:
        retries: how often to try again.
        power: whether the board's power can be switched; that is one more attempt, and the last.
    """
    if retries == 0:
        return ()
    return (Step.RESET, *[Step.REFLASH] * (retries - 1), *[Step.POWER_CYCLE] * power)


def choose(planned: Step, error: BoardError, *, answered: bool, opened: bool = True) -> Step:
    """Return the step to take instead of one that can't help.

    A reset doesn't help where the image isn't known to be in flash, nor where the probe is lost or the emulator has
    ended: that must be opened or started again. A board that isn't open can only be opened again, or lose its power.
    """
    if not opened:
        return Step.POWER_CYCLE if planned is Step.POWER_CYCLE else Step.REOPEN
    if planned is Step.RESET and (not answered or isinstance(error, _BEYOND_RESET)):
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
class Attempt:
    """An attempt at a case that is going on.

    Attributes:
        stage: how far it has come.
        info: what the firmware announced; None if it hasn't answered.
        link: to the board; None if it doesn't stand yet.
        began: when, by the clock of `time.monotonic`.
    """

    stage: Stage = "open"
    info: Info | None = None
    link: Link | None = None
    began: float = field(default_factory=time.monotonic)


@dataclass
class Attempts:
    """The attempts of one case on one board: what is recorded of each, and what follows one that fails.

    Attributes:
        record: of the case.
        device: name of the board.
        log: takes a line for the board's log.
        steps: how the retries begin, from `plan`.
        on_ended: takes the row of each attempt, once it is written.
        image_sha256: of the image that is run; None until it is read.
        current: what goes on; None between two attempts.
        retransmissions: frames sent again in the attempts that have ended; None before the first one has ended.
    """

    record: CaseRecord
    device: str
    log: Callable[[str], None]
    steps: tuple[Step, ...]
    on_ended: Callable[[Mapping[str, Any]], None] | None = None
    image_sha256: str | None = None
    current: Attempt | None = field(default_factory=Attempt)
    retransmissions: int | None = None

    def begin(self) -> Attempt:
        """Begin an attempt."""
        self.current = Attempt()
        return self.current

    def ended(self, error: BaseException | None, reason: str | None = None) -> None:
        """Record how the attempt that is going on ended; none is, between two of them.

        Args:
            error: what ended it; None if it measured the case.
            reason: the same in words, if the error's own don't do.

        Raises:
            StoreError: it could not be written.
        """
        attempt, self.current = self.current, None
        if attempt is None:
            return
        repaired = attempt.link.counters.retransmissions if attempt.link else 0
        self.retransmissions = repaired + (self.retransmissions or 0)
        row = self.record.attempt_ended(
            device=self.device,
            board_uid=chip_name(attempt.info) if attempt.info else None,
            image_sha256=None if attempt.stage == "open" else self.image_sha256,
            stage=attempt.stage,
            outcome="ok" if error is None else "lost" if isinstance(error, _NO_BOARDS_FAULT) else "failed",
            error=None if error is None else type(error).__name__,
            reason=None if error is None else reason or str(error),
            answered=attempt.info is not None,
            retransmissions=repaired,
            seconds=time.monotonic() - attempt.began,
            ended=datetime.now(UTC),
        )
        if self.on_ended is not None:
            self.on_ended(row)

    def failed(self, error: BoardError, reason: str, *, answered: bool, opened: bool = True) -> Step:
        """Record an attempt that failed, and return how the next one begins.

        Args:
            error: what ended it.
            reason: the same in words, for people.
            answered: whether the firmware answered in it, and a reset will start the same one again.
            opened: whether the board was open.

        Raises:
            BoardError: of the error's type, if that was the last attempt, or if no retry can help.
        """
        number = self.record.attempt - self.record.handed_on
        last = number >= len(self.steps) or isinstance(error, _FINAL)
        step = None if last else choose(self.steps[number], error, answered=answered, opened=opened)
        then = f"next: {step}" if step else "given up"
        self.log(f"attempt {number + 1}: {reason} ({then})")
        self.ended(error, reason)
        if isinstance(error, _FINAL):
            raise error
        if step is None:
            raise type(error)(f"{reason} (attempt {number + 1} of {len(self.steps) + 1})") from error
        self.record.restart(f"{reason} ({then})")
        return step


def chip_name(info: Info) -> str:
    """Return the id of a chip as the results have it: 16 hexadecimal digits."""
    return f"{info.chip_id:016X}"
