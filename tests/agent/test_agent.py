"""firmware/agent on the host, under the sanitizers, held against a model of the protocol.

The witness below follows docs/link-protocol.md alone: it says which frames must come, byte for byte.
"""

from __future__ import annotations

import random
import struct
import subprocess
import zlib
from dataclasses import dataclass, field, replace

import pytest

from harness.link.frame import Decoder, Frame, Reason, Reply, Request, encode_header, encode_payload

INPUT, OUTPUT, NONCE = 300, 8, 0x5EED
RESET_STATE = 2**31
MOST = 5  # inputs of a frame that host.c has room for


@pytest.fixture(scope="module")
def agent(program):
    """Run the agent on some bytes, and return the frames that it sends."""

    def run(data: bytes, **settings: int) -> list[Frame]:
        words = [str(word) for pair in settings.items() for word in pair]
        done = subprocess.run([program, *words], input=data, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode()
        decoder = Decoder()
        decoder.feed(done.stdout)
        frames = []
        while (frame := decoder.next_frame()) is not None:
            frames.append(frame)
        assert (decoder.skipped, decoder.pending) == (0, 0)  # every byte belongs to an undamaged frame
        return frames

    return run


def request(kind: int, seq: int, arg: int = 0, payload: bytes = b"") -> bytes:
    return encode_header(kind, seq, len(payload), arg) + (encode_payload(payload) if payload else b"")


def test_a_run_numbered_0_is_refused_and_not_answered_with_what_never_ran(agent):
    frames = agent(request(Request.RUN, 0, 1) + request(Request.RUN, 7, 1) + request(Request.RUN, 0, 1))
    assert [(frame.type, frame.status, frame.seq) for frame in frames[1:]] == [
        (Reply.NAK, Reason.OUT_OF_RANGE, 0),
        (Reply.RESULT, 0, 7),
        (Reply.NAK, Reason.OUT_OF_RANGE, 0),
    ]


def test_a_model_that_could_not_be_set_up_gets_no_input(agent):
    """Its engine said how large its input is, and then had no memory for it: copying there would be a fault."""
    asked = request(Request.WRITE, 1, 0, bytes(INPUT)) + request(Request.RUN, 2, 1) + request(Request.PROFILE, 3)
    # A RUN that announces the next input is refused instead of granted, so none is sent.
    asked += encode_header(Request.RUN, 4, INPUT, 1) + request(Request.PING, 5)
    frames = agent(asked, setup_fails=1)
    assert [(frame.type, frame.status, frame.seq) for frame in frames[1:]] == [
        (Reply.CREDIT, 0, 1),
        (Reply.ACK, 0, 1),
        (Reply.NAK, Reason.INFERENCE_FAILED, 2),
        (Reply.NAK, Reason.INFERENCE_FAILED, 3),
        (Reply.NAK, Reason.INFERENCE_FAILED, 4),
        (Reply.ACK, 0, 5),
    ]


def test_what_the_setup_returned_ends_every_info(agent):
    frames = agent(request(Request.HELLO, 1) + request(Request.HELLO, 2, 1) + request(Request.STREAM, 3), setup_fails=1)
    assert [frame.payload[-4:] for frame in frames[:3]] == [struct.pack("<i", -1)] * 3
    assert (frames[3].type, frames[3].status) == (Reply.NAK, Reason.INFERENCE_FAILED)


def test_less_than_an_empty_measurement_is_0_and_not_almost_2_to_the_32(agent):
    """Readings cost 100 ticks at boot and 3 later, as when the bus was busy at boot; the inference takes 2."""
    frames = agent(request(Request.RUN, 1, 2) + request(Request.PROFILE, 2), reading=100, later=3, work=2)
    assert struct.unpack_from("<I", frames[0].payload, 8) == (100,)
    assert struct.unpack_from("<III", frames[1].payload, 4) == (2, 0, 0)
    assert struct.unpack_from("<I", frames[2].payload, 4) == (0,)


def test_a_model_that_cannot_be_reset_runs_nothing(agent):
    asked = request(Request.RUN, 1, 1) + request(Request.RUN, 2, RESET_STATE + 1) + request(Request.PROFILE, 3)
    # A RUN that announces the next input is refused instead of granted.
    asked += encode_header(Request.RUN, 4, INPUT, RESET_STATE + 1) + request(Request.RUN, 1, 1)
    assert [(frame.type, frame.status, frame.seq) for frame in agent(asked, resets_fail=1)[1:]] == [
        (Reply.RESULT, 0, 1),
        (Reply.NAK, Reason.INFERENCE_FAILED, 2),
        (Reply.NAK, Reason.INFERENCE_FAILED, 3),
        (Reply.NAK, Reason.INFERENCE_FAILED, 4),
        (Reply.RESULT, 0, 1),
    ]


@pytest.mark.parametrize(
    ("id_bytes", "card_bytes", "fits"),
    [
        (20, 65_467, True),
        (20, 65_468, False),
        (255, 65_232, True),
        (255, 65_233, False),
        (256, 20, False),
    ],
)
def test_what_is_too_long_for_info_is_refused_and_not_cut(agent, id_bytes, card_bytes, fits):
    frames = agent(request(Request.HELLO, 9) + request(Request.PING, 10), id_bytes=id_bytes, card_bytes=card_bytes)
    assert [frame.seq for frame in frames] == [0, 9, 10]
    for frame in frames[:2]:
        if fits:
            assert frame.type == Reply.INFO
            assert frame.payload[3] == id_bytes
            assert frame.payload[28:32] == struct.pack("<I", card_bytes)
            assert len(frame.payload) == 44 + id_bytes + card_bytes
        else:
            assert (frame.type, frame.status) == (Reply.NAK, Reason.OUT_OF_RANGE)


def test_only_a_host_that_asks_is_told_how_many_inputs_a_frame_may_have(agent):
    plain, older, newer = agent(request(Request.HELLO, 1) + request(Request.HELLO, 2, 1))
    assert plain.payload == older.payload
    assert newer.payload == plain.payload + struct.pack("<I", MOST)


@dataclass(frozen=True)
class Asked:
    """A request, and whether its payload arrives undamaged."""

    kind: int
    seq: int
    arg: int
    payload: bytes
    intact: bool

    @property
    def length(self) -> int:
        return len(self.payload)

    def answered(self, kind: Reply, payload: bytes = b"", status: int = 0) -> Frame:
        return Frame(kind, status, self.seq, NONCE, payload)

    def refused(self, reason: Reason) -> Frame:
        return self.answered(Reply.NAK, status=reason)


@dataclass
class Witness:
    """What the protocol says that a device answers."""

    stateful: bool = False
    state: int = 0
    waiting: bytearray = field(default_factory=lambda: bytearray(INPUT))
    inferences: int = 0
    last: tuple[int, bytes] = (0, b"")
    results: dict[int, bytes] = field(default_factory=dict)
    damaged: int = 0
    damaged_headers: int = 0

    def answer(self, asked: Asked) -> list[Frame]:
        answers = {
            Request.PING: lambda asked: [asked.answered(Reply.ACK)],
            Request.STATS: self.stats,
            Request.WRITE: lambda asked: self.take(asked, asked.arg, asked.answered(Reply.ACK)),
            Request.ECHO: lambda asked: self.take(asked, 0, asked.answered(Reply.ECHO, asked.payload)),
            Request.PROFILE: self.profile,
            Request.RUN: self.run,
            Request.STREAM: lambda asked: [asked.refused(Reason.OUT_OF_RANGE)],  # what fits is in streamed()
            Request.AGAIN: self.again,
        }
        return answers.get(asked.kind, lambda asked: [asked.refused(Reason.UNKNOWN_TYPE)])(asked)

    def again(self, asked: Asked) -> list[Frame]:
        known = self.results.get(asked.seq)
        return [asked.refused(Reason.NOT_RUN) if known is None else asked.answered(Reply.RESULTS, known)]

    def stream(self, seq: int, mask: int, inputs: list[bytes]) -> None:
        """Run a frame. The results of two are known."""
        results = b""
        for place, data in enumerate(inputs):
            results += struct.pack("<II", zlib.crc32(data), 1000) + self.infer(reset=bool(mask >> place & 1), data=data)
        self.results.pop(seq, None)
        self.results = dict([*self.results.items()][-1:]) | {seq: struct.pack("<I", len(inputs)) + results}
        self.last = (0, b"")

    def infer(self, *, reset: bool, data: bytes | None = None) -> bytes:
        total = 0 if reset or not self.stateful else self.state
        for byte in self.waiting if data is None else data:
            total = (total * 31 + byte) % 2**32
        self.inferences += 1
        self.state = total
        return struct.pack("<II", total, self.inferences)

    def crc(self) -> bytes:
        return struct.pack("<I", zlib.crc32(self.waiting))

    def stats(self, asked: Asked) -> list[Frame]:
        known = struct.pack("<8I", 16, 4, 0, 0, self.damaged_headers, self.damaged, 0, 0)
        more = struct.pack("<2I", self.inferences, 0) if asked.arg == 1 else b""
        return [asked.answered(Reply.STATS, known + more)]

    def take(self, asked: Asked, offset: int, then: Frame) -> list[Frame]:
        if not 1 <= asked.length <= INPUT or offset + asked.length > INPUT:
            return [asked.refused(Reason.OUT_OF_RANGE)]
        return [asked.answered(Reply.CREDIT), self.receive(asked, offset, then)]

    def receive(self, asked: Asked, offset: int, then: Frame) -> Frame:
        self.waiting[offset : offset + asked.length] = asked.payload
        self.damaged += not asked.intact
        return then if asked.intact else asked.refused(Reason.DAMAGED_PAYLOAD)

    def profile(self, asked: Asked) -> list[Frame]:
        self.last = (0, b"")
        outputs = self.infer(reset=asked.arg == 0)  # else it goes on, as the next piece of an input
        return [asked.answered(Reply.PROFILE, self.crc() + struct.pack("<4I", 1000, 2, 250, 250) + outputs)]

    def run(self, asked: Asked) -> list[Frame]:
        reset, count = asked.arg >= RESET_STATE, asked.arg % RESET_STATE
        wrong = asked.length > INPUT or (asked.length > 0 and count != 1)
        if asked.seq == 0 or not 1 <= count <= 128 or wrong:
            return [asked.refused(Reason.OUT_OF_RANGE)]
        if asked.seq == self.last[0] and not asked.length:
            return [asked.answered(Reply.RESULT, self.last[1])]
        crc, outputs = self.crc(), [self.infer(reset=reset) for _ in range(count)]
        self.last = asked.seq, crc + struct.pack(f"<{1 + count}I", count, *[1000] * count) + outputs[-1]
        result = asked.answered(Reply.RESULT, self.last[1])
        if not asked.length:
            return [result]
        return [asked.answered(Reply.CREDIT), result, self.receive(asked, 0, asked.answered(Reply.ACK))]


HARM = ("damaged", "header damaged", "ended", "too long")
ANSWERS = {
    "damaged": Frame(Reply.NAK, Reason.DAMAGED_PAYLOAD, 0, NONCE),
    "header damaged": Frame(Reply.NAK, Reason.DAMAGED_HEADER, 0, NONCE),
    "ended": Frame(Reply.ACK, 0, 0, NONCE),
    "too long": Frame(Reply.NAK, Reason.OUT_OF_RANGE, 0, NONCE),
}


def streamed(draw: random.Random, witness: Witness) -> tuple[bytes, list[Frame]]:
    """Return the frames of a stream, of which one may be damaged or no such frame, and what must be answered."""

    def results(seq: int) -> Frame:
        return Frame(Reply.RESULTS, 0, seq, NONCE, witness.results[seq])

    counts = [draw.randint(1, MOST) for _ in range(draw.randint(1, 4))]
    sent, answers, before = b"", [], 0
    witness.results = {}
    for number, (count, following) in enumerate(zip(counts, [*counts[1:], 0], strict=True)):
        seq, mask = draw.randint(1, 65535), draw.randrange(2**32)
        inputs = [draw.randbytes(INPUT) for _ in range(count)]
        payload = struct.pack("<I", mask) + b"".join(inputs)
        header, rest = encode_header(Request.STREAM, seq, len(payload), following), bytearray(encode_payload(payload))
        if number == 0:
            answers.append(Frame(Reply.CREDIT, 0, seq, NONCE))
        happens = draw.choice(("nothing",) * 6 + (*HARM[:1], *(HARM if number else ())))
        if happens == "damaged":
            rest[draw.randrange(len(rest))] ^= 1 << draw.randrange(8)
        else:
            header = {
                "nothing": header,
                "header damaged": header[:5] + bytes([header[5] ^ 1]) + header[6:],
                "ended": encode_header(Request.PING, seq),
                # more inputs than were granted, or than there is room for
                "too long": encode_header(
                    Request.STREAM, seq, len(payload) + draw.choice((1, INPUT, 6 * INPUT)), following
                ),
            }[happens]
        sent += header + rest
        if happens != "nothing":
            witness.damaged += happens == "damaged"
            witness.damaged_headers += happens == "header damaged"
            return sent, [*answers, replace(ANSWERS[happens], seq=0 if happens == "header damaged" else seq)]
        if before:
            answers.append(results(before))
        elif following:
            answers.append(Frame(Reply.CREDIT, 0, seq, NONCE))
        witness.stream(seq, mask, inputs)
        before = seq
    return sent, [*answers, results(seq)]


def conversation(draw: random.Random, requests: int, *, stateful: bool) -> tuple[bytes, list[Frame]]:
    """Return what a host might send, sensible or not, and what must be answered."""
    witness = Witness(stateful)
    data, answers = b"", []
    for _ in range(requests):
        kind = draw.choice((*Request, Request.RUN, Request.WRITE, draw.randrange(256)))
        if kind == Request.HELLO:
            continue  # its answer is the other tests'
        if kind == Request.STREAM and draw.random() < 0.7:
            sent, frames = streamed(draw, witness)
            data, answers = data + sent, answers + frames
            continue
        seq = draw.choice((witness.last[0], *witness.results, draw.randrange(6), draw.randrange(65536)))
        length = draw.choice((0, 0, 1, draw.randint(1, INPUT), INPUT, INPUT + 1, draw.randrange(65536)))
        arg = draw.choice((0, 1, 1, draw.randint(1, 128), 129, draw.randrange(INPUT), draw.randrange(2**32)))
        if kind == Request.RUN and draw.random() < 0.3:
            arg |= RESET_STATE
        if kind == Request.STREAM and length in range(4 + INPUT, 4 + (MOST + 1) * INPUT, INPUT) and arg <= MOST:
            continue  # that would be granted
        asked = Asked(kind, seq, arg, draw.randbytes(length), draw.random() < 0.8)
        frames = witness.answer(asked)
        data += encode_header(kind, seq, length, arg)
        if any(frame.type == Reply.CREDIT for frame in frames):
            sent = encode_payload(asked.payload)
            data += sent if asked.intact else sent[:-1] + bytes([sent[-1] ^ 1])
        answers += frames
    return data, answers


@pytest.mark.parametrize(("streams", "requests"), [(10, 150), pytest.param(120, 500, marks=pytest.mark.slow)])
def test_random_conversations_are_answered_as_the_protocol_says(agent, streams, requests):
    """Of some, the agent is a task of a program: it must not wait, or say that nothing has come when something has."""
    for seed in range(streams):
        data, answers = conversation(random.Random(seed), requests, stateful=bool(seed % 2))
        got = agent(data, stateful=seed % 2, polled=seed % 4)
        assert got[0].type == Reply.INFO
        for number, (found, wanted) in enumerate(zip(got[1:], answers, strict=True)):
            assert found == wanted, f"seed {seed}, frame {number}"


@pytest.mark.parametrize(("streams", "requests"), [(30, 30), pytest.param(300, 100, marks=pytest.mark.slow)])
def test_no_stream_of_bytes_makes_the_agent_touch_what_is_not_its_own(agent, streams, requests):
    """Frames with bits flipped, bytes lost and doubled: the answers are as they may, the sanitizers look on.

    A process for each stream is what takes the time, so that there are more requests in one rather than more streams.
    """
    for seed in range(streams):
        draw = random.Random(seed)
        data = bytearray(conversation(draw, requests, stateful=False)[0])
        for _ in range(draw.randrange(requests)):
            at = draw.randrange(len(data))
            data[at : at + draw.randint(0, 3)] = draw.randbytes(draw.randint(0, 3))
        agent(bytes(data))
