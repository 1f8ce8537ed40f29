"""Which core the threads share, and whom that concerns."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from harness.link.shared_core import share_core, shared_core

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a thread choose its cores")


def test_threads_that_share_are_on_one_core_and_all_others_where_they_were():
    before = os.sched_getaffinity(0)
    core = shared_core()
    found = []

    def run():
        share_core()
        found.append((os.sched_getaffinity(0), shared_core()))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    assert core in before
    assert found == [({core}, core)] * 3
    assert os.sched_getaffinity(0) == before


def test_a_core_that_the_process_may_not_use_is_never_chosen():
    """A process that is kept on one core, as by taskset, shares that one."""
    for core in os.sched_getaffinity(0):
        program = (
            f"import os; os.sched_setaffinity(0, {{{core}}}); from harness.link.shared_core import *; "
            "share_core(); print(shared_core(), *os.sched_getaffinity(0))"
        )
        told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
        assert told.split() == [str(core)] * 2


def test_where_no_core_can_be_chosen_nothing_is_done(monkeypatch):
    before = os.sched_getaffinity(0)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert shared_core() is None
    share_core()
    assert os.sched_getaffinity(0) == before
