"""Every form of inputs and labels, read by a suite, against arrays that were made without the readers."""

from __future__ import annotations

import wave

import numpy as np
import pytest

from harness.config import load_suite

SUITE = """\
task: made_up
inputs: {inputs}
labels: {labels}
classes: [cat, ant]
images: images
variants: {{a: {{image: a, technique: none}}}}
"""
RANDOM = np.random.default_rng(0)


@pytest.fixture
def load(tmp_path):
    def load(inputs, labels="from inputs"):
        path = tmp_path / "suite.yaml"
        path.write_text(SUITE.format(inputs=inputs, labels=labels))
        return load_suite(path).load_data()

    return load


@pytest.fixture
def sounds(tmp_path):
    """Return two classes of noise, and a function that writes a file."""

    def write(name, samples, rate=8000, width=2, channels=1):
        path = tmp_path / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setparams((channels, width, rate, 0, "NONE", ""))
            file.writeframes(samples.tobytes())

    noise = RANDOM.integers(-32768, 32767, (3, 4000), np.int16, endpoint=True)
    for name, samples in zip(("cat/b.wav", "cat/a.WAV", "ant/c.wav"), noise, strict=True):
        write(name, samples)
    return noise[[2, 1, 0]], write


WAV = "{wav: sounds, rate: 8000, seconds: 0.5%s}"


def test_wav(load, sounds):
    noise, _ = sounds
    data = load(WAV % "")
    assert data.labels.tolist() == [1, 0, 0]  # ant before cat on disk, cat before ant in the suite
    np.testing.assert_array_equal(data.raw, noise)
    np.testing.assert_array_equal(data.real(), (noise / 32768).astype(np.float32))
