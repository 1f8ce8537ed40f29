"""Audio front ends: spectrogram, log-mel and MFCC of one recording, in float64 and rounded to float32 at the end.

They run on this computer. Firmware that computes the same in fixed point comes to other numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Slaney's scale (Auditory Toolbox, 1998): 200/3 Hz a mel up to 1 kHz, above it 27 mels for a factor of 6.4.
_LINEAR_HZ, _KNEE_HZ, _LOG_STEP = 200 / 3, 1000.0, np.log(6.4) / 27


@dataclass(frozen=True)
class FrontEnd:
    """A front end with all its parameters; call it with an input's samples.

    Frame t holds the `window` samples from t * hop on, times the window function, with zeros appended up to `fft`; an
    input that isn't a whole number of hops loses its end. X is |rfft| ** power, of fft / 2 + 1 bins. log_mel and mfcc
    multiply it with `mels` triangular filters; then comes the logarithm of max(X, log_floor) + log_offset; mfcc ends
    with a DCT-II over the filters, of which it keeps the first `coefficients`.

    Attributes:
        name: which front end.
        rate: samples per second.
        length: samples of an input.
        window: samples of a frame.
        hop: samples from one frame to the next.
        fft: length of the Fourier transform, at least `window`.
        window_type: periodic Hann (0.5 - 0.5 cos(2 pi n / window)), periodic Hamming (0.54 and 0.46), or ones.
        power: 1: magnitudes; 2: their squares.
        center: frame t is centred at t * hop, and zeros stand before and behind the input (as `librosa` does it).
        mels: number of filters, whose edges are evenly spaced from `low` to `high` on the mel scale.
        low: of the first filter, in Hz.
        high: of the last filter, in Hz.
        mel_scale: "slaney" and "htk" (2595 log10(1 + f / 700)): triangles that are linear in Hz, as in `librosa`;
            "tensorflow": HTK's scale, triangles linear in mel, without bin 0, as in `tf.signal`.
        mel_norm: "slaney": each filter divided by half its width in Hz; None: its peak is 1.
        log: natural, "db" (10 log10), or none.
        log_floor: smaller values are taken for it.
        log_offset: what is added to each value.
        top_db: values are at least so far below the input's greatest; None: no such limit.
        coefficients: how many of mfcc are kept.
        dct: "ortho": orthonormal; "tensorflow": the same but for the first coefficient, which is sqrt(2) times that.
    """

    name: Literal["spectrogram", "log_mel", "mfcc"]
    rate: int
    length: int
    window: int
    hop: int
    fft: int
    window_type: Literal["hann", "hamming", "rectangular"]
    power: Literal[1, 2]
    center: bool = False
    mels: int = 0
    low: float = 0.0
    high: float = 0.0
    mel_scale: Literal["slaney", "htk", "tensorflow"] = "htk"
    mel_norm: Literal["slaney"] | None = None
    log: Literal["natural", "db"] | None = None
    log_floor: float = 0.0
    log_offset: float = 0.0
    top_db: float | None = None
    coefficients: int = 0
    dct: Literal["ortho", "tensorflow"] = "ortho"

    @property
    def shape(self) -> tuple[int, int]:
        """Frames, and values of each."""
        frames = 1 + (self.length - (0 if self.center else self.window)) // self.hop
        return frames, {"spectrogram": self.fft // 2 + 1, "log_mel": self.mels, "mfcc": self.coefficients}[self.name]

    def __call__(self, samples: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return float32 [frames, values] of `length` samples, full scale -1 to 1."""
        x = samples.astype(np.float64)
        if self.center:
            x = np.pad(x, self.fft // 2 + self.window)[self.window + (self.fft - self.window) // 2 :]
        frames = np.lib.stride_tricks.sliding_window_view(x, self.window)[:: self.hop][: self.shape[0]]
        values = np.abs(np.fft.rfft(frames * self._window, self.fft)) ** self.power
        if self.name != "spectrogram":
            values = values @ self._filters
        if self.log is not None:
            values = np.log(np.maximum(values, self.log_floor) + self.log_offset)
            values *= 10 / np.log(10) if self.log == "db" else 1
        if self.top_db is not None:
            values = np.maximum(values, values.max() - self.top_db)
        if self.name == "mfcc":
            values = values @ self._cosines
        return values.astype(np.float32)

    @cached_property
    def _window(self) -> NDArray[np.float64]:
        mean = {"hann": 0.5, "hamming": 0.54, "rectangular": 1.0}[self.window_type]
        phase = 2 * np.pi * np.arange(self.window, dtype=np.float64) / self.window
        values: NDArray[np.float64] = mean - (1 - mean) * np.cos(phase)
        return values

    @cached_property
    def _filters(self) -> NDArray[np.float64]:
        """Weight of each bin in each filter, [bins, mels]."""
        scale = _slaney_mel if self.mel_scale == "slaney" else _htk_mel
        hz = np.arange(self.fft // 2 + 1) * self.rate / self.fft
        points = np.linspace(scale(self.low), scale(self.high), self.mels + 2)
        if self.mel_scale == "tensorflow":
            hz = _htk_mel(hz)
        else:
            points = _slaney_hz(points) if self.mel_scale == "slaney" else 700 * (10 ** (points / 2595) - 1)
        lower, middle, upper = points[:-2], points[1:-1], points[2:]
        rising = (hz[:, np.newaxis] - lower) / (middle - lower)
        falling = (upper - hz[:, np.newaxis]) / (upper - middle)
        weights: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
        if self.mel_scale == "tensorflow":
            weights[0] = 0
        if self.mel_norm == "slaney":
            weights /= (upper - lower) / 2
        return weights

    @cached_property
    def _cosines(self) -> NDArray[np.float64]:
        """The DCT-II as a matrix, [mels, coefficients]."""
        places = (2 * np.arange(self.mels)[:, np.newaxis] + 1) * np.arange(self.coefficients)
        matrix: NDArray[np.float64] = np.cos(np.pi * places / (2 * self.mels)) * np.sqrt(2 / self.mels)
        if self.dct == "ortho":
            matrix[:, 0] /= np.sqrt(2)
        return matrix


def _htk_mel(hz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    mel: NDArray[np.float64] = 2595 * np.log10(1 + np.asarray(hz) / 700)
    return mel


def _slaney_mel(hz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    hz = np.asarray(hz, np.float64)
    above = _KNEE_HZ / _LINEAR_HZ + np.log(np.maximum(hz, _KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
    return np.where(hz < _KNEE_HZ, hz / _LINEAR_HZ, above)


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    knee = _KNEE_HZ / _LINEAR_HZ
    return np.where(mel < knee, mel * _LINEAR_HZ, _KNEE_HZ * np.exp(_LOG_STEP * (mel - knee)))
