"""The health check of a board: flash an image that is known to work, read it back, and run it on known inputs."""

from __future__ import annotations

import time
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from harness.boards.backends import choose_backend
from harness.boards.start_image import start_image
from harness.config import load_suite
from harness.config.state import hostname, is_here, now
from harness.errors import (
    BoardError,
    BusyError,
    ConfigError,
    FarmError,
    HilError,
    LeaseLostError,
    LinkError,
    MeasurementError,
)
from harness.health.book import open_book
from harness.health.history import Check, Outputs
from harness.health.trial import Trial, shown
from harness.image.elf import load_image
from harness.image.input_tensors import input_tensors
from harness.link.client import Link
from harness.link.timing import Timing
from harness.locks.waiting import NOW
from harness.measure.link_health import link_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.boards.base import Backend, Board
    from harness.config import BoardKind, Device, Lab
    from harness.config.health import HealthRules
    from harness.image.elf import Image
    from harness.locks.waiting import Patience
    from harness.run.access import Access

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
        return f"{self.image.sha256[:16]}-{self.inputs_sha256[:16]}-{metadata.version('tinyml-hil')}"


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
                if [tensor.dtype for tensor in image.card.inputs] == ["int8"] and suite.sequence is None:
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
    lab: Lab,
    device: Device,
    access: Access,
    results_dir: Path | None = None,
    *,
    on_step: Callable[[str], None] = lambda _step: None,
    patience: Patience = NOW,
) -> Check:
    """Check a board from flashing to answers, write down what came of it, and apply the rules.

    There are no retries: a board that needs them isn't well.

    Args:
        lab: that the device is of; the inputs and the image are those of its folder.
        device: attached to this host, or virtual.
        access: opens the board.
        results_dir: whose runs count; as for `open_book`.
        on_step: told what is done next.
        patience: whether to wait while somebody else has the board.

    Returns:
        Passed or failed. The error "MeasurementError" means wrong answers.

    Raises:
        BusyError, FarmError, LeaseLostError: the board can't be had, so nothing can be said about it.
        ConfigError: it is another host's, or there is nothing to check it with.
        StoreError: the result can't be written.
    """
    if not is_here(device):
        raise ConfigError(f"{device.name} is attached to {device.host}, and this is {hostname()}: check it there")
    book = open_book(lab, results_dir)
    # The twin of a real board that isn't attached would say that the real one is well.
    backend, _ = choose_backend(device, "hardware" if device.hardware else "auto")
    task = task_for(device.kind, suites_in(lab.path.parent if lab.path else Path()))
    siblings = book.checks.siblings(device.name, device.kind.name, backend, task.key)
    check = examine(
        device, access, task, siblings, lab.farm.health, backend=backend, on_step=on_step, patience=patience
    )
    book.checks.add(check)
    book.tested(device.name, ok=check.ok, reason=check.reason)
    book.review()
    return check


def examine(
    device: Device,
    access: Access,
    task: Task,
    siblings: Sequence[Outputs],
    rules: HealthRules,
    *,
    backend: Backend,
    on_step: Callable[[str], None] = lambda _step: None,
    patience: Patience = NOW,
) -> Check:
    """Check a board as `check_board`, but write nothing: who asked for it may be on another computer.

    Args:
        device: attached to this host, or virtual.
        access: opens the board.
        task: what it is checked with.
        siblings: what other boards of its kind and backend answered when they were well.
        rules: what it takes to pass.
        backend: what the board runs on.
        on_step: told what is done next.
        patience: whether to wait while somebody else has the board.

    Raises:
        BusyError, FarmError, LeaseLostError: the board can't be had, so nothing can be said about it.
    """
    started = time.monotonic()
    known: dict[str, Any] = {"suite": task.suite, "variant": task.variant}
    outputs: Outputs | None = None
    error: HilError | None = None
    try:
        on_step("open")
        with access.open(device, backend, patience=patience) as board:
            outputs = _ask(board, task, siblings, rules, known, on_step)
    except (BusyError, FarmError, LeaseLostError):
        raise
    except HilError as problem:
        error, outputs = problem, None
    trial = Trial(
        when=now(),
        host=hostname(),
        device=device.name,
        kind=device.kind.name,
        backend=backend,
        outcome="ok" if error is None else "failed",
        purpose="check",
        image_sha256=task.image.sha256,
        inputs_sha256=task.inputs_sha256,
        harness_version=metadata.version("tinyml-hil"),
        error=type(error).__name__ if error else None,
        reason=shown(str(error)) if error else None,
        ticks_median=median(outputs.ticks) if outputs else None,
        duration_s=time.monotonic() - started,
        **known,
    )
    return Check(trial, task.key, outputs)


def _ask(
    board: Board,
    task: Task,
    siblings: Sequence[Outputs],
    rules: HealthRules,
    known: dict[str, Any],
    on_step: Callable[[str], None],
) -> Outputs:
    known["counter"] = board.counter
    link = Link(board.link(), board.name, Timing(baud=board.kind.baud))
    try:
        on_step(f"flash {task.image.path.name} and read it back")
        info = start_image(board, task.image, link)
        known |= {"board_uid": f"{info.chip_id:016X}", "clock_hz": info.counter_hz}
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
        known["retransmissions"] = link.counters.retransmissions
    first, second = (
        Outputs(tuple(zlib.crc32(one.output) for one in given), tuple(one.ticks[0] for one in given))
        for given in rounds
    )
    allowed = rules.link_errors * 2 * len(task.inputs)
    if repaired > allowed:
        raise LinkError(
            f"{board.name}: {repaired} frames had to be repaired in {2 * len(task.inputs)} inferences, at most "
            f"{allowed:g} are accepted; check cable, ground and baud rate"
        )
    same_ticks = board.counter != "cycles"
    if (problem := difference(first, second, same_ticks=same_ticks)) is not None:
        raise MeasurementError(f"{board.name}: doesn't repeat: in the second round {problem}")
    hold_against(board.name, first, siblings, same_ticks=same_ticks)
    return first


def _repaired(link: Link) -> int:
    return link.counters.retransmissions + link.counters.recoveries + link.counters.damaged_replies


def difference(expected: Outputs, got: Outputs, *, same_ticks: bool) -> str | None:
    """Say where outputs differ; None if they don't.

    Args:
        expected: what is right.
        got: what came.
        same_ticks: whether the ticks must be equal too, as an emulator's instructions are.
    """
    if len(expected.crcs) != len(got.crcs):
        return f"{len(got.crcs)} inputs were answered instead of {len(expected.crcs)}"
    if wrong := _places(expected.crcs, got.crcs):
        return (
            f"the output of {len(wrong)} of {len(expected.crcs)} inputs is another one, first that of input {wrong[0]}"
        )
    if not same_ticks or not (late := _places(expected.ticks, got.ticks)):
        return None
    return (
        f"{len(late)} of {len(expected.ticks)} inputs took another number of instructions, first input {late[0]}: "
        f"{got.ticks[late[0]]:,} instead of {expected.ticks[late[0]]:,}"
    )


def _places(expected: Sequence[int], got: Sequence[int]) -> list[int]:
    return [place for place, pair in enumerate(zip(expected, got, strict=True)) if pair[0] != pair[1]]


def hold_against(name: str, own: Outputs, siblings: Sequence[Outputs], *, same_ticks: bool) -> None:
    """Compare with what siblings gave: what most of them say is right; of two boards nobody knows which one is.

    Args:
        name: of the board, for messages.
        own: what it gave.
        siblings: what other boards gave when they were well.
        same_ticks: as for `difference`.

    Raises:
        MeasurementError: at least two siblings, and most of them, agree with each other and not with the board.
        BoardError: the outputs differ, and nobody can say whose are wrong.
    """
    if not siblings:
        return
    compared = [one if same_ticks else replace(one, ticks=own.ticks) for one in siblings]
    ((common, votes),) = Counter(compared).most_common(1)
    problem = difference(common, own, same_ticks=same_ticks)
    if problem is None:
        return
    if votes > 1 and 2 * votes > len(compared):
        raise MeasurementError(f"{name}: other answers than {votes} boards of its kind gave: {problem}")
    raise BoardError(
        f"{name}: other answers than another board gave, and which board is wrong can't be told: {problem}"
    )
