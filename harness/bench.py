"""What one session of measuring holds: the chosen boards, their backends, and the run that is written."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from harness.boards.hardware import power_of
from harness.boards.opening import VirtualBoard, Wanted, choose_backend, open_board
from harness.boards.renode import keep_log
from harness.boards.virtual import parse_fault
from harness.config import Lab
from harness.errors import BoardError, ConfigError, HilError
from harness.measure.limits import LimitCheck, check_limits
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


@dataclass
class Bench:
    """The boards of one session, opened when first needed, and the run that their results go to."""

    options: Options
    lab: Lab
    devices: tuple[Device, ...]
    backends: dict[str, tuple[Backend, str]]
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
        devices = tuple(lab.select(options.selectors))
        backends = {device.name: choose_backend(device, options.backend) for device in devices}
        for fault in options.virtual_faults:
            parse_fault(fault)
            for name, (backend, _) in backends.items():
                if backend != "virtual":
                    raise ConfigError(
                        f"{name} is a {backend} board, and faults can be injected into virtual ones only; "
                        "leave out `--virtual-fault`, or add `--backend virtual`"
                    )
        return cls(options, lab, devices, backends)

    def header(self) -> list[str]:
        """Say which boards will be used, what they are, and why."""
        lines = []
        for device in self.devices:
            backend, why = self.backends[device.name]
            name = device.name if device.name == device.kind.name else f"{device.name} ({device.kind.name})"
            lines += [f"hil: {name} on {backend}: {_MEANING[backend]}", f"     because {why}"]
            lines += self._meters[device.name].header()
        lines += [f"hil: INJECTED FAULT {fault}: this run is no measurement" for fault in self.options.virtual_faults]
        return lines

    def board(self, device: Device) -> Board:
        """Return the open board of a device.

        Raises:
            HilError: it can't be opened.
        """
        if device.name not in self._boards:
            self._meters[device.name].feed(self.backends[device.name][0], self._log(device.name))
            self._boards[device.name] = open_board(
                device,
                self.backends[device.name][0],
                self.options.virtual_faults,
                unlock=self.options.allow_mass_erase,
            )
        return self._boards[device.name]

    def counter_in_use(self, device: str) -> str | None:
        """Say how an open virtual board counts instructions; None for any other board."""
        board = self._boards.get(device)
        return board.twin.counter_description if isinstance(board, VirtualBoard) else None

    def measure(
        self, device: Device, suite: Suite, variant: Variant, on_progress: Callable[[str, int, int], None] | None
    ) -> tuple[dict[str, Any], LimitCheck]:
        """Run one case and hold it against its limits.

        Returns:
            The row of the case, and what came of the limits.

        Raises:
            HilError: the case failed; it is recorded with the reason.
        """
        run = self._open_run()
        health = self._health[device.name]
        record = begin_case(run, device.name, device.kind, self.backends[device.name][0], suite, variant)
        try:
            health.check(device.name)
            data = self._load(suite)
            board = self._opened(device, record, run)
        except HilError as error:
            record.finish(status="failed", reason=str(error))
            raise
        try:
            row = run_case(
                board,
                suite,
                variant,
                data,
                run,
                retries=self.options.retries,
                force_flash=self.options.force_flash,
                on_progress=on_progress,
                record=record,
                meter=self._meters[device.name],
            )
        except BoardError as error:
            health.failed(error, answered=run.rows[-1]["build_id"] is not None)
            raise
        health.worked()
        return row, check_limits(variant.limits, row)

    def close(self) -> None:
        """Let go of all boards, then write the tables. Safe to call twice.

        Raises:
            StoreError: the tables can't be written; the journal is kept.
        """
        for meter in self._meters.values():
            meter.close()
        while self._boards:
            _, board = self._boards.popitem()
            with suppress(HilError):  # the measurements are done; what a dying board says now doesn't change them
                board.close()
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
            if self.options.virtual_faults:
                options["virtual_faults"] = list(self.options.virtual_faults)
            about = provenance(self.lab, self.devices, tuple(self.suites.values()), options)
            self.run = Run.create(self.options.results_dir, about)
        return self.run

    def _load(self, suite: Suite) -> SuiteData:
        if suite.path not in self._data:
            self._data[suite.path] = suite.load_data(self.options.samples)
        return self._data[suite.path]

    def _opened(self, device: Device, record: CaseRecord, run: Run) -> Board:
        """Open a device's board for a case, with as many attempts as the case may have."""
        power = power_of(device) if self.backends[device.name][0] == "hardware" else None
        steps = plan(self.options.retries, power=power is not None)
        attempts = Attempts(record, lambda text: run.log(device.name, text), steps)
        try:
            board = open_patiently(lambda: self.board(device), attempts, power)
        except BoardError as error:
            self._health[device.name].failed(error, answered=False, opened=False)
            raise
        keep_log(board, run.path / "logs")
        return board
