"""What tells a process to end."""

from __future__ import annotations

import signal
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
