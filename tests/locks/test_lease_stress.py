"""Many processes want one board, and are killed and stopped meanwhile: no two ever use it at once."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import time
from itertools import pairwise

import pytest

from harness.errors import BusyError, LeaseLostError
from harness.locks.lease import Lease

WORKERS, SECONDS, ENOUGH = 6, 11.0, 20
TTL_S = 0.8


def work(folder, log_path, number):
    """Take the lease, use the board a few times, release it: for ever.

    A use is a line: which lease, when its check began, when it was over. Lines are appended whole.
    """
    os.environ["HIL_LEASES"] = folder
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    chance = random.Random(number)
    while True:
        lease = Lease(f"w{number}", "port", "P", ttl_s=TTL_S, purpose="stress")
        try:
            lease.acquire(wait_s=None)
        except BusyError:
            continue
        generation = lease._held.generation
        with contextlib.suppress(LeaseLostError):
            for _ in range(chance.randint(1, 12)):
                begun = time.monotonic()
                lease.check()
                os.write(log, f"{generation} {begun!r} {time.monotonic()!r}\n".encode())
                time.sleep(chance.uniform(0, 0.01))
        lease.release()


def overlaps(lines):
    """Return the uses that began after somebody else's lease had been used already, though theirs was older."""
    uses = sorted((line.split() for line in lines), key=lambda use: float(use[2]))
    first, last_begun = {}, {}
    for generation, begun, over in uses:
        first.setdefault(generation, float(over))
        last_begun[generation] = max(last_begun.get(generation, 0.0), float(begun))
    order = sorted(first, key=first.get)
    return [(old, new) for old, new in pairwise(order) if last_begun[old] > first[new]]


def test_the_count_of_overlaps_sees_one():
    assert overlaps(["a 1.0 1.1", "b 2.0 2.1", "b 3.0 3.1"]) == []
    assert overlaps(["a 1.0 1.1", "b 2.0 2.1", "a 1.5 2.5"]) == []  # its check passed before: it was stopped after
    assert overlaps(["a 1.0 1.1", "b 2.0 2.1", "a 2.2 2.3"]) == [("a", "b")]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped here")
def test_no_two_processes_use_one_board(tmp_path):
    context = multiprocessing.get_context("spawn")
    folder, log = str(tmp_path / "leases"), tmp_path / "log"

    def start(number):
        process = context.Process(target=work, args=(folder, str(log), number), daemon=True)
        process.start()
        return process

    def generations():
        return {line.split()[0] for line in log.read_text().splitlines()} if log.exists() else set()

    chance = random.Random(1)
    running = [start(number) for number in range(WORKERS)]
    stopped, killed, stops = {}, 0, 0
    try:
        late = time.monotonic() + 120
        while not generations():  # starting them takes longer than all the rest on a busy computer
            assert time.monotonic() < late
            assert all(process.is_alive() for process in running)
            time.sleep(0.05)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline or (time.monotonic() < late and len(generations()) <= ENOUGH):
            time.sleep(chance.uniform(0.02, 0.15))
            now = time.monotonic()
            for number, until in list(stopped.items()):
                if now > until:
                    os.kill(running[number].pid, signal.SIGCONT)
                    del stopped[number]
            number = chance.randrange(WORKERS)
            if chance.random() < 0.12:
                running[number].kill()
                running[number].join()
                stopped.pop(number, None)
                running[number] = start(WORKERS + killed)
                killed += 1
            elif number not in stopped and len(stopped) < WORKERS - 2:
                os.kill(running[number].pid, signal.SIGSTOP)
                stopped[number] = now + chance.uniform(0.1, 3 * TTL_S)
                stops += 1
    finally:
        for process in running:
            process.kill()
            process.join()
    lines = log.read_text().splitlines()
    assert overlaps(lines) == []
    assert len(generations()) > ENOUGH
    assert killed > 3
    assert stops > 20
