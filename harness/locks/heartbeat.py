"""One thread of a process shows that its leases are alive."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Beating(Protocol):
    """A lease, as this thread sees it."""

    @property
    def ttl_s(self) -> float:
        """After so many seconds without `beat` it expires."""
        ...

    def beat(self) -> None:
        """Show that the holder is alive; never raises."""
        ...


class Heart:
    """Calls `beat` of each lease four times in its time to live, as long as there are leases."""

    def __init__(self) -> None:
        self._reset()
        register: Callable[..., None] | None = getattr(os, "register_at_fork", None)  # Windows can't fork
        if register is not None:
            register(after_in_child=self._reset)  # the leases are the parent's, and so is the thread

    def _reset(self) -> None:
        self._leases: list[Beating] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, lease: Beating) -> None:
        """Begin to beat for a lease."""
        with self._changed:
            self._leases.append(lease)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hil-leases", daemon=True)
                self._thread.start()

    def remove(self, lease: Beating) -> None:
        """Stop beating for a lease."""
        with self._changed:
            self._leases = [other for other in self._leases if other is not lease]
            self._changed.notify()

    def _run(self) -> None:
        last = time.monotonic()
        while True:
            with self._changed:
                if not self._leases:
                    self._thread = None
                    return
                due = last + min(lease.ttl_s for lease in self._leases) / 4
                self._changed.wait(max(0.0, due - time.monotonic()))
                if time.monotonic() < due:
                    continue  # other leases now
                leases = list(self._leases)
            last = time.monotonic()
            for lease in leases:
                lease.beat()
