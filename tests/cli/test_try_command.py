"""`hil try` and `hil init --model`: from a .tflite file to figures, against the image and suite that are shipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import harness
from harness.cli import main
from harness.image.elf import load_image

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "firmware" / "models" / "fashion_mnist" / "fashion_mnist_int8.tflite"
DATA = ROOT / "suites" / "data" / "fashion_mnist_test1000.npz"


@pytest.fixture
def hil(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.slow
@pytest.mark.usefixtures("toolchain")
def test_a_model_is_measured_with_nothing_but_its_file(hil, prebuilt, tmp_path):
    shipped = load_image(prebuilt / "fashion_mnist_int8.elf")
    done = hil("try", MODEL, "--board", "nano33", "--backend", "virtual", "--inputs", 3, "--keep", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["model"], told["inputs"], told["accuracy"]) == (str(MODEL), {"random": 3, "seed": 0}, None)
    assert (told["flash_bytes"], told["ram_arena_bytes"]) == (shipped.flash_bytes, shipped.ram_arena_bytes)
    assert told["ram_peak_bytes"] == sum(told[f"ram_{part}_bytes"] for part in ("static", "arena", "stack", "heap"))
    assert told["counter"] == "instructions"
    assert not any(name.startswith(("latency_us", "energy_uj")) for name in told)
    layers = told["profile"]["layers"]
    assert sum(layer["macs"] for layer in layers) == shipped.card.macs
    assert [layer["kind"] for layer in layers] == [spec.kind for spec in shipped.layers]
    assert told["ticks_median"] == pytest.approx(told["profile"]["total"]["instructions"], rel=0.01)
    case = harness.load_results(tmp_path / told["run"]).cases.iloc[0]
    assert (case["metric"], case["samples"], case["ticks_median"]) == ("none", 3, told["ticks_median"])


@pytest.mark.slow
@pytest.mark.usefixtures("toolchain")
def test_a_first_suite_runs_and_scores_what_the_shipped_one_does(hil, tmp_path):
    done = hil("init", "--model", MODEL, "--data", DATA)
    assert done.exit_code == 0, done.output
    assert "pytest suites/fashion_mnist_int8.yaml --device nano33\n" in done.output
    mine = harness.benchmark("suites/fashion_mnist_int8.yaml", backend="virtual", samples=20).cases.iloc[0]
    shipped = harness.load_suite(ROOT / "suites" / "fashion_mnist.yaml")
    assert mine["status"] == "complete"
    assert mine["inputs_sha256"] == shipped.load_data(20).digest()
    example = harness.load_results(ROOT / "results" / "example", suite="fashion_mnist", variant="int8").samples
    right = example[example["sample"].isin(harness.load_results("results").samples["sample"])]
    assert mine["accuracy"] == (right["prediction"] == right["label"]).mean()
    again = hil("init", "--model", MODEL)
    assert (again.exit_code, "isn't overwritten" in again.output) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".gitignore",
        "devices.yaml",
        "images",
        "results",
        "suites",
    ]


@pytest.mark.parametrize("command", ["try", "init"])
def test_without_a_compiler_it_says_what_to_install(hil, monkeypatch, command):
    monkeypatch.setenv("PATH", "/nowhere")
    asked = ("try", MODEL, "--board", "nano33") if command == "try" else ("init", "--model", MODEL)
    done = hil(*asked)
    assert done.exit_code == 1
    assert "apt-get install gcc-arm-none-eabi" in done.output


@pytest.mark.usefixtures("toolchain")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("try", MODEL), 2, "say where: --board KIND"),
        (("try", MODEL, "--board", "nano34"), 1, 'did you mean "nano33"'),
        (("try", MODEL, "--board", "other", "--device", "nano33"), 1, "nano33 is a nano33, not a other"),
        (("try", "nothing.tflite", "--board", "nano33"), 1, "nothing.tflite: can't be read"),
        (("init", "--data", DATA), 2, "--data goes with --model"),
        (("init", "--model", MODEL, "--data", "nothing.npz"), 1, "nothing.npz: there is no such file"),
    ],
)
def test_mistakes(hil, arguments, code, message):
    done = hil(*arguments)
    assert (done.exit_code, message in done.output) == (code, True), done.output


def test_help_has_an_example(hil):
    assert "\n  hil try model.tflite --board nano33\n" in hil("try", "--help").output
    assert "\n  hil init --model model.tflite --data test.npz\n" in hil("init", "--help").output
