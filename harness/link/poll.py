"""Waiting for a file descriptor: by poll, since select ends with an error beyond descriptor 1023."""

from __future__ import annotations

import math
import os
import select
import time


def ready(descriptor: int, timeout_s: float, *, write: bool = False) -> bool:
    """Tell whether a descriptor can be read (or written), as soon as it can, or has an error or an end to tell of.

    Args:
        descriptor: of a terminal, pipe or socket.
        timeout_s: how long to wait at most; 0 only looks.
        write: wait until it can be written.
    """
    if not hasattr(select, "poll"):  # Windows, where sockets have numbers of any size and select takes them
        readers, writers = ([], [descriptor]) if write else ([descriptor], [])
        return any(select.select(readers, writers, [], max(timeout_s, 0.0)))
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if write else select.POLLIN)
    return bool(poll.poll(math.ceil(max(timeout_s, 0.0) * 1000)))


def write_all(descriptor: int, data: bytes, timeout_s: float) -> None:
    """Write all of `data` to a descriptor that doesn't block.

    Raises:
        TimeoutError: it took no more for so long.
        OSError: it can't be written.
    """
    deadline = time.monotonic() + timeout_s
    while data:
        try:
            written = os.write(descriptor, data)
        except BlockingIOError:
            written = 0
        if written:
            data, deadline = data[written:], time.monotonic() + timeout_s
        elif not ready(descriptor, deadline - time.monotonic(), write=True) and time.monotonic() >= deadline:
            raise TimeoutError(f"it accepts no bytes for {timeout_s:g} s")
