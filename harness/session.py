"""One case from start to end: flash, handshake, stream the inputs, collect, measure, record."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import zlib
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from harness import recovery
from harness.errors import BoardError, ConfigError, FlashError, HilError, ImageError, MeasurementError
from harness.image import Image, load_image
from harness.inputs import input_tensors
from harness.link.client import Link
from harness.link.wire import Timing
from harness.measure.accuracy import predict, top1
from harness.measure.latency import counter_columns, summarize
from harness.measure.memory import measure_peak_ram
from harness.model_card import parse_card
from harness.recovery import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.boards.base import Board
    from harness.config import Device, Lab, Suite, SuiteData, Variant
    from harness.link.messages import Info
    from harness.store.cases import CaseRecord
    from harness.store.runs import Run

_FLASH_STEPS = 100
_TOOLS = ("pyocd", "pyserial", "unicorn", "numpy", "pandas", "pyarrow")


@dataclass(frozen=True)
class _Case:
    """What one case is made of."""

    board: Board
    image: Image
    inputs: tuple[bytes, ...]
    labels: tuple[int, ...]
    on_progress: Callable[[str, int, int], None]
    force_flash: bool


def run_case(
    board: Board,
    suite: Suite,
    variant: Variant,
    data: SuiteData,
    run: Run,
    *,
    samples: int | None = None,
    retries: int = 2,
    force_flash: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure one variant on one board, and record it.

    Only failures of the infrastructure are retried, as `recovery.plan` says; an attempt that failed leaves no
    sample behind. All samples of a case therefore come from one boot of the board.

    Args:
        board: open.
        suite: the task.
        variant: which of its models.
        data: inputs and labels.
        run: where results go.
        samples: how many of the inputs to use, None for all.
        retries: how often a failure of the infrastructure is retried.
        force_flash: flash even if the board already runs the image.
        on_progress: called with the stage (`flash` or `measure`), how much is done, and of how much.

    Returns:
        The case's row, every column of the schema.

    Raises:
        HilError: the case failed; it is recorded with the reason.
    """
    record = run.begin_case(
        device=board.name,
        board=board.kind.name,
        backend=board.backend,
        suite=suite.task,
        variant=variant.name,
        technique=variant.technique,
        baseline=variant.baseline,
        probe_uid=board.probe_uid or None,
    )
    known: dict[str, Any] = {}
    try:
        image = load_image(suite.image_path(variant, board.kind), board.kind)
        known |= _image_columns(image)
        case = _prepare(board, suite, variant, data, image, samples, on_progress, force_flash=force_flash)
        measured = _attempt(case, record, run, known, retries)
    except HilError as error:
        record.finish(status="failed", reason=str(error), **known)
        raise
    except BaseException as error:
        name = (
            "interrupted" if isinstance(error, (KeyboardInterrupt, SystemExit)) else f"{type(error).__name__}: {error}"
        )
        record.finish(status="failed", reason=f"{name} after {record.recorded} samples", **known)
        raise
    return record.finish(status="complete", **known, **measured)


def _image_columns(image: Image) -> dict[str, Any]:
    return {
        "image_sha256": image.sha256,
        "engine": image.card.engine,
        "toolchain": image.toolchain,
        "flash_bytes": image.flash_bytes,
        "flash_compressed_bytes": image.flash_compressed_bytes,
        "ram_static_bytes": image.ram_static_bytes,
        "ram_arena_bytes": image.ram_arena_bytes,
    }


def _prepare(
    board: Board,
    suite: Suite,
    variant: Variant,
    data: SuiteData,
    image: Image,
    samples: int | None,
    on_progress: Callable[[str, int, int], None] | None,
    *,
    force_flash: bool,
) -> _Case:
    """Turn the inputs into the model's input tensors, and check that the outputs can be classes of the suite."""
    card = image.card
    if card.output.size != len(suite.classes):
        raise ImageError(
            f"{image.path}: the model has {card.output.size} outputs, but {suite.path} lists "
            f"{len(suite.classes)} classes"
        )
    count = len(data) if samples is None else samples
    if not 1 <= count <= len(data):
        raise ConfigError(f"{suite.path}: {count} samples were asked for, but there are {len(data)}")
    try:
        tensors = input_tensors(data, card.input, variant.resize, count)
    except ImageError as error:
        raise ImageError(f"{image.path}: {error}") from error
    return _Case(
        board=board,
        image=image,
        inputs=tuple(tensor.tobytes() for tensor in tensors),
        labels=tuple(int(label) for label in data.labels[:count]),
        on_progress=on_progress or (lambda _stage, _done, _total: None),
        force_flash=force_flash,
    )


def _attempt(case: _Case, record: CaseRecord, run: Run, known: dict[str, Any], retries: int) -> dict[str, Any]:
    """Measure until it works, or the retries are used up."""
    board = case.board
    repaired = 0
    steps = recovery.plan(retries, power=board.can_power_cycle)
    step: Step | None = None
    seen: Info | None = None
    while True:
        link: Link | None = None
        answered = False
        try:
            if step is not None:
                recovery.prepare(board, step)
            link = Link(board.link(), board.name, Timing(baud=board.kind.baud))
            if step is Step.RESET:
                info = restart_image(board, case.image, link, seen)
            else:
                force = case.force_flash or step is not None
                info = start_image(board, case.image, link, case.on_progress, force=force)
            answered, seen = True, info
            known |= {"build_id": info.build_id, "board_uid": f"{info.chip_id:016X}"}
            measured = _measure(case, link, info, record)
        except BoardError as error:
            reason = _with_crash_report(board, error)
            repaired += link.counters.retransmissions if link else 0
            known["retransmissions"] = repaired
            _log_notes(board, run)
            last = record.attempt >= len(steps)
            step = None if last else recovery.choose(steps[record.attempt], error, answered=answered)
            then = f"next: {step}" if step else "given up"
            run.log(board.name, f"attempt {record.attempt + 1}: {reason} ({then})")
            if step is None:
                raise type(error)(f"{reason} (attempt {record.attempt + 1} of {len(steps) + 1})") from error
            record.restart(f"{reason} ({then})")
        else:
            _log_notes(board, run)
            known["retransmissions"] = repaired + link.counters.retransmissions
            return measured


def _log_notes(board: Board, run: Run) -> None:
    for note in board.notes:
        run.log(board.name, note)
    board.notes.clear()


def start_image(
    board: Board,
    image: Image,
    link: Link,
    on_progress: Callable[[str, int, int], None] | None = None,
    *,
    force: bool = True,
) -> Info:
    """Flash an image unless it runs already, start it, and make sure that it is what runs.

    Args:
        board: open.
        image: what to run.
        link: over the board's serial line, not yet connected.
        on_progress: told how far flashing is.
        force: flash even if the board already runs the image.

    Raises:
        BoardError: flashing failed, or the firmware doesn't answer.
        ImageError: the image is not for this board.
    """

    def flashed(share: float) -> None:
        if on_progress is not None:
            on_progress("flash", round(share * _FLASH_STEPS), _FLASH_STEPS)

    before = None if force else _running(board, image, link)
    if before is not None and before.build_id == image.build_id:
        board.notes.append(f"flashing {image.path.name} skipped: build id {image.build_id} already runs")
        return restart_image(board, image, link, before)
    board.flash(image, flashed)
    return restart_image(board, image, link, before)


def restart_image(board: Board, image: Image, link: Link, before: Info | None = None) -> Info:
    """Reset a board that has the image in flash, and make sure that it is what runs.

    Args:
        board: open.
        image: what is in its flash.
        link: over its serial line.
        before: what answered on that line before; the reset must have changed its boot nonce.

    Raises:
        BoardError: the board can't be reset, something else runs, or the port is another board's.
    """
    board.adopt(image)
    board.link().drain()
    board.reset()
    info = link.connect()
    if before is not None and info.nonce == before.nonce:
        raise FlashError(
            f"{board.name}: the board was reset, but what answers on its serial port was not (boot nonce "
            f"0x{info.nonce:08X} as before). Does the serial port belong to another board than the probe? "
            "Without a probe: does resetting the board work?"
        )
    check_identity(board, image, info)
    return info


def _running(board: Board, image: Image, link: Link) -> Info | None:
    """Ask what runs on a board, unless its flash says that it can't be the image."""
    if not board.reads_memory:
        board.link().drain()
        return link.ask()
    start = next(segment for segment in image.segments if segment.address <= image.vectors < segment.end)
    offset = image.vectors - start.address
    if board.read_memory(image.vectors, 8) != start.data[offset : offset + 8]:
        return None
    board.link().drain()
    return link.ask()


def check_identity(board: Board, image: Image, info: Info) -> None:
    """Check that what answers on the serial line is the image that was flashed.

    Raises:
        FlashError: another build runs there.
        ImageError: the running model is not what the image's card says.
    """
    if info.build_id != image.build_id:
        raise FlashError(
            f"{board.name}: the running firmware has build id {info.build_id}, but {image.path.name} was flashed "
            f"({image.build_id}). Does the serial port belong to another board than the probe?"
        )
    card = parse_card(info.card, f"{board.name}: what the firmware sent")
    if card != image.card or (info.input_bytes, info.output_bytes) != (card.input.nbytes, card.output.nbytes):
        raise ImageError(
            f"{board.name}: the firmware announces another model ({card.model}, {info.input_bytes} bytes in, "
            f"{info.output_bytes} out) than {image.path.name} contains ({image.card.model}); build the image again"
        )


def _measure(case: _Case, link: Link, info: Info, record: CaseRecord) -> dict[str, Any]:
    """Stream all inputs, record each inference, and return the measured columns."""
    board, output = case.board, case.image.card.output
    total = len(case.inputs)
    predictions: list[int] = []
    ticks: list[int] = []
    # The first inference after a reset finds cold caches; it is run and not recorded.
    link.infer(case.inputs[0])
    for index, inference in enumerate(link.infer_each(case.inputs)):
        predictions.append(predict(output.decode(inference.output)))
        ticks.append(inference.ticks[0])
        record.sample(
            sample=index,
            label=case.labels[index],
            prediction=predictions[-1],
            ticks=ticks[-1],
            output_crc=zlib.crc32(inference.output),
        )
        case.on_progress("measure", index + 1, total)
    if len(predictions) != total:
        raise MeasurementError(f"{board.name}: {len(predictions)} inferences for {total} inputs")
    accuracy = top1(predictions, case.labels)
    ram = measure_peak_ram(board, case.image, link)
    return {
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        "ram_stack_bytes": ram.stack_bytes,
        "ram_heap_bytes": ram.heap_bytes,
        "ram_peak_bytes": ram.total_bytes,
        **counter_columns(summarize(ticks), board.counter, info.counter_hz),
    }


def _with_crash_report(board: Board, error: BoardError) -> str:
    """Add to an error where the firmware is, if the probe can still tell."""
    try:
        report = board.crash_report()
    except BoardError as silent:
        report = f"the probe can't tell where the firmware is ({silent})"
    return f"{error}. {report[0].upper()}{report[1:]}" if report else str(error)


def provenance(
    lab: Lab, devices: Sequence[Device], suites: Sequence[Suite], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Say what a run was made with, for run.json.

    Args:
        lab: the configuration.
        devices: the selected boards.
        suites: the suites that will run.
        options: what else the user chose.
    """
    config = {
        "lab": lab.model_dump(mode="json"),
        "devices": [device.model_dump(mode="json") for device in devices],
        "suites": [suite.model_dump(mode="json") for suite in suites],
        "options": dict(options),
    }
    text = json.dumps(config, sort_keys=True, default=str)
    return {
        "harness_version": metadata.version("tinyml-hil"),
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "seed": 0,
        "config": config,
        "git_revision": _git_revision(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "tools": {name: metadata.version(name) for name in _TOOLS},
    }


def _git_revision() -> str | None:
    """Revision of the checkout that the run was started in, with `+` if files differ; None outside of one."""
    git = shutil.which("git")
    if git is None:
        return None
    answers = []
    for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]):
        done = subprocess.run([git, *command], capture_output=True, text=True, check=False)  # noqa: S603 (own command)
        if done.returncode != 0:
            return None
        answers.append(done.stdout.strip())
    return answers[0] + ("+" if answers[1] else "")
