"""Waiting for a board that somebody else has, and saying on whom."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

_POLL_S = 0.15, 0.45  # at random, so that those who wait don't move in step
_FIRST_WORD_S, _NEXT_WORD_S = 2.0, 60.0


def silent(_text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Patience:
    """Whether to wait for a board that somebody else holds.

    Attributes:
        limit_s: how long, 0 for not at all, None for as long as it takes.
        tell: told in a line on whom it waits: after 2 seconds, each minute, and when that changes.
        run: the run that the board is for, None if it has no name.
    """

    limit_s: float | None = 0.0
    tell: Callable[[str], None] = silent
    run: str | None = None


#: A board that is held is an error at once.
NOW = Patience()


class Wait:
    """One time of waiting; it begins when it is made."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._begun = time.monotonic()
        self._said: tuple[str, float] | None = None

    def again(self, error: BusyError, pause_s: tuple[float, float] = _POLL_S, *, endless: bool = False) -> None:
        """Sleep for a while, and return when it is time for another try.

        Args:
            error: what came of the last one.
            pause_s: how long to sleep at least and at most.
            endless: whether to wait in any case, for as long as it takes.

        Raises:
            BusyError: the time is over.
        """
        limit = math.inf if endless or self._patience.limit_s is None else self._patience.limit_s
        waited = time.monotonic() - self._begun
        over = waited >= limit
        if self._said is None:  # a long wait is told of even if this process slept until its end, and no short one is
            due = min(waited, limit) >= _FIRST_WORD_S
        else:
            due = not over and (self._said[0] != error.holder or waited - self._said[1] >= _NEXT_WORD_S)
        if due:
            self._patience.tell(f"waiting: {error.words}")
            self._said = error.holder, waited
        if over:
            raise BusyError(error.words, f"waited {round(limit, 1):g} s", error.holder, error.run) if limit else error
        pause = random.uniform(*pause_s)  # noqa: S311 (no secret)
        time.sleep(max(0.0, min(pause, limit - waited)))
