"""Reads Japanese Vowels as packed in aeon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from zoo.series import read_ts
from zoo.task import Split

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 30  # the longest utterance has 29; 30 is even, so that pairs of steps can be averaged

SHA256 = {
    "TRAIN": "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
    "TEST": "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
}


def load_split(data: Path, split: str) -> Split:
    """Return the utterances, float32 [n, 30, 1, 12], zeros behind their ends, and their speakers, 0 to 8.

    In the published order; 270 of "train", 370 of "test".

    Raises:
        SystemExit: the file is missing or holds other data.
    """
    part = split.upper()
    series, names = read_ts(data / f"aeon/datasets/data/JapaneseVowels/JapaneseVowels_{part}.ts", SHA256[part])
    x = np.zeros((len(series), STEPS, 1, 12), np.float32)
    for row, utterance in zip(x, series, strict=True):
        row[: len(utterance), 0] = utterance
    return Split(x, x, np.array([int(name) - 1 for name in names], np.uint8))
