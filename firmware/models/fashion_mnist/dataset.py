"""Reads the Fashion-MNIST files and refuses any whose content is not the expected one."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: SHA-256 of the four files unpacked (Debian packs them anew, so that the .gz files differ from those of the authors).
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def load(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the images, uint8 [n, 28, 28], and labels, uint8 [n], in the order they were published.

    Args:
        folder: where the four .gz files are.
        split: "train" (60,000 images) or "t10k" (10,000).

    Raises:
        SystemExit: a file is missing or holds other data.
    """
    images = _payload(folder / f"{split}-images-idx3-ubyte.gz", header_bytes=16)
    labels = _payload(folder / f"{split}-labels-idx1-ubyte.gz", header_bytes=8)
    return images.reshape(-1, 28, 28), labels


def to_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the images as the models take them: float32 [n, 28, 28, 1], 0 to 1."""
    return (images.astype(np.float32) / np.float32(255))[..., np.newaxis]


def _payload(path: Path, header_bytes: int) -> NDArray[np.uint8]:
    if not path.is_file():
        message = f"{path} is missing. Install Debian's package dataset-fashion-mnist, or pass --data."
        raise SystemExit(message)
    content = gzip.decompress(path.read_bytes())
    if hashlib.sha256(content).hexdigest() != SHA256[path.stem]:
        message = f"{path} holds other data than expected: its SHA-256 differs from the one in dataset.py."
        raise SystemExit(message)
    return np.frombuffer(content, np.uint8, offset=header_bytes)
