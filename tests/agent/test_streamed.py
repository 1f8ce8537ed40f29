"""The host's client and the agent itself, several inputs in a frame: each output tells how often the model has run."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
from dataclasses import replace

import pytest

from fakes.lines import CreditWatch, NoisyLine
from harness.errors import LinkError, MeasurementError
from harness.link.client import Link
from harness.link.frame import Decoder, Reply, Request, encode_header, encode_payload
from harness.link.poll import ready
from harness.link.timing import Timing

QUICK = Timing(boot=5.0, reply=0.3, inference=5.0, quiet=0.03, step=0.02)
INPUT = 300
CARD = json.dumps({"state_bytes": 4})


class Process:
    """A running agent as the link's byte stream. What it sends is read in the background, so that it never waits."""

    def __init__(self, program, **settings):
        words = [str(word) for pair in settings.items() for word in pair]
        self._agent = subprocess.Popen(
            [program, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=os.environ | {"HIL_CARD": CARD},
        )

    def read(self, size, timeout):
        return os.read(self._agent.stdout.fileno(), size) if ready(self._agent.stdout.fileno(), timeout) else b""

    def write(self, data):
        self._agent.stdin.write(data)

    def drain(self):
        pass

    def close(self):
        self._agent.stdin.close()
        assert self._agent.wait(60) == 0
        self._agent.stdout.close()


@pytest.fixture
def start(program):
    running = []

    def start(**settings):
        running.append(Process(program, **{"stateful": 1, **settings}))
        return running[-1]

    yield start
    for process in running:
        process.close()


def sequences(seed, count=40):
    draw = random.Random(seed)
    return [[draw.randbytes(INPUT) for _ in range(draw.choice((1, 1, 1, 2, 3, 9)))] for _ in range(count)]


def expected(wanted, done):
    """Outputs of sequences after `done` inferences. The count in them shows if one happened twice."""
    found = []
    for sequence in wanted:
        total, outputs = 0, []
        for data in sequence:
            for byte in data:
                total = (total * 31 + byte) % 2**32
            done += 1
            outputs.append(struct.pack("<II", total, done))
        found.append(outputs)
    return found


def connected(line, **options):
    link = Link(line, "bench", QUICK, **options)
    link.connect()
    assert link.info.most_inputs == 5
    link.infer(bytes(INPUT))  # so that it is known how long one takes
    return link


def outputs(link, wanted):
    return [[step.output for step in sequence] for sequence in link.infer_sequences(wanted)]


class Counted:
    """A line that counts the frames of each type, and may lose some of the device's."""

    def __init__(self, line, lose=frozenset()):
        self.line = line
        self.lose = lose
        self.asked, self.answered = [], []
        self._decoder = Decoder()

    def read(self, size, timeout):
        self._decoder.feed(self.line.read(size, timeout))
        passed = b""
        while (frame := self._decoder.next_frame()) is not None:
            self.answered.append(frame.type)
            if (frame.type, self.answered.count(frame.type)) in self.lose:
                continue
            passed += encode_header(frame.type, frame.seq, len(frame.payload), frame.nonce, frame.status)
            passed += encode_payload(frame.payload) if frame.payload else b""
        return passed

    def write(self, data):
        self.asked += data[2:3]
        self.line.write(data)

    def drain(self):
        pass


def test_one_frame_each_way_for_five_inputs_and_never_a_byte_that_was_not_granted(start):
    counted = Counted(start())
    watch = CreditWatch(counted, INPUT)
    link = connected(watch)
    counted.asked.clear()
    counted.answered.clear()
    wanted = sequences(1)
    steps = sum(map(len, wanted))
    assert outputs(link, wanted) == expected(wanted, 1)
    frames = -(-steps // 5)
    assert len(counted.asked) == frames + 1  # the first one's header goes alone
    assert [counted.answered.count(kind) for kind in (Reply.CREDIT, Reply.RESULTS)] == [2, frames]
    assert len(counted.answered) == frames + 2
    assert watch.overdrawn == 0
    assert replace(link.counters) == type(link.counters)()
    assert link.stats().damaged_headers == 0  # the device waits for a header


@pytest.mark.parametrize(("fault", "rate"), [("flip", 5e-5), ("drop", 3e-4), ("double", 3e-4)])
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_a_bad_line_runs_no_input_twice(start, fault, rate, seed):
    noisy = NoisyLine(start(), seed)
    link = connected(noisy, attempts=50)
    setattr(noisy, fault, rate)
    wanted = sequences(seed, 20 if seed == 1 else 40)
    assert outputs(link, wanted) == expected(wanted, 1)
    assert link.counters.retransmissions + link.counters.recoveries > 0


@pytest.mark.parametrize("number", range(1, 5))
def test_results_that_are_lost_are_not_computed_again(start, number):
    """The last of 4 frames is not followed by another."""
    counted = Counted(start(), {(Reply.RESULTS, number)})
    link = connected(counted)
    wanted = [[random.Random(number).randbytes(INPUT) for _ in range(18)]]
    assert outputs(link, wanted) == expected(wanted, 1)
    assert counted.asked.count(Request.AGAIN) >= 1
    assert link.counters.recoveries > 0


@pytest.mark.parametrize("number", [1, 2])
def test_a_grant_that_is_lost(start, number):
    counted = Counted(start(), {(Reply.CREDIT, 1 + number)})  # the first one is the WRITE's
    link = connected(counted)
    wanted = sequences(number, 10)
    assert outputs(link, wanted) == expected(wanted, 1)


class Losing(Counted):
    """A line that loses a part of one frame, and counts how often the host writes."""

    def __init__(self, line, number, start, size):
        super().__init__(line)
        self.left, self.start, self.stop, self.writes = number, start, start + size, 0

    def write(self, data):
        self.writes += 1
        self.left -= len(data) > INPUT
        if not self.left and len(data) > INPUT:
            data = data[: self.start] + data[self.stop :]
        super().write(data)


@pytest.mark.parametrize("size", [1, 16, 17, 500, 1523])
def test_a_part_of_a_frame_that_is_lost(start, size):
    losing = Losing(start(), 3, 1, size)  # after a WRITE and a STREAM that is granted by its header
    link = connected(losing)
    wanted = [[random.Random(size).randbytes(INPUT) for _ in range(25)]]
    assert outputs(link, wanted) == expected(wanted, 1)
    assert link.counters.recoveries > 0
    assert losing.left <= 0
    assert losing.writes < 60


def test_who_stops_in_the_middle_may_ask_for_something_else(start):
    link = connected(start())
    streamed = link.infer_sequences(sequences(3))
    next(streamed)
    assert link.stats().stack_bytes == 16
    streamed.close()
    data = sequences(4, 1)[0][0]
    assert link.infer(data).output[:4] == expected([[data]], 0)[0][0][:4]


def test_an_input_of_the_wrong_size_among_others(start):
    link = connected(start())
    with pytest.raises(MeasurementError, match="299 bytes for a model that takes 300"):
        list(link.infer_each([bytes(300)] * 3 + [bytes(299)]))


def test_an_engine_that_cannot_be_reset_says_so_in_a_stream_too(start):
    link = Link(start(resets_fail=1), "bench", QUICK)
    link.connect()
    link._runs.slowest = 0.1
    with pytest.raises(MeasurementError, match="the engine reports that the inference failed"):
        list(link.infer_each([bytes(INPUT)] * 20))


class Corrupting(Counted):
    """A line behind which the board's memory forgets what an input was."""

    def write(self, data):
        if len(data) > 24 and data[2] == Request.STREAM:
            changed = bytearray(data[16:-4])
            changed[100] ^= 1
            data = data[:16] + encode_payload(bytes(changed))
        super().write(data)


def test_results_of_another_input_are_refused(start):
    link = connected(Corrupting(start()))
    with pytest.raises(LinkError, match="RESULTS for other inputs than were sent"):
        list(link.infer_each([bytes(INPUT)] * 20))
