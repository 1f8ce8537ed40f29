"""`pytest suites/ --device nano33 -n auto`: one process for each board, under pytest-xdist.

The controller hands the cases out, the longest first, and each worker holds a board. All of them write one run, in
which a case counts once, so the case of a worker that died is simply given to another one.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xdist.scheduler.worksteal import WorkStealingScheduling

from harness.locks.holder import purpose_of
from harness.pytest_plugin.items import VariantItem
from harness.run.options import SharedRun
from harness.store import load_results
from harness.store.durations import durations
from harness.store.folders import run_name
from harness.store.results import plain_rows
from harness.store.runs import CASES_FILE, finish_shared

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest
    from xdist.workermanage import WorkerController

    from harness.run.session import Session

#: How often a case is given to another worker because its own died. One that kills three is not a case of bad luck.
_RESCUES = 2
#: The key of what the controller tells its workers.
INPUT = "hil"


class Schedule(WorkStealingScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out one case at a time in the given order, so that no worker sits on cases that another could begin.

    xdist's worker begins an item when it knows the next one, or that there is none. So each has two, and the second
    ones are dealt in reverse: who began with the longest case gets the shortest. A worker stays with its target as long
    as that has cases, and no target has more workers than boards.

    Args:
        config: of pytest.
        log: of pytest-xdist.
        boards: how many boards each target has whose name is in the names of its items.
    """

    def __init__(self, config: pytest.Config, log: Any, boards: Mapping[str, int]) -> None:
        super().__init__(config, log)
        self.boards = boards
        self.at: dict[WorkerController, str] = {}

    @property
    def tests_finished(self) -> bool:
        """Whether every case has been run, also those of workers that have died."""
        return self.collection_is_completed and not self.pending and not any(self.node2pending.values())

    def check_schedule(self) -> None:
        """Give every worker a case to run and one to wait; end those that there is nothing for."""
        workers = [worker for worker in self.node2pending if not worker.shutting_down]
        for count, order in ((1, workers), (2, workers[::-1])):
            for worker in order:
                if len(self.node2pending[worker]) < count:
                    self._give(worker)
        for worker in workers:
            if len(self.node2pending[worker]) < 2:
                worker.shutdown()

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget a worker, and return the case that it died in, if it did."""
        self.at.pop(node, None)
        crashed: str | None = super().remove_node(node)
        return crashed

    def _give(self, worker: WorkerController) -> None:
        """Send a worker the first case of its target, else of one that has a board left."""
        mine = [index for index in self.pending if self._target(index) == self.at.get(worker)]
        free = [index for index in self.pending if self._has_board(self._target(index), worker)]
        for index in (mine or free)[:1]:
            self.pending.remove(index)
            self.pending.insert(0, index)
            self.at[worker] = self._target(index)
            self._send_tests(worker, 1)

    def _target(self, index: int) -> str:
        assert self.collection is not None  # noqa: S101 (it is scheduled from)
        name = str(self.collection[index]).rpartition("[")[2].removesuffix("]")
        return name if name in self.boards else ""

    def _has_board(self, target: str, worker: WorkerController) -> bool:
        """Whether a target has a board left; a worker that has run all it was given, and gets no more, holds none."""
        others = [other for other, name in self.at.items() if name == target and other is not worker]
        ended = [other for other in others if other.shutting_down and not self.node2pending.get(other)]
        return target not in self.boards or len(others) - len(ended) < self.boards[target]


class Controller:
    """The hooks of the process that hands out the cases.

    Args:
        hil_session: of this process, which measures nothing itself.
    """

    def __init__(self, hil_session: Session) -> None:
        self.path = hil_session.options.results_dir / run_name()
        self._seconds = durations(hil_session.options.results_dir)
        self._rescued: Counter[str] = Counter()
        self._boards = (
            {target.name: len(target.devices) for target in hil_session.targets} if _shared_boards(hil_session) else {}
        )
        self._workers = 0

    def pytest_configure_node(self, node: WorkerController) -> None:
        """Tell a worker which run it writes, and how long each case took so far."""
        seconds = {"::".join(key): value for key, value in self._seconds.items()}
        node.workerinput[INPUT] = {"run": str(self.path), "turn": self._workers, "seconds": seconds}
        self._workers += 1

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Schedule:
        """Hand out the cases by our schedule, whatever `--dist` says."""
        return Schedule(config, log, self._boards)

    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Schedule) -> None:
        """Give the case of a worker that died to another one, unless it has killed several."""
        if self._rescued[crashitem] < _RESCUES:
            self._rescued[crashitem] += 1
            report.outcome = "rerun"  # type: ignore[assignment]  # what xdist's documentation says
            sched.mark_test_pending(crashitem)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Show such a case as one that is run again."""
        return ("rerun", "R", "RERUN") if str(report.outcome) == "rerun" else None

    def finish(self) -> None:
        """Write the tables of the run, once the workers have closed their journals.

        Raises:
            StoreError: a worker is still going, or the tables can't be written; the journals are kept.
        """
        if self.path.is_dir():
            finish_shared(self.path)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the run's cases, also of those that no worker lived to report; none if it has none."""
        if not (self.path / CASES_FILE).is_file():
            return []
        return plain_rows(load_results(self.path).cases)


def shared_run(config: pytest.Config) -> SharedRun | None:
    """Return the run that a worker writes its part of; None in a process that is no worker."""
    told = _told(config)
    if told is None:
        return None
    about: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]
    os.environ["HIL_PURPOSE"] = purpose_of(about["mainargv"])  # for `hil leases`: a worker's own command says nothing
    return SharedRun(Path(told["run"]), f"{about['workerid']}.{os.getpid()}", told["turn"])


def arrange(items: list[pytest.Item], config: pytest.Config) -> None:
    """Put the longest cases first, and number them; what was never run may take long.

    Every worker of a run comes to the same order, as all have the same items and are told the same durations.
    """
    told = _told(config)
    if told is None:
        return
    cases = [item for item in items if isinstance(item, VariantItem)]
    seconds = {item: told["seconds"].get(f"{item.suite.task}::{item.variant.name}", float("inf")) for item in cases}
    others = [item for item in items if not isinstance(item, VariantItem)]
    for number, item in enumerate(cases):
        item.number = number
    items[:] = [*sorted(cases, key=lambda item: -seconds[item]), *others]


def limit_workers(config: pytest.Config, hil_session: Session) -> None:
    """Leave out workers that would have no board: one more would only wait for the others."""
    boards = _shared_boards(hil_session)
    if boards and len(config.option.tx) > boards:
        config.option.tx = config.option.tx[:boards]


def how_many(hil_session: Session) -> int:
    """Return how many workers `-n auto` means: one for each board that only one can hold, else for each core."""
    return _shared_boards(hil_session) or os.cpu_count() or 1


def _shared_boards(hil_session: Session) -> int:
    """Return how many boards there are that only one process can hold; 0 if each process makes virtual ones anew."""
    owned = [
        target.backend == "hardware" or device.backend is not None
        for target in hil_session.targets
        for device in target.devices
    ]
    return len(owned) if all(owned) else 0


def _told(config: pytest.Config) -> dict[str, Any] | None:
    told: dict[str, Any] | None = getattr(config, "workerinput", {}).get(INPUT)
    return told
