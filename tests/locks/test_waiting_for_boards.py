"""How long a run waits for a board, and what it says meanwhile."""

from __future__ import annotations

import time

import pytest

from harness.errors import BusyError
from harness.locks.waiting import Patience, Wait

BUSY = BusyError("b1: in use by ana", "add --wait", "one")
AT_ONCE = 0.0, 0.0


def test_who_may_not_wait_is_refused_but_for_boards_of_the_own_run():
    wait = Wait(Patience(0.0))
    wait.again(BUSY, AT_ONCE, endless=True)
    with pytest.raises(BusyError, match="in use by ana; add --wait"):
        wait.again(BUSY, AT_ONCE)


def test_a_limit_ends_the_wait_and_is_named():
    wait = Wait(Patience(0.001))
    with pytest.raises(BusyError, match=r"in use by ana; waited 0.* s"):
        for _ in range(1000):
            wait.again(BUSY, (0.001, 0.001))


def test_on_whom_it_waits_is_said_once_also_for_the_own_run(monkeypatch):
    monkeypatch.setattr("harness.locks.waiting._FIRST_WORD_S", 0.0)
    said = []
    wait = Wait(Patience(0.0, said.append))
    for holder in ("one", "one", "two"):
        wait.again(BusyError("b1: in use", "", holder), AT_ONCE, endless=True)
    assert said == ["waiting: b1: in use"] * 2


def test_a_long_wait_is_told_of_even_if_the_process_slept_until_its_end(monkeypatch):
    monkeypatch.setattr("harness.locks.waiting._FIRST_WORD_S", 0.01)
    said = []
    for limit_s in (0.01, 0.001):
        wait = Wait(Patience(limit_s, said.append))
        time.sleep(0.02)
        with pytest.raises(BusyError, match="in use by ana; waited"):
            wait.again(BUSY, AT_ONCE)
    assert said == ["waiting: b1: in use by ana"], "the second wait was to be shorter than the first word"
