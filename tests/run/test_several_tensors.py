"""Whole cases of models of several tensors and with state, on the virtual board, held against numpy."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

from harness.config import load_suite
from harness.config.sequence import Battery
from harness.errors import ConfigError, HilError
from harness.farm.order import pack
from harness.image.elf import load_image
from harness.measure.duty import duty_columns, duty_sentence
from harness.profile.inputs import random_inputs, suite_input
from harness.report.pairing import side_maker
from harness.report.remarks import remarks
from harness.run.case import run_case
from harness.store import Run, load_results
from harness.store.results import plain_rows


@pytest.fixture
def arrays(tmp_path):
    """Sequences of up to 6 steps for stream.elf, and signals with gains for pair.elf."""
    draw = np.random.default_rng(8)
    found = {
        "steps": draw.integers(-60, 60, (8, 6, 4)).astype("f4") / 2,
        "lengths": np.array([6, 1, 3, 6, 2, 5, 4, 6]),
        "labels": draw.integers(0, 3, 8),
        "flags": draw.integers(0, 2, (8, 3)),
        "signal": draw.normal(0, 30, (8, 8)).astype("f4"),
        "gain": draw.normal(0, 2, (8, 1)).astype("f4"),
        "few": np.zeros((5, 1), "f4"),
        "peaks": draw.integers(0, 8, 8),
    }
    np.savez(tmp_path / "arrays.npz", **found)
    return found


@pytest.fixture
def suite(tmp_path, root, arrays):  # noqa: ARG001 (they are to be there)
    """Return a suite of one image, with some keys; FILE[name] is an array."""

    def make(image, keys):
        text = textwrap.dedent(keys).replace("FILE[", "{file: arrays.npz, array: ").replace("]FILE", "}")
        variants = f"variants: {{one: {{image: {root}/tests/images/{image}.elf, technique: t}}}}\n"
        (tmp_path / "suite.yaml").write_text(f"task: made\n{text}\n{variants}")
        return load_suite(tmp_path / "suite.yaml")

    return make


@pytest.fixture
def measured(board, tmp_path):
    def measure(suite):
        with Run.create(tmp_path / "results", {"seed": 0}) as run:
            run_case(board, suite, suite.variants[0], suite.load_data(), run, retries=0)
        return load_results(run.path)

    return measure


def levels(steps):
    level, found = np.zeros(3, np.float32), []
    for step in np.round(2 * steps).astype("f4"):
        level = np.float32(0.5) * level + np.float32(0.5) * (step[:3] + step[3])
        found.append(level)
    return np.array(found)


STEPS = "inputs: FILE[steps]FILE\nlengths: FILE[lengths]FILE\n"
CLASSES = "labels: FILE[labels]FILE\nclasses: [a, b, c]\n"


def test_a_sequence_is_one_answer_of_many_steps(suite, measured, arrays):
    results = measured(suite("stream", f"{STEPS}{CLASSES}sequence: {{decide: mean}}\nevery: 20 ms"))
    row, samples, outputs = results.cases.iloc[0], results.samples, results.outputs
    each = [levels(steps[:count]) for steps, count in zip(arrays["steps"], arrays["lengths"], strict=True)]
    predicted = [found.mean(axis=0, dtype=float).argmax() for found in each]
    assert row.accuracy == np.mean(predicted == arrays["labels"])
    assert row.samples == 8
    assert samples[samples.step == 0].prediction.tolist() == predicted
    assert samples.groupby("sample").step.apply(list).tolist() == [list(range(n)) for n in arrays["lengths"]]
    assert samples.ticks.nunique() == 1
    assert np.array_equal(np.stack(outputs.real), np.concatenate(each))
    assert row.period_s == 0.02
    side = side_maker(results)(plain_rows(results.cases)[0])
    assert side.samples["sample"].tolist() == list(range(8))
    assert side.samples["ticks"].tolist() == [samples.ticks[0]] * 8
    assert side.samples["output_crc"].nunique() == 8
    (duty,) = [remark.text for remark in remarks([side.row]) if remark.title == "Duty cycle"]
    assert duty == f"one: every 20 ms {samples.ticks[0]} instructions, which say nothing of time."
    assert results.cases[["duty", "late", "power_average_uw"]].isna().all(axis=None)


@pytest.mark.parametrize("decide", ["last", "max", "any"])
def test_rules_of_decision(suite, measured, arrays, decide):
    more = ", threshold: 10.0" if decide == "any" else ""
    keys = f"{STEPS}labels: FILE[flags]FILE\nmetric: hamming\nsequence: {{decide: {decide}{more}}}"
    row = measured(suite("stream", keys)).cases.iloc[0]
    rule = {"last": lambda s: s[-1], "max": lambda s: s.max(axis=0), "any": lambda s: (s > 10).any(axis=0)}[decide]
    pairs = zip(arrays["steps"], arrays["lengths"], strict=True)
    answers = np.array([rule(levels(steps[:count])) for steps, count in pairs]).astype(float)
    assert row.score == pytest.approx(np.mean((answers > 0.5) != arrays["flags"]))


def test_a_model_with_state_and_no_sequences_starts_anew_for_each_input(suite, measured, arrays, tmp_path):
    np.savez(tmp_path / "arrays.npz", **{**arrays, "steps": arrays["steps"][:, 0]})
    results = measured(suite("stream", f"inputs: FILE[steps]FILE\n{CLASSES}"))
    expected = [levels(steps[:1])[0] for steps in arrays["steps"]]
    assert np.array_equal(np.stack(results.outputs.real), expected)
    assert "the model has state, which is reset before each input" in results.cases.inputs_note[0]
    assert results.samples.step.isna().all()


def shares(outputs, labels):
    """A metric of the user's: outputs come by name."""
    assert outputs["scaled"].shape == (len(labels), 8)
    return float(np.mean(outputs["peak"][:, 0] == labels)) + float(outputs["scaled"].sum())


def test_two_inputs_and_two_outputs_by_name(suite, measured, arrays, monkeypatch, root):
    monkeypatch.syspath_prepend(root / "tests" / "run")
    tensors = "inputs: {tensors: {gain: FILE[gain]FILE, signal: FILE[signal]FILE}}"
    keys = f"{tensors}\nlabels: FILE[peaks]FILE\nmetric: test_several_tensors:shares"
    results = measured(suite("pair", keys))
    scaled = np.trunc(arrays["signal"] * 4 + np.copysign(0.5, arrays["signal"])) * np.float32(0.25) * arrays["gain"]
    peaks = np.trunc(arrays["signal"] * 4 + np.copysign(0.5, arrays["signal"])).argmax(axis=1)
    by_tensor = dict(iter(results.outputs.groupby("tensor")))
    assert np.array_equal(np.stack(by_tensor[0].real), scaled)
    assert [row[0] for row in by_tensor[1].raw] == peaks.tolist()
    expected = np.mean(peaks == arrays["peaks"]) + scaled.astype(float).sum()
    assert results.cases.score[0] == pytest.approx(expected)


def test_the_farm_sends_all_arrays_in_one_file(suite, arrays, tmp_path):
    np.savez(tmp_path / "arrays.npz", **{**arrays, "signals": np.zeros((8, 6, 8), "f4"), "gains": arrays["steps"]})
    keys = """\
        inputs: {tensors: {gain: {file: arrays.npz, array: gains, scale: 2}, signal: FILE[signals]FILE}}
        labels: FILE[labels]FILE
        lengths: FILE[lengths]FILE
        classes: [a, b, c]
        sequence: {decide: last}"""
    given = suite("pair", keys)
    packed = pack(given)
    (tmp_path / "data.npz").write_bytes(packed.content)
    assert given.model_copy(update=packed.sources).load_all().digest() == given.load_all().digest()


def test_profiles_take_all_tensors_and_the_first_step(suite, arrays, root):
    pair, stream = (load_image(root / "tests" / "images" / f"{name}.elf") for name in ("pair", "stream"))
    assert len(random_inputs(pair.card).data) == 20
    tensors = "inputs: {tensors: {gain: FILE[gain]FILE, signal: FILE[signal]FILE}}"
    given = suite_input(pair, suite("pair", f"{tensors}\nmetric: none").path, 3).data
    assert given[16:] == arrays["gain"][3].tobytes()
    keys = f"{STEPS}{CLASSES}sequence: {{decide: last}}"
    first = np.round(2 * arrays["steps"][3, 0]).astype(np.int8)
    assert suite_input(stream, suite("stream", keys).path, 3).data == first.tobytes()


@pytest.mark.parametrize(
    ("image", "keys", "said"),
    [
        ("stream", f"{STEPS}{CLASSES}", '"?lengths"?.*goes with "sequence:"'),
        ("stream", f"inputs: FILE[steps]FILE\n{CLASSES}battery: {{mah: 1, volts: 3}}", 'battery.*goes with "every:"'),
        ("stream", f"{STEPS}{CLASSES}sequence: {{decide: any}}", '"threshold" goes with "decide: any"'),
        ("stream", f"{STEPS}{CLASSES}sequence: {{decide: last, threshold: 1}}", '"threshold" goes with "decide: any"'),
        ("stream", f"{STEPS}{CLASSES}sequence: {{decide: lats}}", "sequence.decide"),
        ("stream", f"{STEPS}{CLASSES}sequence: {{decide: last}}\nevery: 0 ms", "'0 ms' is no period"),
        ("stream", f"{STEPS}{CLASSES}sequence: {{decide: last}}\nevery: -3 s", "'-3 s' is no period"),
        ("stream", f"{STEPS}{CLASSES}sequence: {{decide: last}}\nevery: 20", "20 is no period"),
        ("stream", "inputs: FILE[labels]FILE\nmetric: none\nsequence: {decide: last}", "are no sequences: axis 1"),
        (
            "stream",
            "inputs: FILE[steps]FILE\nmetric: none\nlengths: FILE[labels]FILE\nsequence: {decide: last}",
            "0 steps of sample . are none of 1 to 6",
        ),
        (
            "stream",
            "inputs: FILE[steps]FILE\nmetric: none\nlengths: FILE[few]FILE\nsequence: {decide: last}",
            r"must be a list of whole numbers, the number of steps of each input, not float32 of shape \[5, 1\]",
        ),
        ("stream", "inputs: FILE[steps]FILE\nmetric: none", "inputs of 24 values .* whose input has 4"),
        (
            "pair",
            "inputs: {tensors: {signal: FILE[signal]FILE}}\nmetric: none",
            'no array for the tensor "gain"; the model\'s inputs are signal, gain',
        ),
        (
            "pair",
            "inputs: {tensors: {signal: FILE[signal]FILE, gian: FILE[gain]FILE}}\nmetric: none",
            'array for the tensor "gian".*gain.*the model\'s inputs are signal, gain',
        ),
        (
            "pair",
            "inputs: {tensors: {signal: FILE[signal]FILE, gain: FILE[few]FILE}}\nmetric: none",
            'tensor "gain" has 5 inputs, but "signal" has 8',
        ),
        ("pair", "inputs: FILE[signal]FILE\nmetric: none", "inputs are signal, gain: give each an array"),
        (
            "pair",
            "inputs: {tensors: {signal: FILE[gain]FILE, gain: FILE[gain]FILE}}\nmetric: none",
            'tensor "signal": inputs of 1 values',
        ),
        (
            "pair",
            (
                "inputs: {tensors: {signal: FILE[steps]FILE, gain: FILE[gain]FILE}}\nmetric: none\n"
                "sequence: {decide: last}"
            ),
            'tensor "gain" has 1 steps, but another tensor has 6',
        ),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_flashed(suite, measured, board, image, keys, said):
    with pytest.raises((ConfigError, HilError), match=said):
        measured(suite(image, keys))
    assert board.flashing is None


def test_a_period_and_a_battery():
    """1.2 ms and 25 ms every 20 ms at 64 MHz: 13.1 ms on average. 10 uA x 3 V + 40 uJ / 20 ms = 2,030 uW."""
    energy = {"energy_net_uj": 40.0, "idle_current_ua": 10.0, "power_voltage_v": 3.0}
    ticks, battery = [int(0.0012 * 64e6), int(0.025 * 64e6)], Battery(mah=220, volts=3)
    row = duty_columns(0.02, battery, ticks, "cycles", 64_000_000, energy)
    assert row == pytest.approx(
        {"period_s": 0.02, "duty": 0.655, "late": 1, "power_average_uw": 2030.0, "battery_h": 0.66 / 2.030e-3}
    )
    said = duty_sentence({**row, "latency_us_max": 25_000.0})
    assert said.startswith("every 20 ms the CPU works 65.5 % of the time; the longest inference takes 25,000 us: 1 inf")
    assert said.endswith("2,030 uW on average, 13.5 days of the battery")
    assert duty_columns(0.02, battery, ticks, "instructions", 64_000_000, energy) == {"period_s": 0.02}
    assert duty_columns(0.01, battery, ticks, "cycles", 64_000_000, energy).keys() == {"period_s", "duty", "late"}
    assert duty_columns(None, None, ticks, "cycles", 64_000_000, {}) == {}
    assert duty_sentence({"ticks_median": 5.0}) is None
