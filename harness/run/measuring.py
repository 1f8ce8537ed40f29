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
from harness.measure.reference import load_reference
from harness.measure.scoring import Scoring, scoring
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
        scoring: how its answers are scored.
        keep_outputs: whether the outputs go into the results.
        places: of the inputs in the suite's data, which pair them with those of other cases.
        inputs_columns: what the results say of the range of the inputs.
        on_progress: called with the stage, how much is done, and of how much.
        force_flash: flash even if the board already holds the image.
        meter: measures the energy; None leaves that out.
    """

    board: Board
    image: Image
    inputs: tuple[bytes, ...]
    scoring: Scoring
    keep_outputs: bool
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
    """Turn the inputs into the model's input tensors, and check that the outputs can be what the suite's metric takes.

    Raises:
        ImageError: the model takes other inputs, or has other outputs than the suite has classes.
        ConfigError: labels or outputs don't fit the metric, or the reference doesn't fit the model.
    """
    card = image.card
    if suite.metric.labels(suite.classes) == "class" and card.output.size != len(suite.classes):
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
        scoring=scoring(suite, data, real, card.output, load_reference(suite, variant, card.output, data)),
        keep_outputs=suite.outputs != "none",
        places=tuple(data.places.tolist()),
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
    ticks: list[int] = []
    crcs: list[int] = []
    outputs: list[Any] = []
    # The first inference after a reset finds cold caches; it is run and not recorded.
    link.infer(case.inputs[0])
    for index, inference in enumerate(link.infer_each(case.inputs)):
        outputs.append(output.decode(inference.output))
        ticks.append(inference.ticks[0])
        crcs.append(zlib.crc32(inference.output))
        _record(case, record, index, outputs[-1], ticks=ticks[-1], output_crc=crcs[-1])
        case.on_progress("measure", index + 1, total)
    if len(outputs) != total:
        raise MeasurementError(f"{board.name}: {len(outputs)} inferences for {total} inputs")
    if board.backend == "hardware":  # emulators repeat to the instruction
        _record_repeats(case, link, record)
    scored = case.scoring.columns(np.stack(outputs))
    ram = measure_peak_ram(board, case.image, link)
    _record_layers(case, link, record, crcs[0])
    counted = summarize(ticks)
    energy: dict[str, Any] = {}
    if case.meter is not None:
        if case.meter.header():
            attempt.stage = "energy"
        energy = case.meter.measure(board, _energy_job(case, link, info, counted.median, record, run))
    return {
        **scored,
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


def _record(case: Case, record: CaseRecord, index: int, output: Any, **columns: Any) -> None:
    """Record the first inference on an input: its row, its output tensor, and the target that fits into no row."""
    place, spec, labels = case.places[index], case.scoring.output, case.scoring.targets.labels
    record.sample(sample=place, **case.scoring.sample(index, output), **columns)
    if case.keep_outputs:
        record.output(sample=place, raw=output, scale=spec.scale, zero_point=spec.zero_point)
    if labels is not None and labels.ndim > 1:
        record.target(sample=place, values=labels[index].astype(np.float64))


def _record_repeats(case: Case, link: Link, record: CaseRecord) -> None:
    """Run some inputs several times more, which says how well the board repeats."""
    output = case.image.card.output
    for index, tensor in enumerate(case.inputs[:_REPEATED_INPUTS]):
        inference = link.infer(tensor, _REPEATS)
        for repeat, ticks in enumerate(inference.ticks, 1):
            record.sample(
                sample=case.places[index],
                repeat=repeat,
                **case.scoring.sample(index, output.decode(inference.output)),
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
