"""`hil reference`: what a model gives on a suite's inputs, by an interpreter on this computer."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import click
import numpy as np

from harness.build import parse_tflite
from harness.build.check import integers
from harness.build.interpreters import open_interpreter, order_for
from harness.config import load_suite
from harness.errors import ConfigError, ImageError
from harness.image.input_tensors import input_tensors
from harness.measure.accuracy import predict, top1
from harness.measure.reference import real_outputs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.build.interpreters import Name
    from harness.config import Suite
    from harness.config.suite import Variant

#: Between two lines of progress.
_EVERY_S = 5.0


def make_reference(model: Path, suite_path: Path, variant: str | None, wanted: Name | None, out: Path) -> None:
    """Run a model on all inputs of a suite and save its outputs and classes.

    Args:
        model: a .tflite file.
        suite_path: the suite.
        variant: the one whose `resize:` the inputs go through; None: they have the model's size.
        wanted: the interpreter; None: the one that the firmware is to equal, if it is installed.
        out: the .npz file.

    Raises:
        ConfigError: model, suite or file is wrong, the inputs don't fit the model, or no interpreter can run it.
    """
    suite = load_suite(suite_path)
    resize = None if variant is None else suite.variant(variant).resize
    data = suite.load_all()
    try:
        content = model.read_bytes()
    except OSError as error:
        raise ConfigError(f"{model}: can't be read: {error.strerror}") from error
    interpreter = open_interpreter(model, _order(model) if wanted is None else (wanted,))
    if interpreter.output.size != len(suite.classes):
        raise ConfigError(
            f"{model}: the model has {interpreter.output.size} outputs, but {suite.path} lists {len(suite.classes)} "
            "classes"
        )
    try:
        tensors = input_tensors(data, interpreter.input, resize)
    except ImageError as error:
        raise ConfigError(f"{model}: {error}{_resize_hint(suite.variants, variant)}") from error
    click.echo(f"{model.name} in {interpreter.title}, {len(tensors):,} inputs of {suite.path}", err=True)
    raw, shown = [], time.monotonic()
    for index, tensor in enumerate(tensors):
        raw.append(interpreter.run(tensor))
        if time.monotonic() - shown > _EVERY_S:
            click.echo(f"  {index + 1:,} of {len(tensors):,}", err=True)
            shown = time.monotonic()
    outputs = np.stack(raw)
    classes = np.array([predict(output) for output in outputs], np.int64)
    about = [f"{interpreter.title}; model {hashlib.sha256(content).hexdigest()}; inputs {suite.inputs.file}"]
    _save(out, real_outputs(outputs, interpreter.output), classes, about)
    right = top1(classes.tolist(), data.labels)
    click.echo(
        f"{out}: outputs [{', '.join(map(str, outputs.shape))}] and classes; {100 * right.value:.1f} % are the labels "
        f"(95 % interval {100 * right.low:.1f} to {100 * right.high:.1f} %)."
    )
    where = _relative(out, suite)
    click.echo(f"In the suite, or in one of its variants: reference: {{file: {where}, array: outputs}}")


def _order(model: Path) -> tuple[Name, ...]:
    """Return the interpreters for a model, also for one that the compiler doesn't take: that matters to builds only."""
    try:
        return order_for(integers=integers(parse_tflite(model)))
    except ConfigError:
        return order_for(integers=True)


def _resize_hint(variants: Sequence[Variant], given: str | None) -> str:
    resizing = [variant.name for variant in variants if variant.resize is not None]
    if given is not None or not resizing:
        return ""
    return f". If the suite brings them to the model's size, name the variant: --variant {resizing[0]}"


def _save(out: Path, outputs: np.ndarray, classes: np.ndarray, about: list[str]) -> None:
    part = out.with_name(f"{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, outputs=outputs, classes=classes, made_by=np.array(about))
        part.replace(out)
    except OSError as error:
        raise ConfigError(f"{out}: can't be written: {error.strerror}") from error


def _relative(out: Path, suite: Suite) -> str:
    try:
        return out.resolve().relative_to(suite.path.parent.resolve()).as_posix()
    except ValueError:
        return str(out.resolve())
