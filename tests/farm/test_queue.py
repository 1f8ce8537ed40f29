"""Claims: one process measures a case, and what it leaves unfinished another one takes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.errors import FarmError
from harness.farm.night import PlannedCase
from harness.farm.queue import BOARDS, DEATHS, Heartbeat, Queue
from harness.files.json_file import read_json, write_json
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


def claim(queue, cases, device):
    return queue.claim(cases, queue.states(cases), device)


def test_each_case_is_claimed_once_in_order(queue):
    claims = [claim(queue(), CASES, device) for device in BOARDS_OF_RACK]
    assert [claim.case for claim in claims[:3]] == [0, 1, 2]
    assert claims[3] is None
    assert [state.state for state in queue().states(CASES).values()] == ["claimed"] * 3


def test_of_many_at_once_each_gets_another_case(queue):
    cases = [case(number) for number in range(20)]
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda n: claim(queue(f"w{n}"), cases, "b1"), range(16)))
    assert len({claim.case for claim in claims if claim}) == len([claim for claim in claims if claim])


def test_a_board_takes_only_its_own_cases(queue):
    cases = [case(0, ("b2",)), case(1)]
    assert claim(queue(), cases, "b1").case == 1
    assert claim(queue(), cases, "b1") is None


def test_a_done_case_is_not_claimed(queue, tmp_path):
    commit(tmp_path / "run", 0, "somebody")
    assert claim(queue(), CASES, "b1").case == 1
    assert queue().states(CASES)[0].state == "done"


def test_a_case_whose_board_failed_goes_to_another_one(queue):
    first = claim(queue(), CASES[:1], "b1")
    queue().failed(first, "b1: no probe", "ProbeError")
    assert claim(queue(), CASES[:1], "b1") is None
    second = claim(queue(), CASES[:1], "b2")
    assert (second.case, second.number) == (0, 1)
    assert queue().states(CASES)[0].failed == {"b1": "b1: no probe"}


def test_a_case_that_fails_on_several_boards_is_hopeless(queue):
    for device in BOARDS_OF_RACK[:BOARDS]:
        queue().failed(claim(queue(), CASES[:1], device), f"{device}: silent", "LinkError")
    assert claim(queue(), CASES[:1], "b4") is None
    state = queue().states(CASES)[0]
    assert (state.state, state.hopeless, len(state.failed)) == ("free", True, BOARDS)


def fail(queue, number, device, error="LinkError"):
    queue().failed(claim(queue(), [CASES[number]], device), f"{device}: {error}", error)


def test_failures_that_no_image_can_cause_make_no_case_hopeless(queue):
    for device in BOARDS_OF_RACK[:BOARDS]:
        fail(queue, 0, device, "ProbeError")
    assert claim(queue(), CASES[:1], "b4").number == BOARDS


def test_a_board_that_failed_where_another_one_did_not_counts_against_no_case(queue, tmp_path):
    fail(queue, 1, "b1")
    for device in BOARDS_OF_RACK[:BOARDS]:
        old_failures(tmp_path)
        fail(queue, 0, device)
    assert claim(queue(), CASES[:1], "b4") is None
    commit(tmp_path / "run", 1, claim(queue(), CASES[1:2], "b4").writer)
    assert queue().claim(CASES[:1], queue().states(CASES), "b4").number == BOARDS


def old_failures(tmp_path):
    for path in (tmp_path / "night" / "claims").glob("*.failed.json"):
        os.utime(path, (1, 1))


def test_bad_boards_leave_what_failed_elsewhere_to_others_for_a_while(queue, tmp_path):
    fail(queue, 0, "b1")
    fail(queue, 1, "b2")
    assert claim(queue(), CASES, "b1").case == 2
    assert claim(queue(), CASES, "b2") is None
    assert claim(queue(), CASES, "b3").case == 0
    old_failures(tmp_path)
    assert claim(queue(), CASES, "b1").case == 1


def test_a_claim_that_is_given_back_leaves_no_trace(queue):
    queue().release(claim(queue(), CASES[:1], "b1"))
    again = claim(queue(), CASES[:1], "b1")
    assert (again.number, len(queue().states(CASES)[0].dead)) == (0, 0)


def test_a_claim_that_was_just_made_when_its_process_is_told_to_end_is_given_back(queue, monkeypatch):
    def told(path, about):
        write_json(path, about)
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.farm.queue.create_json", told)
    with pytest.raises(KeyboardInterrupt):
        claim(queue(), CASES[:1], "b1")
    assert queue().states(CASES[:1])[0].claim is None


@pytest.mark.parametrize("end", ["given back", "failed", "done"])
def test_who_ends_while_it_is_looked_has_not_died(queue, tmp_path, monkeypatch, end):
    mine = claim(queue(), CASES[:1], "b1")

    def ends(_pid):
        if end == "given back":
            mine.path.unlink(missing_ok=True)
        elif end == "failed":
            queue().failed(mine, "b1: silent", "LinkError")
        else:
            commit(tmp_path / "run", 0, mine.writer)
        return end == "given back"

    monkeypatch.setattr("harness.farm.queue.lives", ends)
    state = queue().states(CASES[:1])[0]
    assert (state.state, state.dead) == ("done" if end == "done" else "free", ())
    assert list(state.failed) == ["b1"] * (end == "failed")


_HOLD = """
import sys, time
from pathlib import Path
from harness.farm.queue import Queue
sys.path.insert(0, sys.argv[2])
from test_queue import CASES, claim
mine = claim(Queue(Path(sys.argv[1]) / "night", Path(sys.argv[1]) / "run", "other"), CASES, "b1")
print(mine.case, flush=True)
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
        assert (state.state, len(state.dead), state.hopeless) == ("free", death, death == DEATHS)
    assert claim(queue(), CASES, "b2").case == 1


def test_another_hosts_claim_is_free_when_its_heartbeat_stops(queue):
    mine = claim(queue(), CASES[:1], "b1")
    write_json(mine.path, {**read_json(mine.path), "host": "elsewhere", "pid": 1})
    assert claim(queue(ttl_s=60), CASES[:1], "b2") is None
    old = time.time() - 61
    os.utime(mine.path, (old, old))
    assert claim(queue(ttl_s=60), CASES[:1], "b2").number == 1


def test_a_heartbeat_keeps_a_claim_alive(queue):
    mine = claim(queue(), CASES[:1], "b1")
    os.utime(mine.path, (1, 1))
    assert not queue().alive(mine)
    with Heartbeat(mine, every_s=0.01):
        deadline = time.monotonic() + 60
        while not queue().alive(mine) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert queue().alive(mine)


def test_a_worker_that_was_overtaken_is_told_from_the_one_whose_measurement_counts(queue, tmp_path):
    frozen = claim(queue("frozen"), CASES[:1], "b1")
    os.utime(frozen.path, (1, 1))
    taker = claim(queue("taker"), CASES[:1], "b2")
    assert queue().states(CASES)[0].dead == (frozen,)
    commit(tmp_path / "run", 0, "taker")
    os.utime(taker.path, (1, 1))  # it measures another case by now
    assert queue().states(CASES)[0].dead == (frozen,)


def test_a_night_whose_folder_is_gone_is_not_taken_for_one_that_nobody_began(queue, tmp_path):
    mine = queue()
    claim(mine, CASES, "b1")
    (tmp_path / "night").rename(tmp_path / "unmounted")
    with pytest.raises(FarmError, match=r"night can't be used: No such file.* Is it mounted"):
        mine.states(CASES)


def test_a_clock_that_cant_be_read_kills_nobody(queue, monkeypatch):
    mine = claim(queue(), CASES[:1], "b1")

    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    look = queue()
    monkeypatch.setattr(Path, "touch", full)
    with pytest.raises(FarmError, match="No space left on device"):
        look.alive(mine)
