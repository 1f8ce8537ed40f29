"""Two real pytest runs on one configured virtual board: one after the other, or the second one fails."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing
from itertools import groupby

import pytest
from click.testing import CliRunner

from fakes.small_suite import write_small_suite
from harness.boards.opening import open_board
from harness.cli import main
from harness.config import Lab, load_suite
from harness.locks.lease_files import list_leases
from harness.locks.waiting import Patience
from harness.run.options import Options
from harness.run.session import Session
from harness.store import load_results

SAMPLES = "20"


@pytest.fixture
def lab(tmp_path, root, monkeypatch):
    """A folder with a suite and one configured virtual board, and leases of its own."""
    monkeypatch.setenv("HIL_LEASES", str(tmp_path / "leases"))
    monkeypatch.setenv("HIL_USER", "ana")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:cacheprovider -p no:hypothesispytest")
    write_small_suite(tmp_path / "suite.yaml", root)
    (tmp_path / "devices.yaml").write_text("devices:\n  bench-1: {kind: nano33, backend: virtual}\n")
    return tmp_path


def start(lab, name, *options):
    command = [sys.executable, "-m", "pytest", "suite.yaml"]
    command += ["--device", "bench-1", "--samples", SAMPLES, "--results-dir", name, *options]
    return subprocess.Popen(command, cwd=lab, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
def test_two_runs_wait_for_each_other(lab):
    """Both wait for this process first, so that they want the board at the same moment."""
    with open_board(Lab.load(lab / "devices.yaml").devices[0], "virtual"):
        runs = [start(lab, name, "--wait") for name in ("one", "two")]
        for run in runs:
            assert any("waiting: bench-1: the virtual board is in use by ana (" in line for line in run.stdout)
    holders = []
    while any(run.poll() is None for run in runs):
        holders += [(len(held), held[0].pid) for held, _ in [list_leases()] if held]
        time.sleep(0.05)
    assert [run.returncode for run in runs] == [0, 0]
    assert {count for count, _ in holders} == {1}
    assert {pid for _, pid in holders} == {run.pid for run in runs}
    assert len(list(groupby(holders))) == 2  # one after the other, and not in turns
    for name in ("one", "two"):
        assert load_results(lab / name / "latest").cases.status.tolist() == ["complete", "complete"]


@pytest.mark.slow
def test_without_wait_a_run_on_a_board_in_use_fails_at_once(lab):
    with open_board(Lab.load(lab / "devices.yaml").devices[0], "virtual"):
        said, _ = start(lab, "results").communicate(timeout=120)
        assert "bench-1: the virtual board is in use by ana (" in said
        assert f"process {os.getpid()} on " in said
        assert "wait until that has ended, or add --wait" in said
        cases = load_results(lab / "results" / "latest").cases
        assert cases.status.tolist() == ["failed", "failed"]
        assert cases.attempts.tolist() == [0, 0]  # no board began it
        said, _ = start(lab, "more", "--wait-timeout", "2.5", "-k", "int8").communicate(timeout=120)
        assert "waiting: bench-1: the virtual board is in use by ana (" in said
        assert "waited 2.5 s" in said


@pytest.mark.slow
def test_commands_wait_too(lab, prebuilt):
    image = str(prebuilt / "fashion_mnist_int8.elf")
    device = Lab.load(lab / "devices.yaml").devices[0]
    common = ["--lab", str(lab / "devices.yaml"), "--wait-timeout", "0.4"]  # as in pytest; --timeout is the same
    suite = str(lab / "suite.yaml")
    (lab / "suites").mkdir()  # what a check looks for an image in
    write_small_suite(lab / "suites" / "small.yaml", prebuilt.parents[2])
    with open_board(device, "virtual"):
        for command in (
            ["flash", image, "--device", "bench-1"],
            ["profile", image, "--device", "bench-1"],
            ["doctor", "--device", "bench-1"],
            ["health", "bench-1", "--check"],
        ):
            done = CliRunner().invoke(main, [*command, *common])
            assert done.exit_code == 1
            assert "bench-1: the virtual board is in use by ana (" in done.output
            assert "waited 0.4 s" in done.output
            assert "bench-1: bench-1" not in done.output
        command = ["crosscheck", "bench-1", "virtual", "virtual", "--suite", suite, "--samples", "1"]
        done = CliRunner().invoke(main, [*command, *common, "--results-dir", str(lab / "results")])
        assert done.exit_code == 6
        assert "waited 0.4 s" in load_results(lab / "results" / "latest").cases.reason.iloc[0]
    done = CliRunner().invoke(main, ["flash", image, "--device", "bench-1", "--wait", "--timeout", "1", *common[:2]])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(main, ["health", "bench-1", *common])
    assert done.exit_code == 2
    assert "--wait and --timeout go with --check" in done.output


def test_a_board_of_another_computer_is_not_used_by_a_command(lab, prebuilt):
    (lab / "devices.yaml").write_text("devices:\n  far: {kind: nano33, backend: virtual, host: elsewhere}\n")
    command = ["flash", str(prebuilt / "fashion_mnist_int8.elf"), "--device", "far", "--lab", str(lab / "devices.yaml")]
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, "far is attached to elsewhere, and this is" in done.output) == (1, True)


@pytest.mark.slow
def test_a_run_on_two_boards_takes_the_one_that_gets_free(lab):
    """Waiting for the first board of a pool while the second one is free would be waiting for nothing."""
    (lab / "devices.yaml").write_text(
        "devices:\n  bench-1: {kind: nano33, backend: virtual}\n  bench-2: {kind: nano33, backend: virtual}\n"
    )
    first, second = Lab.load(lab / "devices.yaml").devices
    said = []

    def told(text):
        said.append(text)
        held.close()  # a second time does nothing

    options = Options(("nano33",), "auto", lab / "devices.yaml", lab / "r", 2, 0, patience=Patience(60, told))
    with open_board(first, "virtual"), closing(Session.build(options)) as bench:
        held = open_board(second, "virtual")
        suite = load_suite(lab / "suite.yaml")
        row, _ = bench.measure(bench.targets[0], suite, suite.variant("int8"), None)
    assert (row["status"], row["device"], row["attempts"]) == ("complete", "bench-2", 1)
    assert any("the virtual board is in use by ana" in text for text in said)
