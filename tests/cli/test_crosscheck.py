"""hil crosscheck: two backends, and what counts as a difference."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from fakes.small_suite import write_small_suite
from harness.cli import main
from harness.cli.crosscheck import EXIT_CODES, compare_runs, verdict
from harness.report.gate import EXIT_CODES as GATE

ROOT = Path(__file__).parents[2]
FAKE = ROOT / "tests" / "fakes" / "renode.py"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    program = tmp_path / "renode"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("HIL_RENODE", str(program))
    monkeypatch.delenv("FAKE_RENODE", raising=False)
    (tmp_path / "suites").mkdir()
    write_small_suite(tmp_path / "suites" / "small.yaml", ROOT)
    monkeypatch.chdir(tmp_path)

    def hil(*arguments, trap=""):
        monkeypatch.setenv("FAKE_RENODE", trap)
        return CliRunner().invoke(
            main, ["crosscheck", "nano33", *arguments, "--results-dir", str(tmp_path / "results")]
        )

    return hil


def tables(*, backend="virtual", counter="instructions", **changed):
    case = {
        "suite": "digits",
        "variant": "int8",
        "backend": backend,
        "counter": counter,
        "status": "complete",
        "reason": None,
        "image_sha256": "ab",
        "ram_static_bytes": 100,
        "ram_arena_bytes": 200,
        "ram_stack_bytes": 30,
        "ram_heap_bytes": 0,
        "ram_peak_bytes": 330,
    }
    columns = {"prediction": [1, 2, 3], "output_crc": [7, 8, 9], "ticks": [50, 51, 52]}
    samples = {**columns, **{name: changed.pop(name) for name in columns if name in changed}}
    frame = pd.DataFrame({"sample": [0, 1, 2], "repeat": 0, "suite": "digits", "variant": "int8", **samples})
    return pd.DataFrame([case | changed]), frame


def outcomes(first, second):
    return {check.what: check.equal for check in compare_runs(first, second)}


def test_equal():
    assert outcomes(tables(), tables(backend="renode")) == {
        "predictions": True,
        "outputs": True,
        "instructions": True,
        "RAM high-water": True,
    }


@pytest.mark.parametrize(
    ("changed", "what", "text"),
    [
        ({"prediction": [1, 5, 3]}, "predictions", "1 of 3 differ; sample 1 has 2 and 5"),
        ({"output_crc": [7, 8, 0]}, "outputs", "1 of 3 differ; sample 2 has 9 and 0"),
        ({"output_crc": [7, 0, None]}, "outputs", "1 of 3 differ; sample 1 has 8 and 0"),
        ({"ticks": [51, 52, 53]}, "instructions", "3 of 3 differ; sample 0 has 50 and 51"),
        ({"ram_stack_bytes": 34}, "RAM high-water", "ram_stack_bytes: 30 and 34"),
        ({"ram_stack_bytes": 34, "ram_heap_bytes": None}, "RAM high-water", "ram_stack_bytes: 30 and 34; ram_heap_byt"),
    ],
)
def test_every_difference_is_found(changed, what, text):
    checks = compare_runs(tables(), tables(backend="renode", **changed))
    found = [check for check in checks if check.equal is False]
    assert {check.what for check in found} == {what}
    assert text in found[0].text
    assert verdict(checks) == "differ"


@pytest.mark.parametrize(
    ("changed", "what", "text"),
    [
        ({"output_crc": [7, 8, None]}, "outputs", "1 of 3 are missing; sample 2 has 9 and nan"),
        ({"ram_peak_bytes": None}, "RAM high-water", "ram_peak_bytes: 330 and None"),
        ({"image_sha256": "cd"}, "image", "ab and cd"),
        ({"status": "failed", "reason": "no answer"}, "case", "renode: failed (no answer)"),
        ({"variant": "other"}, "case", "measured on one of the backends only"),
    ],
)
def test_what_a_backend_did_not_say_is_neither_equal_nor_different(changed, what, text):
    checks = compare_runs(tables(), tables(backend="renode", **changed))
    assert {check.what for check in checks if check.equal is not True} == {what}
    assert text in next(check.text for check in checks if check.what == what)
    assert verdict(checks) == "not compared"


def test_two_failed_cases_have_not_agreed():
    failed = {"status": "failed", "reason": "60 samples were asked for, but there are 40"}
    checks = compare_runs(tables(**failed), tables(backend="renode", **failed))
    assert [check.equal for check in checks] == [None]
    assert verdict(checks) == "not compared"
    assert verdict([]) == "not compared"


def test_one_difference_decides_whatever_else_could_not_be_compared():
    failed = tables(variant="other", status="failed", reason="no answer")[0]
    virtual, renode = tables(), tables(backend="renode", ticks=[51, 52, 53])
    runs = [(pd.concat([failed, cases]), samples) for cases, samples in (virtual, renode)]
    assert verdict(compare_runs(*runs)) == "differ"


def test_samples_that_are_missing():
    cases, samples = tables()
    (check,) = compare_runs((cases, samples), (cases, samples.iloc[:2]))
    assert (check.what, check.equal, check.text) == ("samples", None, "3 and 2, of which 2 are the same ones")


def test_two_cases_without_samples_are_not_equal():
    cases, samples = tables()
    (check,) = compare_runs((cases, samples.iloc[:0]), (cases, samples.iloc[:0]))
    assert (check.what, check.equal) == ("samples", None)


def test_cycles_and_instructions_are_not_compared():
    """And need not be: the rest of what they say gives a verdict."""
    hardware = tables(backend="hardware", counter="cycles", ticks=[90, 91, 92])
    assert verdict(compare_runs(hardware, tables())) == "agree"
    assert outcomes(hardware, tables())["instructions"] is None
    assert outcomes(hardware, hardware)["instructions"] is None


def test_exit_codes_mean_what_they_do_for_compare():
    names = {"agree": "ok", "differ": "regression", "not compared": "can't tell"}
    assert {found: GATE[name] for found, name in names.items()} == EXIT_CODES


def test_without_a_suite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["crosscheck", "nano33", "virtual", "virtual"])
    assert (result.exit_code, "give a suite with --suite" in result.output) == (6, True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the Renode backend is for Linux and macOS")
def test_two_emulators_that_agree(stand_in):
    suite = Path("suites", "small.yaml")
    suite.write_text("".join(line for line in suite.read_text().splitlines(keepends=True) if "float32:" not in line))
    result = stand_in("virtual", "renode", "--samples", "2")
    assert result.exit_code == 0, result.output
    assert "Verdict: virtual and renode agree in 4 comparisons." in result.output
    assert result.output.count("2 of 2 equal") == 3


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the Renode backend is for Linux and macOS")
def test_an_emulator_that_miscounts(stand_in):
    result = stand_in("virtual", "renode", "--samples", "2", "--suite", "suites/small.yaml", trap="miscount")
    assert result.exit_code == 1
    assert "Verdict: virtual and renode DIFFER in 2 of 8 comparisons." in result.output
    assert result.output.count("2 of 2 differ") == 2


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the Renode backend is for Linux and macOS")
def test_an_emulator_that_measures_nothing(stand_in):
    result = stand_in("virtual", "renode", "--samples", "4", trap="wild=0x30000000")
    assert result.exit_code == 6
    assert "Verdict: NOT COMPARED: there is nothing that virtual and renode both measured." in result.output
    assert "DIFFER" not in result.output


def test_a_backend_that_is_missing_is_told_before_anything_is_measured(stand_in, monkeypatch, tmp_path):
    monkeypatch.delenv("HIL_RENODE")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    result = stand_in("virtual", "renode")
    assert result.exit_code == 6  # 1 would say that they differ
    assert "hil: Renode is not installed" in result.output
    assert not (tmp_path / "results").exists()
