"""The operators of TFLite Micro's signal library: whatever their shapes and options, the bits that it computes."""

from __future__ import annotations

import numpy as np
import pytest

from engine.signal_models import INT16, frames, front_end, int16, samples, transforms
from engine.targets import CortexModel, HostModel
from engine.tflite_writer import Op, T, write_tflite
from harness.build import parse_tflite, plan_memory
from harness.build.interpreters import open_interpreter
from harness.errors import ConfigError

STEPS = 9


def check(target, make, seed, kernels, folder):
    rng = np.random.default_rng(seed)
    operators, x, outputs, counts = make(rng)
    path = folder / "signal.tflite"
    path.write_bytes(write_tflite(operators, inputs=[x], outputs=outputs))
    graph, oracle = parse_tflite(path), open_interpreter(path, ["tflite-micro"])
    model = target(graph, folder, kernels)
    for step in range(STEPS):
        if step == STEPS - 2 and target is HostModel:  # which begins anew
            oracle.reset()
            model.reset()
        values = samples(rng, x.shape)
        got, want = model(values), oracle.infer([values])
        for index, (ours, theirs) in enumerate(zip(got, want, strict=True)):
            if index in counts and not want[counts[index]]:
                continue  # no whole frame yet
            if ours.dtype == np.float32:
                np.testing.assert_allclose(ours.ravel(), theirs, rtol=1e-5, atol=1e-5 * float(np.abs(theirs).max()))
            else:
                np.testing.assert_array_equal(ours.ravel(), theirs, err_msg=f"output {index} at step {step}")


@pytest.fixture(autouse=True)
def _oracle():
    pytest.importorskip("tflite_micro", reason="tflite-micro, the oracle of integers, isn't installed")


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("make", [front_end, frames, transforms], ids=lambda make: make.__name__)
def test_it_is_equal_to_tflite_micro(make, seed, host_kernels, tmp_path):
    check(HostModel, make, seed, host_kernels, tmp_path)


CORTEX = [transforms, *(pytest.param(make, marks=pytest.mark.slow) for make in (front_end, frames))]


@pytest.mark.parametrize("make", CORTEX, ids=["transforms", "front_end", "frames"])
def test_cortex_code_is_equal_to_tflite_micro(make, cortex_kernels, tmp_path):
    check(CortexModel, make, 3, cortex_kernels, tmp_path)


def refusal(tmp_path, *operators):
    path = tmp_path / "m.tflite"
    path.write_bytes(write_tflite(operators))
    with pytest.raises(ConfigError) as caught:
        plan_memory(parse_tflite(path))
    return str(caught.value)


def samples_of(count, dtype="int16"):
    return T((count,), dtype)


def test_what_would_read_or_write_elsewhere_is_refused(tmp_path):
    x = samples_of(12)
    said = refusal(tmp_path, Op("SignalRfft", [x], samples_of(14), {"T": INT16, "fft_length": 12}))
    assert "operator 0 (SignalRfft): an FFT over 12. Needed: a power of two from 4 to 16384" in said
    said = refusal(tmp_path, Op("SignalRfft", [x], samples_of(14), {"T": INT16, "fft_length": 16}))
    assert "shapes [12] to [14], fft_length 16" in said
    said = refusal(tmp_path, Op("SignalWindow", [x, int16([1] * 5)], samples_of(12), {"shift": 12}))
    assert "shapes [12], [5] to [12], shift 12" in said
    for length in (-3, 1 << 40):
        said = refusal(tmp_path, Op("SignalDelay", [x], samples_of(12), {"delay_length": length}))
        assert f"delay_length = {length}" in said
    bands = [int16(values) for values in ([1] * 4, [1] * 4, [0, 3], [0, 2], [2, 4])]
    operators = [
        Op("SignalEnergy", [x], energy := samples_of(6, "uint32"), {"start_index": 0, "end_index": 6}),
        Op("SignalFilterBank", [energy, *bands], samples_of(1, "uint64"), {"num_channels": 1}),
    ]
    assert "bands beyond the spectrum or the weights" in refusal(tmp_path, *operators)


def test_options_that_are_missing_or_no_numbers_are_refused(tmp_path):
    said = refusal(tmp_path, Op("SignalRfft", [samples_of(12)], samples_of(18), {"T": INT16}))
    assert "its options are missing (fft_length)" in said
    said = refusal(tmp_path, Op("SignalDelay", [samples_of(12)], samples_of(12), {"delay_length": "long"}))
    assert "its option delay_length is no whole number" in said
