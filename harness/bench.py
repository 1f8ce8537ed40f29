"""What one session of measuring holds: the chosen boards, their backends, and the run that is written."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from harness.boards.hardware import power_of
from harness.boards.opening import VirtualBoard, Wanted, open_board
from harness.boards.renode import keep_log
from harness.boards.virtual import parse_fault
from harness.config import Lab
from harness.errors import BoardError, BusyError, ConfigError, HilError, LeaseLostError
from harness.farm.lease import NOW, Patience, Wait
from harness.measure.limits import LimitCheck, check_limits
from harness.pools import LeftOut, Target, make_targets
from harness.power.meter import Meter, PowerOptions
from harness.provenance import provenance
from harness.recovery import Attempts, Health, open_patiently, plan
from harness.session import begin_case, run_case
from harness.store import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.boards.base import Backend, Board
    from harness.config import Device, Suite, SuiteData, Variant
    from harness.store.cases import CaseRecord

#: So many boards of a pool are tried with a case; an image that fails on all of them is to blame, not they.
_BOARDS_PER_CASE = 3
#: How often all boards of a pool are asked for, if others have them.
_POOL_POLL_S = 0.7, 1.3
_MEANING: dict[Backend, str] = {
    "hardware": "a real board, counts cycles",
    "virtual": "emulated Cortex-M4, counts instructions; not latency",
    "renode": "emulated by Renode, counts instructions; not latency",
}


@dataclass(frozen=True)
class Options:
    """What the user chose."""

    selectors: tuple[str, ...]
    backend: Wanted
    lab_file: Path | None
    results_dir: Path
    samples: int | None
    retries: int
    virtual_faults: tuple[str, ...] = ()
    force_flash: bool = False
    allow_mass_erase: bool = False
    power: PowerOptions = field(default_factory=PowerOptions)
    each: bool = False
    patience: Patience = NOW
    shared: SharedRun | None = None


@dataclass
class Case:
    """A case that is being measured.

    Attributes:
        target: what it was asked of.
        suite: the task.
        variant: which of its models.
        record: of it.
        on_progress: called with the stage, how much is done, and of how much.
        failed: why each board that was tried can't measure it.
    """

    target: Target
    suite: Suite
    variant: Variant
    record: CaseRecord
    on_progress: Callable[[str, int, int], None] | None
    failed: dict[str, str] = field(default_factory=dict)

    def give_up(self, device: Device, error: BoardError) -> None:
        """Note that a board can't measure it, and begin anew for the next one."""
        self.failed[device.name] = str(error)
        self.record.hand_on(f"{error} (next: another board)")


@dataclass(frozen=True)
class SharedRun:
    """A run that this process writes together with others.

    Attributes:
        path: its folder.
        writer: this process's name in it.
        turn: which of the processes this is, from 0; it tries the boards of a pool from there on.
    """

    path: Path
    writer: str
    turn: int = 0


@dataclass
class Bench:
    """The boards of one session, opened when first needed, and the run that their results go to.

    Attributes:
        options: what the user chose.
        lab: what devices.yaml says.
        targets: what cases can be asked of.
        left_out: selected devices that can't be used, and why.
    """

    options: Options
    lab: Lab
    targets: tuple[Target, ...]
    left_out: tuple[LeftOut, ...] = ()
    suites: dict[Path, Suite] = field(default_factory=dict)
    run: Run | None = None
    _data: dict[Path, SuiteData] = field(default_factory=dict)
    _boards: dict[str, Board] = field(default_factory=dict)
    _health: defaultdict[str, Health] = field(default_factory=lambda: defaultdict(Health))
    _meters: dict[str, Meter] = field(init=False)

    def __post_init__(self) -> None:
        self._meters = {device.name: Meter(device, self.options.power) for device in self.devices}

    @classmethod
    def build(cls, options: Options) -> Self:
        """Find the devices that are meant and decide on the backend of each.

        Raises:
            ConfigError, ProbeError: the configuration is wrong, a device is unknown, or its backend is missing.
        """
        lab = Lab.load(options.lab_file)
        targets, left_out = make_targets(lab.select(options.selectors), options.backend, each=options.each)
        for target in targets:
            for fault in (fault for device in target.devices for fault in device.faults):
                parse_fault(fault)
        for fault in options.virtual_faults:
            parse_fault(fault)
            for target in targets:
                if target.backend != "virtual":
                    raise ConfigError(
                        f"{target.name} is a {target.backend} board, and faults can be injected into virtual ones "
                        "only; leave out `--virtual-fault`, or add `--backend virtual`"
                    )
        return cls(options, lab, targets, left_out)

    @property
    def devices(self) -> tuple[Device, ...]:
        """The boards of all targets."""
        return tuple(device for target in self.targets for device in target.devices)

    def header(self) -> list[str]:
        """Say which boards will be used, what they are, and why."""
        lines = []
        for target in self.targets:
            for number, (device, why) in enumerate(zip(target.devices, target.whys, strict=True)):
                name = device.name if device.name == device.kind.name else f"{device.name} ({device.kind.name})"
                if number == 0 or target.pool is None:
                    lines.append(f"hil: {name} on {target.backend}: {_MEANING[target.backend]}")
                else:
                    lines.append(f"hil: {name} on {target.backend}: shares the cases")
                lines.append(f"     because {why}")
                lines += self._meters[device.name].header()
        lines += [f"hil: without {item.device}: {item.why}" for item in self.left_out]
        lines += [f"hil: INJECTED FAULT {fault}: this run is no measurement" for fault in self._faults()]
        return lines

    def _faults(self) -> list[str]:
        """Return the faults that are injected on purpose; a fault of one board says of which."""
        of_boards = [f"{device.name}: {fault}" for device in self.devices for fault in device.faults]
        return [*self.options.virtual_faults, *of_boards]

    def board(self, device: Device, patience: Patience = NOW) -> Board:
        """Return the open board of a device.

        Args:
            device: one of this bench.
            patience: whether to wait while another run has it.

        Raises:
            HilError: it can't be opened.
        """
        if device.name not in self._boards:
            backend = self._backend(device)
            self._meters[device.name].feed(backend, self._log(device.name))
            faults, unlock = (*self.options.virtual_faults, *device.faults), self.options.allow_mass_erase
            self._boards[device.name] = open_board(device, backend, faults, unlock=unlock, patience=patience)
        return self._boards[device.name]

    def any_board(self, target: Target) -> Board:
        """Return the open board of a target, or of the first in its pool that can be opened.

        Raises:
            HilError: none can.
        """
        wait, alone = Wait(self.options.patience), self._alone(target)
        while True:
            errors: list[BoardError] = []
            for device in self._order(target):
                try:
                    return self.board(device, alone)
                except BoardError as error:
                    errors.append(error)
            busy = [error for error in errors if isinstance(error, BusyError)]
            if not busy or len(target.devices) == 1:
                raise errors[0]
            wait.again(busy[0], _POOL_POLL_S)

    def counter_in_use(self, device: str) -> str | None:
        """Say how an open virtual board counts instructions; None for any other board."""
        board = self._boards.get(device)
        return board.twin.counter_description if isinstance(board, VirtualBoard) else None

    def given_up(self, device: str) -> bool:
        """Whether a board has failed so that this process doesn't use it any more."""
        return self._health[device].given_up is not None

    def measure(
        self,
        target: Target,
        suite: Suite,
        variant: Variant,
        on_progress: Callable[[str, int, int], None] | None,
        number: int | None = None,
        *,
        final: bool = True,
    ) -> tuple[dict[str, Any], LimitCheck]:
        """Run one case and hold it against its limits.

        A case whose board fails goes to another board of the pool, if there is one, at most to so many that a bad image
        isn't tried on the whole farm.

        Args:
            target: the board, or any of which boards.
            suite: the task.
            variant: which of its models.
            on_progress: called with the stage, how much is done, and of how much.
            number: of the case in a run that several processes write; one that is done already isn't measured again.
            final: whether a failure of the boards ends the case; if not, another process may take it.

        Returns:
            The row of the case, and what came of the limits.

        Raises:
            HilError: the case failed; it is recorded with the reason.
        """
        run = self._open_run()
        done = None if number is None else run.finished(number)
        if done is not None:
            return done, check_limits(variant.limits, done)
        first = self._order(target)[0]
        record = begin_case(run, first.name, first.kind, target.backend, suite, variant, number=number)
        case = Case(target, suite, variant, record, on_progress)
        try:
            data = self._load(suite)
            row = self._measured(case, data, run, final=final)
        except HilError as error:
            if record.row is None and (final or not isinstance(error, BoardError)):
                record.finish(status="failed", reason=str(error))
            raise
        return row, check_limits(variant.limits, row)

    def _measured(self, case: Case, data: SuiteData, run: Run, *, final: bool) -> dict[str, Any]:
        """Measure a case on one board after the other, until one of them works."""
        limit = min(_BOARDS_PER_CASE, len(case.target.devices))
        while True:
            board, device = self._take(case, run)
            health = self._health[device.name]
            last = len(case.failed) + 1 == limit
            try:
                row = run_case(
                    board,
                    case.suite,
                    case.variant,
                    data,
                    run,
                    retries=self.options.retries,
                    force_flash=self.options.force_flash,
                    on_progress=case.on_progress,
                    record=case.record,
                    meter=self._meters[device.name],
                    final=last and final,
                )
            except BoardError as error:
                health.failed(error, answered=case.record.answered)
                if last and not isinstance(error, LeaseLostError):
                    raise
                self._let_go(device)
                if last:
                    raise
                case.give_up(device, error)
            else:
                health.worked()
                return row

    def _take(self, case: Case, run: Run) -> tuple[Board, Device]:
        """Open a board for a case: one that this process holds, else the first that is free and works.

        Raises:
            BoardError: there is none.
        """
        wait, alone = Wait(self.options.patience), self._alone(case.target)
        while True:
            busy: list[BusyError] = []
            for device in self._order(case.target):
                if device.name in case.failed:
                    continue
                try:
                    self._health[device.name].check(device.name)
                    return self._opened(device, case.record, run, alone), device
                except BusyError as error:
                    busy.append(error)
                except BoardError as error:
                    if len(case.target.devices) == 1:
                        raise
                    case.give_up(device, error)
            if not busy:
                raise BoardError("no board is left: " + "; ".join(case.failed.values()))
            if len(case.target.devices) == 1:
                raise busy[0]
            wait.again(busy[0], _POOL_POLL_S)

    def _alone(self, target: Target) -> Patience:
        """Return how to wait for one board: where several can do it, none is waited for alone."""
        return self.options.patience if len(target.devices) == 1 else NOW

    def _order(self, target: Target) -> list[Device]:
        """Return the boards of a target in the order in which to try them; what this process holds comes first."""
        turn = self.options.shared.turn % len(target.devices) if self.options.shared else 0
        devices = [*target.devices[turn:], *target.devices[:turn]]
        return sorted(devices, key=lambda device: device.name not in self._boards)

    def _backend(self, device: Device) -> Backend:
        return next(target.backend for target in self.targets if device in target.devices)

    def _let_go(self, device: Device) -> None:
        board = self._boards.pop(device.name, None)
        if board is not None:
            with suppress(HilError):  # it has failed; what it says now doesn't matter
                board.close()

    def close(self) -> None:
        """Let go of all boards, then write the tables. Safe to call twice.

        Raises:
            StoreError: the tables can't be written; the journal is kept.
        """
        for meter in self._meters.values():
            meter.close()
        for device in self.devices:
            self._let_go(device)
        if self.run is not None:
            self.run.close()

    def _log(self, name: str) -> Callable[[str], None]:
        return lambda text: self.run.log(name, text) if self.run is not None else None

    def _open_run(self) -> Run:
        if self.run is None:
            options: dict[str, Any] = {
                "backend": self.options.backend,
                "samples": self.options.samples,
                "force_flash": self.options.force_flash,
                "allow_mass_erase": self.options.allow_mass_erase,
                "power": self.options.power.wanted,
                "mlperf_rules": self.options.power.mlperf_rules,
            }
            if self._faults():
                options["virtual_faults"] = self._faults()
            if self.options.each:
                options["each"] = True
            about = provenance(self.lab, self.devices, tuple(self.suites.values()), options)
            shared = self.options.shared
            self.run = (
                Run.create(self.options.results_dir, about)
                if shared is None
                else Run.join(shared.path, about, shared.writer)
            )
        return self.run

    def _load(self, suite: Suite) -> SuiteData:
        if suite.path not in self._data:
            self._data[suite.path] = suite.load_data(self.options.samples)
        return self._data[suite.path]

    def _opened(self, device: Device, record: CaseRecord, run: Run, patience: Patience) -> Board:
        """Open a device's board for a case, with as many attempts as the case may have."""
        power = power_of(device) if self._backend(device) == "hardware" else None
        steps = plan(self.options.retries, power=power is not None)
        attempts = Attempts(record, lambda text: run.log(device.name, text), steps, record.handed_on)
        try:
            board = open_patiently(lambda: self.board(device, patience), attempts, power)
        except BusyError:
            raise
        except BoardError as error:
            self._health[device.name].failed(error, answered=False, opened=False)
            raise
        keep_log(board, run.path / "logs")
        return board
