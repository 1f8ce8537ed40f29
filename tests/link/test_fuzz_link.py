"""Whatever bytes a line brings, the link's decoder ends, finds the whole frames behind them, and says what is wrong."""

from __future__ import annotations

import contextlib
import struct
import zlib

from fuzzing import amounts, fuzz, spoil
from harness.errors import HilError
from harness.link import messages
from harness.link.fault_record import describe_fault
from harness.link.frame import CRC, HEADER, MAGIC, Decoder

PARSERS = {
    "info": lambda payload: messages.parse_info(payload, 1),
    "result": lambda payload: messages.parse_result(payload, 4),
    "profile": lambda payload: messages.parse_profile(payload, 4),
    "stats": messages.parse_stats,
    "results": lambda payload: messages.parse_results(payload, 4),
}
INFO = struct.pack("<HBBIIIIIIIIQ", 1, 1, 20, 64_000_000, 4, 784, 4, 4096, 100, 30, 1, 2) + bytes(20) + b"{" * 30
GOOD = (
    INFO,
    struct.pack("<III", 7, 1, 99) + bytes(4),
    struct.pack("<IIIII", 7, 99, 2, 40, 50) + bytes(4),
    bytes(28),
    struct.pack("<I", 2) + 2 * (struct.pack("<II", 7, 99) + bytes(4)),
)


#: Ends whatever frame a noise may have begun: its header is intact only if it was one of those below.
END = bytes(256)


def sent(seq: int, payload: bytes) -> bytes:
    """Return a frame as a device sends it, written from docs/link-protocol.md rather than by our own encoder."""
    head = struct.pack("<HBBHHI", MAGIC, 0x85, 0, seq, len(payload), 5)
    frame = head + struct.pack("<I", zlib.crc32(head))
    return frame + (payload + struct.pack("<I", zlib.crc32(payload)) if payload else b"")


@amounts(quick=2000, many=25_000)
def test_a_whole_frame_is_found_behind_any_noise_and_every_byte_is_accounted_for(cases):
    def noise(chance):
        return chance.choice(
            (chance.randbytes(chance.randrange(80)), spoil(chance, (sent(1, b"abcd" * 5), sent(2, b""))))
        )

    def check(chance):
        wanted = [
            (chance.randrange(65536), chance.randbytes(chance.randrange(40))) for _ in range(chance.randint(1, 3))
        ]
        stream = b"".join(noise(chance) + sent(seq, payload) for seq, payload in wanted) + END
        decoder, found, at = Decoder(), [], 0
        while at < len(stream):
            size = chance.choice((1, 5, 20, len(stream)))
            decoder.feed(stream[at : at + size])
            at += size
            while (frame := decoder.next_frame()) is not None:
                found.append(frame)
        whole = sum(HEADER.size + (len(frame.payload) + CRC.size if frame.payload else 0) for frame in found)
        assert decoder.skipped + decoder.pending + whole == len(stream)
        rest = iter([(frame.seq, frame.payload) for frame in found])
        assert all(item in rest for item in wanted)  # in this order, with at most undamaged noise between them

    fuzz(cases, check)


@amounts(quick=5000, many=50_000)
def test_a_payload_is_understood_or_refused_in_words(cases):
    def check(chance):
        parse = PARSERS[chance.choice(sorted(PARSERS))]
        payload = chance.choice((chance.randbytes(chance.randrange(120)), spoil(chance, GOOD)))
        with contextlib.suppress(HilError):
            parse(payload)
        assert describe_fault(payload[:32])

    fuzz(cases, check)


def test_what_is_damaged_above_was_good():
    for parse, payload in zip(PARSERS.values(), GOOD, strict=True):
        parse(payload)
