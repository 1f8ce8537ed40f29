"""One process of a night, which measures on one board: `python -m harness.farm.worker NIGHT DEVICE`.

It takes the cases that its board can measure, one after the other, until none is left. A process of its own for each
board, because what hangs or crashes then takes nothing else along.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.config import Lab, load_suite
from harness.errors import (
    BoardError,
    BusyError,
    ConfigError,
    FarmError,
    HilError,
    LeaseLostError,
    ProbeError,
    QuarantinedError,
    ReservationError,
    StoreError,
)
from harness.farm.lab_access import LabAccess
from harness.farm.night import Night, PlannedCase
from harness.farm.queue import Claim, Heartbeat, Queue
from harness.health.retest import open_book, retest
from harness.locks.state import hostname, now
from harness.power.meter import PowerOptions
from harness.run.options import Options, SharedRun
from harness.run.progress import Watch
from harness.run.session import Session
from harness.run.signals import end_on_signal, ignore, on_stop
from harness.store.commits import committed

if TYPE_CHECKING:
    from harness.config import Suite

#: How long to wait before looking again whether another worker's case has come back.
_PAUSE_S = 1.0
_PARENT_S = 1.0
#: How long it may take to end by itself.
_END_S = 30.0


class Exit(IntEnum):
    """How a worker ended, for the process that started it."""

    DONE = 0
    #: The board failed, and this process doesn't use it any more.
    BOARD = 10
    #: The board can't be had: it is in use, reserved or quarantined, or what says so can't be asked.
    UNAVAILABLE = 11
    #: The configuration or the results folder is wrong; starting it again changes nothing.
    WRONG = 12
    #: It was told to stop.
    STOPPED = 13
    #: The board isn't attached.
    MISSING = 14


@dataclass
class Worker:
    """What a worker holds.

    Attributes:
        night: its night.
        base: the folder that the paths of suites are from.
        device: the name of its board.
        access: to that board.
        bench: with that board.
        queue: where cases come from.
        stopped: set once it is told to end, because the exception that says so may be lost in a callback.
    """

    night: Night
    base: Path
    device: str
    access: LabAccess
    bench: Session
    queue: Queue
    stopped: threading.Event = field(default_factory=threading.Event)
    _suites: dict[str, Suite] = field(default_factory=dict)

    def run(self) -> Exit:
        """Measure until nothing is left for this board, or the time is up.

        Raises:
            KeyboardInterrupt: it was told to end.
            StoreError: the results can't be written.
        """
        mine = [case for case in self.night.cases if self.device in case.devices and self._has_image(case)]
        while True:
            states = self.queue.states(mine)
            left = [case for case in mine if self._fits(case) and states[case.number].is_left_for(self.device)]
            if not left:
                return Exit.DONE
            claim = self.queue.claim(self._before_reservations(left), states, self.device)
            if claim is None:  # others have them; their boards may fail
                time.sleep(_PAUSE_S)  # not `wait`: a signal that comes while that has the event's lock can't set it
                if self.stopped.is_set():
                    raise KeyboardInterrupt
                continue
            case = next(case for case in left if case.number == claim.case)
            ended = self._measure(case, claim)
            if ended is not None:
                return ended

    def _measure(self, case: PlannedCase, claim: Claim) -> Exit | None:
        """Measure a case; return how the worker ends if its board can't go on."""
        target = replace(self.bench.targets[0], pool=case.pool)
        access, device = self.access, self.bench.targets[0].devices[0]
        watch = Watch(None, self.stopped)
        try:
            access.permit(device, case.seconds or 0.0)  # people go first: a reservation may begin in the night
            suite = self._suite(case)
            with Heartbeat(claim):
                self.bench.boards.ready(device)
                self.bench.measure(target, suite, suite.variant(case.variant), watch, case.number, final=False)
        except (BusyError, FarmError, LeaseLostError, QuarantinedError, ReservationError) as error:
            _say(f"{case.name}: {error}")
            self.queue.release(claim)
            return Exit.UNAVAILABLE
        except BoardError as error:
            _say(f"{case.name}: {error}")
            self.queue.failed(claim, str(error), type(error).__name__)
            return Exit.BOARD if self.bench.boards.given_up(self.device) else None
        except (StoreError, KeyboardInterrupt):
            self.queue.release(claim)
            raise
        except HilError as error:  # the image, the suite or the answer is wrong: recorded, and no fault of the board
            _say(f"{case.name}: {error}")
            if case.number not in committed(self.night.run):  # this host can't even begin with it
                self.queue.failed(claim, str(error), type(error).__name__)
        return None

    def _fits(self, case: PlannedCase) -> bool:
        """Whether there is time for a case: some is needed even if nobody knows how much."""
        left = (self.night.deadline - now()).total_seconds()
        return left > (case.seconds or 0.0)

    def _before_reservations(self, cases: list[PlannedCase]) -> list[PlannedCase]:
        """Return the cases that end before somebody else has the board; all if none does, to be told who."""
        with suppress(ReservationError):  # to be told that, too
            free_s = self.access.free_s(self.bench.targets[0].devices[0])
            return [case for case in cases if (case.seconds or 0.0) < free_s] or cases
        return cases

    def _has_image(self, case: PlannedCase) -> bool:
        """Whether this host has the image that the night was planned with."""
        try:
            suite = self._suite(case)
            path = suite.image_path(suite.variant(case.variant), self.bench.targets[0].devices[0].kind)
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except (ConfigError, OSError):
            return case.image_sha256 is None  # nobody has it; measuring will say so
        if case.image_sha256 not in (None, found):
            _say(f"{case.name}: {path} on {hostname()} isn't the image that the night was planned with; left to others")
            return False
        return True

    def _suite(self, case: PlannedCase) -> Suite:
        if case.suite not in self._suites:
            suite = load_suite(self.base / case.suite)
            self._suites[case.suite] = self.bench.suites[suite.path] = suite
        return self._suites[case.suite]


def make_worker(folder: Path, device: str, lab_file: Path | None, base: Path, writer: str) -> Worker:
    """Make the worker of a board.

    Args:
        folder: of the night.
        device: name of the board.
        lab_file: devices.yaml.
        base: folder of nightly.yaml.
        writer: its name in the run.

    Raises:
        HilError: the night, the lab or the device is wrong, or the board isn't attached.
    """
    night = Night.load(folder)
    backends = {case.backend for case in night.cases if device in case.devices}
    options = Options(
        selectors=(device,),
        backend=next(iter(backends), "auto"),
        lab_file=lab_file,
        results_dir=night.run.parent,
        samples=night.options["samples"],
        retries=2,
        power=PowerOptions(night.options["power"]),
        shared=SharedRun(night.run, writer, waits=False),
    )
    access = LabAccess.of(options)
    return Worker(night, base, device, access, Session.build(options, access), Queue(folder, night.run, writer))


def _is_well(lab: Lab, name: str, night: Night, base: Path) -> bool:
    """Check a board before it is used, and write down what came of it.

    Raises:
        BusyError, FarmError, LeaseLostError: it can't be had.
        StoreError: the result can't be written.
    """
    (device,) = lab.select([name])
    suites = dict.fromkeys(base / case.suite for case in night.cases if name in case.devices)
    try:
        found = retest(lab, device, suites=list(suites))
    except ConfigError as error:  # measuring says what else is wrong
        _say(f"{name} isn't checked: {error}")
        return True
    if not found.ok:
        _say(f"{name}: its check failed: {found.reason}")
    quarantine = open_book(lab).quarantined(name)
    if quarantine is not None:
        _say(f"{name}: {quarantine.text}")
    return found.ok and quarantine is None


def _end_with_parent(parent: int) -> None:
    """Stop this process when the one that started it is gone, so that its board is free for the next one.

    Args:
        parent: the number of that one; if it was killed at once, ours is another one by now.
    """

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(_PARENT_S)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(_END_S)
        os._exit(Exit.STOPPED)  # what hangs in the end would keep the board for ever

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _say(text: str) -> None:
    """Say something on a line of its own: the last one is shown to people."""
    sys.stdout.write(f"{' '.join(text.split())}\n")
    sys.stdout.flush()


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("device")
@click.option("--lab", type=click.Path(path_type=Path))
@click.option("--base", type=click.Path(path_type=Path), default=Path())
@click.option("--writer", required=True)
@click.option("--parent", type=int, required=True)
@click.option("--check", is_flag=True)
def main(folder: Path, device: str, lab: Path | None, base: Path, writer: str, parent: int, check: bool) -> None:  # noqa: FBT001 (click passes it)
    """Measure cases of a night on a board. `hil nightly` starts this; it isn't meant for people."""
    os.environ["HIL_PURPOSE"] = f"nightly {folder.name}"  # for `hil leases`
    worker: Worker | None = None
    code = Exit.WRONG
    try:
        stopped = end_on_signal()
        _end_with_parent(parent)
        if not check or _is_well(Lab.load(lab), device, Night.load(folder), base):
            worker = make_worker(folder, device, lab, base, writer)
            worker.stopped = stopped
            code = worker.run()
        else:
            code = Exit.BOARD
    except BoardError as error:
        _say(str(error))
        code = Exit.MISSING if isinstance(error, ProbeError) else Exit.UNAVAILABLE
    except HilError as error:
        _say(str(error))
    except KeyboardInterrupt:
        code = Exit.STOPPED
    finally:
        on_stop(ignore)  # it ends anyway
        if worker is not None:
            worker.bench.close()
        on_stop(signal.SIG_IGN)  # Python forgets its own handlers before the process is gone
    sys.exit(code)


if __name__ == "__main__":
    main()
