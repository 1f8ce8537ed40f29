"""Reads what a smart watch measured during shoulder exercises, from the package seglearn, and cuts it into windows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from zoo.task import Split

#: The exercises, by the number of their label.
EXERCISES = (
    "pendulum",
    "abduction",
    "forward elevation",
    "internal rotation",
    "external rotation",
    "trapezius extension",
    "upright row",
)
#: A subject is in one part only.
SUBJECTS = {"train": range(1, 8), "test": range(8, 11)}
HELD = 7  # of "train": for validation
COUNTS = np.array([1000, 1000, 1000, 250, 250, 250])  # of one g, and of one radian per second
SCALE = 0.001  # real input = SCALE * counts, as in the suites

FILE = "seglearn/data/watch_dataset.npy"
SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"


@dataclass(frozen=True)
class Recording:
    """One set of an exercise.

    Attributes:
        counts: int16 [steps, 6], 50 a second: acceleration along three axes, rotation about them.
        exercise: an index of EXERCISES.
        number: 1000 times the subject, 1 to 10, plus the recording's place in the file. Each subject did all exercises
            with both arms.
    """

    counts: NDArray[np.int16]
    exercise: int
    number: int

    @property
    def held(self) -> bool:
        """Return whether it is kept for validation."""
        return self.number // 1000 == HELD


def recordings(data: Path, split: str) -> list[Recording]:
    """Return the recordings of the subjects of "train" or "test", in the published order.

    Raises:
        SystemExit: the file is missing or holds other data.
    """
    path = data / FILE
    if not path.is_file():
        message = f"{path} is missing. Run `make -C firmware/models data`, or pass --data."
        raise SystemExit(message)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        message = f"{path} holds other data than expected: its SHA-256 differs from the one in shoulder.py."
        raise SystemExit(message)
    watch = np.load(path, allow_pickle=True).item()  # a pickle, but of known content
    return [
        Recording(np.rint(series * COUNTS).astype(np.int16), int(exercise), 1000 * int(subject) + place)
        for place, (series, exercise, subject) in enumerate(zip(watch["X"], watch["y"], watch["subject"], strict=True))
        if int(subject) in SUBJECTS[split]
    ]


def held(split: Split) -> NDArray[np.bool_]:
    """Return true for the windows of the subject that is kept for validation."""
    groups: NDArray[np.int64] = split.groups
    return groups // 1000 == HELD


def windows(recording: Recording, length: int, count: int) -> NDArray[np.int16]:
    """Return so many windows, evenly spread over the recording, [count, length, 6]."""
    begins = np.linspace(0, len(recording.counts) - length, count).astype(int)
    return np.stack([recording.counts[begin : begin + length] for begin in begins])
