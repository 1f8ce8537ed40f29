"""What the runs in a results folder and the health checks say about boards, read once and by column."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from harness.config.state import stamp
from harness.errors import StoreError
from harness.files.json_lines import append_line, read_lines, rewrite_lines
from harness.health.known_outputs import Outputs  # noqa: TC001 (what reads the checks needs it)
from harness.health.trial import Trial, trials_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

#: What trials take from the cases of a run.
_CASE_COLUMNS = (
    *("run", "case", "device", "status", "inputs_sha256", "harness_version"),
    *("counter", "clock_hz", "ticks_median"),
)
#: So many runs of a results folder are read at most, so that a look at it stays quick.
_MOST_RUNS = 500
#: No run takes longer: one that was begun so long before a window says nothing in it.
_LONGEST_RUN = timedelta(days=2)
#: So many checks are kept once their file is so large.
_MOST_CHECKS, _LARGE_BYTES = 2000, 4 << 20


class RunHistory:
    """The trials of the runs in a results folder. A run that has ended is read once.

    Args:
        results_dir: where the runs are; it needn't be there.
    """

    def __init__(self, results_dir: Path) -> None:
        self._folder = results_dir
        self._ended: dict[str, list[Trial]] = {}

    def trials(self, since: datetime) -> list[Trial]:
        """Return what the last 500 runs say of the time since then; a damaged run is left out with a warning.

        Runs that are still being written are read, too. A run with `--virtual-fault` says nothing: these faults are
        nobody's. Those that devices.yaml gives to a virtual board are the board's own, and count.
        """
        from harness.store.folders import started  # noqa: PLC0415 (what reads tables is slow to import)
        from harness.store.journal import listed  # noqa: PLC0415

        found: list[Trial] = []
        folders = sorted(path for path in listed(self._folder) if path.is_dir() and not path.is_symlink())
        begun = [(started(path, {}), path) for path in folders]
        young = [path for when, path in begun if when is None or when >= since - _LONGEST_RUN]
        for path in young[-_MOST_RUNS:]:
            try:
                found += self._of_run(path)
            except StoreError as error:
                warnings.warn(f"left out: {error}", stacklevel=2)
        return [trial for trial in found if trial.when >= since]

    def _of_run(self, path: Path) -> list[Trial]:
        from harness.store.attempts import attempts_of  # noqa: PLC0415
        from harness.store.folders import injected_faults, is_run  # noqa: PLC0415
        from harness.store.journal import journals  # noqa: PLC0415
        from harness.store.runs import read_run_file  # noqa: PLC0415
        from harness.store.tables import load_table  # noqa: PLC0415

        if path.name in self._ended:
            return self._ended[path.name]
        going = journals(path)
        faults = (injected_faults(read_run_file(path)) or "").split(", ")
        if not is_run(path) or any(
            fault and ": " not in fault for fault in faults
        ):  # `b1: swd.locked` is that board's own
            return []
        attempts = attempts_of(path)
        try:
            cases = _cases_in(path.name, going) if going else None
        except StoreError:
            if journals(path) == going:
                raise
            return self._of_run(path)  # it has ended just now
        if cases is None:
            cases = load_table(path / "cases.parquet", "cases", _CASE_COLUMNS).to_pylist()
            self._ended[path.name] = trials_of(attempts, cases)
        return trials_of(attempts, cases)


def _cases_in(run: str, journals: Sequence[Path]) -> list[dict[str, Any]]:
    """Return what journals say of the cases of a run so far; `status` is None where a case hasn't ended."""
    from harness.store.contents import whole_records  # noqa: PLC0415

    cases: dict[int, dict[str, Any]] = {}
    for path in journals:
        for record in whole_records(path, ("begin", "finish")):
            case = cases.setdefault(record["case"], dict.fromkeys(_CASE_COLUMNS))
            if case["status"] != "complete":  # by another process
                case |= {**record["columns"], "run": run, "case": record["case"]}
    return list(cases.values())


@dataclass(frozen=True)
class Check:
    """What came of a health check.

    Attributes:
        trial: as it counts for the board.
        task: what it was checked with: image, inputs and version of the harness.
        outputs: what the board gave; None if it failed.
    """

    trial: Trial
    task: str
    outputs: Outputs | None = None

    @property
    def ok(self) -> bool:
        """Whether the board passed."""
        return self.trial.ok

    @property
    def reason(self) -> str:
        """What came of it, in words."""
        if self.outputs is None:
            return self.trial.reason or "failed"
        return f"{len(self.outputs.crcs)} inputs twice, equal answers, {self.trial.retransmissions} frames sent again"


_CHECK = TypeAdapter(Check)


class CheckFile:
    """The health checks of all boards, in `checks.jsonl` of the state folder; any number of processes may use it.

    Args:
        state: the state folder.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / "checks.jsonl"

    def add(self, check: Check) -> None:
        """Write a check down.

        Raises:
            StoreError: it can't be written.
        """
        trial = {**asdict(check.trial), "when": stamp(check.trial.when)}
        if append_line(self._path, {**asdict(check), "trial": trial}) > _LARGE_BYTES:
            rewrite_lines(self._path, lambda old: old[-_MOST_CHECKS:])

    def all(self) -> list[Check]:
        """Return the checks in the order of time; a line that is none is left out.

        Raises:
            StoreError: the file can't be read.
        """
        found = []
        for line in read_lines(self._path):
            try:
                found.append(_CHECK.validate_python(line))
            except ValidationError:
                continue
        return sorted(found, key=lambda check: check.trial.when)

    def siblings(self, device: str, kind: str, backend: str, task: str) -> list[Outputs]:
        """Return what other boards of a kind and backend gave in their last passed check with a task."""
        last = {
            check.trial.device: check.outputs
            for check in self.all()
            if check.outputs and (check.trial.kind, check.trial.backend, check.task) == (kind, backend, task)
        }
        return [outputs for name, outputs in sorted(last.items()) if name != device]
