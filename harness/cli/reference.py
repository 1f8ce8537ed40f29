"""`hil reference`: what a model gives on a suite's inputs, by an interpreter on this computer."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Literal

import click

from harness.cli.options import FILE
from harness.errors import ConfigError, ImageError
from harness.files.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from harness.build.interpreters import Name
    from harness.config import Suite
    from harness.config.suite import Variant

#: Between two lines of progress.
_EVERY_S = 5.0


@click.command()
@click.argument("model", type=FILE, metavar="MODEL.tflite")
@click.argument("suite", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, metavar="FILE.npz", help="Where the outputs go.")
@click.option(
    "--variant", metavar="NAME", help="Bring the inputs to the model's size as this variant's `resize:` says."
)
@click.option(
    "--interpreter",
    type=click.Choice(["auto", "tflite-micro", "litert"]),
    default="auto",
    show_default=True,
    help="auto: tflite-micro for integers, LiteRT for float32, the other if only that is there.",
)
def reference(model: Path, suite: Path, output: Path, variant: str | None, interpreter: Name | Literal["auto"]) -> None:
    """Save what MODEL.tflite gives on all inputs of SUITE, to hold boards against it.

    \b
    hil reference model.tflite suite.yaml -o reference.npz
    then in the suite: reference: {file: reference.npz, array: outputs}

    An interpreter on this computer runs the model with TensorFlow Lite's reference kernels; inputs are scaled, resized
    and quantized as for a board. That finds faults of firmware and link. Outputs that you save where the model was
    trained, in the same form, also find inputs of another order or scale. Needs pip install --pre tflite-micro, or
    ai-edge-litert.
    """  # noqa: D301 (click reads the \b)
    import numpy as np

    from harness.build.interpreters import open_interpreter
    from harness.build.model_file import read_model
    from harness.config import load_suite
    from harness.image.input_tensors import input_tensors
    from harness.measure.reference import real_outputs
    from harness.metrics.classes import predict, top1

    loaded = load_suite(suite)
    resize = None if variant is None else loaded.variant(variant).resize
    data = loaded.load_all()
    content = read_model(model)
    runner = open_interpreter(model, _order(model) if interpreter == "auto" else (interpreter,))
    if loaded.metric.labels(loaded.classes) == "class" and runner.output.size != len(loaded.classes):
        raise ConfigError(
            f"{model}: the model has {runner.output.size} outputs, but {loaded.path} lists {len(loaded.classes)} "
            "classes"
        )
    try:
        tensors = input_tensors(data, runner.input, resize)
    except ImageError as error:
        raise ConfigError(f"{model}: {error}{_resize_hint(loaded.variants, variant)}") from error
    click.echo(f"{model.name} in {runner.title}, {len(tensors):,} inputs of {loaded.path}", err=True)
    raw, shown = [], time.monotonic()
    for index, tensor in enumerate(tensors):
        raw.append(runner.run(tensor))
        if time.monotonic() - shown > _EVERY_S:
            click.echo(f"  {index + 1:,} of {len(tensors):,}", err=True)
            shown = time.monotonic()
    outputs = np.stack(raw)
    classes = np.array([predict(row) for row in outputs], np.int64)
    about = [f"{runner.title}; model {hashlib.sha256(content).hexdigest()}; inputs {data.digest()}"]
    _save(output, real_outputs(outputs, runner.output), classes, about)
    said = f"{output}: outputs [{', '.join(map(str, outputs.shape))}] and classes"
    if loaded.metric.labels(loaded.classes) == "class" and data.labels is not None:
        right = top1(classes.tolist(), data.labels)
        said += f"; {100 * right.value:.1f} % are the labels"
        said += f" (95 % interval {100 * right.low:.1f} to {100 * right.high:.1f} %)"
    click.echo(f"{said}.")
    where = _relative(output, loaded)
    click.echo(f"In the suite, or in one of its variants: reference: {{file: {where}, array: outputs}}")


def _order(model: Path) -> tuple[Name, ...]:
    """Return the interpreters for a model, also for one that the compiler doesn't take: that matters to builds only."""
    from harness.build import parse_tflite
    from harness.build.check import integers
    from harness.build.interpreters import order_for

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
    import numpy as np

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as draft, draft.open("wb") as file:
            np.savez(file, outputs=outputs, classes=classes, made_by=np.array(about))
    except OSError as error:
        raise ConfigError(f"{out}: can't be written: {error.strerror}") from error


def _relative(out: Path, suite: Suite) -> str:
    try:
        return out.resolve().relative_to(suite.path.parent.resolve()).as_posix()
    except ValueError:
        return str(out.resolve())
