"""A reference shows what the labels don't: inputs in another order, and a board that predicts otherwise."""

from __future__ import annotations

import re
import textwrap

import numpy as np
import pytest
from click.testing import CliRunner

import harness
from harness.build import interpreters
from harness.cli import main
from harness.config import load_suite
from harness.errors import ConfigError
from harness.image.elf import load_image
from harness.measure.reference import load_reference

SAMPLES = 30


@pytest.fixture
def data(root):
    with np.load(root / "suites" / "data" / "fashion_mnist_test1000.npz") as file:
        return file["images"][:SAMPLES], file["labels"][:SAMPLES]


@pytest.fixture
def make_suite(tmp_path, root):
    def make(images, labels, more="", variants="int8"):
        np.savez(tmp_path / "data.npz", images=images, labels=labels)
        lines = [f"  {name}: {{image: fashion_mnist_{name}, technique: t}}" for name in variants.split()]
        text = textwrap.dedent(f"""
            task: fashion
            inputs: {{file: data.npz, array: images, scale: 0.00392156862745098}}
            labels: {{file: data.npz, array: labels}}
            classes: {[f"c{n}" for n in range(10)]}
            images: {root}/firmware/prebuilt
            {more}
            variants:
        """)
        path = tmp_path / "suite.yaml"
        path.write_text(text + "\n".join(lines) + "\n")
        return path

    return make


@pytest.fixture
def reference(root, tmp_path):
    model = root / "firmware" / "models" / "fashion_mnist" / "fashion_mnist_int8.tflite"

    def make(suite, *options):
        arguments = ["reference", str(model), str(suite), "-o", str(tmp_path / "ref.npz"), *options]
        return CliRunner().invoke(main, arguments)

    return make


def run(suite, tmp_path):
    return harness.benchmark(suite, backend="virtual", results_dir=tmp_path / "results")


@pytest.mark.slow
def test_a_transposed_square_image_passes_every_shape_check_and_is_found_by_the_reference(
    data, make_suite, reference, tmp_path
):
    pytest.importorskip("tflite_micro", reason="tflite-micro, the reference of int8 models, isn't installed")
    images, labels = data
    result = reference(make_suite(images, labels))
    assert result.exit_code == 0, result.output
    line = re.search(r"variants: (reference: .*)$", result.output, re.MULTILINE)[1]
    case = run(make_suite(images, labels, line), tmp_path).cases.iloc[0]
    assert (case["agreement"], case["reference_difference_max"]) == (1.0, 0.0)
    assert case["reference"] == "ref.npz[outputs]"
    assert case["agreement_high"] == 1.0

    results = run(make_suite(images.transpose(0, 2, 1), labels, line), tmp_path)
    case = results.cases.iloc[0]
    assert case["status"] == "complete"
    assert case["agreement_high"] < 0.95
    assert case["reference_difference_max"] > 0.1
    folder = results.runs["path"].iloc[0]
    shown = CliRunner().invoke(main, ["results", "show", folder]).output
    assert f"int8: only {100 * case['agreement']:.1f} % of its predictions are those of its reference" in shown
    assert re.search(r"\nagreement with the reference\n *variant +equal predictions +95 % interval", shown)
    page = tmp_path / "page.html"
    assert CliRunner().invoke(main, ["report", folder, "--html", str(page)]).exit_code == 0
    assert "agrees with reference" in page.read_text()
    assert "Unlike the reference" in page.read_text()


def test_a_reference_of_some_inputs_only_is_that_of_these_inputs(data, make_suite, nano33, tmp_path):
    """Whatever inputs a run uses, each is held against its own row."""
    images, labels = data
    np.save(tmp_path / "ref.npy", labels)
    suite = load_suite(make_suite(images, labels, "reference: {file: ref.npy}"))
    card = load_image(suite.image_path(suite.variants[0], nano33.kind), nano33.kind).card
    places = np.array([3, 7, 20])
    found = load_reference(suite, suite.variants[0], card.output, suite.load_data().take(places))
    assert found.classes.tolist() == labels[places].tolist()
    assert found.outputs is None


GOOD = np.zeros((SAMPLES, 10), np.float32)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (GOOD[:-1], "has 29 rows, but the suite has 30 inputs"),
        (GOOD[:, :9], "has 9 outputs for each input (shape [30, 9]), but the model has 10"),
        (np.where(np.arange(SAMPLES)[:, None] == 4, np.nan, GOOD), "input 4 has an output that is not a finite number"),
        (GOOD.astype(np.int64), "is made of int64, but the model's output is int8: save the real values"),
        (np.full(SAMPLES, 10), "class 10 of input 0 is not one of 0 to 9"),
        (np.zeros(SAMPLES), "is a list of float64: classes are whole numbers"),
        (np.zeros(SAMPLES, str), "must be made of numbers"),
    ],
)
def test_a_reference_that_cannot_be_one_is_refused_before_the_board_is_touched(
    data, make_suite, tmp_path, values, message
):
    np.save(tmp_path / "ref.npy", values)
    suite = make_suite(*data, "reference: {file: ref.npy}")
    case = run(suite, tmp_path).cases.iloc[0]
    assert case["status"] == "failed"
    assert message in case["reason"]
    assert case[["build_id", "board_uid", "agreement"]].isna().all()


def test_a_variant_has_a_reference_of_its_own_or_the_suites(data, make_suite):
    path = make_suite(*data, "reference: {file: ref.npz, array: outputs}", "int8 float32")
    text = path.read_text().replace("_float32, ", "_float32, reference: {file: other.npy}, ")
    path.write_text(text)
    ours, other = load_suite(path).variants
    assert (ours.reference.file, ours.reference.array) == ("ref.npz", "outputs")
    assert (other.reference.file, other.reference.array) == ("other.npy", None)
    path.write_text(text.replace("other.npy}", "other.npy, scale: 2}"))
    with pytest.raises(ConfigError, match=r"suite\.yaml:\d+: variants\.float32\.reference\.scale"):
        load_suite(path)


def test_making_a_reference_is_refused_in_words(data, make_suite, reference, monkeypatch):
    pytest.importorskip("tflite_micro", reason="tflite-micro, the reference of int8 models, isn't installed")
    images, labels = data
    assert (
        "hil reference model.tflite suite.yaml -o reference.npz" in CliRunner().invoke(main, ["reference", "-h"]).output
    )
    result = reference(make_suite(np.pad(images, ((0, 0), (28, 0), (28, 0))), labels))
    assert result.exit_code == 1
    assert "input" in result.output
    assert "3,136" in result.output or "3136" in result.output
    suite = make_suite(np.repeat(np.repeat(images, 2, 1), 2, 2), labels)
    suite.write_text(suite.read_text().replace("technique: t", "technique: t, resize: area"))
    result = reference(suite)
    assert "name the variant: --variant int8" in result.output
    assert reference(suite, "--variant", "int8").exit_code == 0
    monkeypatch.setitem(interpreters.PACKAGES, "tflite-micro", "no-such-package")
    result = reference(suite, "--interpreter", "tflite-micro")
    assert result.exit_code == 1
    assert "not installed: pip install --pre tflite-micro" in result.output
