"""Trains the small network of this example and writes its weights as C: engine/weights.h.

    python train.py --data /usr/share/datasets/fashion-mnist

Needs numpy only; seeded, about a minute on two cores. The last 5,000 training images choose nothing but are printed as
validation; the test images are never read here.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "firmware" / "models" / "fashion_mnist"))

from dataset import load  # noqa: E402 (stands in the folder of the suite's models)

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED = 7
HIDDEN = 32
EPOCHS = 30
BATCH = 128
VALIDATION = 5_000
STEP = 3e-3
FULL = 4 * 255  # sum of a white 2 x 2 block


def blocks(images: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return sums of 2 x 2 pixels, int32 [n, 196], 0 to 1020: what the engine computes first."""
    return images.astype(np.int32).reshape(-1, 14, 2, 14, 2).sum(axis=(2, 4)).reshape(-1, 196)


def train(x: NDArray[np.float32], labels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return weights [32, 196], bias [32], weights [10, 32], bias [10] after Adam on the cross-entropy."""
    rng = np.random.default_rng(SEED)
    weights = [
        rng.normal(0, np.sqrt(2 / 196), (HIDDEN, 196)).astype(np.float32),
        np.zeros(HIDDEN, np.float32),
        rng.normal(0, np.sqrt(2 / HIDDEN), (10, HIDDEN)).astype(np.float32),
        np.zeros(10, np.float32),
    ]
    means = [np.zeros_like(w) for w in weights]
    squares = [np.zeros_like(w) for w in weights]
    total = EPOCHS * (len(x) // BATCH)
    for done in range(total):
        if done % (len(x) // BATCH) == 0:
            order = rng.permutation(len(x))
        at = done % (len(x) // BATCH) * BATCH
        pick = order[at : at + BATCH]
        rate = STEP * (1 + np.cos(np.pi * done / total)) / 2
        for i, slope in enumerate(_slopes(weights, x[pick], labels[pick])):
            means[i] += 0.1 * (slope - means[i])
            squares[i] += 0.001 * (slope**2 - squares[i])
            mean, square = means[i] / (1 - 0.9 ** (done + 1)), squares[i] / (1 - 0.999 ** (done + 1))
            weights[i] -= rate * mean / (np.sqrt(square) + 1e-8)
    return weights


def _slopes(
    weights: list[NDArray[np.float32]], x: NDArray[np.float32], labels: NDArray[np.uint8]
) -> list[NDArray[np.float32]]:
    """Return the derivatives of the mean cross-entropy."""
    hidden = np.maximum(x @ weights[0].T + weights[1], 0)
    logits = hidden @ weights[2].T + weights[3]
    slope = np.exp(logits - logits.max(axis=1, keepdims=True))
    slope /= slope.sum(axis=1, keepdims=True)
    slope[np.arange(len(x)), labels] -= 1
    slope /= len(x)
    back = (slope @ weights[2]) * (hidden > 0)
    return [back.T @ x, back.sum(axis=0), slope.T @ hidden, slope.sum(axis=0)]


def quantize(weights: list[NDArray[np.float32]]) -> list[NDArray[np.generic]]:
    """Return the weights as the engine takes them.

    The first layer becomes int8 with a scale for each hidden value; since ReLU(s a) = s ReLU(a) for s > 0, these
    scales go into the second layer, which stays float32.
    """
    first, first_bias, second, second_bias = weights
    scale = np.abs(first).max(axis=1) / 127
    return [
        np.rint(first / scale[:, np.newaxis]).astype(np.int8),
        np.rint(first_bias / scale * FULL).astype(np.int32),
        (second * scale / FULL).astype(np.float32),
        second_bias.astype(np.float32),
    ]


def accuracy(weights: list[NDArray[np.generic]], x: NDArray[np.int32], labels: NDArray[np.uint8]) -> float:
    """Return the share of right answers of the quantized network."""
    hidden = np.maximum(x @ weights[0].astype(np.int32).T + weights[1], 0)
    logits = hidden.astype(np.float32) @ weights[2].T + weights[3]
    return float((logits.argmax(axis=1) == labels).mean())


def header(weights: list[NDArray[np.generic]]) -> str:
    """Return engine/weights.h."""
    types = {"int8": "int8_t", "int32": "int32_t", "float32": "float"}
    parts = ["/* Made by train.py from the training images of Fashion-MNIST. */\n#include <stdint.h>\n"]
    for name, values in zip(("hidden_weights", "hidden_bias", "weights", "bias"), weights, strict=True):
        size = "".join(f"[{n}]" for n in values.shape)
        rows = values.reshape(len(values), -1)
        lines = []
        for row in rows:
            words = [f"{value:.9g}f" if values.dtype == np.float32 else str(value) for value in row.tolist()]
            words = [f"{w[:-1]}.0f" if w.endswith("f") and not {".", "e"} & set(w) else w for w in words]
            text = textwrap.fill(", ".join(words), 112, initial_indent="    ", subsequent_indent="    ")
            lines.append(f"  {{\n{text}\n  }}," if values.ndim == 2 else f"{text},")
        body = "\n".join(lines)
        parts.append(f"static const {types[values.dtype.name]} {name}{size} = {{\n{body}\n}};\n")
    return "\n".join(parts)


def main() -> None:
    """Train, print the validation accuracy, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    args = parser.parse_args()
    images, labels = load(args.data, "train")
    x = blocks(images)
    scaled = x.astype(np.float32) / FULL
    weights = quantize(train(scaled[:-VALIDATION], labels[:-VALIDATION]))
    print(f"validation accuracy: {accuracy(weights, x[-VALIDATION:], labels[-VALIDATION:]):.4f}")
    part = HERE / "engine" / "weights.h.part"
    part.write_text(header(weights))
    part.replace(HERE / "engine" / "weights.h")


if __name__ == "__main__":
    main()
