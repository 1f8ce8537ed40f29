"""Front ends against librosa and TensorFlow: what these made of one sound is kept in features.npz."""

from __future__ import annotations

import wave
from pathlib import Path

import make_features
import numpy as np
import pytest

from harness.config import load_suite
from harness.errors import ConfigError

HERE = Path(__file__).parent
STFT = "name: spectrogram, window: 400, hop: 160, fft: 512, "
MEL = "window: 512, hop: 160, fft: 512, window_type: hann, center: true, mels: 40, low: 20, high: 7600, "
DB = "power: 2, mel_scale: slaney, mel_norm: slaney, log: db, log_floor: 1.0e-10, top_db: 80"
TF = "window: 480, hop: 320, fft: 512, window_type: hann, mels: 40, mel_scale: tensorflow, log: natural, "
FRONT_ENDS = {
    "spectrogram": STFT + "window_type: hann, power: 2",
    "spectrogram_center": STFT + "window_type: hamming, power: 1, center: true",
    "log_mel_slaney": f"name: log_mel, {MEL} {DB}",
    "log_mel_htk": f"name: log_mel, {MEL} power: 1, mel_scale: htk, log: natural, log_offset: 0.001",
    "mfcc": f"name: mfcc, {MEL} {DB}, coefficients: 13, dct: ortho",
    "tf_mfcc": f"name: mfcc, {TF} low: 20, high: 4000, power: 1, log_offset: 1.0e-6, coefficients: 10, dct: tensorflow",
    "tf_micro": f"name: log_mel, {TF} low: 125, high: 7500, power: 2, log_floor: 1.0e-9",
}


@pytest.fixture
def features(tmp_path):
    """Return what a suite gives its models of a sound."""

    def features(sound, front_end):
        path = tmp_path / "suite.yaml"
        folder = tmp_path / "sounds" / "one"
        folder.mkdir(parents=True, exist_ok=True)
        with wave.open(str(folder / "sound.wav"), "wb") as file:
            file.setparams((1, 2, make_features.RATE, 0, "NONE", ""))
            file.writeframes(sound.astype("<i2").tobytes())
        seconds = len(sound) / make_features.RATE
        path.write_text(
            f"task: sound\ninputs: {{wav: sounds, rate: 16000, seconds: {seconds}, front_end: {{{front_end}}}}}\n"
            "labels: from inputs\nclasses: [one, two]\nvariants: {a: {image: a, technique: none}}\n"
        )
        suite = load_suite(path)
        assert "front end ran on this computer" in suite.inputs.note
        data = suite.load_data()
        assert data.raw.dtype == np.float32
        return data.real()[0]

    return features


@pytest.mark.parametrize("name", sorted(FRONT_ENDS.keys() - {"tf_micro"}))
def test_what_librosa_and_tensorflow_made(features, name):
    with np.load(HERE / "features.npz") as kept:
        sound, expected = kept["sound"], kept[name]
    found = features(sound, FRONT_ENDS[name])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_the_fixed_point_front_end_of_tensorflow_lite_micro_is_near_but_not_equal(features):
    """It gives 64 ln(sqrt(energy)) in whole steps; where there is a sound these differ by a constant and some steps."""
    with np.load(HERE / "features.npz") as kept:
        sound, expected = kept["sound"], kept["tf_micro"].astype(float)
    loud = slice(0, 8)  # the pause is 0 there, since its logarithm has no floor
    steps = (32 * features(sound, FRONT_ENDS["tf_micro"]) - expected)[loud]
    assert 0 < np.abs(steps - np.median(steps)).max() < 4
    assert expected[loud].max() - expected[loud].min() > 100


def test_a_noise_as_librosa_has_it_now(features):
    pytest.importorskip("librosa", reason="librosa, the oracle of the front ends, isn't installed: pip install librosa")
    noise = np.random.default_rng().integers(-30_000, 30_000, 5_000).astype(np.int16)
    for name, expected in make_features.with_librosa(noise / 32768).items():
        found = features(noise, FRONT_ENDS[name])
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mels: 40, ", "", "log_mel needs mels: results depend on it"),
        ("log: natural", "log: natural, dct: ortho", "log_mel has no dct"),
        (", log_floor: 1.0e-9", "", "log needs a log_floor or a log_offset above 0"),
        ("fft: 512", "fft: 256", "a window of 480 samples doesn't fit into an fft of 256"),
        ("high: 7500", "high: 9000", "high must lie above low and at most at half the rate, 8000 Hz"),
        ("log_mel", "log_mell", "name: must be 'spectrogram', 'log_mel' or 'mfcc'"),
        ("hop: 320, ", "", "front_end.hop: is missing"),
        ("window: 480", "windows: 480", 'front_end.windows: unknown key; did you mean "window"?'),
    ],
)
def test_a_front_end_that_is_not_wholly_stated(features, old, new, words):
    with pytest.raises(ConfigError) as caught:
        features(np.zeros(4000), FRONT_ENDS["tf_micro"].replace(old, new))
    assert words in str(caught.value)
    assert "suite.yaml:2: inputs" in str(caught.value)
