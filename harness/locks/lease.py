"""A lease: one run at a time holds a probe, a port or a virtual board of this computer.

The operating system frees the lock of a process that ends. One that lives but hangs, or was stopped, shows no
heartbeat, and after the time to live another run may take over. The old holder learns that from `check`, which belongs
before each operation on the board: it passes only while the lease is this run's, and renews one that is getting old.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from filelock import Timeout

from harness.config.state import hostname, now, stamp, username
from harness.errors import BusyError, LeaseLostError
from harness.locks.holder import Holder, own_purpose
from harness.locks.lease_files import LeaseFiles, is_locked, lease_folder, lease_name, open_lock
from harness.locks.waiting import Patience, Wait, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack
    from types import TracebackType

    from filelock import FileLock

#: How long a holder may show no sign of life before others may take its board.
TTL_S = 60.0
_GUARD_S = 5.0
_NOBODY = Holder("", "", "", "", "", "", 0, "", None, "", "", 0.0, 0.0, "0")


class Lease:
    """Keeps other runs on this computer away from a thing, as long as they ask for the same lease.

    Args:
        device: name for messages.
        what: `probe`, `port` or `virtual`.
        key: what tells it from others, the same for every process: a serial number, or where it is plugged in.
        kind: of board, for `hil leases`.
        purpose: what for, in short; the command, if left out.
        run: the run's id, if it has one.
        ttl_s: after so many seconds without a sign of life others may take it; default `TTL_S`.
    """

    def __init__(
        self,
        device: str,
        what: str,
        key: str,
        *,
        kind: str = "",
        purpose: str | None = None,
        run: str | None = None,
        ttl_s: float | None = None,
    ) -> None:
        self.device, self.what, self.key, self._kind, self.run = device, what, key, kind, run
        self._purpose = own_purpose() if purpose is None else purpose
        self.ttl_s = TTL_S if ttl_s is None else ttl_s
        self._files = LeaseFiles(lease_folder(), lease_name(what, key))
        self._mutex = threading.RLock()
        self._held: Holder | None = None
        self._lock: FileLock | None = None
        self._ended = threading.Event()

    @property
    def _thing(self) -> str:
        return "the virtual board" if self.what == "virtual" else f"{self.what} {self.key}"

    # ---- taking

    def acquire(self, wait_s: float | None = 0.0, on_wait: Callable[[str], None] = silent) -> None:
        """Take the lease.

        Args:
            wait_s: how long to wait for somebody else to release it, None for as long as it takes.
            on_wait: told on whom it waits, as `Patience.tell`.

        Raises:
            BusyError: another run has it, or its files can't be opened.
        """
        wait = Wait(Patience(wait_s, on_wait))
        while (other := self._try()) is not None:
            words = f"{self.device}: {self._thing} is in use {other.words(time.monotonic())}"
            hint = "wait until that has ended, or add --wait" if wait_s == 0 else ""
            wait.again(BusyError(words, hint, other.generation, other.run))

    def _try(self) -> Holder | None:
        """Take the lease if that can be done now; return who is in the way, None if nobody."""
        try:
            self._files.make_folder()
            with self._files.guard(_GUARD_S):
                return self._take()
        except Timeout:  # whoever has the guard was stopped in the midst of taking or releasing
            return self._files.read() or _NOBODY
        except OSError as error:
            raise BusyError(
                f"{self.device}: {self._thing} can't be reserved: {error}. Who shares the boards of this computer must "
                "be able to write that folder; HIL_LEASES names another one, the same for all of them (docs/farm.md)"
            ) from error

    def _take(self) -> Holder | None:
        monotonic_s = time.monotonic()  # before reading: a pause after it must not make a live holder look expired
        before = self._files.read()
        if before is not None:
            if is_locked(self._files.lock_path(before.generation)) and before.state(monotonic_s) == "held":
                return before
            self._files.remove(before.generation)
        if self._files.locked() and before is None and self._files.path.exists():
            return _NOBODY  # the file is damaged, but a process has the lock
        generation = secrets.token_hex(8)
        lock = open_lock(self._files.lock_path(generation))
        lock.acquire(timeout=0)
        when = stamp(now())
        held = Holder(
            device=self.device,
            kind=self._kind,
            what=self.what,
            key=self.key,
            host=hostname(),
            owner=username(),
            pid=os.getpid(),
            purpose=self._purpose,
            run=self.run,
            since=when,
            heartbeat=when,
            beat_s=time.monotonic(),
            ttl_s=self.ttl_s,
            generation=generation,
        )
        try:
            self._files.write(held)
        except BaseException:
            lock.release()
            self._files.remove(generation)
            raise
        self._lock, self._held = lock, held
        self._ended = threading.Event()
        threading.Thread(target=self._live, args=(self._ended,), name="hil-lease", daemon=True).start()
        return None

    # ---- holding

    def check(self) -> None:
        """Make sure that this run still holds the lease.

        Raises:
            LeaseLostError: it doesn't, or can't show others that it does.
        """
        held = self._held
        if held is None:
            raise LeaseLostError(f"{self.device}: {self._thing} is not held by this run any more")
        if time.monotonic() - held.beat_s > self.ttl_s / 2:
            self._beat(_GUARD_S)
        found, held = self._files.read(), self._held
        if held is None or found is None or found.generation != held.generation:
            taker = "" if found is None else f" It is in use {found.words(time.monotonic())}."
            raise self._lost(
                f"this process showed no sign of life for more than {self.ttl_s:g} s (it was stopped, or the computer "
                f"hung), or its file was removed.{taker} The board was left alone since"
            )
        if held.state(time.monotonic()) == "expired":
            raise self._lost(
                f"they may take it, because this process can't write its sign of life to {self._files.path}"
            )

    def _live(self, ended: threading.Event) -> None:
        while not ended.wait(self.ttl_s / 4):
            self.beat()

    def beat(self) -> None:
        """Show that the holder is alive, and notice if it isn't the holder any more; never raises."""
        self._beat(self.ttl_s / 8)

    def _beat(self, patience_s: float) -> None:
        with self._mutex, contextlib.suppress(OSError, Timeout), self._files.guard(patience_s):
            held = self._held
            found = self._files.read()
            if held is None or found is None or found.generation != held.generation:
                return  # `check` tells it to who uses the board
            renewed = replace(held, heartbeat=stamp(now()), beat_s=time.monotonic())
            self._files.write(renewed)
            self._held = renewed
            self._files.touch(held.generation)

    def _lost(self, why: str) -> LeaseLostError:
        return LeaseLostError(f"{self.device}: {self._thing} was lost to other runs: {why}")

    def release(self) -> None:
        """Let others have it. Safe to call twice, and after it was lost."""
        self._ended.set()
        with self._mutex:
            held, self._held = self._held, None
            lock, self._lock = self._lock, None
            if held is None or lock is None or held.pid != os.getpid():  # a fork's copy releases nothing
                return
            try:
                # Without the guard the files stay, and are removed by the next one, who finds them unlocked.
                with contextlib.suppress(Timeout, OSError), self._files.guard(_GUARD_S):
                    found = self._files.read()
                    if found is not None and found.generation == held.generation:
                        self._files.path.unlink(missing_ok=True)
                    lock.release()
                    self._files.lock_path(held.generation).unlink(missing_ok=True)
            finally:
                lock.release()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def take_all(leases: Sequence[Lease], patience: Patience, undo: ExitStack) -> tuple[Lease, ...]:
    """Take several leases in their order, within one time limit.

    Args:
        leases: those of one device, in the order that everybody takes them in.
        patience: whether to wait.
        undo: is to release them if something goes wrong later.

    Returns:
        The same leases, held.

    Raises:
        BusyError: one can't be had.
    """
    begun = time.monotonic()
    for lease in leases:
        limit = patience.limit_s
        lease.run = lease.run or patience.run
        lease.acquire(None if limit is None else max(0.0, limit - (time.monotonic() - begun)), patience.tell)
        undo.callback(lease.release)
    return tuple(leases)
