"""What tells a process to end."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: Ctrl-C, the system, and a terminal that is closed, which Windows doesn't tell.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


def on_stop(handler: Callable[[int, Any], None] | signal.Handlers) -> dict[int, Any]:
    """Let a handler have the signals that tell a process to end, and return those that there were before, by number.

    What `nohup` has made to be ignored stays ignored.
    """
    before = {}
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and not (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            before[int(number)] = signal.signal(number, handler)
    return before


def end_on_signal() -> threading.Event:
    """Interrupt this process once it is told to end, and return what says that it was."""
    stopped = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        on_stop(ignore)  # Ctrl-C comes from the terminal and from the parent: nothing may interrupt the end
        sys.unraisablehook = _ignore_unraisable
        stopped.set()
        raise KeyboardInterrupt

    on_stop(stop)
    return stopped


def ignore(_number: int, _frame: object) -> None:
    """Do nothing. With SIG_IGN, Python would complain of a signal that came just before that was set."""


def _ignore_unraisable(_what: object) -> None:
    """Do nothing: an archive that was interrupted half made fails when it is deleted, and that helps nobody."""
