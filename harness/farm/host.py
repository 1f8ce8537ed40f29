"""One computer's part of a night: its workers, waiting for the other hosts, and the end."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from filelock import FileLock

from harness.errors import ConfigError, FarmError, StoreError
from harness.farm.crew import Crew, Slot
from harness.farm.ending import end_night
from harness.farm.night import usable
from harness.farm.queue import Queue
from harness.files.json_file import read_json, write_json
from harness.health.book import open_book
from harness.locks.state import hostname, is_here, now, stamp
from harness.store.names import writer_name
from harness.store.runs import CASES_FILE
from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.config import Device, Lab
    from harness.config.nightly import Nightly
    from harness.farm.finish import Outcome
    from harness.farm.night import Night
    from harness.farm.queue import CaseState

_POLL_S = 1.0
#: How long measuring may go on after the deadline, for the cases that had been begun.
_GRACE_S = 1200.0
#: How old the heartbeat of another host may be.
_HOST_TTL_S = 90.0
_REPORT_S = 30.0
#: How often it is looked which boards in quarantine are to be tested again.
_TEST_S = 60.0
#: How long the state folder may be away or full before this host gives up; what it has measured stays.
_TROUBLE_S = 300.0


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


class Host:
    """This computer's part of a night.

    Args:
        wish: what was asked for.
        night: the night.
    """

    def __init__(self, wish: Wish, night: Night) -> None:
        self._wish = wish
        self._night = night
        self._queue = Queue(night.folder, night.run, writer_name(hostname()))
        self._since = now()
        self._said = time.monotonic()
        self._words = ""
        self._book = open_book(wish.lab, wish.results_dir)
        self._looked = -math.inf
        self._well = time.monotonic()
        self._crew = Crew(night, self._slots(), self._arguments(), self._out_of_use, check=wish.nightly.check)

    def run(self) -> Outcome:
        """Measure, wait for the other hosts, and end the night if none of them has.

        Raises:
            FarmError: the state folder went away for too long.
            StoreError: the results can't be written.
        """
        try:
            while self._step(self._measures):
                time.sleep(_POLL_S)
            while self._step(self._awaits_others):
                time.sleep(_POLL_S)
        finally:
            self._crew.stop()
        self._tell("finishing")
        with FileLock(self._night.folder / ".finish.lock", mode=0o666):
            wish = self._wish
            outcome = end_night(self._night, wish.nightly, wish.lab.farm.store, self._queue, self._notes())
        self._tell("done")
        return outcome

    def _notes(self) -> list[str]:
        """Say which boards of this host didn't measure, and why; those in quarantine are named anyway."""
        missing = [slot for slot in self._crew.slots if slot.state in ("failed", "unavailable")]
        return [f"{slot.device}: {slot.reason}" for slot in missing if self._out_of_use(slot.device) is None]

    def _step(self, step: Callable[[], bool]) -> bool:
        """Do a step of a loop, which says whether another one follows; for a while it may fail for the state folder."""
        try:
            with usable(self._night.folder):
                more = step()
        except FarmError as error:
            if time.monotonic() - self._well > _TROUBLE_S:
                raise FarmError(
                    f"{error} When that is mended, `hil nightly --resume` goes on with the night"
                ) from error
            return True
        self._well = time.monotonic()
        return more

    def _measures(self) -> bool:
        """Tend the workers; whether something is left that they could do. Nothing is if the run has its tables."""
        states = self._queue.states(self._night.cases)
        # Asked last: who writes them removes what says that cases are done.
        if (self._night.run / CASES_FILE).is_file():
            return False
        self._crew.tend(states, late=self._late() > 0)
        self._test_again()
        self._tell("measuring")
        self._progress(states)
        return not self._crew.over and self._late() <= _GRACE_S

    def _awaits_others(self) -> bool:
        """Whether another host measures."""
        states = self._queue.states(self._night.cases)
        self._tell("waiting")  # the time of that file is the one that the others' are held against
        done = self._night.finished or all(state.state == "done" for state in states.values())
        if done or self._late() > _GRACE_S or not self._others_measure():
            return False
        self._progress(states)
        return True

    def _out_of_use(self, device: str) -> str | None:
        try:
            found = self._book.quarantined(device)
        except StoreError as error:  # its file is damaged: that is no reason to leave the other boards alone
            return str(error)
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
            if path != mine and live and about.get("state") == "measuring":
                return True
        return False

    def _late(self) -> float:
        return (now() - self._night.deadline).total_seconds()

    def _tell(self, state: Literal["measuring", "waiting", "finishing", "done"]) -> None:
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
        with usable(self._night.folder):
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
        here = [device for device in self._known(wanted) if is_here(device)]
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
                found += [device for device in self._wish.lab.select([name]) if device.name == name]
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
