"""The workers of a host: which are killed, and when nothing is left to start."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from types import SimpleNamespace

import pytest

from harness.farm.crew import Crew, Slot
from harness.farm.night import Night, PlannedCase
from harness.farm.queue import CaseState, Claim
from harness.locks.state import hostname, now


@pytest.fixture
def night(tmp_path):
    keys = {"suite": "s.yaml", "task": "s", "target": "nano33", "pool": "nano33", "kind": "nano33"}
    cases = tuple(
        PlannedCase(
            number=number, variant=f"v{number}", backend="virtual", devices=("b1", "b2"), seconds=None,
            image_sha256=None, **keys,
        )
        for number in range(2)
    )  # fmt: skip
    return Night(tmp_path, now(), now() + timedelta(hours=1), tmp_path / "run", cases, {})


@pytest.fixture
def slot():
    """The place of a worker that stands still."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield Slot("b1", process=process, writer="mine")
        process.kill()


def crew(night, *slots):
    return Crew(night, slots, (), lambda _device: None, check=False)


def claim(night, slot, writer, number=0):
    about = {"writer": writer, "host": hostname(), "pid": slot.process.pid, "device": "b1"}
    return Claim(0, number, night.folder / f"0.{number}.json", about)


@pytest.mark.parametrize("overtaken", [False, True])
def test_a_worker_that_stands_still_is_killed_even_if_others_have_its_case(night, slot, overtaken):
    mine = claim(night, slot, "mine")
    newest = claim(night, slot, "another", 1) if overtaken else mine
    states = {0: CaseState("claimed" if overtaken else "free", newest, {}, (mine,)), 1: CaseState("free")}
    crew(night, slot).tend(states, late=False)
    assert slot.process.wait(60) < 0


def test_a_worker_isnt_killed_for_what_a_process_of_its_number_left_before_a_power_cut(night, slot):
    left = claim(night, slot, "from before")
    for state in (CaseState("free", left, {}, (left,)), CaseState("claimed", left)):
        crew(night, slot).tend({0: state, 1: CaseState("free")}, late=False)
        assert slot.case is None
    with pytest.raises(subprocess.TimeoutExpired):
        slot.process.wait(0.3)


def test_a_worker_measures_what_it_claimed(night, slot):
    crew(night, slot).tend({0: CaseState("claimed", claim(night, slot, "mine")), 1: CaseState("free")}, late=False)
    assert (slot.process.poll(), slot.state, slot.case) == (None, "measuring", 0)


def test_a_board_that_cant_be_had_is_asked_for_only_while_there_is_work_for_it(night):
    slot = Slot("b1", state="unavailable", reason="b1 isn't attached")
    done = {0: CaseState("done"), 1: CaseState("free", failed={"b1": "silent"})}
    workers = crew(night, slot)
    assert not workers.over
    workers.tend(done, late=False)
    assert workers.over
    assert (slot.state, slot.reason, slot.process) == ("unavailable", "b1 isn't attached", None)


def test_a_board_that_couldnt_be_had_all_night_stays_that_in_the_end(night):
    slots = Slot("b1", state="unavailable", reason="b1 isn't attached"), Slot("b2")
    workers = crew(night, *slots)
    workers.tend({0: CaseState("free"), 1: CaseState("free")}, late=True)
    assert workers.over
    assert [slot.state for slot in slots] == ["unavailable", "done"]


def test_a_board_that_is_due_for_a_test_has_a_worker_again(night, monkeypatch):
    slot = Slot("b1", state="failed", reason="quarantined")
    workers = crew(night, slot)
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: started.append(command) or SimpleNamespace())
    workers.test_again("b1")
    workers.tend({0: CaseState("free"), 1: CaseState("free")}, late=False)
    assert ["--check" in command for command in started] == [True]
