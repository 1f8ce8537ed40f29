"""Compare what the board computes with the reference interpreters, on every input of the suites.

    python benchmarks/oracle.py [SUITE ...] [--samples N] [--backend virtual|hardware]

int8 outputs must equal those of the `tflite-micro` interpreter bit for bit, float32 outputs those of LiteRT within
1e-4. Needs the extra `[dev]`. Exits with 1 if a variant differs.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.boards.opening import choose_backend, open_board
from harness.config import Lab, load_suite
from harness.image import load_image
from harness.inputs import input_tensors
from harness.link.client import Link
from harness.starting import start_image

if TYPE_CHECKING:
    from harness.boards.base import Board
    from harness.config import Suite, Variant
    from harness.image import Image

ROOT = Path(__file__).parent.parent
FLOAT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Agreement:
    """How the outputs of the board compare with the oracle's.

    Attributes:
        samples: inputs compared.
        equal: outputs that are equal bit for bit.
        same_prediction: outputs whose largest value is at the same index.
        largest_difference: between any two elements, in the tensor's own unit.
        tolerance: what is allowed of it.
    """

    samples: int
    equal: int
    same_prediction: int
    largest_difference: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the board computes what the oracle does."""
        exact = self.tolerance > 0 or self.equal == self.samples
        return exact and self.largest_difference <= self.tolerance and self.same_prediction == self.samples

    def __str__(self) -> str:
        return (
            f"{self.samples} samples, {self.equal} outputs equal bit for bit, {self.same_prediction} predictions "
            f"equal, largest difference {self.largest_difference:.3g} (allowed {self.tolerance:g}): "
            f"{'ok' if self.holds else 'DIFFERS'}"
        )


def board_outputs(board: Board, image: Image, inputs: np.ndarray) -> np.ndarray:
    """Run every input on the board. Returns [N, outputs]."""
    link = Link(board.link(), board.name)
    start_image(board, image, link)
    results = link.infer_each(tensor.tobytes() for tensor in inputs)
    return np.stack([image.card.output.decode(result.output) for result in results])


def oracle_outputs(tflite: Path, image: Image, inputs: np.ndarray) -> np.ndarray:
    """Run every input on the reference interpreter of the model's type. Returns [N, outputs]."""
    run = _tflite_micro(tflite) if image.card.input.dtype == "int8" else _litert(tflite)
    return np.stack([run(tensor.reshape(image.card.input.shape)).reshape(-1) for tensor in inputs])


def _tflite_micro(tflite: Path) -> Any:
    from tflite_micro.python.tflite_micro import runtime  # noqa: PLC0415 (only what is compared is needed)

    interpreter = runtime.Interpreter.from_file(str(tflite))

    def run(tensor: np.ndarray) -> np.ndarray:
        interpreter.set_input(tensor, 0)
        interpreter.invoke()
        return interpreter.get_output(0)

    return run


def _litert(tflite: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    interpreter = Interpreter(model_path=str(tflite))
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(tensor: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source, tensor)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return run


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


def compare(board: Board, suite: Suite, variant: Variant, samples: int | None) -> Agreement:
    """Run one variant on the board and on its oracle."""
    image = load_image(suite.image_path(variant, board.kind), board.kind)
    data = suite.load_data(samples)
    inputs = input_tensors(data, image.card.input, variant.resize)
    ours = board_outputs(board, image, inputs)
    theirs = oracle_outputs(model_of(image), image, inputs)
    return Agreement(
        samples=len(inputs),
        equal=int(np.count_nonzero((ours == theirs).all(axis=1))),
        same_prediction=int(np.count_nonzero(ours.argmax(axis=1) == theirs.argmax(axis=1))),
        largest_difference=float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max()),
        tolerance=FLOAT_TOLERANCE if image.card.output.dtype == "float32" else 0.0,
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
                result = compare(board, suite, variant, options.samples)
            failed |= not result.holds
            print(f"{suite.task}::{variant.name} on {backend}: {result}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
