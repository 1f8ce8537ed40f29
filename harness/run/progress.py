"""How far a case is, for whoever watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading


class Progress(Protocol):
    """Shows how far a case is."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of a stage are done."""

    def clear(self) -> None:
        """Remove what was shown."""


class Watch:
    """The progress callback of one case. It also ends the case once a signal has come.

    Args:
        show: shows it; None shows nothing.
        stopped: set once this process is told to end.
    """

    def __init__(self, show: Progress | None, stopped: threading.Event) -> None:
        self._show = show
        self._stopped = stopped

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of a stage are done.

        Raises:
            KeyboardInterrupt: the user wants to stop, and the signal came where its exception was lost.
        """
        if self._stopped.is_set():
            raise KeyboardInterrupt
        if self._show is not None:
            self._show(stage, done, total)

    def clear(self) -> None:
        """Leave the terminal as it was."""
        if self._show is not None:
            self._show.clear()
