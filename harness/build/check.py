"""Holds what an image computes on the virtual board against what an interpreter makes of the same model."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING

import numpy as np

from harness.build.interpreters import INSTALL, NoInterpreterError, installed, open_interpreter, order_for
from harness.config.lab import Device
from harness.errors import BoardError, ImageError
from harness.link.client import Link

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.boards.base import Board
    from harness.build.graph import Graph
    from harness.build.interpreters import Interpreter
    from harness.config import BoardKind
    from harness.image.elf import Image
    from harness.image.model_card import TensorSpec

_INPUTS = 4
_CANDIDATES = 24
_SEED = 20


class MiscompiledError(ImageError):
    """An image doesn't compute what its model says."""


@dataclass(frozen=True)
class Difference:
    """How outputs compare with those of an interpreter.

    Attributes:
        inputs: how many inputs were compared.
        equal: outputs that are equal bit for bit.
        predictions: outputs whose largest value is at the same index.
        largest: difference between two elements, in steps for integers.
        allowed: what is allowed of it.
        first: place of the first element that differs by more, [input, element]; None: none does.
    """

    inputs: int
    equal: int
    predictions: int
    largest: float
    allowed: float
    first: tuple[int, int] | None

    @property
    def holds(self) -> bool:
        """Whether the differences are those that are allowed."""
        return self.first is None


def integers(graph: Graph) -> bool:
    """Whether a model computes with integers, and doesn't only store or pass them."""
    passed = ("QUANTIZE", "DEQUANTIZE")
    computed = [operator.outputs[0] for operator in graph.operators if operator.kind not in passed]
    return any(graph.tensors[index].dtype != "float32" for index in computed)


def run_sequence(
    board: Board, image: Image, steps: Sequence[Sequence[NDArray[np.generic]]], *, anew: bool
) -> list[NDArray[np.generic]]:
    """Run steps, each an array for each input, on a board, flashing the image if it isn't there.

    With `anew` the state of the model is reset before each step, else before the first one only. Returns the values
    [steps, values] of each output, raw.
    """
    from harness.boards.start_image import start_image  # noqa: PLC0415 - pyOCD takes a second to import

    link = Link(board.link(), board.name)
    start_image(board, image, link)
    sent = [b"".join(np.ascontiguousarray(tensor).tobytes() for tensor in step) for step in steps]
    sequences = link.infer_sequences([[step] for step in sent] if anew else [sent])
    contents = [result.output for results in sequences for result in results]
    ends = np.cumsum([spec.nbytes for spec in image.card.outputs])
    return [
        np.stack([spec.decode(content[end - spec.nbytes : end]) for content in contents])
        for spec, end in zip(image.card.outputs, ends.tolist(), strict=True)
    ]


def compare(interpreter: Interpreter, ours: NDArray[np.generic], theirs: NDArray[np.generic]) -> Difference:
    """Compare outputs, both [N, outputs] and raw, with what the interpreter allows."""
    distance = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
    allowed = interpreter.allowed(theirs)
    wrong = np.argwhere(~(distance <= allowed))  # NaN is wrong, too
    return Difference(
        inputs=len(ours),
        equal=int(np.count_nonzero((ours == theirs).all(axis=1))),
        predictions=int(np.count_nonzero(ours.argmax(axis=1) == theirs.argmax(axis=1))),
        largest=float(distance.max()),
        allowed=allowed,
        first=(int(wrong[0][0]), int(wrong[0][1])) if len(wrong) else None,
    )


def missing_check(kind: BoardKind) -> str | None:
    """Say why images for a kind of board can't be checked on this computer; None if they can."""
    if kind.twin is None:
        return f"not compared with an interpreter, as {kind.title} has no virtual board"
    if not installed():
        return f"not compared with an interpreter, as none is installed: {INSTALL}"
    return None


def check_image(image: Image, model: Path, graph: Graph, kind: BoardKind) -> str:
    """Run an image of a model on the virtual board beside an interpreter, on a few made-up inputs, always the same.

    Returns what was compared, in one line; or why nothing could be.

    Raises:
        MiscompiledError: it doesn't run, or its outputs differ by more than they may.
    """
    from harness.boards.opening import open_board  # noqa: PLC0415 - pyOCD, as above

    order = order_for(integers=integers(graph))
    if not integers(graph) and any(operator.kind == "DEQUANTIZE" for operator in graph.operators):
        order = ("litert",)  # TensorFlow Lite Micro takes the first scale of several of a dequantized tensor
    try:
        interpreter = open_interpreter(model, order)
    except NoInterpreterError as error:
        return f"Not compared with an interpreter: {error}."
    anew = not graph.state
    steps, theirs = _telling(interpreter, anew=anew)
    try:
        with open_board(Device(name=kind.name, kind=kind), "virtual") as board:
            ours = run_sequence(board, image, steps, anew=anew)
    except BoardError as error:
        raise MiscompiledError(
            f"{model}: the image doesn't run on the virtual board, and was not written: {error}. --no-check builds it "
            "all the same"
        ) from error
    found = [compare(interpreter, *pair) for pair in zip(ours, theirs, strict=True)]
    for number, difference in enumerate(found):
        _refuse_difference(model, interpreter, difference, ours[number], theirs[number])
    return _seen(interpreter, found, theirs, anew=anew)


def _refuse_difference(
    model: Path, interpreter: Interpreter, found: Difference, ours: NDArray[np.generic], theirs: NDArray[np.generic]
) -> None:
    if found.first is None:
        return
    sample, element = found.first
    raise MiscompiledError(
        f"{model}: the image doesn't compute what {interpreter.title} does: on made-up input {sample} its output "
        f"{element} is {ours[sample, element]!s}, not {theirs[sample, element]!s} ({found.equal} of {found.inputs} "
        f"outputs are equal, the largest difference is {found.largest:.3g}{_unit(theirs)}, {found.allowed:.3g} is "
        "allowed). That is a fault of the compiler or the engine: no image was written. Please report it with the "
        "model; --no-check builds it all the same, to look at it"
    )


def _seen(
    interpreter: Interpreter, found: Sequence[Difference], theirs: Sequence[NDArray[np.generic]], *, anew: bool
) -> str:
    """Say what was compared, and how it was."""
    count = found[0].inputs
    what = f"{count} made-up inputs" if anew else f"{count} made-up steps of one sequence"
    worst = max(range(len(found)), key=lambda number: found[number].largest)
    equal = all(difference.equal == count for difference in found)
    how = "equal bit for bit" if equal else f"within {found[worst].largest:.2g}{_unit(theirs[worst])}"
    alike = all(len({row.tobytes() for row in rows}) == 1 for rows in theirs)
    same = " (every input gives the same output: that says little)" if alike else ""
    return f"Checked: {what} on the virtual board and in {interpreter.title}: {how}{same}."


def _unit(outputs: NDArray[np.generic]) -> str:
    return "" if outputs.dtype.kind == "f" else " steps"


def _telling(
    interpreter: Interpreter, *, anew: bool
) -> tuple[list[list[NDArray[np.generic]]], list[NDArray[np.generic]]]:
    """Return inputs on which a model gives outputs of many different values, and those outputs.

    Noise over the whole range drives many models to one saturated output, which would hide a wrong layer. A model with
    state runs all inputs in one sequence, unless it begins `anew` with each.
    """
    steps = [list(tensors) for tensors in zip(*starmap(candidates, enumerate(interpreter.inputs)), strict=True)]
    runs = [(step, interpreter.infer(step)) for step in steps]
    if anew:
        runs.sort(key=lambda run: -sum(len(np.unique(output)) for output in run[1]))
        runs = runs[:_INPUTS]
    outputs = [np.stack(rows) for rows in zip(*(outputs for _, outputs in runs), strict=True)]
    return [step for step, _ in runs], outputs


def candidates(number: int, spec: TensorSpec) -> Iterator[NDArray[np.generic]]:
    """Make values for input `number`: noise of several contrasts around several levels, and ramps, always the same."""
    rng = np.random.default_rng(_SEED + number)
    for index in range(_CANDIDATES):
        contrast, level = (1.0, 0.5, 0.1)[index % 3], (0.0, 0.5, -0.5)[index // 3 % 3]
        shape = rng.uniform(-1, 1, spec.size) if index % 4 else np.sin(np.arange(spec.size) * rng.uniform(0.01, 1))
        values = np.clip(level + contrast * shape, -1, 1)
        if spec.dtype == "float32":
            yield (2 * values).astype(np.float32)
        else:
            limits = np.iinfo(spec.dtype)
            middle, half = (limits.max + limits.min) / 2, (limits.max - limits.min) / 2
            yield np.rint(middle + half * values).astype(spec.dtype)
