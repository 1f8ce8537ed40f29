"""Write features.npz: what librosa and TensorFlow make of one sound, for tests that have neither.

Needs: pip install librosa tensorflow. Run with librosa 0.11.0 and TensorFlow 2.21.0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

RATE = 16_000


def sound() -> np.ndarray:
    """Return a quarter of a second: a tone that rises, an octave above it, noise, and a pause; int16."""
    time = np.arange(RATE // 4) / RATE
    phase = 2 * np.pi * (200 * time + 2500 * time**2)
    tone = 0.3 * np.sin(phase) + 0.2 * np.sin(2 * phase)
    noise = 0.05 * np.random.default_rng(16).standard_normal(len(time))
    return np.round(32767 * (tone + noise) * (time < 0.2)).astype(np.int16)


def with_librosa(x: np.ndarray) -> dict[str, np.ndarray]:
    """Return librosa's features, [frames, values] float32, by the names that the test has for them."""
    import librosa

    framed = {"n_fft": 512, "hop_length": 160}
    mel = {"sr": RATE, **framed, "n_mels": 40, "fmin": 20, "fmax": 7600}
    inside = librosa.stft(np.pad(x, 56), win_length=400, center=False, **framed)  # frames that begin at 0, 160, ...
    features = {
        "spectrogram": np.abs(inside) ** 2,
        "spectrogram_center": np.abs(librosa.stft(x, win_length=400, window="hamming", **framed)),
        "log_mel_slaney": librosa.power_to_db(librosa.feature.melspectrogram(y=x, **mel)),
        "log_mel_htk": np.log(librosa.feature.melspectrogram(y=x, **mel, htk=True, norm=None, power=1) + 1e-3),
        "mfcc": librosa.feature.mfcc(y=x, n_mfcc=13, **mel),
    }
    return {name: values.T.astype(np.float32) for name, values in features.items()}


def with_tensorflow(x: np.ndarray) -> dict[str, np.ndarray]:
    """Return MFCCs of tf.signal; and what TensorFlow Lite Micro's front end computes in fixed point, but for PCAN."""
    import tensorflow as tf
    from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op as micro_op

    magnitudes = tf.abs(tf.signal.stft(x, frame_length=480, frame_step=320, fft_length=512))
    matrix = tf.signal.linear_to_mel_weight_matrix(40, 257, RATE, 20.0, 4000.0)
    log_mel = tf.math.log(tf.matmul(magnitudes, matrix) + 1e-6)
    micro = micro_op.audio_microfrontend(
        tf.constant(np.round(x * 32768), tf.int16),
        window_size=30,
        window_step=20,
        num_channels=40,
        lower_band_limit=125.0,
        upper_band_limit=7500.0,
        min_signal_remaining=1.0,  # nothing is taken for noise
        enable_pcan=False,
        enable_log=True,
    )
    return {
        "tf_mfcc": tf.signal.mfccs_from_log_mel_spectrograms(log_mel)[:, :10].numpy(),
        "tf_micro": np.asarray(micro, np.uint16),
    }


if __name__ == "__main__":
    x = sound() / 32768
    features = {**with_librosa(x), **with_tensorflow(x.astype(np.float32))}
    np.savez_compressed(Path(__file__).with_name("features.npz"), sound=sound(), **features)
