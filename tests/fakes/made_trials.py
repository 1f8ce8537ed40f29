"""Trials of made-up boards, one a minute, and runs that tell of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from harness.health.trial import Trial
from harness.store import Run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

START = datetime(2026, 3, 1, 22, tzinfo=UTC)


class Night:
    """Makes trials in the order of time: `night("bench-1", "int8")`, or with an error."""

    def __init__(self, start: datetime = START) -> None:
        self._minutes = count()
        self._start = start

    def __call__(self, device: str, image: str | None = "int8", error: str | None = None, **fields) -> Trial:
        number = next(self._minutes)
        made = {
            "when": self._start + timedelta(minutes=number),
            "host": "lab-1",
            "device": device,
            "kind": "nano33",
            "backend": "hardware",
            "outcome": "failed" if error else "ok",
            "error": error,
            "reason": f"{error} on {device}" if error else None,
            "image_sha256": image,
            "run": "night",
            "case": number,
        }
        return Trial(**(made | fields))


def record(run: Run, trial: Trial, number: int, *, end: bool = True) -> None:
    """Write a case that says of its board what a trial does, and its attempts, into a run.

    Args:
        run: which.
        trial: its case becomes `number`.
        number: of the case.
        end: whether the case ends; else it might be tried again.
    """
    about = {"device": trial.device, "board": trial.kind, "backend": trial.backend, "host": trial.host}
    case = run.begin_case(number=number, suite=trial.suite or "s", variant=trial.variant or "v", **about)
    for left in reversed(range(trial.attempts)):
        failed = left > 0 or not trial.ok
        case.attempt_ended(
            device=trial.device,
            board_uid=trial.board_uid,
            image_sha256=trial.image_sha256,
            stage="open" if trial.image_sha256 is None else "measure",
            outcome="failed" if failed else "ok",
            error=(trial.error or "LinkError") if failed else None,
            reason=(trial.reason or "no answer") if failed else None,
            answered=False,
            retransmissions=0 if left else trial.retransmissions,
            seconds=(trial.duration_s or 0.0) / trial.attempts,
            ended=trial.when - timedelta(seconds=left),
        )
        if left:
            case.restart("no answer")
    if end and trial.ok:
        case.finish(status="complete", ticks_median=trial.ticks_median, clock_hz=trial.clock_hz)
    elif end:
        case.finish(status="failed", reason=str(trial.reason))


def write_run(results: Path, trials: Iterable[Trial]) -> Path:
    """Write a run that says of its boards what some trials do, and return its folder."""
    with Run.create(results, {"harness_version": "0.1.0"}) as run:
        for number, trial in enumerate(trials):
            record(run, trial, number)
    return run.path


class Clock:
    """Tells the time that it is set to."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now
