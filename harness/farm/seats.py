"""What the driver of a night knows of a worker, and what is said of cases that none of them has measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from harness.config.state import hostname
from harness.farm.dispatch import LEAST_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from harness.config import Lab
    from harness.config.nightly import Nightly
    from harness.farm.dispatch import Standing, Try
    from harness.farm.night import PlannedCase
    from harness.store.runs import Run

#: How long the scheduler may be away before the night is left to the next `hil nightly`.
SCHEDULER_S: Final = 300.0
#: How long the night waits for a board that isn't there.
MISSING_S: Final = 600.0


@dataclass(frozen=True)
class Wish:
    """What `hil nightly` was asked for.

    Attributes:
        lab: the boards.
        nightly: what is to be run.
        base: the folder of nightly.yaml.
        results_dir: where the run is made.
        resume: whether only a night that hasn't ended is gone on with.
        say: takes a line for people.
        scheduler: address of the lab's; None for one of the night's own.
        scheduler_s: how long to wait for a scheduler that is gone.
        missing_s: how long to wait for a board that isn't there.
        least_s: a case may take so long at least before it is taken to hang.
    """

    lab: Lab
    nightly: Nightly
    base: Path
    results_dir: Path
    resume: bool
    say: Callable[[str], None]
    scheduler: str | None = None
    scheduler_s: float = SCHEDULER_S
    missing_s: float = MISSING_S
    least_s: float = LEAST_S


@dataclass
class Job:
    """A case or a check (`case` is None) that a worker has."""

    case: PlannedCase | None
    future: Any
    began: float
    limit_s: float
    files: frozenset[str] = frozenset()
    gone_at: float | None = None


@dataclass
class Seat:
    """A worker: a board, or one of several twins of a kind that nobody configured.

    Attributes:
        name: of the worker.
        device: name of the board.
        host: that it is attached to.
        shared: whether it is a board that devices.yaml has, and that is checked and judged.
        address: of the worker; None while there is none.
        ready: whether it takes a task, so far as Dask knows.
        job: what it is at.
        check_due: whether it is checked before it measures again.
        not_before: when it may be asked again, by the monotonic clock.
        state, reason: for people.
        files: what its process has got already.
    """

    name: str
    device: str
    host: str
    shared: bool = True
    address: str | None = None
    ready: bool = False
    job: Job | None = None
    check_due: bool = False
    not_before: float = 0.0
    state: str = "waiting"
    reason: str = ""
    files: set[str] = field(default_factory=set)


def end_case(run: Run, case: PlannedCase, status: Any, reason: str, attempts: int, tries: Sequence[Try]) -> None:
    """Give a row to a case that no board has ended."""
    last = next((one for one in reversed(tries) if one.case == case.number), None)
    record = run.begin_case(
        number=case.number,
        device=case.target if last is None else last.device,
        board=case.kind,
        backend=case.backend,
        suite=case.task,
        variant=case.variant,
        pool=case.pool,
        host=hostname(),
    )
    record.finish(status=status, reason=reason, image_sha256=case.image_sha256, attempts=attempts)


def why_left(case: PlannedCase, state: Standing, left_s: float) -> tuple[str, str]:
    """Return the status of a case that has no result, and why."""
    if state.failed or state.deaths:
        why = [f"{device}: {reason}" for device, reason in state.failed.items()]
        why += [f"{state.deaths} of its workers died"] * bool(state.deaths)
        return "failed", "; ".join(why)
    if left_s <= (case.seconds or 0.0):
        return "skipped", "out of time"
    return "skipped", (
        f"no board could take it: none of {', '.join(case.devices)} was free, well and offered by a worker"
    )


def result_of(future: Any) -> Mapping[str, Any]:
    """Return what a worker sent, or that it was lost."""
    from distributed import KilledWorker  # noqa: PLC0415 (slow, and not always installed)

    if future.status == "finished":
        told = future.result()
        if isinstance(told, dict) and "outcome" in told:
            return told
    if future.status == "error" and not isinstance(future.exception(timeout=1), KilledWorker):
        error = future.exception(timeout=1)
        return {"outcome": "lost", "reason": f"its worker failed: {type(error).__name__}: {error}"}
    return {"outcome": "lost", "reason": "its worker died"}
