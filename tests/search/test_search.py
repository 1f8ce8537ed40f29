"""A search on the virtual board, over models that exist: the command that makes them copies files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from engine.targets import compiler
from harness import load_results
from harness.cli import main
from harness.report.pareto import front
from harness.search.run import AXES

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "firmware" / "models" / "fashion_mnist"
DATA = ROOT / "suites" / "data" / "fashion_mnist_test1000.npz"

MAKE = f"""
import json, shutil, sys
params, out, stage = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
print("making", params, stage)
if params["model"] == "broken":
    sys.exit("no such architecture")
if params["model"] == "nothing":
    sys.exit(0)
if params["model"] == "untrainable" and stage == "train":
    sys.exit("the loss is NaN")
name = {{"untrainable": "int8"}}.get(params["model"], params["model"])
shutil.copyfile(f"{MODELS}/fashion_mnist_{{name}}.tflite", out)
"""


def measured(variant):
    """Return the instructions of a variant's committed image in the published example."""
    cases = load_results(ROOT / "results" / "example").cases
    return cases.set_index(["suite", "variant"]).ticks_median["fashion_mnist", variant]


@pytest.fixture
def searched(tmp_path, kept_objects):
    compiler("arm-none-eabi-gcc")
    kept_objects.mkdir(exist_ok=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "objects").symlink_to(kept_objects)
    (tmp_path / "make.py").write_text(MAKE)

    def run(models, *options, limits="{}"):
        (tmp_path / "search.yaml").write_text(f"""
task: fashion_search
inputs: {{file: {DATA}, array: images, scale: 0.00392156862745098}}
labels: {{file: {DATA}, array: labels}}
classes: [t-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, boot]
space: {{model: [{", ".join(models)}]}}
make: ["{{python}}", make.py, "{{params}}", "{{out}}", "{{stage}}"]
limits: {limits}
""")
        out = tmp_path / "out"
        command = ["search", str(tmp_path / "search.yaml"), "--device", "nano33", "--backend", "virtual"]
        done = CliRunner().invoke(main, [*command, "--out", str(out), "--samples", "30", *options])
        found = json.loads((out / "search.json").read_text()) if (out / "search.json").exists() else {"candidates": []}
        return done, {entry["params"]["model"]: entry for entry in found["candidates"]}, out

    return run


@pytest.mark.slow
def test_candidates_are_measured_and_the_front_is_what_nothing_beats(searched):
    done, found, out = searched(["float32", "int8", "broken", "nothing", "untrainable"])
    assert done.exit_code == 0, done.output
    assert "no such architecture" in found["broken"]["reason"]
    assert "wrote no {out}" in found["nothing"]["reason"]
    assert "the loss is NaN" in found["untrainable"]["reason"]
    assert {found[name]["verdict"] for name in ("broken", "nothing", "untrainable")} == {"failed"}
    trained = [found["float32"], found["int8"]]
    best = front(pd.DataFrame([entry["measured"] for entry in trained]), AXES)
    assert [entry["verdict"] == "front" for entry in trained] == best
    # What the suite measures of the committed image of the same model.
    assert found["int8"]["measured"]["ticks_median"] == pytest.approx(measured("int8"), rel=0.001)
    assert found["int8"]["measured"]["counter"] == "instructions"
    assert (found["int8"]["measured"]["samples"], found["int8"]["macs"]) == (30, 952_736)
    assert "instructions" in done.output
    assert "latency" not in done.output
    suite = (out / "front.yaml").read_text()
    assert found["int8"]["name"] in suite
    assert found["broken"]["name"] not in suite


@pytest.mark.slow
def test_a_search_on_a_farms_boards_measures_the_same(searched, tmp_path):
    (tmp_path / "devices.yaml").write_text("devices:\n  twin: {kind: nano33, backend: virtual}\n")
    hil = [sys.executable, "-m", "harness"]
    scheduler = subprocess.Popen([*hil, "farm", "scheduler", "--port", "0"], stdout=subprocess.PIPE, text=True)
    worker = None
    try:
        address = scheduler.stdout.readline().split()[-1]
        worker = subprocess.Popen([*hil, "worker", address], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        while "is at" not in worker.stdout.readline():
            assert worker.poll() is None
        done, found, out = searched(["int8"], "--scheduler", address)
    finally:
        for process in filter(None, (worker, scheduler)):
            process.terminate()
            process.wait(60)
    assert done.exit_code == 0, done.output
    assert found["int8"]["verdict"] == "front"
    assert found["int8"]["measured"]["ticks_median"] == pytest.approx(measured("int8"), rel=0.001)
    assert found["int8"]["measured"]["samples"] == 30
    assert set(load_results(out / "runs").cases["device"]) == {"twin"}


@pytest.mark.slow
def test_what_is_over_a_limit_is_never_trained(searched):
    limits = "{ram_peak_bytes: {max: 20000}, accuracy: {min: 0.5}}"
    done, found, out = searched(["float32", "int8"], "--limit", "ticks_median=2000000", limits=limits)
    assert done.exit_code == 0, done.output
    assert found["float32"]["verdict"] == "over a limit"
    assert "ram_peak_bytes is 36," in found["float32"]["reason"]
    assert "over the limit of 2,000,000" in found["float32"]["reason"]
    assert found["float32"]["trained"] is False
    assert found["float32"]["measured"]["accuracy"] is None
    assert not (out / "train" / f"{found['float32']['name']}.tflite").exists()
    assert found["int8"]["verdict"] == "front"


@pytest.mark.slow
def test_nothing_within_the_limits_is_an_error(searched):
    done, found, _ = searched(["int8"], "--limit", "flash_bytes=1000")
    assert done.exit_code == 1
    assert "no candidate of" in done.output
    assert found["int8"]["verdict"] == "over a limit"


@pytest.mark.slow
def test_the_largest_are_trained_first_and_what_is_there_is_not_made_again(searched):
    done, found, out = searched(["float32", "int8"], "--train", "1")
    assert done.exit_code == 0, done.output
    assert sorted(entry["verdict"] for entry in found.values()) == ["front", "not trained"]
    model = next((out / "train").glob("*.tflite"))
    before = model.stat().st_mtime_ns
    searched(["float32", "int8"], "--train", "1")
    assert model.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--limit", "ram=5"], '"ram" is no numeric column'),
        (["--limit", "estimated_cycles_median=5"], '"estimated_cycles_median" is an estimate, and'),
        (["--limit", "latency_us_median=5", "--samples", "3"], "not measured on virtual"),
    ],
)
@pytest.mark.slow
def test_limits_that_cannot_be_checked_are_refused(searched, options, message):
    done, _, _ = searched(["int8"], *options)
    assert done.exit_code == 1
    assert message in done.output


def test_a_missing_file_is_said(tmp_path):
    done = CliRunner().invoke(main, ["search", str(tmp_path / "none.yaml"), "--device", "nano33"])
    assert done.exit_code == 1
    assert "none.yaml: there is no such file" in done.output


def test_help_names_an_example():
    done = CliRunner().invoke(main, ["search", "--help"])
    assert "hil search search.yaml --device nano33" in done.output
