"""Has speech synthesizers say a keyword and other words in many voices: everything here is synthetic."""

from __future__ import annotations

import subprocess
import tempfile
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from zoo import mel
from zoo.task import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEYWORD = "computer"
_OTHERS = "seven window music garden hello table weather commuter company banana telephone kitchen open tomorrow"
_UNHEARD = "container october camera completely"  # said in the test set only
_TRAIN = """
    male1 male2 male3 male5 male7 female1 female2 female4 Adam Alicia Andrea Annie Antonio Belinda Caleb David Denis
    Diogo Ed Edward Gene Henrique Hugo Jacky John Lee Linda Marcelo Mario Max Michel Miguel Nguyen Pablo Paul Quincy
    Rob Steph Storm Zac klatt2 grandpa norbert sandro
"""
_TEST = """
    male4 male6 female3 female5 Alex Auntie Benjamin Boris Iven Marco Michael Pedro Robert shelby travis victor
"""
OTHERS = {"train": _OTHERS.split(), "test": _OTHERS.split()[::3] + _UNHEARD.split()}

#: Voices of espeak-ng (accent and variant) and flite. A variant is in one part only.
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-029")
VARIANTS = {"train": _TRAIN.split(), "test": _TEST.split()}
HELD = 6  # of the training voices, the last: for validation
FLITE = {"train": ("kal16", "awb"), "test": ("rms", "slt")}

STEPS, HOP = 60, 160  # a step is 20 ms
LENGTH = (STEPS - 1) * HOP + mel.FRAME
VERSIONS = {"train": 3, "test": 1}  # of each utterance, in other places and noise
SEED = {"train": 1, "test": 2}


def load_split(data: Path, split: str) -> Split:
    """Return the bytes of the spectra, uint8 [n, 60, 1, 20], and 1 where the keyword is said; `groups` numbers voices.

    Raises:
        SystemExit: a synthesizer is missing.
    """
    kept = data / f"keyword_stream_{split}.npz"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part.npz")
        np.savez(part, **_make(split))
        part.replace(kept)
    with np.load(kept) as file:
        raw, labels, groups = file["raw"], file["labels"], file["groups"]
    return Split(raw, (raw.astype(np.float64) * mel.SCALE).astype(np.float32), labels, groups)


def held(split: Split) -> NDArray[np.bool_]:
    """Return true for what the voices say that are kept for validation."""
    groups: NDArray[np.int64] = split.groups
    return groups >= len(VARIANTS["train"]) - HELD


def _make(split: str) -> dict[str, NDArray]:
    """Return raw, labels and groups: each voice says the keyword slowly and fast, and some other words."""
    rng = np.random.default_rng(SEED[split])
    voices = [("flite", name) for name in FLITE[split]]
    voices += [("espeak-ng", f"{ACCENTS[at % 4]}+{name}") for at, name in enumerate(VARIANTS[split])]
    words = OTHERS[split]
    raw, labels, groups = [], [], []
    for number, (program, voice) in enumerate(voices):
        others = [words[(number + 2 * at) % len(words)] for at in range(6 if split == "train" else 3)]
        for word, speed in [(KEYWORD, 0.9), (KEYWORD, 1.2), *((other, rng.uniform(0.85, 1.25)) for other in others)]:
            said = _spoken(program, voice, word, speed)
            for _ in range(VERSIONS[split]):
                raw.append(_heard(said, rng))
                labels.append(word == KEYWORD)
                groups.append(number)
    return {"raw": np.stack(raw), "labels": np.array(labels, np.uint8), "groups": np.array(groups)}


def _spoken(program: str, voice: str, word: str, speed: float) -> NDArray[np.float64]:
    """Return a word at 8 kHz without silence around it, its greatest sample 1.

    Raises:
        SystemExit: the synthesizer is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        if program == "flite":
            slower = f"duration_stretch={1 / speed:.3f}"
            command = ["flite", "-voice", voice, "--setf", slower, "-t", word, "-o", str(path)]
        else:
            command = ["espeak-ng", "-v", voice, "-s", str(round(160 * speed)), "-w", str(path), word]
        try:
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 (words and voices are above)
        except FileNotFoundError as error:
            message = f"{program} is missing: apt-get install espeak-ng flite."
            raise SystemExit(message) from error
        with wave.open(str(path)) as file:
            rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    length = round(len(samples) * mel.RATE / rate)
    spectrum = np.fft.rfft(samples.astype(np.float64))[: length // 2 + 1]
    said = np.fft.irfft(spectrum, length)
    said /= np.abs(said).max()
    loud = np.flatnonzero(np.abs(said) > 0.02)
    return said[loud[0] : loud[-1] + 1][: LENGTH - 3 * mel.FRAME]


def _heard(said: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the spectra of a word that begins somewhere, louder or softer, in more or less noise."""
    sound = np.zeros(LENGTH)
    begin = rng.integers(0, LENGTH - len(said) + 1)
    level = 10 ** rng.uniform(-1.0, -0.1)
    sound[begin : begin + len(said)] = level * said
    noise = rng.normal(size=LENGTH)
    if rng.random() < 0.5:
        noise = np.convolve(noise, np.full(4, 0.5), "same")  # duller
    sound += noise * level * 0.25 * 10 ** rng.uniform(-2.0, -0.7)
    return mel.as_bytes(mel.spectra(sound, HOP))[:, np.newaxis]
