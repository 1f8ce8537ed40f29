"""Questions that take long to answer: who asks gets the newest answer at once, while another thread asks again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Asking(Generic[T]):
    """The answer to one question.

    Args:
        ask: the question; it may take long.
        before: what is answered before the first answer is there.
        fresh_s: how long an answer will do.
        patience_s: how long `get` waits for a newer one.
    """

    def __init__(self, ask: Callable[[], T], before: T, fresh_s: float, patience_s: float) -> None:
        self._ask, self._answer, self._fresh_s, self._patience_s = ask, before, fresh_s, patience_s
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._due = 0.0
        self._asked: float | None = None
        self._error: Exception | None = None

    def get(self) -> T:
        """Return the newest answer.

        Raises:
            Exception: what the newest question ended with, if that was no answer.
        """
        with self._lock:
            if time.monotonic() >= self._due and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name=f"asking {self._ask}", daemon=True)
                self._thread.start()
            thread = self._thread
        if thread is not None:
            thread.join(self._patience_s)
        error, answer = self._error, self._answer  # once each: the other thread may change them at any moment
        if error is not None:
            raise error
        return answer

    @property
    def late_s(self) -> float:
        """How much older than it should be the newest answer is, in seconds; 0 if it isn't, or there is none yet."""
        return 0.0 if self._asked is None else max(0.0, time.monotonic() - self._asked - self._fresh_s)

    def _run(self) -> None:
        asked = time.monotonic()
        try:
            self._answer, self._error = self._ask(), None
        except Exception as error:  # noqa: BLE001 (who asks is told, by `get`)
            self._error = error
        self._asked = asked
        self._due = time.monotonic() + self._fresh_s
