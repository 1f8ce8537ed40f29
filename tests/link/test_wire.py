"""How often the host looks at a line while a long frame comes."""

from __future__ import annotations

import time

import pytest

from harness.link.frame import Reply, encode_header, encode_payload
from harness.link.timing import Timing
from harness.link.wire import Wire

PIECE = 100


class PiecewiseLine:
    """A line that hands over 100 bytes at a time, `pace` seconds apart, whether or not somebody reads."""

    def __init__(self, data, pace):
        self._data = data
        self._pace = pace
        self._began = time.monotonic()
        self._read = 0
        self.reads = 0

    def read(self, size, timeout):
        self.reads += 1
        until = time.monotonic() + timeout
        while True:
            arrived = len(self._data)
            if self._pace:
                arrived = min(arrived, int((time.monotonic() - self._began) / self._pace) * PIECE)
            if arrived > self._read or time.monotonic() >= until:
                break
            time.sleep(1e-4)
        data = self._data[self._read : min(arrived, self._read + (size if self._pace else PIECE))]
        self._read += len(data)
        return data


def reply(payload, seq=7):
    return encode_header(Reply.RESULT, seq, len(payload), 1234) + encode_payload(payload)


def test_a_long_frame_at_the_pace_of_the_line_takes_few_reads():
    payload = bytes(range(256)) * 20
    line = PiecewiseLine(reply(payload), PIECE * 1e-5)
    began = time.monotonic()
    frame = Wire(line, "bench", Timing()).receive(7, {Reply.RESULT}, 2.0)
    assert frame.payload == payload
    assert time.monotonic() - began >= len(payload) * 1e-5 * 0.95
    assert line.reads <= 12  # of 52 pieces


class StoppedHost:
    """A line whose bytes come when the host has stopped waiting for them, as if it had been asleep."""

    def __init__(self, data):
        self._data = [b"", data]

    def read(self, size, timeout):
        time.sleep(timeout)
        return self._data.pop(0) if self._data else b""


@pytest.mark.parametrize("whole", [True, False])
def test_what_came_while_the_host_slept_is_read_before_it_gives_up(whole):
    data = reply(b"all of it")
    frame = Wire(StoppedHost(data if whole else data[:-1]), "bench", Timing()).receive(7, {Reply.RESULT}, 0.05)
    assert (frame.payload if frame else None) == (b"all of it" if whole else None)


@pytest.fixture
def slept(monkeypatch):
    """How long the host slept on purpose, each time; what a busy computer takes besides isn't counted."""
    times, sleep = [], time.sleep

    def note(seconds):
        times.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", note)
    return times


def test_a_line_without_pace_is_never_waited_for(slept):
    """As an emulated board's is: its bytes come as fast as they are read."""
    payload = bytes(range(256)) * 20
    line = PiecewiseLine(reply(payload), 0.0)
    wire = Wire(line, "bench", Timing(baud=100))  # each pause would be as long as it may be, 50 ms
    assert wire.receive(7, {Reply.RESULT}, 2.0).payload == payload
    assert sum(slept) == 0
    assert line.reads == 52


@pytest.mark.parametrize("cut", [30, 500, 4000])
def test_a_frame_that_breaks_off_is_given_up_after_the_same_silence(cut):
    timing = Timing(quiet=0.1)
    line = PiecewiseLine(reply(bytes(5000))[:cut], PIECE * 1e-5)
    wire = Wire(line, "bench", timing)
    began = time.monotonic()
    assert wire.receive(7, {Reply.RESULT}, 2.0) is None
    assert wire.counters.damaged_replies == 1
    assert time.monotonic() - began >= 0.1


def test_the_pace_of_one_frame_says_nothing_of_the_next(slept):
    payload = bytes(range(256)) * 20
    slow, fast = PiecewiseLine(reply(payload), PIECE * 1e-5), PiecewiseLine(reply(payload) * 3, 0.0)
    wire = Wire(slow, "bench", Timing())
    assert wire.receive(7, {Reply.RESULT}, 2.0).payload == payload
    assert sum(slept) > 0
    slept.clear()
    wire._stream = fast
    for _ in range(3):
        assert wire.receive(7, {Reply.RESULT}, 2.0).payload == payload
    assert sum(slept) == 0


def test_frames_behind_a_long_one_are_found():
    payload = bytes(3000)
    line = PiecewiseLine(reply(payload) + encode_header(Reply.ACK, 7, 0, 1234), PIECE * 1e-5)
    wire = Wire(line, "bench", Timing())
    assert wire.receive(7, {Reply.RESULT}, 2.0).payload == payload
    assert wire.receive(7, {Reply.ACK}, 2.0).type == Reply.ACK
