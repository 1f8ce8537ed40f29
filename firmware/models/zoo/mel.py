"""Log-mel spectra of 8 kHz sound in plain numpy: what a microphone's front end would give the models."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RATE = 8_000  # samples a second
FRAME = 256  # samples that one spectrum is taken of
BANDS = 20
LOW, HIGH = 125.0, 3_800.0  # Hz
FLOOR = 1e-6  # added to the power of each band, where full scale is 1

#: A band is kept as a byte: log10 of its power = OFFSET + SCALE * byte, from -6 to 2.5. The suites say the same.
SCALE, OFFSET = 1 / 30, -6.0


def read_wav(path: Path) -> NDArray[np.float32]:
    """Return the samples of a file of 8 kHz, 16 bits and one channel, from -1 to 1.

    Raises:
        SystemExit: the file is of another kind.
    """
    with wave.open(str(path)) as file:
        if (file.getframerate(), file.getsampwidth(), file.getnchannels()) != (RATE, 2, 1):
            message = f"{path} isn't 8 kHz, 16 bits, one channel."
            raise SystemExit(message)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return samples.astype(np.float32) / np.float32(32768)


def spectra(samples: NDArray[Any], hop: int) -> NDArray[np.float64]:
    """Return log10(FLOOR + power in each band), [frames, BANDS], of frames that begin every `hop` samples.

    The window is Hann's, the bands are triangles between points that are equally far apart on HTK's mel scale.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), FRAME)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME))) ** 2 / FRAME
    return np.log10(FLOOR + power @ _BANDS)


def as_bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return spectra as the bytes that the suites hold."""
    return np.clip(np.rint((values - OFFSET) / SCALE), 0, 255).astype(np.uint8)


def as_real(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the models take for these bytes."""
    return (raw.astype(np.float64) * SCALE + OFFSET).astype(np.float32)


def _bands() -> NDArray[np.float64]:
    """Return the weight of each frequency in each band, [FRAME / 2 + 1, BANDS]."""
    mel = 2595 * np.log10(1 + np.array([LOW, HIGH]) / 700)
    points = 700 * (10 ** (np.linspace(*mel, BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(FRAME, 1 / RATE)[:, np.newaxis]
    rising = (frequencies - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - frequencies) / (points[2:] - points[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


_BANDS = _bands()
