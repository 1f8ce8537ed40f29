"""The process of one board of a farm: a Dask worker that is named after it and measures one case at a time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.boards.leases import is_on
from harness.config import Lab
from harness.config.state import hostname
from harness.errors import FarmError, HilError
from harness.farm.cluster import configure, difference, is_loopback, scheduler_versions, secured, versions
from harness.farm.task import Post
from harness.locks.lease_files import list_leases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.config import Device

#: How the process ends: the scheduler is gone or it was told to; it is refused, which starting it again won't change.
ENDED, REFUSED = 0, 41
_LOOK_S: Final = 1.0
#: How long the scheduler may take to answer before the board is let go of.
_SILENT_S: Final = 8.0
#: How long a case that is under way may take to let go of its board, once the process is to end.
_LET_GO_S: Final = 20.0


class BoardWorker:
    """A board, and Dask's worker for it.

    Args:
        scheduler: its address.
        name: of the worker: the board's, or that of one of several twins of a kind that nobody configured.
        device: name of the board.
        folder: for the worker's files; whoever started the process removes it.
        lab_file: devices.yaml; "" for none.
        certificates: their folder; "" on loopback.
    """

    def __init__(self, scheduler: str, name: str, device: str, folder: str, lab_file: str, certificates: str) -> None:
        lab_path = Path(lab_file) if lab_file else None
        self._address, self._name = scheduler, name
        self._security = secured(scheduler, Path(certificates) if certificates else None)
        (self._device,) = Lab.load(lab_path).select([device])
        self.post = Post(device, lab_path, Path(folder))
        self._holder: str | None = None
        self._scheduler: str | None = None

    async def run(self) -> int:
        """Offer the board until the scheduler is gone or this process is told to end.

        Raises:
            FarmError: the scheduler has other versions.
            OSError, TimeoutError: it can't be reached.
        """
        from distributed import Status, Worker  # noqa: PLC0415 (slow)

        await self._check_scheduler()
        worker: Any = Worker(
            self._address,
            name=self._name,
            nthreads=1,
            resources=dict.fromkeys(("board", self._device.kind.name, *self._device.tags), 1.0),
            security=self._security,
            host="127.0.0.1" if is_loopback(self._address) else None,
            death_timeout=30,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            local_directory=str(self.post.folder),
            startup_information={"hil": lambda _worker: offer_of(self._device)},
            metrics={"hil": lambda _worker: {"holder": self._holder}},
        )
        worker.post = self.post
        await worker
        _say(f"is at {self._address}", ENDED)
        try:
            while worker.status in (Status.running, Status.paused) and not self.post.stopped.is_set():
                if not await self._is_known(worker):
                    break
                self._holder = await asyncio.to_thread(self._held_by)
                wanted = Status.paused if self._holder else Status.running
                if worker.status in (Status.running, Status.paused) and worker.status != wanted:
                    worker.status = wanted
                await asyncio.sleep(_LOOK_S)
        finally:
            self.end_soon()
            with suppress(Exception):  # the scheduler may be gone, which Dask says in many ways
                await worker.close(timeout=5, executor_wait=False)
            await asyncio.to_thread(self.post.busy.acquire, timeout=_LET_GO_S)
        return ENDED

    async def _is_known(self, worker: Any) -> bool:
        """Whether the scheduler that has this worker still answers; a new one at its address knows nothing of it."""
        try:
            named = await asyncio.wait_for(worker.scheduler.identity(n_workers=0), _SILENT_S)
        except (OSError, TimeoutError, asyncio.CancelledError):
            return False
        first, self._scheduler = self._scheduler or named["id"], named["id"]
        return bool(first == named["id"])

    def end_soon(self) -> None:
        """Let a case that is under way end, and see that the process does."""
        if not self.post.stopped.is_set():
            self.post.stopped.set()
            timer = threading.Timer(_LET_GO_S, os._exit, [ENDED])
            timer.daemon = True
            timer.start()

    async def _check_scheduler(self) -> None:
        from distributed.core import rpc  # noqa: PLC0415 (slow)

        connected: Any = rpc
        async with connected(self._address, connection_args=self._security.get_connection_args("worker")) as scheduler:
            told = await scheduler.versions()
        wrong = difference(scheduler_versions(told), f"the scheduler at {self._address}")
        if wrong is not None:
            raise FarmError(wrong)

    def _held_by(self) -> str | None:
        """Say who else of this computer has the board; None if nobody does."""
        if not self._device.hardware and self._device.backend is None:
            return None
        with suppress(HilError, OSError):
            for holder in list_leases()[0]:
                if holder.pid != os.getpid() and is_on(holder, self._device):
                    return f"{holder.owner} ({holder.purpose})"
        return None


def offer_of(device: Device) -> dict[str, Any]:
    """Return what the driver of a night should know of a board."""
    return {
        "versions": versions(),
        "device": device.name,
        "kind": device.kind.name,
        "tags": list(device.tags),
        "backend": device.backend or ("hardware" if device.hardware else "virtual"),
        "shared": device.hardware or device.backend is not None,
        "host": hostname(),
    }


def main(arguments: Sequence[str]) -> int:
    """Run the process of a board, with the arguments of `BoardWorker`. It isn't meant for people."""
    configure()
    try:
        worker = BoardWorker(*arguments)
    except HilError as error:
        return _say(str(error), REFUSED)
    signal.signal(signal.SIGTERM, lambda *_: worker.end_soon())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the business of who started this
    threading.Thread(target=_end_with_parent, args=(worker,), daemon=True).start()
    try:
        return asyncio.run(worker.run())
    except FarmError as error:
        return _say(str(error), REFUSED)
    except (OSError, TimeoutError, ValueError) as error:
        return _say(f"the scheduler can't be used: {error}", 1)


def _end_with_parent(worker: BoardWorker) -> None:
    """End once whoever started this process is gone: our end of the pipe then says so."""
    while sys.stdin.buffer.read(1):
        pass
    worker.end_soon()


def _say(text: str, code: int) -> int:
    print(" ".join(text.split()), flush=True)  # noqa: T201 (to who started this)
    return code


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # a thread that hangs must not keep the board
