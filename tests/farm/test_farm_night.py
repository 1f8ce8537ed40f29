"""Nights on a farm that is being shot at, in a small form; benchmarks/farm_night.py does it with 16 boards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from farm_night import main
from harness import load_results
from harness.farm.finish import Outcome

ROOT = Path(__file__).parents[2]
SUITE = ROOT / "suites" / "japanese_vowels.yaml"


def night(tmp_path, capsys, *arguments):
    """Run one, and return the figures that it prints."""
    code = main(["--folder", str(tmp_path / "farm"), "--suite", str(SUITE), *arguments])
    figures = json.loads(capsys.readouterr().out)
    assert figures["wrong"] == []
    assert code == 0
    return figures


@pytest.mark.slow
@pytest.mark.labgrid
def test_hosts_finish_a_night_though_everything_is_killed_once(labgrid_programs, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HIL_LABGRID_VENV", str(labgrid_programs.parent))
    monkeypatch.delenv("HIL_STATE")
    options = ["--boards", "6", "--hosts", "3", "--samples", "20", "--kills", "8", "--pause", "3", "--seed", "5"]
    figures = night(tmp_path, capsys, *options)
    assert (figures["cases"], figures["complete"]) == (9, 9)
    assert sum(figures["killed"].values()) >= 4
    assert len(figures["bad"]) == 3  # one that hangs, one that vanishes, one that lies
    assert set(figures["exit codes"].values()) == {0}


# ---- one host, whose supervisor is stopped


LAB = "devices:\n" + "".join(f"  b{n}: {{kind: nano33, backend: virtual}}\n" for n in (1, 2))
NIGHTLY = f"suites: [{SUITE}]\ndevices: [nano33]\nsamples: 370\nbudget: 30m\ncheck: false\nbaseline: null\n"


@pytest.fixture
def farm(tmp_path):
    (tmp_path / "devices.yaml").write_text(LAB)
    (tmp_path / "nightly.yaml").write_text(NIGHTLY)
    return tmp_path


def nightly(farm, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "nightly", *arguments],
        cwd=farm,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process, code=0):
    output, _ = process.communicate(timeout=600)
    assert process.returncode == code, output
    return output


def wait_for(what, seconds=300.0):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def workers(farm):
    """Return the processes that measure for a night in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = path.read_bytes()
            if b"harness.farm.worker" in command and str(farm).encode() in command:
                found.append(path.parent.name)
    return found


@contextlib.contextmanager
def standing_still(farm, host):
    """Stop a night and its workers, which go on in the end."""
    host.send_signal(signal.SIGSTOP)
    stopped = [int(number) for number in workers(farm)]
    try:
        for number in stopped:
            os.kill(number, signal.SIGSTOP)
        yield
    finally:
        for number in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGCONT)
        host.send_signal(signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
def test_a_night_goes_on_where_a_power_cut_stopped_it_and_never_runs_twice(farm):
    with nightly(farm) as first, contextlib.ExitStack() as stack:
        stack.callback(first.kill)
        wait_for(lambda: first.poll() is not None or any((farm / "results").glob("*/done/*.json")))
        with standing_still(farm, first):  # a slow start of the second one must not let the first come to its end
            assert "runs a night already" in ended(nightly(farm), code=1)
            first.send_signal(signal.SIGKILL)
            first.wait()
            done = list((farm / "results").glob("*/done/*.json"))
    assert 0 < len(done) < 9

    wait_for(lambda: not workers(farm))  # they end with the one that started them, and their boards are free

    output = ended(nightly(farm, "--resume"))
    assert "goes on" in output
    assert "9 cases: 9 complete, 0 failed, 0 skipped" in output
    results = load_results(farm / "results")
    assert len(results.runs) == 1
    assert sorted(results.cases["case"]) == list(range(9))
    assert results.samples.groupby("variant", observed=True).size().eq(370).all()
    assert "There is no night to go on with" in ended(nightly(farm, "--resume"))

    (night,) = (Path(os.environ["HIL_STATE"]) / "nights").glob("2*")
    (night / "finished.json").unlink()  # as if it had been killed while it ended the night
    output = ended(nightly(farm, "--resume"))
    assert "9 cases: 9 complete, 0 failed, 0 skipped" in output
    assert "not used" not in output  # nobody tried to join a run that has ended


@pytest.mark.slow
def test_what_the_budget_leaves_no_time_for_is_skipped_with_that_reason(farm):
    everything = f"suites: [{ROOT / 'suites'}]\ndevices: [nano33]\nbudget: 25s\ncheck: false\nbaseline: null\n"
    (farm / "nightly.yaml").write_text(everything)
    output = ended(nightly(farm), code=7)
    cases = load_results(farm / "results").cases
    assert len(cases) == 30
    assert set(cases["status"]) == {"complete", "skipped"}
    assert cases.loc[cases["status"] == "skipped", "reason"].str.contains("out of time").all()
    assert "out of time" in output


@pytest.mark.slow
def test_an_image_that_is_broken_fails_its_case_and_no_board(farm):
    suites = farm / "suites"
    suites.mkdir()
    text = SUITE.read_text().replace("../firmware/prebuilt", str(ROOT / "firmware" / "prebuilt"))
    text = text.replace("data/", f"{ROOT / 'suites' / 'data'}/")
    broken = ROOT / "tests" / "images" / "hang.elf"
    head, _, rest = text.partition("variants:\n")
    (suites / "s.yaml").write_text(f"{head}variants:\n  broken: {{image: {broken}, technique: none}}\n{rest}")
    (farm / "nightly.yaml").write_text(NIGHTLY.replace(str(SUITE), "suites").replace("samples: 370", "samples: 3"))
    output = ended(nightly(farm), code=1)
    cases = load_results(farm / "results").cases.set_index("variant")
    assert cases.loc["broken", "status"] == "failed"
    assert set(cases["pool"]) == {"nano33"}
    assert cases[["host", "harness_version"]].notna().all(axis=None)
    assert (cases.drop("broken")["status"] == "complete").all()
    assert "10 cases: 9 complete, 1 failed, 0 skipped" in output
    shown = subprocess.run(
        [sys.executable, "-m", "harness", "health", "--json"], cwd=farm, capture_output=True, text=True, check=True
    )
    assert [board["health"]["state"] for board in json.loads(shown.stdout)] == ["well", "well"]


def test_a_night_is_not_written_to_a_url(farm):
    for url in ("s3://bucket/hil", "file:///srv/hil"):
        assert "must be a folder" in ended(nightly(farm, "--results-dir", url), code=1)


def test_an_outcome_that_is_damaged_is_none(tmp_path):
    (tmp_path / "finished.json").write_text("{")
    assert Outcome.read(tmp_path / "finished.json") is None
