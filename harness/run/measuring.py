"""What one attempt measures, once its image runs: every input's inference, then repeats, memory, layers and energy."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import ImageError, MeasurementError
from harness.image.input_tensors import model_inputs
from harness.measure.input_columns import range_columns
from harness.measure.latency import counter_columns, summarize
from harness.measure.memory import measure_peak_ram
from harness.measure.reference import Reference, agreement_columns, load_reference
from harness.metrics.classes import predict, top1
from harness.power.windows import Job
from harness.store.raw_windows import RawWindow

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.base import Board
    from harness.config import Suite, Variant
    from harness.config.data import SuiteData
    from harness.image.elf import Image
    from harness.link.client import Link
    from harness.link.messages import Info
    from harness.power.meter import Meter
    from harness.run.retry import Attempt
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


def prepare_case(
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
    """Turn the inputs into the model's input tensors, and check that the outputs can be classes of the suite.

    Raises:
        ImageError: the model takes other inputs, or has other outputs than the suite has classes.
    """
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


def measure(case: Case, attempt: Attempt, link: Link, info: Info, record: CaseRecord, run: Run) -> dict[str, Any]:
    """Stream all inputs, record each inference, and return the measured columns.

    Raises:
        BoardError: board, probe or link failed; another attempt may succeed.
        MeasurementError: what was measured can't be true, and no attempt would change that.
    """
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
