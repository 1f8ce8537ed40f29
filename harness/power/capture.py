"""Reads a monitor in a thread of its own while the board works."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.power.base import Chunk, Monitor

_STEP_S = 0.05


class Recording:
    """One capture: from `start` to `stop` every chunk of a monitor goes to the sinks, in the reading thread."""

    def __init__(self, monitor: Monitor, sinks: Sequence[Callable[[Chunk], None]]) -> None:
        self._monitor = monitor
        self._sinks = sinks
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="power monitor", daemon=True)

    def start(self) -> None:
        """Begin.

        Raises:
            PowerError: the monitor doesn't answer.
        """
        self._monitor.start()
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            PowerError: the monitor failed meanwhile.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, _STEP_S))
        self.check()

    def check(self) -> None:
        """Raise what went wrong in the reading thread, if anything did.

        Raises:
            PowerError: the monitor failed.
        """
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the capture and hand the rest over.

        Raises:
            PowerError: the monitor failed.
        """
        self.abandon()
        self.check()
        self._pass_on(self._monitor.stop())

    def abandon(self) -> None:
        """End the reading thread and nothing more; for a capture that nobody wants any longer."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._pass_on(self._monitor.read())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that measures
            self._failure = error

    def _pass_on(self, chunk: Chunk | None) -> None:
        if chunk is not None:
            for sink in self._sinks:
                sink(chunk)
