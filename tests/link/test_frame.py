"""The codec: what is written is read back, and damage never passes as a frame."""

from __future__ import annotations

import random

import pytest

from harness.link.frame import MAX_PAYLOAD, Decoder, Frame, Reply, encode_header, encode_payload


def encode(frame: Frame) -> bytes:
    head = encode_header(frame.type, frame.seq, len(frame.payload), frame.nonce, frame.status)
    return head + (encode_payload(frame.payload) if frame.payload else b"")


def decode_all(decoder: Decoder) -> list[Frame]:
    frames = []
    while (frame := decoder.next_frame()) is not None:
        frames.append(frame)
    return frames


FRAMES = [
    Frame(Reply.ACK, 0, 1, 0xDEADBEEF),
    Frame(Reply.NAK, 2, 65535, 0xFFFFFFFF),
    Frame(Reply.RESULT, 0, 7, 0, bytes(range(256))),
    Frame(Reply.ECHO, 0, 8, 5, b"HLHLHL" * 50),
]


def test_header_bytes_are_those_of_the_document():
    # Written out by hand from docs/link-protocol.md: magic, type, status, seq, length, arg; then the CRC.
    header = encode_header(0x04, seq=0x1234, length=0x0310, arg=1)
    assert header[:12] == bytes.fromhex("484c 04 00 3412 1003 01000000")
    assert header[12:] == bytes.fromhex("7de30f95")


@pytest.mark.parametrize("step", [1, 2, 3, 7, 4096])
def test_frames_survive_any_fragmentation(step):
    decoder = Decoder()
    stream = b"".join(encode(frame) for frame in FRAMES)
    found = []
    for start in range(0, len(stream), step):
        decoder.feed(stream[start : start + step])
        found += decode_all(decoder)
    assert found == FRAMES
    assert decoder.skipped == 0


def test_largest_payload():
    frame = Frame(Reply.ECHO, 0, 1, 2, bytes(MAX_PAYLOAD))
    decoder = Decoder()
    decoder.feed(encode(frame))
    assert decode_all(decoder) == [frame]


def test_garbage_around_frames_is_passed_over():
    noise = random.Random(1)
    decoder = Decoder()
    for frame in FRAMES:
        decoder.feed(noise.randbytes(noise.randrange(40)) + b"H")
        decoder.feed(encode(frame))
    assert decode_all(decoder) == FRAMES
    assert decoder.skipped > 0


def test_every_single_bit_error_is_found():
    frame = FRAMES[2]
    sent = encode(frame)
    for bit in range(8 * len(sent)):
        damaged = bytearray(sent)
        damaged[bit // 8] ^= 1 << bit % 8
        decoder = Decoder()
        decoder.feed(bytes(damaged))
        assert decode_all(decoder) == [], f"bit {bit}"


def test_frame_behind_one_that_lost_bytes_is_found_after_giving_up():
    first, second = FRAMES[2], FRAMES[0]
    decoder = Decoder()
    decoder.feed(encode(first)[:-9] + encode(second))
    found = decode_all(decoder)
    while not found and decoder.pending:
        decoder.abandon()
        found = decode_all(decoder)
    assert found == [second]
