"""Models of several tensors and with state on the virtual board, over good lines and bad ones, held against numpy."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

from fakes.lines import NoisyLine, OlderHost
from harness.boards.opening import open_board
from harness.errors import LinkError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.frame import Decoder, Reply, Request, encode_header, encode_payload
from harness.link.timing import Timing

QUICK = Timing(boot=0.3, reply=0.3, inference=1.0, quiet=0.05, step=0.03)
LENGTHS = (3, 1, 5, 2, 4)
SYNC_PIN = 32 + 11  # P1.11, high while an inference runs


def levels(steps):
    """What firmware/misbehaving/stream.c computes, from what it says of itself."""
    level, found = np.zeros(3, np.float32), []
    for step in steps.astype(np.float32):
        level = np.float32(0.5) * level + np.float32(0.5) * (step[:3] + step[3])
        found.append(level)
    return np.array(found)


@pytest.fixture(scope="module")
def sequences():
    draw = np.random.default_rng(5)
    return [draw.integers(-128, 128, (length, 4), dtype=np.int8) for length in LENGTHS]


@pytest.fixture(scope="module")
def board(nano33, root):
    with open_board(nano33, "virtual") as opened:
        opened.flash(load_image(root / "tests" / "images" / "stream.elf"))
        yield opened


@pytest.fixture
def line(board):
    stream = board.link()
    stream.drain()
    board.reset()
    return stream


def connected(line, **options):
    link = Link(line, "nano33", **options)
    link.connect()
    return link


def run(link, sequences):
    """The outputs of all sequences, and the ticks of each step."""
    found = list(link.infer_sequences([[step.tobytes() for step in steps] for steps in sequences]))
    outputs = [np.array([np.frombuffer(step.output, "<f4") for step in steps]) for steps in found]
    return outputs, [step.ticks for steps in found for step in steps]


def same(found, sequences):
    return all(np.array_equal(one, levels(steps)) for one, steps in zip(found, sequences, strict=True))


def test_state_lasts_for_a_sequence_and_not_longer(line, sequences):
    link = connected(line)
    outputs, ticks = run(link, sequences)
    assert same(outputs, sequences)
    assert len(set(ticks)) == 1
    assert not np.array_equal(outputs[2][1], levels(sequences[2][1:2])[0])  # the state does matter
    assert link.counters.retransmissions == 0


def test_whatever_is_no_sequence_starts_from_the_reset_state(line, sequences):
    link = connected(line)
    first = [steps[0].tobytes() for steps in sequences]
    expected = [levels(steps[:1]).tobytes() for steps in sequences]
    assert [result.output for result in link.infer_each(first)] == expected
    for count in (1, 3):
        assert link.infer(first[0], count).output == expected[0]
    assert [link.profile(first[0]).output for _ in range(2)] == expected[:1] * 2


@pytest.mark.parametrize(
    ("fault", "rate"),
    [("flip", 1e-3), ("drop", 5e-3), ("double", 5e-3)],
    ids=["bit flips", "lost bytes", "doubled bytes"],
)
def test_a_bad_line_runs_no_step_twice(line, sequences, fault, rate):
    noisy = NoisyLine(line, 3, **{fault: rate})
    link = connected(noisy, timing=QUICK, attempts=50)
    assert same(run(link, sequences)[0], sequences)
    assert noisy.damaged > 2
    assert link.counters.retransmissions + link.counters.recoveries > 2


@dataclass
class Interferer:
    """Does something just before a RUN goes out, or just after it was answered. tests/agent has STREAM."""

    line: object
    damage: bool = False  # every RESULT, the first time it comes: then nobody waits for it in vain
    overwrite: tuple[int, ...] = ()  # before these RUNs the waiting input becomes another one
    refuse: bool = False  # as an agent does that knows no bit 31
    runs: int = 0
    damaged: set[int] = field(default_factory=set)
    _decoder: Decoder = field(default_factory=Decoder)

    def read(self, size, timeout):
        self._decoder.feed(self.line.read(size, timeout))
        passed = b""
        while (frame := self._decoder.next_frame()) is not None:
            damaged = self.damage and frame.type == Reply.RESULT and frame.seq not in self.damaged
            passed += encode_header(frame.type, frame.seq, len(frame.payload), frame.nonce, frame.status)
            payload = encode_payload(frame.payload) if frame.payload else b""
            if damaged:
                self.damaged.add(frame.seq)
                payload = payload[:-1] + bytes([payload[-1] ^ 1])
            passed += payload
        return passed

    def write(self, data):
        if len(data) == 16 and data[2] == Request.RUN:
            self.runs += 1
            seq, length, arg = struct.unpack_from("<HHI", data, 4)
            if self.runs in self.overwrite:
                self._overwrite()
            if self.refuse:
                data = encode_header(Request.RUN, seq, length, arg | 0x4000_0000)
        self.line.write(data)

    def drain(self):
        self.line.drain()

    def _overwrite(self):
        self.line.write(encode_header(Request.WRITE, 0x7777, 4, 0))
        self._await(Reply.CREDIT)
        self.line.write(encode_payload(b"\x11\x22\x33\x44"))
        self._await(Reply.ACK)

    def _await(self, kind):
        while (frame := self._decoder.next_frame()) is None:
            self._decoder.feed(self.line.read(4096, 5.0))
        assert frame.type == kind


def test_a_result_that_is_damaged_is_not_computed_again(board, line, sequences):
    """How often it is asked for depends on how busy this computer is; how often it is computed doesn't."""
    pin, inferences = board.twin.machine.bus.gpio, []
    pin.on_output = lambda levels: inferences.append(levels >> SYNC_PIN & 1)
    damaging = Interferer(OlderHost(line), damage=True)
    link = connected(damaging)
    assert same(run(link, sequences)[0], sequences)
    pin.on_output = None
    rises = [now for before, now in pairwise([0, *inferences]) if now > before]
    assert len(rises) == len(damaging.damaged) == sum(LENGTHS)
    assert damaging.runs >= 2 * sum(LENGTHS)


def test_a_sequence_that_ran_on_a_wrong_step_begins_anew(line, sequences):
    """The third sequence's fourth step is the eighth RUN; its own repetition is disturbed at the second step."""
    disturbed = Interferer(OlderHost(line), overwrite=(8, 10))
    link = connected(disturbed)
    assert same(run(link, sequences)[0], sequences)
    assert disturbed.runs == sum(LENGTHS) + 4 + 2


def test_a_line_that_always_writes_something_else_ends_in_an_error(line, sequences):
    link = connected(Interferer(OlderHost(line), overwrite=tuple(range(2, 100, 2))), attempts=3)
    with pytest.raises(LinkError, match="no sequence of only the steps that were sent"):
        run(link, sequences[:1])


def test_an_agent_that_cannot_reset_is_said_to_be_too_old(line, sequences):
    link = connected(Interferer(OlderHost(line), refuse=True))
    with pytest.raises(LinkError, match="its agent can't reset one; build the image again"):
        run(link, sequences)


def test_two_inputs_and_two_outputs(nano33, root):
    image = load_image(root / "tests" / "images" / "pair.elf")
    draw = np.random.default_rng(6)
    signals, gains = draw.normal(0, 3000, (6, 8)).astype("f4"), draw.normal(0, 2, (6, 1)).astype("f4")
    raw = np.clip(np.sign(signals) * np.floor(np.abs(signals) / 0.25 + 0.5), -32768, 32767).astype("<i2")
    data = [signal.tobytes() + gain.tobytes() for signal, gain in zip(raw, gains, strict=True)]
    with open_board(nano33, "virtual") as board:
        board.flash(image)
        board.link().drain()
        board.reset()
        link = connected(board.link())
        results = [result.output for result in link.infer_each(data)]
    scaled = np.array([np.frombuffer(output[:32], "<f4") for output in results])
    assert np.array_equal(scaled, gains * np.float32(0.25) * raw.astype("f4"))
    assert [np.frombuffer(output[32:], "<i4").tolist() for output in results] == [[row.argmax()] for row in raw]
