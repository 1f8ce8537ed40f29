"""One session of measuring: what cases can be asked of, the boards that are used, and the run that is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from harness.boards.backends import emulated_kinds, refuse_faults, without_emulator
from harness.boards.base import counter_of
from harness.boards.virtual import parse_fault
from harness.config import Lab
from harness.config.chip import shipped_chips
from harness.config.state import hostname
from harness.errors import BoardError, ConfigError, HilError, MeasurementError, NoImageError, QuarantinedError
from harness.measure.limits import LimitCheck, check_limits
from harness.run.access import Access
from harness.run.boards import Boards
from harness.run.case import begin_case, check_image
from harness.run.failover import Failover
from harness.run.provenance import provenance
from harness.run.targets import LeftOut, Target, make_targets
from harness.store import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.boards.base import Backend
    from harness.config import Device, Suite, Variant
    from harness.config.data import SuiteData
    from harness.run.options import Options
    from harness.store.cases import CaseRecord

_MEANING: dict[Backend, str] = {
    "hardware": "a real board, counts cycles",
    "virtual": "emulated {}, counts instructions; not latency",
    "renode": "emulated by Renode, counts instructions; not latency",
}


def _meaning(backend: Backend, device: Device) -> str:
    if counter_of(device.kind, backend) == "emulated cycles":
        return "emulated by simavr, counts its idea of cycles; not latency"
    chip = shipped_chips().get(device.kind.twin or "")
    return _MEANING[backend].format("core" if chip is None else chip.emulated_core)


@dataclass
class Session:
    """The boards of one session, opened when first needed, and the run that their results go to.

    Attributes:
        options: what the user chose.
        access: how boards are opened, and whether they may be used.
        targets: what cases can be asked of.
        left_out: selected devices that can't be used, and why.
        suites: the suites that will be measured, by path; run.json names them.
        run: what results are written to; None before the first case.
        record: what is written of the case that was begun last.
        boards: those of all targets.
    """

    options: Options
    access: Access
    targets: tuple[Target, ...]
    left_out: tuple[LeftOut, ...] = ()
    suites: dict[Path, Suite] = field(default_factory=dict)
    run: Run | None = None
    record: CaseRecord | None = None
    _numbers: dict[tuple[str, Path, str], int] = field(default_factory=dict)
    _begun: set[int] = field(default_factory=set)
    _data: dict[Path, SuiteData] = field(default_factory=dict)
    boards: Boards = field(init=False)

    def __post_init__(self) -> None:
        self.boards = Boards(self.access, self.targets, self.options, self._log)

    @classmethod
    def build(cls, options: Options, access: Access | None = None) -> Self:
        """Find the devices that are meant and decide on the backend of each.

        Args:
            options: what the user chose.
            access: to the boards of the lab; None if nobody shares them.

        Raises:
            ConfigError, ProbeError: the configuration is wrong, a device is unknown, or its backend is missing.
        """
        access = access or Access(Lab.load(options.lab_file))
        lab = access.lab
        devices = lab.select(options.selectors, emulated_kinds(lab.kinds, options.backend))
        targets, left_out = make_targets(devices, options.backend, each=options.each)
        if "all" in options.selectors and not lab.devices:
            left_out += tuple(LeftOut(*item) for item in without_emulator(lab.kinds, options.backend).items())
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
                refuse_faults(target.devices[0], options.virtual_faults)
        return cls(options, access, targets, left_out)

    @property
    def lab(self) -> Lab:
        """What devices.yaml says."""
        return self.access.lab

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
                    lines.append(f"hil: {name} on {target.backend}: {_meaning(target.backend, device)}")
                else:
                    lines.append(f"hil: {name} on {target.backend}: shares the cases")
                lines.append(f"     because {why}")
                lines += self.boards.meters[device.name].header()
                lines += self.access.notices(device)
        lines += [f"hil: without {item.device}: {item.why}" for item in self.left_out]
        lines += [f"hil: INJECTED FAULT {fault}: this run is no measurement" for fault in self._faults()]
        return lines

    def _faults(self) -> list[str]:
        """Return the faults that are injected on purpose; a fault of one board says of which."""
        of_boards = [f"{device.name}: {fault}" for device in self.devices for fault in device.faults]
        return [*self.options.virtual_faults, *of_boards]

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

        A case that was measured before in this session is measured anew, and what is measured last counts. A case whose
        board fails goes to another board of the target, if there is one.

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
            QuarantinedError: no board may be used; the case is recorded as skipped, with the reason.
            NoImageError: there is no image for this kind of board; likewise.
            HilError: the case failed; it is recorded with the reason.
        """
        run = self._open_run()
        done = None if number is None or number in self._begun else run.finished(number)
        if done is not None:
            if done["status"] != "complete":
                raise MeasurementError(str(done["reason"]))
            return done, check_limits(variant.limits, done)
        if number is None:
            number = self._numbers.setdefault((target.name, suite.path, variant.name), len(self._numbers))
        self._begun.add(number)
        first = self.boards.order(target)[0]
        where = {"pool": target.pool, "host": hostname()}
        record = begin_case(run, first.name, first.kind, target.backend, suite, variant, number=number, **where)
        self.record = record
        try:
            check_image(suite, variant, first.kind)
            data = self._load(suite)
            row = Failover(
                self.boards, target, suite, variant, data, run, record, self.options, on_progress, final=final
            ).measure()
        except HilError as error:
            if record.row is None and (final or not isinstance(error, BoardError)):
                untried = isinstance(error, (QuarantinedError, NoImageError))
                record.finish(status="skipped" if untried else "failed", reason=str(error), attempts=record.ended)
            raise
        return row, check_limits(variant.limits, row)

    def close(self) -> None:
        """Let go of all boards, then write the tables. Safe to call twice.

        Raises:
            StoreError: the tables can't be written; the journal is kept.
        """
        self.boards.close()
        if self.run is not None:
            self.run.close()

    def _log(self, device: str, text: str) -> None:
        if self.run is not None:
            self.run.log(device, text)

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
            if self.options.twin_estimate:
                options["estimate_cycles"] = True
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
