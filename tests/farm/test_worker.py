"""A worker of a night gives back what it can't measure, and ends in order whoever tells it to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.small_suite import write_small_suite
from harness import load_results
from harness.boards.leases import virtual_lease
from harness.config import Lab
from harness.config.nightly import Nightly
from harness.errors import StoreError
from harness.farm.booking import Request
from harness.farm.calendar import Calendar
from harness.farm.night import Night, plan_night
from harness.farm.worker import Exit, make_worker
from harness.locks.state import now
from harness.store.commits import committed
from harness.store.journal import journals
from harness.store.runs import finish_shared

ROOT = Path(__file__).parents[2]


@pytest.fixture
def night(tmp_path):
    """A night of two cases on one board."""
    (tmp_path / "devices.yaml").write_text("devices:\n  b1: {kind: nano33, backend: virtual}\n")
    write_small_suite(tmp_path / "s.yaml", ROOT)
    wish = Nightly(suites=(tmp_path / "s.yaml",), samples=2, budget=timedelta(hours=1))
    lab = Lab.load(tmp_path / "devices.yaml")
    return plan_night(Path(os.environ["HIL_STATE"]), lab, wish, tmp_path, tmp_path / "results")


@pytest.fixture
def worker(night, tmp_path):
    made = make_worker(night.folder, "b1", tmp_path / "devices.yaml", tmp_path, "me")
    yield made
    made.bench.boards.close()


def claims(night):
    return sorted(path.name for path in (night.folder / "claims").iterdir())


def test_a_calendar_that_cant_be_read_costs_no_case(night, worker, capsys):
    (night.folder.parents[1] / "reservations").write_text("not a folder")
    assert worker.run() is Exit.UNAVAILABLE
    assert claims(night) == []
    assert "reservations" in capsys.readouterr().out


def test_a_board_that_is_somebody_elses_soon_measures_what_ends_before(night, worker, capsys):
    plan = night.folder / "plan.json"
    content = json.loads(plan.read_text())
    content["cases"] = [{**case, "seconds": 1000.0 - 990 * place} for place, case in enumerate(content["cases"])]
    plan.write_text(json.dumps(content))
    worker.night = Night.load(night.folder)
    soon = Request(("b1",), "b1", timedelta(hours=1), "somebody", start=now() + timedelta(minutes=10))
    Calendar(night.folder.parents[1]).reserve(soon, now())
    assert worker.run() is Exit.UNAVAILABLE
    long, short = worker.night.cases
    assert list(committed(night.run)) == [short.number]
    assert f"{long.name}: b1 is reserved by somebody from" in capsys.readouterr().out


def test_asking_in_vain_for_a_board_is_no_attempt(night, worker, tmp_path):
    (device,) = Lab.load(tmp_path / "devices.yaml").select(["b1"])
    with virtual_lease(device):
        assert worker.run() is Exit.UNAVAILABLE
    assert (claims(night), journals(night.run)) == ([], [])
    assert worker.run() is Exit.DONE
    worker.bench.close()
    finish_shared(night.run)
    assert load_results(night.run).cases["attempts"].tolist() == [1, 1]


def test_results_that_cant_be_written_are_no_death_of_a_worker(night, worker):
    (night.run / "night.json").unlink()
    night.run.rmdir()
    night.run.write_text("not a folder")
    with pytest.raises(StoreError):
        worker.run()
    assert claims(night) == []


def test_a_case_that_this_host_cant_begin_is_left_to_others_and_the_next_one_measured(tmp_path):
    (tmp_path / "devices.yaml").write_text("devices:\n  b1: {kind: nano33, backend: virtual}\n")
    suite = write_small_suite(tmp_path / "s.yaml", ROOT)
    whole = suite.read_text()
    suite.write_text(whole + "  gone: {image: nowhere.elf, technique: int8}\n")
    lab = Lab.load(tmp_path / "devices.yaml")
    wish = Nightly(suites=(suite,), samples=2)
    night = plan_night(Path(os.environ["HIL_STATE"]), lab, wish, tmp_path, tmp_path / "results")
    suite.write_text(whole)  # as another version of the suites has it
    worker = make_worker(night.folder, "b1", tmp_path / "devices.yaml", tmp_path, "me")
    try:
        assert worker.run() is Exit.DONE
    finally:
        worker.bench.close()
    (number,) = [case.number for case in night.cases if case.variant == "gone"]
    assert sorted(committed(night.run)) == sorted({0, 1, 2} - {number})
    failure = json.loads((night.folder / "claims" / f"{number}.0.failed.json").read_text())
    assert (failure["device"], failure["error"]) == ("b1", "ConfigError")
    assert "gone" in failure["reason"]


@contextmanager
def started(night, tmp_path, parent, *program):
    command = [sys.executable, *(program or ("-m", "harness.farm.worker")), str(night.folder), "b1"]
    command += ["--base", str(tmp_path)]
    command += ["--lab", str(tmp_path / "devices.yaml"), "--writer", "me", "--parent", str(parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()  # does nothing to one that has ended


def wait_until_it_measures(process, night):
    deadline = time.monotonic() + 180
    while True:
        over = process.poll() is not None or time.monotonic() > deadline  # looked at first: it may end at any time
        if list(night.run.glob("journal-*")):
            return
        assert not over, "the worker has begun no journal"
        time.sleep(0.02)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of POSIX")
@pytest.mark.parametrize("first", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_worker_that_is_told_to_end_more_than_once_ends_in_order(night, tmp_path, first):
    plan = night.folder / "plan.json"
    plan.write_text(plan.read_text().replace('"samples": 2', '"samples": 1000'))
    with started(night, tmp_path, os.getpid()) as process:
        wait_until_it_measures(process, night)
        for name in (first, "SIGTERM", "SIGINT", "SIGHUP"):
            process.send_signal(getattr(signal, name))
            time.sleep(0.05)
        output, _ = process.communicate(timeout=180)
    assert (process.returncode, output) == (Exit.STOPPED, "")
    assert claims(night) == []


_LOST = """
import os, signal
from harness.run.signals import end_on_signal

class HalfMade:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        [None for _ in range(1000)]

stopped = end_on_signal()
HalfMade()
print(stopped.is_set())
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_that_is_lost_is_remembered_and_nothing_is_said_of_what_it_left_half_made():
    ended = subprocess.run([sys.executable, "-c", _LOST], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("True\n", "")


def test_a_worker_whose_interrupt_was_lost_ends_all_the_same_and_gives_its_case_back(night, worker):
    worker.stopped.set()
    with pytest.raises(KeyboardInterrupt):
        worker.run()
    assert claims(night) == []
    assert committed(night.run) == {}


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of POSIX")
def test_a_worker_under_nohup_outlives_its_terminal(night, tmp_path):
    with ExitStack() as stack:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            process = stack.enter_context(started(night, tmp_path, os.getpid()))
        finally:
            signal.signal(signal.SIGHUP, before)
        wait_until_it_measures(process, night)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=180)
    assert process.returncode == Exit.DONE
    assert sorted(committed(night.run)) == [0, 1]


_LATE = """
import os, signal, sys
from harness.run.session import Session
from harness.farm.worker import main

def told(self, close=Session.close):
    os.kill(os.getpid(), signal.SIGTERM)
    close(self)

Session.close = told
main(sys.argv[1:])
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_worker_that_is_told_to_end_when_it_is_about_to_ends_in_order(night, tmp_path):
    with started(night, tmp_path, os.getpid(), "-c", _LATE) as process:
        output, _ = process.communicate(timeout=180)
    assert (process.returncode, output) == (Exit.DONE, "")


@pytest.mark.skipif(os.name == "nt", reason="a process of POSIX has another parent once its own is gone")
def test_a_worker_whose_parent_was_killed_while_it_started_ends(night, tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    with started(night, tmp_path, gone.pid) as process:
        process.communicate(timeout=180)
    assert process.returncode == Exit.STOPPED
    assert committed(night.run) == {}
