"""Frames of the link protocol: encoding, and decoding a stream of bytes. docs/link-protocol.md is the contract."""

from __future__ import annotations

import enum
import struct
import zlib
from dataclasses import dataclass, field

MAGIC = 0x4C48
HEADER = struct.Struct("<HBBHHII")
CRC = struct.Struct("<I")
MAX_PAYLOAD = 65531
_START = MAGIC.to_bytes(2, "little")


class Request(enum.IntEnum):
    """Frame types that the host sends."""

    HELLO = 0x01
    PING = 0x02
    WRITE = 0x03
    RUN = 0x04
    STATS = 0x05
    ECHO = 0x06
    PROFILE = 0x07
    STREAM = 0x08
    AGAIN = 0x09


class Reply(enum.IntEnum):
    """Frame types that the device sends."""

    INFO = 0x81
    CREDIT = 0x82
    ACK = 0x83
    NAK = 0x84
    RESULT = 0x85
    STATS = 0x86
    ECHO = 0x87
    FAULT = 0x88
    PROFILE = 0x89
    RESULTS = 0x8A


class Reason(enum.IntEnum):
    """Why the device refused a request (`status` of a NAK), or can run no inference (of an INFO)."""

    DAMAGED_HEADER = 1
    DAMAGED_PAYLOAD = 2
    UNKNOWN_TYPE = 3
    OUT_OF_RANGE = 4
    INFERENCE_FAILED = 5
    COUNTER_WRAPPED = 6
    NO_LAYERS = 7
    TOO_MANY_LAYERS = 8
    SETUP_FAILED = 9
    NOT_RUN = 10


@dataclass(frozen=True, slots=True)
class Frame:
    """One undamaged frame from the device.

    Attributes:
        type: a `Reply`, or another number from newer firmware.
        status: of a NAK or INFO, a `Reason`; 0 if all is well.
        seq: number of the request that it answers, 0 if none.
        nonce: boot nonce of the device.
        payload: without its CRC.
    """

    type: int
    status: int
    seq: int
    nonce: int
    payload: bytes = b""


def encode_header(kind: int, seq: int, length: int = 0, arg: int = 0, status: int = 0) -> bytes:
    """Return the 16 bytes of a header; the payload's are made by `encode_payload`."""
    head = HEADER.pack(MAGIC, kind, status, seq, length, arg, 0)[:-4]
    return head + CRC.pack(zlib.crc32(head))


def encode_payload(payload: bytes) -> bytes:
    """Return a payload with its CRC."""
    return payload + CRC.pack(zlib.crc32(payload))


@dataclass
class Decoder:
    """Finds frames in a byte stream and passes over whatever is none.

    Attributes:
        skipped: bytes passed over so far, because they belonged to no undamaged frame.
        damaged: payloads so far whose header was right and whose CRC was wrong.
        last_bytes: the most recent bytes received, for messages.
    """

    skipped: int = 0
    damaged: int = 0
    last_bytes: bytes = b""
    _buffer: bytearray = field(default_factory=bytearray)
    _needed: int = HEADER.size  # bytes in the buffer below which there can be no whole frame

    def feed(self, data: bytes) -> None:
        """Append received bytes."""
        self._buffer += data
        self.last_bytes = (self.last_bytes + data)[-32:]

    def clear(self) -> None:
        """Forget an unfinished frame."""
        self._buffer.clear()
        self._needed = HEADER.size

    def abandon(self) -> None:
        """Give up an unfinished frame, and look for one in the bytes behind its start."""
        if self._buffer:
            self._skip(1)

    @property
    def pending(self) -> int:
        """Bytes received that are not yet a whole frame."""
        return len(self._buffer)

    @property
    def missing(self) -> int:
        """Bytes still to come of a frame whose header is here; 0 if there is none."""
        return max(0, self._needed - len(self._buffer)) if self._needed > HEADER.size else 0

    def next_frame(self) -> Frame | None:
        """Return the next whole frame, or None if more bytes are needed."""
        buffer = self._buffer
        if len(buffer) < self._needed and (not buffer or buffer.startswith(_START)):
            return None  # a long frame comes in many pieces; its header is looked at once
        self._needed = HEADER.size
        while True:
            start = buffer.find(_START)
            if start < 0:
                # The last byte may be the first of a magic.
                self._skip(len(buffer) - (1 if buffer.endswith(_START[:1]) else 0))
                return None
            if start:
                self._skip(start)
            if len(buffer) < HEADER.size:
                return None
            _, kind, status, seq, length, nonce, crc = HEADER.unpack_from(buffer)
            if crc != zlib.crc32(buffer[: HEADER.size - CRC.size]):
                self._skip(1)
                continue
            end = HEADER.size + (length + CRC.size if length else 0)
            if len(buffer) < end:
                self._needed = end
                return None
            payload = bytes(buffer[HEADER.size : HEADER.size + length])
            if length and zlib.crc32(payload) != CRC.unpack_from(buffer, HEADER.size + length)[0]:
                # Bytes may have been lost inside, so the next frame may start before `end`.
                self.damaged += 1
                self._skip(HEADER.size)
                continue
            del buffer[:end]
            return Frame(kind, status, seq, nonce, payload)

    def _skip(self, count: int) -> None:
        self.skipped += count
        del self._buffer[:count]
        self._needed = HEADER.size
