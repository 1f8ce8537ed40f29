"""`hil nightly`: plan a night or join one, measure it with a worker for each board, and end it with a report."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout

from harness.errors import ConfigError
from harness.farm.crew import Crew, Slot
from harness.farm.ending import end_night
from harness.farm.finish import Outcome
from harness.farm.night import FINISHED, Night, nights_folder, plan_night, unfinished
from harness.farm.queue import Queue
from harness.farm.retest import open_book
from harness.farm.state import hostname, now, stamp, state_folder
from harness.json_file import read_json, write_json
from harness.report.escape import printable
from harness.store.runs import CASES_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.config import Device, Lab
    from harness.config.nightly import Nightly
    from harness.farm.queue import CaseState

_POLL_S = 1.0
#: How long measuring may go on after the deadline, for the cases that had been begun.
_GRACE_S = 1200.0
#: How old the heartbeat of another host may be.
_HOST_TTL_S = 90.0
_REPORT_S = 30.0
#: How often it is looked which boards in quarantine are to be tested again.
_TEST_S = 60.0


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
    """

    lab: Lab
    nightly: Nightly
    base: Path
    results_dir: Path
    resume: bool
    say: Callable[[str], None]


def run_night(wish: Wish) -> Outcome | None:
    """Go on with the night that hasn't ended, or run a new one, to its end; None if there was nothing to resume.

    Raises:
        ConfigError: the configuration is wrong, or this host runs a night already.
        StoreError: the results can't be written.
    """
    state = state_folder(wish.lab)
    lock = FileLock(nights_folder(state) / f".{hostname()}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(f"{hostname()} runs a night already; it can't run two at once") from None
    try:
        night = unfinished(state)
        if night is None:
            if wish.resume:
                return None
            missed = _missed(state, wish)
            if missed is not None:
                return missed
            _fetch(wish)
            night = plan_night(state, wish.lab, wish.nightly, wish.base, wish.results_dir)
            wish.say(f"night {night.id}: {len(night.cases)} cases, until {night.deadline.astimezone():%H:%M %Z}")
        else:
            wish.say(
                f"night {night.id} goes on: {len(night.cases)} cases, until {night.deadline.astimezone():%H:%M %Z}"
            )
        night.check_run()
        return Host(wish, night).run()
    finally:
        lock.release()


class Host:
    """This computer's part of a night.

    Args:
        wish: what was asked for.
        night: the night.
    """

    def __init__(self, wish: Wish, night: Night) -> None:
        self._wish = wish
        self._night = night
        self._queue = Queue(night.folder, night.run, f"{hostname()}.{os.getpid()}".replace("-", "_"))
        self._since = now()
        self._said = time.monotonic()
        self._words = ""
        self._book = open_book(wish.lab)
        self._looked = time.monotonic()
        self._crew = Crew(night, self._slots(), self._arguments(), self._out_of_use, check=wish.nightly.check)

    def run(self) -> Outcome:
        """Measure, wait for the other hosts, and end the night if none of them has.

        Raises:
            StoreError: the results can't be written.
        """
        try:
            self._measure()
            self._await_others()
        finally:
            self._crew.stop()
        self._tell("finishing")
        with FileLock(self._night.folder / ".finish.lock"):
            wish = self._wish
            outcome = end_night(self._night, wish.nightly, wish.lab.farm.store, self._queue, self._notes())
        self._tell("done")
        return outcome

    def _notes(self) -> list[str]:
        """Say which boards of this host didn't measure, and why; those in quarantine are named anyway."""
        missing = [slot for slot in self._crew.slots if slot.state in ("failed", "unavailable")]
        return [f"{slot.device}: {slot.reason}" for slot in missing if self._out_of_use(slot.device) is None]

    def _measure(self) -> None:
        """Tend the workers until nothing is left that they could do; nothing is if the run has its tables."""
        while not (self._night.run / CASES_FILE).is_file():
            states = self._queue.states(self._night.cases)
            late = self._late() > 0
            self._crew.tend(states, late=late)
            self._test_again()
            self._tell("measuring")
            self._progress(states)
            if self._crew.over or self._late() > _GRACE_S:
                return
            time.sleep(_POLL_S)

    def _await_others(self) -> None:
        """Wait while another host measures; what it leaves because it dies, this one's boards can take."""
        while not self._night.finished:
            states = self._queue.states(self._night.cases)
            if all(state.state == "done" for state in states.values()) or not self._others_measure():
                return
            if self._late() > _GRACE_S:
                return
            self._tell("waiting")
            self._progress(states)
            time.sleep(_POLL_S)

    def _out_of_use(self, device: str) -> str | None:
        found = self._book.quarantined(device)
        return None if found is None else found.text

    def _test_again(self) -> None:
        """Test boards in quarantine again, when that is due."""
        if time.monotonic() - self._looked > _TEST_S:
            self._looked = time.monotonic()
            for found in self._book.due():
                self._crew.test_again(found.device)

    def _others_measure(self) -> bool:
        folder = self._night.folder / "hosts"
        mine = folder / f"{hostname()}.json"
        for path in folder.glob("*.json"):
            about = read_json(path) or {}
            live = mine.stat().st_mtime - path.stat().st_mtime < _HOST_TTL_S
            if path != mine and live and about.get("state") in ("checking", "measuring"):
                return True
        return False

    def _late(self) -> float:
        return (now() - self._night.deadline).total_seconds()

    def _tell(self, state: Literal["checking", "measuring", "waiting", "finishing", "done"]) -> None:
        """Write what this host does, which is its heartbeat, too."""
        names = {case.number: case.name for case in self._night.cases}
        boards = {
            slot.name: {
                "state": slot.state,
                "case": None if slot.case is None else names[slot.case],
                "reason": slot.reason,
            }
            for slot in self._crew.slots
        }
        about = {"host": hostname(), "pid": os.getpid(), "since": stamp(self._since), "state": state, "boards": boards}
        write_json(self._night.folder / "hosts" / f"{hostname()}.json", about)

    def _progress(self, states: dict[int, CaseState]) -> None:
        if time.monotonic() - self._said < _REPORT_S:
            return
        self._said = time.monotonic()
        words = progress(states, self._crew.slots)
        if words != self._words:  # it may wait for hours
            self._words = words
            self._wish.say(printable(words))

    def _slots(self) -> tuple[Slot, ...]:
        """Return a place for each of the night's boards that is attached here."""
        wanted = dict.fromkeys(name for case in self._night.cases for name in case.devices)
        here = [device for device in self._known(wanted) if device.host in (None, hostname())]
        slots = []
        for device in here:
            own = device.hardware or device.backend is not None
            turns = 1 if own else os.cpu_count() or 1
            slots += [Slot(device.name, turn, shared=own) for turn in range(turns)]
        return tuple(slots)

    def _known(self, names: dict[str, None]) -> list[Device]:
        found = []
        for name in names:
            try:
                found += self._wish.lab.select([name])
            except ConfigError:  # another host's devices.yaml has it
                continue
        return found

    def _arguments(self) -> list[str]:
        arguments = ["--base", str(self._wish.base)]
        if self._wish.lab.path is not None:
            arguments += ["--lab", str(self._wish.lab.path)]
        return arguments


def progress(states: dict[int, CaseState], slots: Sequence[Slot]) -> str:
    """Say how far a night is, and which boards it waits for, and why."""
    done = sum(state.state == "done" for state in states.values())
    busy = sum(slot.state == "measuring" for slot in slots)
    missing = [slot for slot in slots if slot.state == "unavailable"]
    lines = [f"  waiting for {slot.device}: {slot.reason.removeprefix(f'{slot.device}: ')}" for slot in missing]
    return "\n".join([f"{done} of {len(states)} cases done, {busy} boards measure", *lines])


def _missed(state: Path, wish: Wish) -> Outcome | None:
    """Return what came of a night that other hosts have run in the meantime, so that a late one doesn't run another."""
    folders = [path for path in nights_folder(state).iterdir() if (path / FINISHED).is_file()]
    newest = max(folders, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None or (newest / "hosts" / f"{hostname()}.json").is_file():
        return None
    night = Night.load(newest)
    if now() > night.deadline or not any((newest / "hosts").glob("*.json")):
        return None
    wish.say(f"night {night.id} has been run by other hosts already; this one came too late for it")
    return Outcome.read(newest / FINISHED)


def _fetch(wish: Wish) -> None:
    """Run the program that brings the newest images.

    Raises:
        ConfigError: it fails, or takes too long.
    """
    command = wish.nightly.fetch
    if command is None:
        return
    wish.say(f"fetching: {' '.join(command)}")
    limit = wish.nightly.fetch_timeout.total_seconds()
    try:
        done = subprocess.run(command, cwd=wish.base, timeout=limit, check=False, stdin=subprocess.DEVNULL)  # noqa: S603 (the user's)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"nightly.yaml: fetch: {error}") from error
    if done.returncode != 0:
        raise ConfigError(f"nightly.yaml: fetch: `{' '.join(command)}` ended with {done.returncode}")
