"""The driver of a night: gives the cases to the boards of a cluster, and is the one writer of the run."""

from __future__ import annotations

import pickle
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from harness.config import load_suite
from harness.config.state import now, state_folder
from harness.errors import ConfigError, HilError, StoreError
from harness.farm.dispatch import FAILURES, Try, failures_in_a_row, limit_s, next_case
from harness.farm.order import Packed, order_case, pack
from harness.farm.results import NightResults
from harness.farm.seats import Job, Seat, Seats, result_of
from harness.farm.task import check, measure
from harness.health.book import HealthBook
from harness.health.check import task_for
from harness.run.provenance import provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.config import Device, Suite
    from harness.farm.cluster import Cluster
    from harness.farm.night import Night, PlannedCase
    from harness.farm.seats import Wish
    from harness.health.history import Check

_POLL_S: Final = 0.2
#: How often the scheduler is asked which boards there are.
_LOOK_S: Final = 1.0
#: How long measuring may go on after the deadline, for the cases that had been begun.
_GRACE_S: Final = 1200.0
#: How long before a board that couldn't be had is asked for again.
_BUSY_S: Final = 20.0
#: How long a worker that is gone may keep its case, for a result that is under way.
_GONE_S: Final = 3.0
_REPORT_S: Final = 30.0
#: How often it is looked which boards in quarantine are to be tested again.
_TEST_S: Final = 60.0


class Driver:
    """Measures the cases of a night that its run lacks.

    Args:
        wish: what was asked for.
        night: the night.
        devices: its boards, as far as this host's devices.yaml or the workers say.
        cluster: where the boards are.

    Raises:
        StoreError: the run can't be written.
    """

    def __init__(self, wish: Wish, night: Night, devices: Sequence[Device], cluster: Cluster) -> None:
        self._wish, self._night, self._cluster = wish, night, cluster
        self._devices = {device.name: device for device in devices}
        self._suite: Callable[[str], Suite] = cache(lambda suite: load_suite(wish.base / suite))
        self._packed: Callable[[str], Packed | None] = cache(lambda suite: pack(self._suite(suite)))
        rules, results = wish.lab.farm.health, night.run.parent
        self._book = HealthBook(state_folder(wish.lab), rules, results, devices=devices)
        self._seats = Seats(night, devices, wish.say, check=wish.nightly.check)
        self._count = 0
        self._due = {"say": time.monotonic() + _REPORT_S}
        self._results = NightResults(night, self._about(), "night")

    def measure(self) -> None:
        """Measure until every case has its result, nobody can do more, or the time is over.

        Raises:
            SchedulerGoneError: what was measured is kept; the night isn't over.
            StoreError: the results can't be written.
        """
        try:
            while True:
                if self._time("look", _LOOK_S):
                    self._look()
                time.sleep(_POLL_S)
                self._collect()
                if self._late() < 0:
                    self._give_all()
                self._tell()
                if not self._goes_on():
                    break
        finally:
            for seat in self._seats:
                if seat.job is not None:
                    with suppress(Exception):  # the scheduler may be gone
                        seat.job.future.cancel()
            self._results.run.close()
        self._seats.write("finishing")

    def notes(self) -> list[str]:
        """Say which boards didn't measure, and why; those in quarantine are named anyway."""
        told = [seat for seat in self._seats if seat.state in ("failed", "unavailable")]
        notes = [f"{seat.device}: {seat.reason}" for seat in told if self._quarantined(seat) is None]
        return notes + [f"{name}: no worker offers it" for name in self._seats.never()]

    # What there is

    def _look(self) -> None:
        """See which workers there are, and which of them are gone."""
        workers = self._cluster.workers()
        if workers is None:
            self._scheduler_gone()
            return
        self._seats.look(workers)
        if self._time("test", _TEST_S):
            due = {found.device for found in self._book.due()}
            for seat in self._seats:
                seat.check_due |= seat.device in due and seat.shared and self._wish.nightly.check

    def _scheduler_gone(self) -> None:
        """Wait for the scheduler; what the workers were at is measured anew, which is held against nobody.

        Raises:
            SchedulerGoneError: it doesn't come back in time.
            FarmError: it comes back with other versions.
        """
        for seat in self._seats:
            seat.job, seat.address, seat.ready = None, None, False
        wait = 0.0 if self._cluster.own else self._wish.scheduler_s
        self._wish.say(
            f"the scheduler at {self._cluster.address} is gone; {len(self._results.done)} of {len(self._night.cases)} "
            f"cases are done and kept. Waiting up to {wait:.0f} s for it to come back"
        )
        self._seats.write("waiting")
        self._cluster.connect(wait)
        self._wish.say(f"the scheduler at {self._cluster.address} is back; the night goes on")

    # What the workers do

    def _give_all(self) -> None:
        """Give each free board what it should do next."""
        states = self._results.standings()
        running = {seat.job.case.number for seat in self._seats if seat.job and seat.job.case}
        used = [seat.device for seat in self._seats if seat.address and self._out(seat) is None]
        for seat in self._seats:
            if seat.job is not None or not seat.ready or time.monotonic() < seat.not_before:
                continue
            out = self._out(seat)
            if out is not None:
                seat.state, seat.reason = "failed", out
                if not (seat.check_due and seat.device in {found.device for found in self._book.due()}):
                    continue
            if not any(
                seat.device in case.devices and states[case.number].open_to(seat.device) for case in self._night.cases
            ):
                seat.state, seat.reason = ("done", "") if out is None else (seat.state, seat.reason)
                continue
            if seat.check_due:
                self._check(seat)
                continue
            others = [name for name in used if name != seat.device]
            case = next_case(seat.device, self._night.cases, states, running, others, -self._late())
            if case is not None and self._measure(seat, case):
                running.add(case.number)

    def _measure(self, seat: Seat, case: PlannedCase) -> bool:
        """Send a case to a board; False if it can't be sent at all, which ends it."""
        limit = limit_s(case, self._wish.least_s)
        try:
            suite, kind = self._suite(case.suite), self._devices[seat.device].kind
            order, content = order_case(self._night, case, seat.device, suite, kind, limit, self._packed(case.suite))
        except (ConfigError, OSError) as error:
            self._results.end(case, "failed", str(error))
            return False
        if case.image_sha256 is not None and case.image_sha256 not in order.files.values():
            self._results.end(case, "skipped", "its image isn't the one any more that the night was planned with")
            return False
        self._submit(seat, case, measure, (order, content), limit)
        seat.state, seat.reason = "measuring", ""
        return True

    def _check(self, seat: Seat) -> None:
        """Send a board the check with known answers."""
        seat.check_due = False
        planned = [case for case in self._night.cases if seat.device in case.devices]
        suites = dict.fromkeys(self._wish.base / case.suite for case in planned)
        try:
            task = task_for(self._devices[seat.device].kind, list(suites))
        except ConfigError:  # measuring says what else is wrong
            return
        case = planned[0]
        siblings = self._book.checks.siblings(seat.device, case.kind, case.backend, task.key)
        limit = self._wish.least_s
        self._submit(seat, None, check, (task, siblings, self._wish.lab.farm.health, case.backend, limit), limit)
        seat.state, seat.reason = "checking", ""

    def _submit(self, seat: Seat, case: PlannedCase | None, what: Callable[..., Any], sent: Any, limit: float) -> None:
        self._count += 1
        about = "check" if case is None else f"case-{case.number}-{case.task}-{case.variant}"
        key = f"{self._night.run.name}-{self._count}-{about}-{seat.name}"
        future = self._cluster.client.submit(
            what, pickle.dumps(sent), key=key, workers=[seat.address], allow_other_workers=False, pure=False, retries=0
        )
        seat.job = Job(case, future, time.monotonic(), limit)

    def _collect(self) -> None:
        """Take what the workers have sent, and give up those that are gone or hang."""
        for seat in self._seats:
            if seat.job is None or not seat.job.future.done():
                continue
            told = result_of(seat.job.future)
            if told is None or (told["outcome"] == "lost" and self._cluster.workers() is None):
                self._due.pop("look", None)  # the scheduler is gone, and with it what it knew of its tasks
                break
            self._ended(seat, seat.job, told)
        at = time.monotonic()
        for seat in self._seats:
            job = seat.job
            if job is None:
                continue
            job.gone_at = None if seat.address is not None else job.gone_at or at
            hangs = at - job.began > job.limit_s + _TEST_S  # its process should have ended itself
            if hangs or (job.gone_at is not None and at - job.gone_at > _GONE_S):
                with suppress(Exception):
                    job.future.cancel()
                self._ended(seat, job, {"outcome": "lost", "reason": "it hangs" if hangs else "its worker is gone"})

    def _ended(self, seat: Seat, job: Job, told: Mapping[str, Any]) -> None:
        """Write down what came of a case or a check; only once it is on the disk it counts."""
        seat.job, seat.state, seat.reason = None, "waiting", ""
        outcome, error, reason = told["outcome"], told.get("error"), told.get("reason")
        if outcome == "lost" and time.monotonic() - job.began > job.limit_s:
            reason = f"it took longer than {job.limit_s:.0f} s and was ended"
        if job.case is not None and outcome in ("done", "failed"):
            try:
                self._results.take(job.case, told)
            except StoreError as problem:
                if "damaged" not in str(problem):
                    raise
                outcome, reason = "lost", str(problem)
            if outcome == "done" and job.case.number not in self._results.done:
                outcome, reason = "lost", reason or "it sent no result"
        name = "its check" if job.case is None else job.case.name
        if outcome == "unavailable":
            seat.state, seat.reason, seat.not_before = "unavailable", reason or "", time.monotonic() + _BUSY_S
        else:
            number = -1 if job.case is None else job.case.number
            self._results.add(Try(number, seat.device, outcome, error, reason))
        if outcome != "done":
            self._seats.log(seat, f"{name}: {outcome}: {reason}")
        found: Check | None = told.get("check")
        if found is not None:
            self._book.checks.add(found)
            self._book.tested(seat.device, ok=found.ok, reason=found.reason)
        if outcome == "failed":
            seat.check_due = seat.shared and self._wish.nightly.check
            with suppress(StoreError):  # the next failure will do it
                self._book.review()

    # What is known

    def _out(self, seat: Seat) -> str | None:
        """Say why a board isn't used any more tonight; None if it is."""
        found = self._quarantined(seat)
        if found is not None:
            return found
        if seat.shared and failures_in_a_row(seat.device, self._results.tries) >= FAILURES:
            tries = [one for one in self._results.tries if one.device == seat.device and one.outcome != "unavailable"]
            return tries[-1].reason or "it failed"
        return None

    def _quarantined(self, seat: Seat) -> str | None:
        if not seat.shared:
            return None
        try:
            found = self._book.quarantined(seat.device)
        except StoreError as error:  # its file is damaged: that is no reason to leave the other boards alone
            return str(error)
        return None if found is None else found.text

    def _goes_on(self) -> bool:
        """Whether a board is at work, or one may still take a case that is left."""
        busy = any(seat.job is not None for seat in self._seats)
        late = self._late()
        if late >= 0:
            return busy and late < _GRACE_S
        states = self._results.standings()
        out = {seat.device for seat in self._seats if self._out(seat) is not None and not seat.job}
        at = time.monotonic()
        can = {name for name, seen in self._seats.seen.items() if name not in out and at - seen < self._wish.missing_s}
        return busy or any(
            states[case.number].open_to(name) and name in can and (case.seconds or 0.0) < -late
            for case in self._night.cases
            for name in case.devices
        )

    def _late(self) -> float:
        return (now() - self._night.deadline).total_seconds()

    def _about(self) -> dict[str, Any]:
        suites = []
        for name in dict.fromkeys(case.suite for case in self._night.cases):
            with suppress(HilError):  # its cases will say so
                suites.append(self._suite(name))
        options = {**self._night.options, "each": self._wish.nightly.each}
        return provenance(self._wish.lab, list(self._devices.values()), tuple(suites), options)

    def _tell(self) -> None:
        """Write what the boards do, and say how far the night is."""
        if self._time("write", _LOOK_S):
            self._seats.write("measuring")
        if self._time("say", _REPORT_S):
            self._seats.tell(len(self._results.done))

    def _time(self, what: str, every_s: float) -> bool:
        """Whether it is time again for something."""
        at = time.monotonic()
        due = at >= self._due.get(what, 0.0)
        if due:
            self._due[what] = at + every_s
        return due
