"""`hil nightly` from its files to its exit code, on virtual boards and a scheduler of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.small_suite import write_small_suite
from harness import load_results
from harness.boards.leases import virtual_lease
from harness.config import Lab
from harness.config.nightly import Nightly
from harness.errors import ConfigError, StoreError
from harness.farm.night import FINISHED, Night, plan_cases, plan_night, unfinished
from harness.farm.nightly import run_night
from harness.farm.results import NightResults, read_tries
from harness.farm.seats import Wish
from harness.files.json_file import write_json
from harness.store import Run
from harness.store.commits import committed
from harness.store.journal import journal_of

ROOT = Path(__file__).parents[2]
VOWELS = ROOT / "suites" / "japanese_vowels.yaml"
BOARDS = """\
devices:
  b1: {kind: nano33, backend: virtual, tags: [fast]}
  b2: {kind: nano33, backend: virtual}
  real: {kind: nano33, probe: "nowhere", port: {serial: "nowhere"}}
"""


@pytest.fixture
def state():
    return Path(os.environ["HIL_STATE"])


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "devices.yaml").write_text(BOARDS)
    return Lab.load(tmp_path / "devices.yaml")


@pytest.fixture
def wish(tmp_path, lab):
    """What `hil nightly` is asked for, and what it said."""

    def make(*, resume=False, missing_s=600.0, **options):
        suite = write_small_suite(tmp_path / "s.yaml", ROOT)
        options = {"samples": 2, "baseline": None, "check": False, "budget": timedelta(hours=1)} | options
        nightly = Nightly(suites=(suite,), **options)
        return Wish(lab, nightly, tmp_path, tmp_path / "results", resume, said.append, missing_s=missing_s)

    said: list[str] = []
    make.said = said
    return make


def plan(wish, state):
    devices = wish.lab.select(wish.nightly.devices)
    return plan_night(state, devices, wish.nightly, wish.base, wish.results_dir)


def over(night):
    """Let a night be one of long ago, that was cut off."""
    folder = night.folder.rename(night.folder.with_name("2020-02-29"))
    content = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**content, "id": folder.name, "deadline": content["created"]}))
    return folder


# ---- its plan


def test_boards_of_a_kind_share_the_cases_but_not_with_emulators(lab, tmp_path):
    cases = plan_cases(lab.devices, Nightly(suites=(VOWELS,)), ROOT, tmp_path)
    pools = {(case.target, case.pool, case.backend, case.devices) for case in cases}
    assert pools == {
        ("nano33-virtual", "nano33", "virtual", ("b1", "b2")),
        ("nano33-hardware", "nano33", "hardware", ("real",)),
    }
    assert sorted(case.number for case in cases) == list(range(18))
    assert {case.suite for case in cases} == {"suites/japanese_vowels.yaml"}


def test_each_asks_every_board(lab, tmp_path):
    cases = plan_cases(lab.select(["b1", "b2"]), Nightly(suites=(VOWELS,), each=True), ROOT, tmp_path)
    assert {(case.target, case.pool, case.devices) for case in cases} == {("b1", None, ("b1",)), ("b2", None, ("b2",))}


def test_what_took_longest_comes_first_after_what_was_never_run(lab, tmp_path):
    with Run.create(tmp_path / "results", {}) as run:
        for variant, seconds in (("int8", 5.0), ("student_int8", 50.0)):
            keys = {"device": "b1", "board": "nano33", "backend": "virtual", "suite": "japanese_vowels"}
            case = run.begin_case(**keys, variant=variant)
            case._start -= seconds
            case.finish(status="complete")
    cases = plan_cases(lab.select(["b1"]), Nightly(suites=(VOWELS,)), ROOT, tmp_path / "results")
    assert [case.variant for case in cases][-2:] == ["student_int8", "int8"]


def test_the_second_night_of_a_day_has_a_number(wish, state):
    wanted = wish(devices=("b1",))
    assert unfinished(state) is None
    first = plan(wanted, state)
    assert unfinished(state) == first == Night.load(first.folder)
    write_json(first.folder / FINISHED, {})
    assert unfinished(state) is None
    second = plan(wanted, state)
    assert unfinished(state) == second != first
    (second.folder / "plan.json").write_text('{"created": ')
    with pytest.raises(StoreError, match=r"plan\.json is missing or damaged"):
        unfinished(state)


def test_a_worker_writes_nowhere_but_into_logs_and_power(wish, state):
    night = plan(wish(), state)
    there = {"logs/b1.log": b"said\n", "power/case0.parquet": b"raw"}
    elsewhere = Run.join(night.folder / "elsewhere", {}, "b1")
    case = night.cases[0]
    where = {"device": "b1", "board": "nano33", "backend": "virtual", "suite": case.task, "variant": case.variant}
    elsewhere.begin_case(number=case.number, **where).finish(status="failed", reason="x")
    elsewhere.close()
    journal = journal_of(elsewhere.path, "b1").read_bytes()
    taken = NightResults(night, {}, "test")
    top = night.run.parents[1]
    before = {path: path.stat().st_size for path in top.rglob("*") if path.is_file()}
    for name in ("../x", "logs/../x", "logs/..", "/x", "power/a/x", "cases.parquet", "logs\\x", "power/", "logs/a\0"):
        with pytest.raises(StoreError, match=r"only files right in logs/ and power/ are taken.*damaged"):
            taken.take(case, {"journal": journal, "files": {**there, name: b"x"}})
    assert {path: path.stat().st_size for path in top.rglob("*") if path.is_file()} == before
    assert not taken.done
    taken.take(case, {"journal": journal, "files": there})
    taken.run.close()
    assert {file: (night.run / file).read_bytes() for file in there} == there
    assert taken.done == {case.number}


# ---- its end


def test_resuming_ends_a_night_whose_time_is_over_and_begins_none(wish, state):
    wanted = wish(devices=("b1",), resume=True)
    over(plan(wanted, state))
    assert run_night(wanted).state == "nothing measured"
    assert run_night(wanted) is None


def test_a_host_whose_name_cant_be_a_files_is_told_so(wish, monkeypatch):
    monkeypatch.setenv("HIL_HOST", "lab/pc")
    with pytest.raises(ConfigError, match=r"the host 'lab/pc' can't be the name of a file.*HIL_HOST"):
        run_night(wish())


def test_a_lock_that_cant_be_opened_is_named_with_what_to_do(wish, state, monkeypatch):
    monkeypatch.setenv("HIL_HOST", "lab-pc")
    (state / "nights" / ".lab-pc.lock").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"\.lab-pc\.lock can't be opened: .* give you access, or remove it"):
        run_night(wish())


@pytest.mark.slow
def test_a_board_that_isnt_attached_is_waited_for_then_left_out(wish, tmp_path):
    outcome = run_night(wish(devices=("real",), missing_s=0.5))
    assert (outcome.exit_code, dict(outcome.counts)) == (5, {"complete": 0, "failed": 0, "skipped": 2})
    reasons = set(load_results(tmp_path / "results").cases["reason"])
    assert reasons == {"no board could take it: none of real was free, well and offered by a worker"}
    assert any("real: no worker offers it" in line for line in outcome.summary.splitlines())


@pytest.mark.slow
def test_a_night_on_two_boards_gives_what_one_board_gives_alone(wish, state, tmp_path):
    """An old night that was cut off is ended first."""
    wanted = wish(devices=("b1", "b2"), check=True)
    old = over(plan(wanted, state))
    outcome = run_night(wanted)
    assert (outcome.exit_code, dict(outcome.counts)) == (0, {"complete": 2, "failed": 0, "skipped": 0})
    assert json.loads((old / "finished.json").read_text())["state"] == "nothing measured"
    assert any("its time is over: it is ended first" in line for line in wish.said)
    (night,) = (Night.load(path) for path in (state / "nights").glob("*/") if path != old)
    checked = {one.device for one in read_tries(night.folder) if one.case == -1}
    results = load_results(night.run)
    measured = set(results.cases["device"])  # a busy computer may be late with one
    assert measured <= checked <= {"b1", "b2"}
    assert set(results.cases["run"]) == {night.run.name}

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "s.yaml")]
    command += ["--device", "b1", "--samples", "2", "--results-dir", str(tmp_path / "alone")]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    keys = ["variant", "sample", "repeat"]
    here, alone = (
        table.samples[[*keys, "prediction", "ticks", "output_crc"]]
        .astype({"variant": str})
        .sort_values(keys)
        .reset_index(drop=True)
        for table in (results, load_results(tmp_path / "alone"))
    )
    assert here.equals(alone)
    assert len(here) == 4


@pytest.mark.slow
def test_a_driver_that_is_killed_goes_on_and_a_board_that_a_person_holds_is_left_alone(lab, state, tmp_path):
    (tmp_path / "nightly.yaml").write_text(
        f"suites: [{VOWELS}]\ndevices: [b1, b2]\nsamples: 20\ncheck: false\nbaseline: null\n"
    )
    command = [sys.executable, "-m", "harness", "nightly"]
    held = virtual_lease(lab.select(["b2"])[0])
    held.acquire()
    try:
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as first:
            deadline = time.monotonic() + 300
            while not (done := _done(state)):
                assert first.poll() is None, first.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            first.send_signal(signal.SIGKILL)
        again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    finally:
        held.release()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "goes on: 9 cases" in again.stdout
    assert "9 complete" in again.stdout
    assert "1 board measured: b1" in again.stdout
    results = load_results(tmp_path / "results")
    assert sorted(results.cases["case"]) == list(range(9))
    assert done  # and what was done then wasn't measured again:
    (night,) = (Night.load(path) for path in (state / "nights").glob("*/"))
    assert sorted(one.case for one in read_tries(night.folder) if one.outcome == "done") == list(range(9))


def _done(state):
    plans = list((state / "nights").glob("*/plan.json"))
    return len(committed(Night.load(plans[0].parent).run)) if plans else 0


def test_a_night_that_goes_on_waits_for_a_scheduler_that_is_gone_too(wish, state):
    wanted = replace(wish(), scheduler="tcp://127.0.0.1:9", scheduler_s=0.1)
    night = plan(wanted, state)
    outcome = run_night(wanted)
    assert (outcome.exit_code, outcome.state) == (7, "cut off")
    assert any(
        f"night {night.id} can't go on yet: no scheduler answers at tcp://127.0.0.1:9" in line for line in wish.said
    )
