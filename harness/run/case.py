"""One case from start to end: flash, handshake, stream the inputs, collect, measure, record."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.boards.start_image import start_image
from harness.errors import BoardError, HilError, ImageError, LeaseLostError, MeasurementError, StoreError
from harness.image.elf import Image, load_image
from harness.image.input_tensors import model_inputs
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.accuracy import predict, top1
from harness.measure.input_columns import data_columns, range_columns
from harness.measure.latency import counter_columns, summarize
from harness.measure.limits import judge
from harness.measure.memory import measure_peak_ram
from harness.measure.reference import Reference, agreement_columns, load_reference
from harness.power.windows import Job
from harness.run.retry import Attempt, Attempts, Step, chip_name, plan, prepare
from harness.store.raw_windows import RawWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.boards.base import Backend, Board
    from harness.config import BoardKind, Suite, Variant
    from harness.config.data import SuiteData
    from harness.link.messages import Info
    from harness.power.meter import Meter
    from harness.store.cases import CaseRecord
    from harness.store.runs import Run


#: Real boards run the first inputs so many times more.
_REPEATED_INPUTS, _REPEATS = 20, 4


@dataclass(frozen=True)
class Case:
    """One variant on one board, ready to be measured.

    Attributes:
        board: open.
        image: the firmware that is measured.
        inputs: the model's input tensors, as they go over the link.
        labels: the right class of each.
        reference: what the variant should answer; None if nothing says that.
        places: of the inputs in the suite's data, which pair them with those of other cases.
        inputs_columns: what the results say of the range of the inputs.
        on_progress: called with the stage, how much is done, and of how much.
        force_flash: flash even if the board already holds the image.
        meter: measures the energy; None leaves that out.
    """

    board: Board
    image: Image
    inputs: tuple[bytes, ...]
    labels: tuple[int, ...]
    reference: Reference | None
    places: tuple[int, ...]
    inputs_columns: dict[str, Any]
    on_progress: Callable[[str, int, int], None]
    force_flash: bool
    meter: Meter | None


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
    record: CaseRecord | None = None,
    meter: Meter | None = None,
    final: bool = True,
    on_attempt: Callable[[Mapping[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Measure one variant on one board, and record it.

    Only failures of the infrastructure are retried, as `harness.run.retry.plan` says; an attempt that failed leaves no
    sample behind. All samples of a case therefore come from one boot of the board.

    Args:
        board: open.
        suite: the task.
        variant: which of its models.
        data: inputs and labels.
        run: where results go.
        samples: how many of the inputs to use, of each class its share; None for all.
        retries: how often a failure of the infrastructure is retried.
        force_flash: flash even if the board already holds the image.
        on_progress: called with the stage (`flash`, `measure` or `energy`), how much is done, and of how much.
        record: of the case, if it has begun already, with the attempts to open the board; from `begin_case`.
        meter: measures its energy, once its predictions are there; None leaves that out.
        final: whether a failure of the infrastructure ends the case; if not, another board may take it. That the board
            was taken away never does.
        on_attempt: takes the row of each attempt, once it is written.

    Returns:
        The case's row, every column of the schema.

    Raises:
        HilError: the case failed; it is recorded with the reason, unless that isn't `final`.
    """
    record = record or begin_case(run, board.name, board.kind, board.backend, suite, variant)
    known: dict[str, Any] = {"device": board.name, "probe_uid": board.probe_uid or None}
    steps = plan(retries, power=board.can_power_cycle)
    attempts = Attempts(record, board.name, lambda text: run.log(board.name, text), steps, on_attempt)
    try:
        image = load_image(suite.image_path(variant, board.kind), board.kind)
        attempts.image_sha256 = image.sha256
        known |= _image_columns(image)
        data = data.chosen(samples)
        known |= data_columns(suite, data)
        case = _prepare(board, suite, variant, data, image, on_progress, meter, force_flash=force_flash)
        known |= case.inputs_columns
        measured = _attempt(case, attempts, run, known)
        attempts.ended(None)
    except HilError as error:
        if not isinstance(error, StoreError):
            attempts.ended(error)
        if not isinstance(error, BoardError) or (final and not isinstance(error, LeaseLostError)):
            record.finish(status="failed", reason=str(error), retransmissions=attempts.retransmissions, **known)
        raise
    except BaseException as error:
        stopped = isinstance(error, (KeyboardInterrupt, SystemExit))
        attempts.ended(error, "interrupted" if stopped else None)
        if not (stopped and run.writer is not None):  # another writer of the run may take the case
            name = "interrupted" if stopped else f"{type(error).__name__}: {error}"
            reason = f"{name} after {record.recorded} samples"
            record.finish(status="failed", reason=reason, retransmissions=attempts.retransmissions, **known)
        raise
    return record.finish(
        status="complete",
        judge=partial(judge, variant.limits),
        retransmissions=attempts.retransmissions,
        **known,
        **measured,
    )


def begin_case(
    run: Run,
    device: str,
    kind: BoardKind,
    backend: Backend,
    suite: Suite,
    variant: Variant,
    *,
    number: int | None = None,
    **where: str | None,
) -> CaseRecord:
    """Begin the record of a case.

    Args:
        run: that it is a case of.
        device: the board that will probably measure it.
        kind: of the board.
        backend: what it runs on.
        suite: the task.
        variant: which of its models.
        number: of the case in a run that several processes write; None counts this process's cases.
        where: the columns `pool` and `host`.
    """
    return run.begin_case(
        number=number,
        **where,
        device=device,
        board=kind.name,
        backend=backend,
        suite=suite.task,
        variant=variant.name,
        technique=variant.technique,
        baseline=variant.baseline,
    )


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
    on_progress: Callable[[str, int, int], None] | None,
    meter: Meter | None,
    *,
    force_flash: bool,
) -> Case:
    """Turn the inputs into the model's input tensors, and check that the outputs can be classes of the suite."""
    card = image.card
    if card.output.size != len(suite.classes):
        raise ImageError(
            f"{image.path}: the model has {card.output.size} outputs, but {suite.path} lists "
            f"{len(suite.classes)} classes"
        )
    try:
        real = model_inputs(data, card.input, variant.resize)
    except ImageError as error:
        raise ImageError(f"{image.path}: {error}") from error
    return Case(
        board=board,
        image=image,
        inputs=tuple(tensor.tobytes() for tensor in card.input.encode(real)),
        labels=tuple(data.labels.tolist()),
        places=tuple(data.places.tolist()),
        reference=load_reference(suite, variant, card.output, data.places),
        inputs_columns=range_columns(real, suite, variant, card.input, board.kind),
        on_progress=on_progress or (lambda _stage, _done, _total: None),
        force_flash=force_flash,
        meter=meter,
    )


def _attempt(case: Case, attempts: Attempts, run: Run, known: dict[str, Any]) -> dict[str, Any]:
    """Measure until it works, or the retries are used up; add what is known of board and image meanwhile."""
    board = case.board
    step: Step | None = None
    seen: Info | None = None
    while True:
        attempt = attempts.begin()
        try:
            if step is not None:
                prepare(board, step)
            attempt.link = Link(board.link(), board.name, Timing(baud=board.kind.baud))
            attempt.stage = "flash"
            # Somebody may have flashed the board since the last attempt, so a reset alone is no proof of the image.
            force = case.force_flash if step is None else step is not Step.RESET
            before = seen if step is Step.RESET else None
            info = start_image(board, case.image, attempt.link, case.on_progress, force=force, before=before)
            attempt.info, attempt.stage = info, "measure"
            seen, attempts.record.answered = info, True
            known |= {"build_id": info.build_id, "board_uid": chip_name(info)}
            if known.get("flashing") != "written":  # by an earlier attempt of this case
                known["flashing"] = board.flashing
            return _measure(case, attempt, attempt.link, info, attempts.record, run)
        except HilError as error:
            if attempt.stage == "flash" and board.flashing is not None:
                attempt.stage = "start"
            if not isinstance(error, BoardError):
                raise
            reason = _with_crash_report(board, error)
            _log_notes(board, run)
            step = attempts.failed(error, reason, answered=attempt.info is not None and not board.ended)
        finally:
            _log_notes(board, run)


def _log_notes(board: Board, run: Run) -> None:
    while board.notes:
        run.log(board.name, board.notes.pop(0))


def _measure(case: Case, attempt: Attempt, link: Link, info: Info, record: CaseRecord, run: Run) -> dict[str, Any]:
    """Stream all inputs, record each inference, and return the measured columns."""
    board, output = case.board, case.image.card.output
    total = len(case.inputs)
    predictions: list[int] = []
    ticks: list[int] = []
    crcs: list[int] = []
    outputs: list[Any] = []
    # The first inference after a reset finds cold caches; it is run and not recorded.
    link.infer(case.inputs[0])
    for index, inference in enumerate(link.infer_each(case.inputs)):
        outputs.append(output.decode(inference.output))
        predictions.append(predict(outputs[-1]))
        ticks.append(inference.ticks[0])
        crcs.append(zlib.crc32(inference.output))
        record.sample(
            sample=case.places[index],
            label=case.labels[index],
            prediction=predictions[-1],
            ticks=ticks[-1],
            output_crc=crcs[-1],
        )
        case.on_progress("measure", index + 1, total)
    if len(predictions) != total:
        raise MeasurementError(f"{board.name}: {len(predictions)} inferences for {total} inputs")
    if board.backend == "hardware":  # emulators repeat to the instruction
        _record_repeats(case, link, record)
    accuracy = top1(predictions, case.labels)
    ram = measure_peak_ram(board, case.image, link)
    _record_layers(case, link, record, crcs[0])
    counted = summarize(ticks)
    energy: dict[str, Any] = {}
    if case.meter is not None:
        if case.meter.header():
            attempt.stage = "energy"
        energy = case.meter.measure(board, _energy_job(case, link, info, counted.median, record, run))
    return {
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        **_agreement(case, predictions, outputs),
        "ram_stack_bytes": ram.stack_bytes,
        "ram_heap_bytes": ram.heap_bytes,
        "ram_peak_bytes": ram.total_bytes,
        **counter_columns(counted, board.counter, info.counter_hz),
        **energy,
    }


def _energy_job(case: Case, link: Link, info: Info, ticks: float, record: CaseRecord, run: Run) -> Job:
    stem = f"case{record.number}-attempt{record.attempt}-window"
    return Job(
        link.infer,
        info,
        case.inputs,
        ticks,
        open_raw=lambda number, monitor, sync: RawWindow(run.path, f"{stem}{number}", monitor, sync),
        on_windows=record.windows,
        log=lambda text: run.log(case.board.name, text),
        on_progress=case.on_progress,
    )


def _agreement(case: Case, predictions: list[int], outputs: list[Any]) -> dict[str, Any]:
    if case.reference is None:
        return {}
    return agreement_columns(case.reference, predictions, np.stack(outputs), case.image.card.output)


def _record_repeats(case: Case, link: Link, record: CaseRecord) -> None:
    """Run some inputs several times more, which says how well the board repeats."""
    output = case.image.card.output
    for index, tensor in enumerate(case.inputs[:_REPEATED_INPUTS]):
        inference = link.infer(tensor, _REPEATS)
        for repeat, ticks in enumerate(inference.ticks, 1):
            record.sample(
                sample=case.places[index],
                repeat=repeat,
                label=case.labels[index],
                prediction=predict(output.decode(inference.output)),
                ticks=ticks,
                output_crc=zlib.crc32(inference.output),
            )


def _record_layers(case: Case, link: Link, record: CaseRecord, output_crc: int) -> None:
    """Measure the first input once more, layer by layer. It comes last because the marks need stack too."""
    specs = case.image.layers
    if specs is None:
        return
    profiled = link.profile(case.inputs[0])
    if zlib.crc32(profiled.output) != output_crc or len(profiled.layers) != len(specs):
        raise MeasurementError(
            f"{case.board.name}: measured layer by layer ({len(profiled.layers)} of {len(specs)} layers), the first "
            "input gave another output than before: the engine's two ways to run the model differ"
        )
    record.layers(
        [
            {
                "operator": spec.kind,
                "position": spec.operator,
                "kernel": spec.kernel,
                "output_shape": "x".join(map(str, spec.output)),
                "ticks": ticks,
                "macs": spec.macs,
                "moved_bytes": spec.bytes_moved,
                "parameters": spec.parameters,
            }
            for spec, ticks in zip(specs, profiled.layers, strict=True)
        ]
    )


def _with_crash_report(board: Board, error: BoardError) -> str:
    """Add to an error where the firmware is, if the probe can still tell."""
    try:
        report = board.crash_report()
    except BoardError as silent:
        report = f"the probe can't tell where the firmware is ({silent})"
    if not report:
        return str(error)
    end = "" if str(error).endswith(("?", ".")) else "."
    return f"{error}{end} {report[0].upper()}{report[1:]}"
