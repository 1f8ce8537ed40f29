"""The health check of a board: flash an image that is known to work, read it back, and run it on known inputs."""

from __future__ import annotations

import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from statistics import median
from typing import TYPE_CHECKING

from harness.boards.start_image import start_image
from harness.config import load_suite
from harness.errors import BusyError, ConfigError, FarmError, HilError, LeaseLostError, LinkError, MeasurementError
from harness.farm.lab_access import opened
from harness.health.event import Event, shown
from harness.health.known_outputs import Answers, difference, hold_against
from harness.image.elf import load_image
from harness.image.input_tensors import input_tensors
from harness.link.client import Link
from harness.link.timing import Timing
from harness.locks.waiting import NOW
from harness.measure.link_health import link_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from harness.boards.base import Backend, Board
    from harness.config import BoardKind, Device
    from harness.config.health import HealthRules
    from harness.image.elf import Image
    from harness.locks.waiting import Patience

_INPUTS = 20


@dataclass(frozen=True)
class Task:
    """What boards of a kind are checked with.

    Attributes:
        suite: task of the suite that the inputs are from.
        variant: which of its models.
        image: known to work.
        inputs: input tensors as raw bytes.
        inputs_sha256: of the suite's data that they were made from.
    """

    suite: str
    variant: str
    image: Image
    inputs: tuple[bytes, ...]
    inputs_sha256: str

    @property
    def key(self) -> str:
        """What makes it another task: the image, the inputs, and the version of the harness."""
        return f"{self.image.sha256[:16]}-{self.inputs_sha256[:16]}-{_version()}"


@dataclass(frozen=True)
class Check:
    """What came of a health check; `answers` is None if it failed."""

    event: Event
    answers: Answers | None

    @property
    def ok(self) -> bool:
        """Whether the board passed."""
        return self.event.ok

    @property
    def reason(self) -> str:
        """What was seen, in words."""
        if self.answers is None:
            return self.event.reason or "failed"
        return f"{len(self.answers.crcs)} inputs twice, equal answers, {self.event.retransmissions} frames sent again"


def task_for(kind: BoardKind, suites: Sequence[Path]) -> Task:
    """Choose what to check a kind with: the first int8 model of some suites that there is an image of.

    Int8, because its outputs are the same on every board to the bit.

    Args:
        kind: of the board.
        suites: paths of suite files.

    Raises:
        ConfigError: there is none, or a suite is wrong.
    """
    for path in suites:
        suite = load_suite(path)
        for variant in suite.variants:
            with suppress(ConfigError):  # no image, or none for this kind
                image = load_image(suite.image_path(variant, kind), kind)
                if image.card.input.dtype == "int8":
                    data = suite.load_data(_INPUTS)
                    tensors = input_tensors(data, image.card.input, variant.resize)
                    inputs = tuple(tensor.tobytes() for tensor in tensors)
                    return Task(suite.task, variant.name, image, inputs, data.digest())
    looked = ", ".join(map(str, suites)) or "no suites"
    raise ConfigError(
        f"there is no int8 image for the kind {kind.name} to check boards with; looked for the images of {looked}. Run "
        "this in a lab folder (`hil init` makes one)"
    )


def suites_in(folder: Path) -> list[Path]:
    """Return the suite files in the folder `suites` of a lab."""
    return sorted((folder / "suites").glob("*.y*ml"))


def check_board(
    device: Device,
    backend: Backend,
    task: Task,
    siblings: Sequence[Answers],
    rules: HealthRules,
    *,
    host: str,
    clock: Callable[[], datetime],
    faults: Sequence[str] = (),
    on_step: Callable[[str], None] = lambda _step: None,
    patience: Patience = NOW,
) -> Check:
    """Check one board from flashing to answers. There are no retries: a board that needs them isn't well.

    Args:
        device: which.
        backend: that it runs on.
        task: what it is checked with.
        siblings: what other boards of its kind and backend answered to the same task when they were well.
        rules: what it takes to pass.
        host: this computer.
        clock: tells the time in UTC.
        faults: on purpose, of a virtual board, besides those that devices.yaml gives it (docs/faults.md).
        on_step: told what is done next.
        patience: whether to wait while somebody else has the board.

    Returns:
        Passed or failed, as an event for the book. The error "MeasurementError" means wrong answers.

    Raises:
        BusyError, FarmError, LeaseLostError: the board can't be had, so nothing can be said about it.
    """
    started = time.monotonic()
    seen = _Seen()
    answers: Answers | None = None
    error: HilError | None = None
    try:
        on_step("open")
        with opened(device, backend, faults, patience=patience) as board:
            answers = _ask(board, task, siblings, rules, seen, on_step)
    except (BusyError, FarmError, LeaseLostError):
        raise
    except HilError as problem:
        error, answers = problem, None
    event = Event(
        when=clock(),
        host=host,
        device=device.name,
        kind=device.kind.name,
        backend=backend,
        outcome="ok" if error is None else "failed",
        purpose="check",
        board_uid=seen.chip,
        suite=task.suite,
        variant=task.variant,
        image_sha256=task.image.sha256,
        inputs_sha256=task.inputs_sha256,
        harness_version=_version(),
        error=type(error).__name__ if error else None,
        reason=shown(str(error)) if error else None,
        retransmissions=seen.retransmissions,
        ticks_median=median(answers.ticks) if answers else None,
        counter=seen.counter,
        clock_hz=seen.clock_hz,
        duration_s=time.monotonic() - started,
    )
    return Check(event, answers)


@dataclass
class _Seen:
    """What is known of a board so far, also if the check then fails."""

    chip: str | None = None
    clock_hz: int | None = None
    counter: str | None = None
    retransmissions: int | None = None


def _ask(
    board: Board,
    task: Task,
    siblings: Sequence[Answers],
    rules: HealthRules,
    seen: _Seen,
    on_step: Callable[[str], None],
) -> Answers:
    seen.counter = board.counter
    link = Link(board.link(), board.name, Timing(baud=board.kind.baud))
    try:
        on_step(f"flash {task.image.path.name} and read it back")
        info = start_image(board, task.image, link)
        seen.chip, seen.clock_hz = f"{info.chip_id:016X}", info.counter_hz
        on_step("link and counter")
        for finding in link_findings(board, link, info):
            if finding.state == "problem":
                raise LinkError(f"{board.name}: {finding.text}")
        before = _repaired(link)
        rounds = []
        for number in (1, 2):
            on_step(f"{len(task.inputs)} inputs, round {number} of 2")
            link.infer(task.inputs[0])  # as in a case: the first one finds cold caches
            rounds.append([link.infer(data) for data in task.inputs])
        repaired = _repaired(link) - before
    finally:
        seen.retransmissions = link.counters.retransmissions
    first, second = (
        Answers(tuple(zlib.crc32(one.output) for one in answers), tuple(one.ticks[0] for one in answers))
        for answers in rounds
    )
    allowed = rules.link_errors * 2 * len(task.inputs)
    if repaired > allowed:
        raise LinkError(
            f"{board.name}: {repaired} frames had to be repaired in {2 * len(task.inputs)} inferences, at most "
            f"{allowed:g} are accepted; check cable, ground and baud rate"
        )
    same_ticks = board.counter == "instructions"
    if (problem := difference(first, second, same_ticks=same_ticks)) is not None:
        raise MeasurementError(f"{board.name}: doesn't repeat: in the second round {problem}")
    hold_against(board.name, first, siblings, same_ticks=same_ticks)
    return first


def _version() -> str:
    return metadata.version("tinyml-hil")


def _repaired(link: Link) -> int:
    return link.counters.retransmissions + link.counters.recoveries + link.counters.damaged_replies
