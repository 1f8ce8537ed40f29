"""What one attempt measures, once its image runs: every input's inference, then repeats, memory, layers and energy."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import ImageError, MeasurementError
from harness.measure.duty import duty_columns
from harness.measure.estimated_cycles import CycleEstimator, Estimates, estimator_of, why_not_modelled
from harness.measure.interrupts import interrupt_columns, without_interrupts
from harness.measure.latency import counter_columns, summarize
from harness.measure.memory import measure_peak_ram
from harness.measure.reference import load_reference
from harness.measure.scoring import Scoring, scoring
from harness.measure.twin_estimate import twin_columns
from harness.power.windows import Job
from harness.run.model_inputs import Answers, ModelInputs, encode_inputs
from harness.store.raw_windows import RawWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.boards.base import Board
    from harness.config import Suite, Variant
    from harness.config.data import SuiteData
    from harness.image.elf import Image
    from harness.link.client import Link
    from harness.link.messages import Inference, Info
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
        inputs: the model's inputs, as they go over the link.
        answers: how its outputs become answers.
        scoring: how its answers are scored.
        keep_outputs: whether the outputs go into the results.
        places: of the inputs in the suite's data, which pair them with those of other cases.
        suite: the suite.
        on_progress: called with the stage, how much is done, and of how much.
        force_flash: flash even if the board already holds the image.
        meter: measures the energy; None leaves that out.
        estimator: estimates cycles; None where nothing does.
        twin_estimate: whether a virtual board of the kind runs the first inputs, too, for such an estimate.
    """

    board: Board
    image: Image
    inputs: ModelInputs
    answers: Answers
    scoring: Scoring
    keep_outputs: bool
    places: tuple[int, ...]
    suite: Suite
    on_progress: Callable[[str, int, int], None]
    force_flash: bool
    meter: Meter | None
    estimator: CycleEstimator | None
    twin_estimate: bool


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
    twin_estimate: bool = False,
) -> Case:
    """Turn the inputs into the model's input tensors, and check that the outputs can be what the suite's metric takes.

    Raises:
        ImageError: the model takes other inputs, or has other outputs than the suite has classes.
        ConfigError: labels or outputs don't fit the metric, or the reference doesn't fit the model.
    """
    answers = Answers(image.card.outputs, suite.sequence)
    spec = answers.spec
    if suite.metric.labels(suite.classes) == "class" and spec.size != len(suite.classes):
        raise ImageError(
            f"{image.path}: the model has {spec.size} outputs, but {suite.path} lists {len(suite.classes)} classes"
        )
    inputs = encode_inputs(suite, variant, data, image, board.kind)
    scored = scoring(suite, data, inputs.real, spec, load_reference(suite, variant, spec, data))
    return Case(
        board=board,
        image=image,
        inputs=inputs,
        answers=answers,
        scoring=scored.of_tensors(answers.outputs),
        keep_outputs=suite.outputs != "none",
        places=tuple(data.places.tolist()),
        suite=suite,
        on_progress=on_progress or (lambda _stage, _done, _total: None),
        force_flash=force_flash,
        meter=meter,
        estimator=estimator_of(board),
        twin_estimate=twin_estimate and board.backend == "hardware",
    )


def measure(case: Case, attempt: Attempt, link: Link, info: Info, record: CaseRecord, run: Run) -> dict[str, Any]:
    """Stream all inputs, record each inference, and return the measured columns.

    Raises:
        BoardError: board, probe or link failed; another attempt may succeed.
        MeasurementError: what was measured can't be true, and no attempt would change that.
    """
    board, total = case.board, len(case.inputs.steps)
    ticks: list[int] = []
    answers: list[Any] = []
    estimates = Estimates(case.estimator, info)
    # The first inference after a reset finds cold caches; it is run and not recorded.
    first = estimates.first(lambda: link.infer(case.inputs.first[0]))
    for index, steps in enumerate(link.infer_sequences(case.inputs.steps)):
        answers.append(_record(case, record, index, steps))
        ticks += [step.ticks[0] for step in steps]
        case.on_progress("measure", index + 1, total)
    estimated = estimates.columns(ticks)
    if case.estimator is None and (why := why_not_modelled(board)) is not None:
        estimated = {"estimated_cycles_reason": why}
    if len(answers) != total:
        raise MeasurementError(f"{board.name}: {len(answers)} answers for {total} inputs")
    if board.backend == "hardware":  # emulators repeat to the instruction
        _record_repeats(case, link, record)
    scored = case.scoring.columns(np.stack(answers))
    ram, interrupts = measure_peak_ram(board, case.image, link), interrupt_columns(link.stats())
    _record_layers(case, link, record, zlib.crc32(first.output))
    counted = summarize(ticks)
    energy: dict[str, Any] = {}
    if case.meter is not None:
        if case.meter.header():
            attempt.stage = "energy"
        energy = case.meter.measure(board, _energy_job(case, link, info, counted.median, record, run))
    if case.twin_estimate:
        estimated = twin_columns(board.kind, case.image, case.inputs.steps, first.output)
    return {
        **scored,
        "ram_arena_bytes": ram.arena_bytes,
        "ram_stack_bytes": ram.stack_bytes,
        "ram_heap_bytes": ram.heap_bytes,
        "ram_peak_bytes": ram.total_bytes,
        "ram_reason": ram.reason,
        **interrupts,
        **counter_columns(counted, board.counter, info.counter_hz),
        **without_interrupts(estimated, interrupts),
        **energy,
        **duty_columns(case.suite.every, case.suite.battery, ticks, board.counter, info.counter_hz, energy),
    }


def _energy_job(case: Case, link: Link, info: Info, ticks: float, record: CaseRecord, run: Run) -> Job:
    stem = f"case{record.number}-attempt{record.attempt}-window"
    return Job(
        link.infer,
        info,
        case.inputs.first,
        ticks,
        open_raw=lambda number, monitor, sync: RawWindow(run.path, f"{stem}{number}", monitor, sync),
        on_windows=record.windows,
        log=lambda text: run.log(case.board.name, text),
        on_progress=case.on_progress,
    )


def _record(case: Case, record: CaseRecord, index: int, steps: Sequence[Inference]) -> Any:
    """Record the first run of an input: a row for each step, its output tensors, and the target that fits into no row.

    Returns the model's answer. What is said of it stands in the row of the first step.
    """
    place, labels = case.places[index], case.scoring.targets.labels
    outputs = [case.answers.split(step.output) for step in steps]
    answer = case.answers.decide(outputs)
    for number, (inference, tensors) in enumerate(zip(steps, outputs, strict=True)):
        at = {} if case.suite.sequence is None else {"step": number}
        said = {} if number else case.scoring.sample(index, answer)
        crc = zlib.crc32(inference.output)
        record.sample(sample=place, ticks=inference.ticks[0], output_crc=crc, **said, **at)
        for tensor, (spec, raw) in enumerate(zip(case.answers.outputs, tensors, strict=True)):
            if case.keep_outputs:
                scale, zero = spec.scale, spec.zero_point
                record.output(sample=place, raw=raw, scale=scale, zero_point=zero, tensor=tensor, **at)
    if labels is not None and labels.ndim > 1:
        record.target(sample=place, values=labels[index].astype(np.float64))
    return answer


def _record_repeats(case: Case, link: Link, record: CaseRecord) -> None:
    """Run some inputs several times more, which says how well the board repeats."""
    for index, tensor in enumerate(case.inputs.first[:_REPEATED_INPUTS]):
        inference = link.infer(tensor, _REPEATS)
        said: dict[str, Any] = {"step": 0}  # one step is no answer
        if case.suite.sequence is None:
            said = case.scoring.sample(index, case.answers.decide([case.answers.split(inference.output)]))
        for repeat, ticks in enumerate(inference.ticks, 1):
            record.sample(
                sample=case.places[index],
                repeat=repeat,
                **said,
                ticks=ticks,
                output_crc=zlib.crc32(inference.output),
            )


def _record_layers(case: Case, link: Link, record: CaseRecord, output_crc: int) -> None:
    """Measure the first input once more, layer by layer. It comes last because the marks need stack too."""
    specs = case.image.layers
    if specs is None:
        return
    profiled = link.profile(case.inputs.first[0])
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
