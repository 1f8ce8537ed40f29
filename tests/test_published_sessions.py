"""Runs of pytest are published at the end of the session."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import harness


@pytest.fixture
def session(tmp_path, root):
    def run(store, *words):
        (tmp_path / "devices.yaml").write_text(f"farm:\n  store: {store}\n")
        suite = root / "suites" / "japanese_vowels.yaml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{suite}::int8"]
        command += ["--device", "nano33", "--backend", "virtual", "--samples", "3", "--lab", "devices.yaml", *words]
        environment = {**os.environ, "COLUMNS": "200"}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)

    return run


@pytest.mark.parametrize("words", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_into_a_folder(session, tmp_path, words):
    done = session(tmp_path / "store", *words)
    (run,) = (tmp_path / "results").glob("2*")
    assert (done.returncode, f"Published: {tmp_path / 'store' / run.name}" in done.stdout) == (0, True)
    assert done.stdout.count("Published") == 1
    assert harness.load_results(tmp_path / "store").samples.equals(harness.load_results(run).samples)


def test_a_store_that_fails_keeps_the_run_and_fails_the_session(session, tmp_path):
    done = session("nosuch://store")
    (run,) = (tmp_path / "results").glob("2*")
    assert done.returncode == 1
    assert "NOT published: " in done.stdout
    assert f"hil results publish results/{run.name}" in done.stdout
    assert len(harness.load_results(run).samples) == 3
