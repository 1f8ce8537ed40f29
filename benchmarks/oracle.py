"""Compare what the board computes with the reference interpreters, on every input of the suites.

    python benchmarks/oracle.py [SUITE ...] [--samples N] [--backend virtual|hardware]

int8 outputs must equal those of the `tflite-micro` interpreter bit for bit, float32 outputs those of LiteRT within
1e-4. Needs the extra `[dev]`. Exits with 1 if a variant differs.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.boards.backends import choose_backend
from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.build.check import compare
from harness.build.interpreters import open_interpreter
from harness.config import Lab, load_suite
from harness.image.elf import load_image
from harness.link.client import Link
from harness.run.model_inputs import encode_inputs

if TYPE_CHECKING:
    from harness.boards.base import Board
    from harness.build.check import Difference
    from harness.config import Suite, Variant
    from harness.image.elf import Image

ROOT = Path(__file__).parent.parent


def model_of(image: Image) -> Path:
    """Return the .tflite file that an image was made of, by the SHA-256 in its card.

    Raises:
        SystemExit: it isn't in firmware/models.
    """
    for path in sorted((ROOT / "firmware" / "models").glob("*/*.tflite")):
        if hashlib.sha256(path.read_bytes()).hexdigest() == image.card.tflite_sha256:
            return path
    message = f"{image.path} was made of a .tflite file that isn't in firmware/models; run make -C firmware"
    raise SystemExit(message)


def compare_variant(board: Board, suite: Suite, variant: Variant, samples: int | None) -> Difference:
    """Run one variant on the board and on its oracle: step by step, where an input is a sequence of steps."""
    image = load_image(suite.image_path(variant, board.kind), board.kind)
    inputs = encode_inputs(suite, variant, suite.load_data(samples), image, board.kind)
    (given,), (output,) = image.card.inputs, image.card.outputs
    link = Link(board.link(), board.name)
    start_image(board, image, link)
    ours = [output.decode(step.output) for steps in link.infer_sequences(inputs.steps) for step in steps]
    interpreter = open_interpreter(model_of(image), ["tflite-micro" if given.dtype == "int8" else "litert"])
    theirs = []
    for steps in inputs.steps:
        if interpreter.remembers:
            interpreter.reset()
        theirs += [interpreter.infer([given.decode(step)])[0] for step in steps]
    return compare(interpreter, np.stack(ours), np.stack(theirs))


def holds(found: Difference) -> bool:
    """Whether the board computes what the oracle does, down to every prediction."""
    return found.holds and found.predictions == found.inputs


def words(found: Difference) -> str:
    """Say it in one line."""
    return (
        f"{found.inputs} inferences, {found.equal} outputs equal bit for bit, {found.predictions} predictions equal, "
        f"largest difference {found.largest:.3g} (allowed {found.allowed:g}): {'ok' if holds(found) else 'DIFFERS'}"
    )


def main() -> int:
    """Compare all variants of the suites."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("suites", nargs="*", type=Path, help="suite files; default: all of suites/")
    parser.add_argument(
        "--samples",
        type=int,
        default=None,
        help="inputs to compare, of each class its share; default: all of the suite's",
    )
    parser.add_argument("--backend", choices=["auto", "hardware", "virtual"], default="virtual")
    options = parser.parse_args()
    device = Lab.load(None).select(["nano33"])[0]
    backend, _ = choose_backend(device, options.backend)
    failed = False
    for suite in map(load_suite, options.suites or sorted((ROOT / "suites").glob("*.yaml"))):
        for variant in suite.variants:
            with open_board(device, backend) as board:
                result = compare_variant(board, suite, variant, options.samples)
            failed |= not holds(result)
            print(f"{suite.task}::{variant.name} on {backend}: {words(result)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
