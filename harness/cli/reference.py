"""`hil reference`: what a model gives on a suite's inputs, by an interpreter on this computer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.tflite")
@click.argument("suite", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE.npz", help="Where the outputs go."
)
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
def reference(model: Path, suite: Path, output: Path, variant: str | None, interpreter: Any) -> None:
    """Save what MODEL.tflite gives on all inputs of SUITE, to hold boards against it.

    \b
    hil reference model.tflite suite.yaml -o reference.npz
    then in the suite: reference: {file: reference.npz, array: outputs}

    An interpreter on this computer runs the model with TensorFlow Lite's reference kernels; inputs are scaled, resized
    and quantized as for a board. That finds faults of firmware and link. Outputs that you save where the model was
    trained, in the same form, also find inputs of another order or scale. Needs pip install --pre tflite-micro, or
    ai-edge-litert, and "tinyml-hil[build]".
    """  # noqa: D301 (click reads the \b)
    from harness.commands.reference import make_reference

    make_reference(model, suite, variant, None if interpreter == "auto" else interpreter, output)
