"""What runs in the worker process of a board: one case or one check, with all that it needs and all that it gave."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.config import Lab
from harness.errors import (
    BusyError,
    FarmError,
    HilError,
    LeaseLostError,
    QuarantinedError,
    ReservationError,
    StoreError,
)
from harness.farm.lab_access import LabAccess
from harness.farm.order import lay_out
from harness.health.check import examine
from harness.power.meter import PowerOptions
from harness.run.options import Options, SharedRun
from harness.run.progress import Watch
from harness.run.session import Session
from harness.store.journal import journal_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.farm.order import Order

#: What the process of a worker ends with whose task hangs.
HUNG: Final = 40
_WRITER: Final = "board"
#: Nobody's fault: somebody else has the board or took it, or what says so can't be asked.
_UNAVAILABLE = (BusyError, FarmError, LeaseLostError, QuarantinedError, ReservationError, StoreError)


@dataclass
class Post:
    """A worker's place: what its tasks know of the process that they run in.

    Attributes:
        device: name of the board.
        lab_file: devices.yaml of this host.
        folder: of this process alone; it keeps the images and inputs that have come.
        stopped: set once the process is to end.
        busy: held while a task uses the board.
    """

    device: str
    lab_file: Path | None
    folder: Path
    stopped: threading.Event = field(default_factory=threading.Event)
    busy: threading.Lock = field(default_factory=threading.Lock)


def measure(sent: bytes) -> dict[str, Any]:
    """Measure the case of an order; Dask runs this in the worker of the board.

    Returns:
        `outcome`, as in `harness.farm.dispatch.Try`, with `error` and `reason`; unless the board
        couldn't be had `journal`, the records of the case, and `files`, what else the run gets, by name in its folder.
    """
    post: Post = _post()
    told: dict[str, Any] = {"outcome": "done", "error": None, "reason": None}
    try:
        order, content = pickle.loads(sent)  # noqa: S301 (who reaches a worker runs code anyway: TLS)
        os.environ["HIL_PURPOSE"] = f"nightly {order.run}"  # for `hil leases`
        with post.busy, _ended_after(order.limit_s):
            lay_out(post.folder, order.files, content)
            return told | _measured(order, post)
    except BaseException as error:  # noqa: BLE001 (whatever it is, the driver must hear of it)
        return told | _ended(error, post)


def check(sent: bytes) -> dict[str, Any]:
    """Check the board with an image whose answers are known.

    Returns:
        As `measure`, without records; `check` is what the board's health is judged by.
    """
    post: Post = _post()
    told: dict[str, Any] = {"outcome": "done", "error": None, "reason": None}
    try:
        task, siblings, rules, backend, limit_s = pickle.loads(sent)  # noqa: S301 (as above)
        os.environ["HIL_PURPOSE"] = "nightly check"
        with post.busy, _ended_after(limit_s):
            lab = Lab.load(post.lab_file)
            (device,) = lab.select([post.device])
            found = examine(device, LabAccess(lab), task, siblings, rules, backend=backend)
    except BaseException as error:  # noqa: BLE001 (as above)
        return told | _ended(error, post)
    told["check"] = found
    return told if found.ok else told | {"outcome": "failed", "error": "HealthCheck", "reason": found.reason}


def _measured(order: Order, post: Post) -> dict[str, Any]:
    """Run a session of one case in a folder of its own, and return what came of it."""
    folder = Path(tempfile.mkdtemp(dir=post.folder)) / order.run
    suite = order.suite.model_copy(update={"path": post.folder / order.suite.path})
    (variant,) = suite.variants
    options = Options(
        selectors=(order.device,),
        backend=order.backend,
        lab_file=post.lab_file,
        results_dir=folder.parent,
        samples=order.samples,
        retries=2,
        power=PowerOptions(order.power),
        shared=SharedRun(folder, _WRITER, waits=False),
    )
    access = LabAccess.of(options)
    session: Session | None = None
    told: dict[str, Any] = {}
    try:
        session = Session.build(options, access)
        access.permit(session.devices[0], order.seconds)  # people go first: a reservation may begin in the night
        session.boards.ready(session.devices[0])
        session.suites[suite.path] = suite
        target = replace(session.targets[0], pool=order.pool)
        session.measure(target, suite, variant, Watch(None, post.stopped), order.number, final=False)
    except BaseException as error:  # noqa: BLE001 (what was recorded until then is wanted, too)
        told = _ended(error, post)
        if session is not None and session.record is not None and session.record.row is not None:
            told["outcome"] = "done"  # the image, the suite or the answer is wrong: that is the result of the case
    finally:
        with suppress(HilError):
            (session or access).close()
    try:
        journal = journal_of(folder, _WRITER)
        if told.get("outcome") != "unavailable" and journal.is_file():
            told |= {"journal": journal.read_bytes(), "files": _others(folder)}
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)
    return told


def _ended(error: BaseException, post: Post) -> dict[str, Any]:
    """Return what an error means for the case and its board."""
    if isinstance(error, _UNAVAILABLE):
        outcome = "unavailable"
    elif post.stopped.is_set() or isinstance(error, (KeyboardInterrupt, SystemExit)):
        outcome = "lost"
    else:  # a ProbeError of a board that isn't attached any more, too: another board may take the case
        outcome = "failed"
    reason = str(error) if isinstance(error, HilError) else f"{type(error).__name__}: {error}"
    return {"outcome": outcome, "error": type(error).__name__, "reason": reason}


def _others(folder: Path) -> dict[str, bytes]:
    """Return what a run has besides its tables: logs and raw power samples, by name in its folder."""
    found = [path for name in ("logs", "power") for path in (folder / name).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """End the process if a task takes longer: what hangs would keep its board for ever."""
    timer = threading.Timer(seconds, os._exit, [HUNG])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _post() -> Post:
    from distributed import get_worker  # noqa: PLC0415 (slow, and not always installed)

    post: Post = get_worker().post  # type: ignore[attr-defined]
    return post
