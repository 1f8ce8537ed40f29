"""What runs in the worker process of a board: one case or one check, with all that it needs and all that it gave."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import shutil
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from harness.config import ArrayFile, Lab
from harness.config.inputs import InputArray, LabelArray, RandomInputs
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
from harness.health.check import examine
from harness.power.meter import PowerOptions
from harness.run.options import Options, SharedRun
from harness.run.progress import Watch
from harness.run.session import Session
from harness.store.journal import journal_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.config import BoardKind, Suite
    from harness.farm.night import Night, PlannedCase

#: What the process of a worker ends with whose task hangs.
HUNG: Final = 40
_WRITER: Final = "board"
#: The keys of a suite that may name a file of arrays.
_ARRAYS: Final = ("inputs", "labels", "groups")
#: Nobody's fault: somebody else has the board or took it, or what says so can't be asked.
_UNAVAILABLE = (BusyError, FarmError, LeaseLostError, QuarantinedError, ReservationError, StoreError)


AnyArray = TypeVar("AnyArray", bound=ArrayFile)


@dataclass(frozen=True)
class Order:
    """A case for a board.

    Attributes:
        number: of the case in its run.
        run: name of that run.
        device: name of the board.
        backend: what it runs on.
        pool: name of its pool of boards; None if the case was asked of this very board.
        suite: with only the variant that is measured; its files have the names in `files`.
        samples: how many inputs; None for what the suite says.
        power: as in nightly.yaml.
        seconds: how long it took before, 0 if nobody knows.
        limit_s: after so long it hangs, and the worker's process ends.
        files: SHA-256 of each file, by its name.
    """

    number: int
    run: str
    device: str
    backend: Any
    pool: str | None
    suite: Suite
    samples: int | None
    power: Any
    seconds: float
    limit_s: float
    files: Mapping[str, str]


@dataclass(frozen=True)
class Packed:
    """What a worker couldn't read where it is: content of an .npz file, and what a suite with it says, by key."""

    content: bytes
    sources: Mapping[str, ArrayFile]


def pack(suite: Suite) -> Packed | None:
    """Return a suite's inputs, labels and groups as arrays; None if they are array files, which travel as they are.

    Raises:
        ConfigError: they can't be read, or don't fit together.
    """
    given = {key: source for key in _ARRAYS if (source := getattr(suite, key)) is not None}
    if all(isinstance(source, ArrayFile | RandomInputs) for source in given.values()):
        return None
    data, file = suite.load_all(), io.BytesIO()
    arrays: dict[str, Any] = {"inputs": data.raw, "labels": data.labels, "groups": data.groups}
    np.savez(file, **{key: array for key, array in arrays.items() if array is not None})
    sources = {key: LabelArray(file="data.npz", array=key) for key in given}
    scale = {"quantized": True} if data.quantized else {"scale": data.scale, "offset": data.offset}
    inputs = {"file": "data.npz", "array": "inputs", "note": suite.inputs.note, **scale}
    return Packed(file.getvalue(), {**sources, "inputs": InputArray.model_validate(inputs)})


def order_case(
    night: Night, case: PlannedCase, device: str, suite: Suite, kind: BoardKind, limit_s: float, packed: Packed | None
) -> tuple[Order, dict[str, bytes]]:
    """Return the order for a case, and the files that must travel with it, by the name that they have there.

    `packed` are the suite's inputs and labels unless these are array files.

    Raises:
        ConfigError, OSError: an image or a file isn't there.
    """
    variant = suite.variant(case.variant)
    files: dict[str, str] = {}
    content: dict[str, bytes] = {}

    def named(path: Path, data: bytes | None = None) -> str:
        data = path.read_bytes() if data is None else data
        digest = hashlib.sha256(data).hexdigest()
        name = f"{digest[:16]}/{path.name}"
        files[name], content[name] = digest, data
        return name

    def moved(source: AnyArray) -> AnyArray:
        return source.model_copy(update={"file": named(suite.path.parent / source.file)})

    image = named(suite.image_path(variant, kind))
    reference = None if variant.reference is None else moved(variant.reference)
    if packed is None:
        data = {key: moved(source) for key in _ARRAYS if isinstance(source := getattr(suite, key), ArrayFile)}
    else:
        file = {"file": named(Path("data.npz"), packed.content)}
        data = {key: source.model_copy(update=file) for key, source in packed.sources.items()}
    there = suite.model_copy(
        update={
            "path": Path(suite.path.name),
            **data,
            "variants": (variant.model_copy(update={"image": image, "reference": reference}),),
        }
    )
    order = Order(
        number=case.number,
        run=night.run.name,
        device=device,
        backend=case.backend,
        pool=case.pool,
        suite=there,
        samples=night.options["samples"],
        power=night.options["power"],
        seconds=case.seconds or 0.0,
        limit_s=limit_s,
        files=files,
    )
    return order, content


def lay_out(folder: Path, files: Mapping[str, str], content: Mapping[str, bytes]) -> None:
    """Write the files of an order where they are looked for.

    Raises:
        FarmError: one is missing, or isn't what was sent.
    """
    for name, digest in files.items():
        path = folder / PurePath(name)
        if hashlib.sha256(content.get(name, b"")).hexdigest() != digest:
            raise FarmError(f"{path.name} came damaged: it hasn't the SHA-256 that the driver says")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content[name])


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
