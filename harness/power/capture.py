"""Reads a monitor in a thread of its own while the board works."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.errors import PowerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.power.base import Chunk, Monitor

_STEP_S = 0.05
_POLL_S = 0.005


class Recording:
    """One capture: from `start` to `stop` every chunk of a monitor goes to the sinks, in the reading thread."""

    def __init__(self, monitor: Monitor, sinks: Sequence[Callable[[Chunk], None]]) -> None:
        self._monitor = monitor
        self._sinks = sinks
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._ended = False
        self._samples = 0
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

    def wait_for_samples(self, count: int, seconds: float) -> None:
        """Wait until so many samples came, or that time is over: monitor and host may take a while to begin.

        Raises:
            PowerError: the monitor failed meanwhile.
        """
        self.wait_until(lambda: self._samples >= count, seconds)

    def wait_until(self, true: Callable[[], bool], seconds: float) -> None:
        """Wait until something is true, or that time is over.

        Raises:
            PowerError: the monitor failed meanwhile.
        """
        end = time.monotonic() + seconds
        while not true() and time.monotonic() < end:
            self.check()
            time.sleep(_POLL_S)
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
        self._join()
        self.check()
        self._ended = True
        self._pass_on(self._monitor.stop())

    def abandon(self) -> None:
        """End a capture that nobody wants any longer; nothing is left to do after `stop`."""
        self._join()
        if not self._ended:
            self._ended = True
            with suppress(PowerError):  # what ended the capture is the error to report
                self._monitor.stop()

    def _join(self) -> None:
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
            self._samples += len(chunk)
            for sink in self._sinks:
                sink(chunk)
