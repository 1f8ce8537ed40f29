"""Prints the accuracy of both models on the 10,000 test images, computed on the host.

    python evaluate.py --data /usr/share/datasets/fashion-mnist

The int8 model runs in TFLite Micro's interpreter, the float32 one in LiteRT's.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from dataset import load, to_input
from tflite_micro.python.tflite_micro import runtime

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST = 1_000  # the images that the suite sends to a board


def int8_predictions(model: Path, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the class of each image; the input's scale is 1/255 and its zero point -128, so that q = raw - 128."""
    interpreter = runtime.Interpreter.from_file(str(model))
    quantized = (images.astype(np.int16) - 128).astype(np.int8)
    classes = []
    for image in quantized:
        interpreter.set_input(image.reshape(1, 28, 28, 1), 0)
        interpreter.invoke()
        classes.append(int(np.argmax(interpreter.get_output(0))))
    return np.array(classes)


def float32_predictions(model: Path, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the class of each image."""
    interpreter = Interpreter(str(model))
    interpreter.allocate_tensors()
    x = interpreter.get_input_details()[0]["index"]
    y = interpreter.get_output_details()[0]["index"]
    classes = []
    for image in to_input(images):
        interpreter.set_tensor(x, image[np.newaxis])
        interpreter.invoke()
        classes.append(int(np.argmax(interpreter.get_tensor(y))))
    return np.array(classes)


def main() -> None:
    """Print a line per model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--models", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    images, labels = load(args.data, "t10k")
    for name, predict in (("float32", float32_predictions), ("int8", int8_predictions)):
        model = args.models / f"fashion_mnist_{name}.tflite"
        right = predict(model, images) == labels
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
        print(f"{model.name}  {right.sum()} of {len(right)}, first {FIRST}: {right[:FIRST].sum()}  {digest}")


if __name__ == "__main__":
    main()
