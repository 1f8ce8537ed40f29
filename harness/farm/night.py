"""A night: which cases are to be measured on which boards."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from harness.config import load_suite
from harness.config.state import hostname, now, stamp
from harness.errors import ConfigError, StoreError
from harness.files.json_file import create_json, make_folder, read_json
from harness.image.elf import load_image
from harness.run.targets import group
from harness.store.durations import durations
from harness.store.folders import run_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.boards.base import Backend
    from harness.config import BoardKind, Device, Suite, Variant
    from harness.config.nightly import Nightly
    from harness.run.targets import Target

PLAN = "plan.json"
FINISHED = "finished.json"
#: What came of each try of a case, a line for each: with it a night that was cut off goes on.
TRIES = "tries.jsonl"


class NightExit(IntEnum):
    """What `hil nightly` ends with (docs/nightly.md)."""

    OK = 0
    #: A case failed, something is worse than `fail_on` allows, or the night can't be run.
    FAILED = 1
    #: Nothing was measured.
    NOTHING = 5
    #: `fail_on`, or a part of it, had nothing to compare with.
    UNCHECKED = 6
    #: The time was over before all cases were measured.
    LEFT = 7


@dataclass(frozen=True)
class PlannedCase:
    """A case of a night.

    Attributes:
        number: of the case in the night's run.
        suite: path of the suite's file, from the folder of nightly.yaml on if it is in there.
        task: what the suite is called in the results.
        variant: name of the variant.
        target: what it is asked of: a pool of boards or a board.
        pool: name of the pool; None if it is asked of this very board.
        kind: of the boards.
        backend: what its boards run on.
        devices: the boards that can take it.
        seconds: how long it took in past runs; None if that isn't known.
        image_sha256: of its image when the night was planned; None if that couldn't be read.
    """

    number: int
    suite: str
    task: str
    variant: str
    target: str
    pool: str | None
    kind: str
    backend: Backend
    devices: tuple[str, ...]
    seconds: float | None
    image_sha256: str | None

    @property
    def name(self) -> str:
        """How it is called in messages."""
        return f"{self.task}::{self.variant}" + (f"[{self.target}]" if self.pool is None else "")


@dataclass(frozen=True)
class Night:
    """A night's plan, and where its files lie.

    Attributes:
        folder: of the night.
        created: when it was planned.
        deadline: when measuring ends.
        run: the folder of its run.
        cases: in the order in which they are begun.
        options: samples, power and backend.
    """

    folder: Path
    created: datetime
    deadline: datetime
    run: Path
    cases: tuple[PlannedCase, ...]
    options: dict[str, Any]

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def finished(self) -> bool:
        """Whether its results are complete and its report is written."""
        return (self.folder / FINISHED).is_file()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a night's plan.

        Raises:
            StoreError: there is none, or it is damaged.
        """
        plan = read_json(folder / PLAN) or {}
        try:
            return cls(
                folder=folder,
                created=datetime.fromisoformat(plan["created"]),
                deadline=datetime.fromisoformat(plan["deadline"]),
                run=Path(plan["run"]),
                cases=tuple(PlannedCase(**{**case, "devices": tuple(case["devices"])}) for case in plan["cases"]),
                options=plan["options"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{folder / PLAN} is missing or damaged ({error}); remove the folder") from error


def nights_folder(state: Path) -> Path:
    """Return the folder of all nights, made if it isn't there."""
    return make_folder(state / "nights")


def unfinished(state: Path) -> Night | None:
    """Return the newest night that was planned and hasn't ended."""
    for folder in sorted(nights_folder(state).iterdir(), key=night_order, reverse=True):
        if (folder / PLAN).is_file() and not (folder / FINISHED).is_file():
            return Night.load(folder)
    return None


def plan_night(state: Path, devices: Sequence[Device], nightly: Nightly, base: Path, results_dir: Path) -> Night:
    """Plan a night.

    Args:
        state: the state folder.
        devices: the boards.
        nightly: what is to be run.
        base: the folder of nightly.yaml.
        results_dir: where the run is made.

    Raises:
        ConfigError: a suite or a device is wrong; the message names file, line and key.
        StoreError: the state folder can't be written.
    """
    cases = plan_cases(devices, nightly, base, results_dir)
    created = now()
    local = f"{created.astimezone():%Y-%m-%d}"
    plan = {
        "created": stamp(created),
        "deadline": stamp(created + nightly.budget),
        "host": hostname(),
        "run": str(results_dir.resolve() / run_name()),
        "options": {"samples": nightly.samples, "power": nightly.power, "backend": nightly.backend},
        "cases": [asdict(case) for case in cases],
    }
    number = 1
    try:
        while True:
            folder = nights_folder(state) / (local if number == 1 else f"{local}.{number}")
            if create_json(folder / PLAN, {"id": folder.name, **plan}):
                return Night.load(folder)
            number += 1
    except OSError as error:
        raise StoreError(f"{state} can't be written: {error.strerror or error}") from error


def plan_cases(devices: Sequence[Device], nightly: Nightly, base: Path, results_dir: Path) -> tuple[PlannedCase, ...]:
    """Return the cases that a night consists of, the longest first; what was never run may take long.

    Raises:
        ConfigError: a suite or a device is wrong, or there is nothing to do.
    """
    seconds = durations(results_dir)
    targets = _targets(devices, nightly)
    cases: list[PlannedCase] = []
    for suite in _suites(nightly.suites):
        for target in targets:
            kind = target.devices[0].kind
            for variant in suite.variants:
                cases.append(
                    PlannedCase(
                        number=len(cases),
                        suite=_from(base, suite.path),
                        task=suite.task,
                        variant=variant.name,
                        target=target.name,
                        pool=target.pool,
                        kind=kind.name,
                        backend=target.backend,
                        devices=tuple(device.name for device in target.devices),
                        seconds=seconds.get((suite.task, variant.name)),
                        image_sha256=image_sha256(suite, variant, kind),  # without one the case will fail and say why
                    )
                )
    return tuple(sorted(cases, key=lambda case: (case.seconds is not None, -(case.seconds or 0))))


def backend_of(device: Device, wanted: Literal["auto", "hardware", "renode", "virtual"]) -> Backend:
    """Return what a device of a farm runs on. A real board that isn't attached is missing; no emulator stands in."""
    if device.backend is not None:
        return device.backend
    if wanted != "auto":
        return wanted
    return "hardware" if device.hardware else "virtual"


def _suites(paths: Iterable[Path]) -> list[Suite]:
    files: list[Path] = []
    for path in paths:
        files += sorted(path.glob("*.y*ml")) if path.is_dir() else [path]
    if not files:
        raise ConfigError(f"there are no suites in {', '.join(map(str, paths))}")
    return [load_suite(file) for file in dict.fromkeys(files)]


def _from(base: Path, path: Path) -> str:
    base, path = base.resolve(), path.resolve()
    return str(path.relative_to(base) if path.is_relative_to(base) else path)


def _targets(devices: Sequence[Device], nightly: Nightly) -> tuple[Target, ...]:
    others = [device for device in devices if device.backend not in (None, nightly.backend)]
    if others and nightly.backend != "auto":
        raise ConfigError(
            f"nightly.yaml: backend: {nightly.backend}, but devices.yaml says that {others[0].name} is a "
            f"{others[0].backend} board; leave it out of `devices`, or `backend` out of nightly.yaml"
        )
    planned = [(device, backend_of(device, nightly.backend), "") for device in devices]
    return group(planned, alone=nightly.each or len(devices) == 1)


def image_sha256(suite: Suite, variant: Variant, kind: BoardKind) -> str | None:
    """Return the digest of a variant's image on this host, None if there is none that can be read."""
    try:
        return load_image(suite.image_path(variant, kind), kind).sha256
    except ConfigError:
        return None


def night_order(folder: Path) -> tuple[str, int]:
    """Return what sorts the folders of nights by time."""
    day, _, number = folder.name.partition(".")
    return day, int(number) if number.isdecimal() else 1
