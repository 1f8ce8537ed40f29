"""Cuts telephone prompts and music on hold, both real recordings from Debian's packages, into seconds."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from zoo import mel
from zoo.task import Split

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STEPS = 32  # frames of an input, one beside the other: 1.024 s
SOUNDS = "usr/share/asterisk/sounds"
MUSIC = "usr/share/asterisk/moh"
#: The recordings of each part. A voice, or an artist, is in one of them only.
VOICES = {
    "train": ("en_US_f_Allison", "ru_RU_f_IvrvoiceRU", "fr_CA_f_June"),
    "test": ("it_IT_m_Carlo", "it_IT_f_Menardi"),
}
TRACKS = {
    "train": ("macroform-cold_day", "macroform-robot_dity", "macroform-the_simplicity"),
    "test": ("manolo_camp-morning_coffee", "reno_project-system"),
}
HELD = ("fr_CA_f_June", "macroform-the_simplicity")  # of "train": for validation
EACH = {"train": 400, "test": 80}  # inputs at most of a recording, spread over it
LOUD = 0.1  # of the recording's mean power: a frame below it is taken for a pause
SHARE = 0.5  # of the frames of an input that must be so loud

#: Of all samples of a part, one recording after the other.
SHA256 = {
    "train": "cec00dc1a35634ed4ff9a3badaf42c0484d44cea3318c998ed8b85add9e40c81",
    "test": "540c55f82b9b062a2a9cd712bf3afc6f9b5b6b1528f60776b01256c8db9d6e88",
}


def load_split(data: Path, split: str) -> Split:
    """Return the bytes of the spectra, uint8 [n, 32, 20, 1], and 1 for speech or 0 for music; `groups`: recordings.

    Raises:
        SystemExit: a file is missing or holds other data.
    """
    digest = hashlib.sha256()
    raw, labels, groups = [], [], []
    names = (*VOICES[split], *TRACKS[split])
    for number, name in enumerate(names):
        samples = _recording(data, name)
        digest.update(samples.tobytes())
        cut = _cut(samples, EACH[split])
        raw.append(cut)
        labels.append(np.full(len(cut), name in VOICES[split], np.uint8))
        groups.append(np.full(len(cut), number))
    if digest.hexdigest() != SHA256[split]:
        message = f"{data} holds other recordings than expected: their SHA-256 differs from the one in dataset.py."
        raise SystemExit(message)
    inputs = np.concatenate(raw)
    return Split(inputs, mel.as_real(inputs), np.concatenate(labels), np.concatenate(groups))


def held(split: Split) -> NDArray[np.bool_]:
    """Return true for the inputs of the recordings that are kept for validation."""
    names = (*VOICES["train"], *TRACKS["train"])
    return np.isin(split.groups, [names.index(name) for name in HELD])


def _recording(data: Path, name: str) -> NDArray[np.float32]:
    """Return a track, or all prompts of a voice in the order of their names.

    Raises:
        SystemExit: there is no such recording.
    """
    files = sorted((data / SOUNDS / name).rglob("*.wav")) or sorted((data / MUSIC).glob(f"{name}.wav"))
    if not files:
        message = f"{name} is missing in {data}. Run `make -C firmware/models data`, or pass --data."
        raise SystemExit(message)
    return np.concatenate([mel.read_wav(path) for path in files])


def _cut(samples: NDArray[np.float32], most: int) -> NDArray[np.uint8]:
    """Return inputs that are no pauses, [n, 32, 20, 1], evenly spread over the recording."""
    length = STEPS * mel.FRAME
    pieces = samples[: len(samples) // length * length].reshape(-1, STEPS, mel.FRAME)
    power = (pieces.astype(np.float64) ** 2).mean(axis=2)
    pieces = pieces[(power > LOUD * power.mean()).mean(axis=1) >= SHARE]
    chosen = pieces[np.unique(np.linspace(0, len(pieces) - 1, most).astype(int))]
    spectra = mel.spectra(chosen.reshape(-1), mel.FRAME)
    return mel.as_bytes(spectra.reshape(-1, STEPS, mel.BANDS, 1))
