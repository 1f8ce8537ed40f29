"""How the boards of a lab are: the rules over its runs and health checks, and which boards are out of use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.health import HealthRules
from harness.config.state import now as current_time
from harness.config.state import state_folder
from harness.errors import HilError
from harness.health.history import CheckFile, RunHistory
from harness.health.quarantine import Ledger
from harness.health.rules import Health
from harness.health.rules import judge as judge_boards
from harness.health.trial import says_something

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from harness.config import Device, Lab
    from harness.health.quarantine import Quarantine
    from harness.health.trial import Trial


@dataclass(frozen=True)
class Judged:
    """A board's health, and its quarantine; None if it is in use."""

    health: Health
    quarantine: Quarantine | None


class HealthBook(Ledger):
    """Health from the attempts of runs and from health checks; quarantine from files in the state folder.

    Any number of processes may use it. Whether a board may be used (`check`) is one small file; runs are read when
    health is asked for.

    Args:
        state: the state folder.
        rules: thresholds.
        results_dir: whose runs count; None for the health checks alone.
        devices: the boards of the lab: what others did, or the virtual twin of a real one, doesn't count. None: all do.
        clock: tells the time in UTC.
    """

    def __init__(
        self,
        state: Path,
        rules: HealthRules | None = None,
        results_dir: Path | None = None,
        *,
        devices: Iterable[Device] | None = None,
        clock: Callable[[], datetime] = current_time,
    ) -> None:
        super().__init__(state, rules or HealthRules(), clock)
        self._runs = None if results_dir is None else RunHistory(results_dir)
        self._devices = None if devices is None else {device.name: device for device in devices}
        self.checks = CheckFile(state)

    def trials(self) -> tuple[Trial, ...]:
        """Return the cases and checks of all boards in the window of the rules, in the order of time.

        Runs that are still being written are read, too; damaged ones are left out with a warning.

        Raises:
            StoreError: the checks can't be read.
        """
        since = self._clock() - timedelta(days=self._rules.window_days)
        found = [check.trial for check in self.checks.all() if check.trial.when >= since]
        found += [] if self._runs is None else self._runs.trials(since)
        return tuple(sorted(filter(self._counts, found), key=lambda trial: trial.when))

    def review(self) -> tuple[Quarantine, ...]:
        """Apply the rules to every board, and return the ones that are quarantined now and weren't before.

        It looks at all of them, since a success on one board can show that another's failures are its own.

        Raises:
            StoreError: a file can't be read or written.
        """
        made = []
        for device, health in self.judge(self.trials()).items():
            if health.grounds and self._in_use(device):
                reason = "; ".join(ground.reason for ground in health.grounds)
                evidence = dict.fromkeys(reference for ground in health.grounds for reference in ground.evidence)
                made.append(self.quarantine_by_rules(device, reason, list(evidence)))
        return tuple(one for one in made if one is not None)

    def summary(self, device: str) -> Judged:
        """Judge one board."""
        return self._judged(device, self.judge(self.trials()))

    def all(self, first: Iterable[str] = ()) -> tuple[Judged, ...]:
        """Judge some boards, then every other one that something is known of, by name."""
        known = self.judge(self.trials())
        others = sorted({*known, *(found.device for found in self.all_quarantined())})
        return tuple(self._judged(name, known) for name in dict.fromkeys((*first, *others)))

    def release(self, device: str, by: str, why: str = "", when: datetime | None = None) -> Quarantine:
        """Take a board back, as `Ledger.release`; what a host recorded whose clock is ahead was before it, too."""
        past = [trial.when for trial in self.trials() if trial.device == device]
        return super().release(device, by, why, max([when or self._clock(), *past]))

    def judge(self, trials: Sequence[Trial]) -> dict[str, Health]:
        """Apply the rules to what `trials` returned; whether a board is out of use isn't in it."""
        in_use = filter(self._in_use, {trial.device for trial in trials})
        came_back = {name: when for name in in_use if (when := self.released(name)) is not None}
        return judge_boards(trials, self._rules, self._clock(), came_back)

    def _judged(self, device: str, known: dict[str, Health]) -> Judged:
        health, quarantine = known.get(device, Health(device)), self.quarantined(device)
        return Judged(health if quarantine is None else replace(health, state="quarantined"), quarantine)

    def _counts(self, trial: Trial) -> bool:
        device = None if self._devices is None else self._devices.get(trial.device)
        return self._devices is None or (device is not None and says_something(device, trial.backend))

    def _in_use(self, device: str) -> bool:
        """Whether a board may be used: if the file of its quarantine is damaged, it may not."""
        try:
            return self.quarantined(device) is None
        except HilError:
            return False


def open_book(lab: Lab, results_dir: Path | None = None) -> HealthBook:
    """Return the book of a lab's boards.

    Args:
        lab: the boards and the rules.
        results_dir: whose runs count; None for the lab's store if that is a folder, else `results`.

    Raises:
        ConfigError: there is no state folder.
    """
    return HealthBook(state_folder(lab), lab.farm.health, results_dir or usual_results(lab), devices=lab.devices)


def usual_results(lab: Lab) -> Path:
    """Return the results folder of a lab if nobody says another one: its store if that is a folder, else `results`."""
    store = lab.farm.store
    return Path("results" if store is None or "://" in store else store)
