"""How often the host looks at a line while a long frame comes, by a clock of the test's own."""

from __future__ import annotations

import pytest

from harness.errors import LinkError
from harness.link import wire as wire_module
from harness.link.frame import Reply, encode_header, encode_payload
from harness.link.timing import Timing
from harness.link.wire import Wire

PIECE = 100
CALL_S = 1e-5  # a read that finds something takes so long


class Clock:
    """What the wire knows of time: it passes when somebody sleeps or waits for bytes."""

    def __init__(self):
        self.now = 0.0
        self.slept = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept += seconds
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(wire_module, "time", made)
    return made


class PiecewiseLine:
    """A line that hands over 100 bytes at a time, `pace` seconds apart, whether or not somebody reads."""

    def __init__(self, clock, data, pace):
        self._clock = clock
        self._data = data
        self._pace = pace
        self._began = clock.now
        self._read = 0
        self.reads = 0

    def read(self, size, timeout):
        self.reads += 1
        until = self._clock.now + timeout
        while True:
            self._clock.now += CALL_S
            arrived = len(self._data)
            if self._pace:
                arrived = min(arrived, int((self._clock.now - self._began) / self._pace) * PIECE)
            if arrived > self._read or self._clock.now >= until:
                break
        data = self._data[self._read : min(arrived, self._read + (size if self._pace else PIECE))]
        self._read += len(data)
        return data


def reply(payload, seq=7):
    return encode_header(Reply.RESULT, seq, len(payload), 1234) + encode_payload(payload)


def test_a_long_frame_at_the_pace_of_the_line_takes_few_reads(clock):
    payload = bytes(range(256)) * 20
    line = PiecewiseLine(clock, reply(payload), PIECE * 1e-5)
    assert Wire(line, "bench", Timing()).receive(7, {Reply.RESULT}, 2.0).payload == payload
    assert len(payload) * 1e-5 <= clock.now < len(payload) * 1e-5 * 1.2
    assert line.reads <= 12  # of 52 pieces


class StoppedHost:
    """A line whose bytes come when the host has stopped waiting for them, as if it had been asleep."""

    def __init__(self, clock, data):
        self._clock = clock
        self._data = [b"", data]

    def read(self, size, timeout):
        self._clock.now += timeout
        return self._data.pop(0) if self._data else b""


@pytest.mark.parametrize("whole", [True, False])
def test_what_came_while_the_host_slept_is_read_before_it_gives_up(clock, whole):
    data = reply(b"all of it")
    line = StoppedHost(clock, data if whole else data[:-1])
    frame = Wire(line, "bench", Timing()).receive(7, {Reply.RESULT}, 0.05)
    assert (frame.payload if frame else None) == (b"all of it" if whole else None)


class FrozenComputer:
    """A line whose board stands still as long as the host does: both have slept, and the board answers a bit later."""

    def __init__(self, clock, data, overslept):
        self._clock = clock
        self._data = data
        self._overslept = overslept

    def read(self, size, timeout):
        overslept, self._overslept = self._overslept, 0.0
        self._clock.now += overslept or min(timeout, 0.001)
        return b"" if overslept or timeout < 0.001 else self._data


@pytest.mark.parametrize("damaged", [False, True])
def test_a_board_that_stood_still_with_the_host_has_its_time_afterwards(clock, damaged):
    line = FrozenComputer(clock, reply(b"all of it"), 3.0)
    wire = Wire(line, "bench", Timing())
    if damaged:
        wire._decoder.feed(b"H")
    assert wire.receive(7, {Reply.RESULT}, 2.0).payload == b"all of it"
    assert clock.now < 3.1


class LateHost:
    """A line on which nothing comes, on a host that always wakes up as late again as it wanted to sleep."""

    def __init__(self, clock):
        self._clock = clock

    def read(self, size, timeout):
        self._clock.now += 2 * timeout
        return b""


def test_a_host_that_is_always_late_gives_up_all_the_same(clock):
    assert Wire(LateHost(clock), "bench", Timing()).receive(7, {Reply.RESULT}, 2.0) is None
    assert 6.0 < clock.now < 9.0


class Hung:
    """A device that computes for ever: bytes go in, none come out."""

    def __init__(self, clock):
        self._clock = clock
        self.taken = 0

    def write(self, data):
        self.taken += len(data)

    def read(self, size, timeout):
        self._clock.now += timeout
        return b""


@pytest.mark.parametrize("granted", [None, 3944, 16])
def test_a_device_that_has_stopped_is_given_up_soon_whatever_it_was_granted(clock, granted):
    line = Hung(clock)
    wire = Wire(line, "bench", Timing())
    if granted is not None:
        wire.grant(granted)
    with pytest.raises(LinkError, match="bench: no ACK to PING"):
        wire.recover()
    assert 23 * 16 <= line.taken - (granted or 4100) <= 24 * 16
    assert clock.now < 2


def test_a_line_without_pace_is_never_waited_for(clock):
    """As an emulated board's is: its bytes come as fast as they are read."""
    payload = bytes(range(256)) * 20
    line = PiecewiseLine(clock, reply(payload), 0.0)
    wire = Wire(line, "bench", Timing(baud=100))  # each pause would be as long as it may be, 50 ms
    assert wire.receive(7, {Reply.RESULT}, 2.0).payload == payload
    assert clock.slept == 0
    assert line.reads == 52


@pytest.mark.parametrize("cut", [30, 500, 4000])
def test_a_frame_that_breaks_off_is_given_up_after_the_same_silence(clock, cut):
    line = PiecewiseLine(clock, reply(bytes(5000))[:cut], PIECE * 1e-5)
    wire = Wire(line, "bench", Timing(quiet=0.1))
    assert wire.receive(7, {Reply.RESULT}, 2.0) is None
    assert wire.counters.damaged_replies == 1
    assert 0.1 <= clock.now - cut * 1e-5 < 0.16  # it may have slept while the last bytes came


def test_the_pace_of_one_frame_says_nothing_of_the_next(clock):
    payload = bytes(range(256)) * 20
    wire = Wire(PiecewiseLine(clock, reply(payload), PIECE * 1e-5), "bench", Timing())
    assert wire.receive(7, {Reply.RESULT}, 2.0).payload == payload
    assert clock.slept > 0
    clock.slept = 0.0
    wire._stream = PiecewiseLine(clock, reply(payload) * 3, 0.0)
    for _ in range(3):
        assert wire.receive(7, {Reply.RESULT}, 2.0).payload == payload
    assert clock.slept == 0


def test_frames_behind_a_long_one_are_found(clock):
    payload = bytes(3000)
    line = PiecewiseLine(clock, reply(payload) + encode_header(Reply.ACK, 7, 0, 1234), PIECE * 1e-5)
    wire = Wire(line, "bench", Timing())
    assert wire.receive(7, {Reply.RESULT}, 2.0).payload == payload
    assert wire.receive(7, {Reply.ACK}, 2.0).type == Reply.ACK
