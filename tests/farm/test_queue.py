"""Claims: one process measures a case, and what it leaves unfinished another one takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.farm.night import PlannedCase
from harness.farm.queue import BOARDS, DEATHS, Heartbeat, Queue
from harness.json_file import read_json, write_json
from harness.store.commits import commit

BOARDS_OF_RACK = ("b1", "b2", "b3", "b4")


def case(number, devices=BOARDS_OF_RACK):
    return PlannedCase(
        number, "s.yaml", "s", f"v{number}", "nano33", "nano33", "nano33", "virtual", devices, None, None
    )


CASES = [case(number) for number in range(3)]


@pytest.fixture
def queue(tmp_path):
    def make(writer="w", **options):
        return Queue(tmp_path / "night", tmp_path / "run", writer, **options)

    return make


def test_each_case_is_claimed_once_in_order(queue):
    claims = [queue().claim(CASES, device) for device in BOARDS_OF_RACK]
    assert [claim.case for claim in claims[:3]] == [0, 1, 2]
    assert claims[3] is None
    assert [state.state for state in queue().states(CASES).values()] == ["claimed"] * 3


def test_of_many_at_once_each_gets_another_case(queue):
    cases = [case(number) for number in range(20)]
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda n: queue(f"w{n}").claim(cases, "b1"), range(16)))
    assert len({claim.case for claim in claims if claim}) == len([claim for claim in claims if claim])


def test_a_board_takes_only_its_own_cases(queue):
    cases = [case(0, ("b2",)), case(1)]
    assert queue().claim(cases, "b1").case == 1
    assert queue().claim(cases, "b1") is None


def test_a_done_case_is_not_claimed(queue, tmp_path):
    commit(tmp_path / "run", 0, "somebody")
    assert queue().claim(CASES, "b1").case == 1
    assert queue().states(CASES)[0].state == "done"


def test_a_case_whose_board_failed_goes_to_another_one(queue):
    first = queue().claim(CASES[:1], "b1")
    queue().failed(first, "b1: no probe", "ProbeError")
    assert queue().claim(CASES[:1], "b1") is None
    second = queue().claim(CASES[:1], "b2")
    assert (second.case, second.number) == (0, 1)
    assert queue().states(CASES)[0].failed == {"b1": "b1: no probe"}


def test_a_case_that_fails_on_several_boards_is_hopeless(queue):
    for device in BOARDS_OF_RACK[:BOARDS]:
        queue().failed(queue().claim(CASES[:1], device), f"{device}: silent", "LinkError")
    assert queue().claim(CASES[:1], "b4") is None
    state = queue().states(CASES)[0]
    assert (state.state, state.hopeless, len(state.failed)) == ("free", True, BOARDS)


def test_a_claim_that_is_given_back_leaves_no_trace(queue):
    queue().release(queue().claim(CASES[:1], "b1"))
    again = queue().claim(CASES[:1], "b1")
    assert (again.number, queue().states(CASES)[0].deaths) == (0, 0)


_HOLD = """
import sys, time
from pathlib import Path
from harness.farm.queue import Queue
sys.path.insert(0, sys.argv[2])
from test_queue import CASES
claim = Queue(Path(sys.argv[1]) / "night", Path(sys.argv[1]) / "run", "other").claim(CASES, "b1")
print(claim.case, flush=True)
time.sleep(60)
"""


def test_a_killed_workers_case_is_free_at_once_and_counted(queue, tmp_path):
    for death in range(1, DEATHS + 1):
        command = [sys.executable, "-c", _HOLD, str(tmp_path), str(Path(__file__).parent)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "0\n"
            assert queue().states(CASES)[0].state == "claimed"
            process.kill()
        state = queue().states(CASES)[0]
        assert (state.state, state.deaths, state.hopeless) == ("free", death, death == DEATHS)
    assert queue().claim(CASES, "b2").case == 1


def test_another_hosts_claim_is_free_when_its_heartbeat_stops(queue):
    claim = queue().claim(CASES[:1], "b1")
    write_json(claim.path, {**read_json(claim.path), "host": "elsewhere", "pid": 1})
    assert queue(ttl_s=60).claim(CASES[:1], "b2") is None
    old = time.time() - 61
    os.utime(claim.path, (old, old))
    assert queue(ttl_s=60).claim(CASES[:1], "b2").number == 1


def test_a_heartbeat_keeps_a_claim_alive_until_it_is_superseded(queue):
    claim = queue().claim(CASES[:1], "b1")
    gone = []
    os.utime(claim.path, (1, 1))
    with Heartbeat(claim, every_s=0.01, gone=lambda: gone.append(1)):
        deadline = time.monotonic() + 10
        while not queue().alive(claim) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert queue().alive(claim)
        write_json(claim.path.with_name("0.1.json"), {"device": "b2"})
        while not gone and time.monotonic() < deadline:
            time.sleep(0.01)
    assert gone == [1]
