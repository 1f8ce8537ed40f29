"""One core for the threads that drive boards, a thread for each.

Python runs one of them at a time. On several cores its lock goes from one to another at each byte that comes, and a
thread that has been woken waits for that several times as long as for its turn on one core.
"""

from __future__ import annotations

import os
import sys


def shared_core() -> int | None:
    """Return the core that this process's threads share: another for other processes. None where none can be chosen."""
    if sys.platform != "linux":
        return None
    cores = sorted(os.sched_getaffinity(os.getpid()))
    return cores[os.getpid() % len(cores)]


def share_core() -> None:
    """Keep the calling thread, and what it starts from here on, on the core of `shared_core`, if there is one.

    For a thread that mostly waits for a serial line, in a process that has several of them; not for one that computes.
    """
    core = shared_core()
    if sys.platform == "linux" and core is not None:
        os.sched_setaffinity(0, {core})
