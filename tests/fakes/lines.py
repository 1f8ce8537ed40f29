"""Serial lines that misbehave, or that watch: byte streams around the real one."""

from __future__ import annotations

import random
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.link.frame import Decoder, Reply, Request, encode_header, encode_payload

if TYPE_CHECKING:
    from harness.link.byte_stream import ByteStream


@dataclass
class NoisyLine:
    """Damages bytes in both directions, the same way for the same seed and traffic.

    Attributes:
        flip: probability that a bit is inverted.
        drop: probability that a byte is lost.
        double: probability that a byte comes twice.
        damaged: how many bytes were touched so far.
    """

    line: ByteStream
    seed: int
    flip: float = 0.0
    drop: float = 0.0
    double: float = 0.0
    damaged: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def read(self, size: int, timeout: float) -> bytes:
        return self._damage(self.line.read(size, timeout))

    def write(self, data: bytes) -> None:
        damaged = self._damage(data)
        if damaged:
            self.line.write(damaged)

    def drain(self) -> None:
        self.line.drain()

    def _damage(self, data: bytes) -> bytes:
        result = bytearray()
        for byte in data:
            changed = byte
            for bit in range(8):
                if self._random.random() < self.flip:
                    changed ^= 1 << bit
            copies = 1
            if self._random.random() < self.drop:
                copies = 0
            elif self._random.random() < self.double:
                copies = 2
            self.damaged += changed != byte or copies != 1
            result += bytes([changed]) * copies
        return bytes(result)


@dataclass
class LateLine:
    """Hands over what it has received so many seconds late, as a busy host does."""

    line: ByteStream
    delay: float
    _held: list[tuple[float, bytes]] = field(default_factory=list)

    def read(self, size: int, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while True:
            now = time.monotonic()
            if self._held and self._held[0][0] <= now:
                return self._held.pop(0)[1]
            until = min(deadline, self._held[0][0]) if self._held else deadline
            if data := self.line.read(size, max(0.0, until - now)):
                self._held.append((time.monotonic() + self.delay, data))
            elif time.monotonic() >= deadline:
                return b""

    def write(self, data: bytes) -> None:
        self.line.write(data)

    def drain(self) -> None:
        self._held.clear()
        self.line.drain()


@dataclass
class SilentLine:
    """Nobody is there."""

    written: int = 0

    def read(self, size: int, timeout: float) -> bytes:
        time.sleep(min(timeout, 0.05))
        return b""

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def drain(self) -> None:
        pass


@dataclass
class GarbageLine(SilentLine):
    """Somebody else is there, and talks."""

    seed: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def read(self, size: int, timeout: float) -> bytes:
        super().read(size, 0.001)
        return self._random.randbytes(min(size, 64))


@dataclass
class CreditWatch:
    """Counts what the device has granted against what the host sends.

    Attributes:
        input_bytes: of an input that is streamed.
        overdrawn: the most bytes that were ever sent beyond the grant.
    """

    line: ByteStream
    input_bytes: int = 0
    granted: int = 16
    overdrawn: int = 0
    _decoder: Decoder = field(default_factory=Decoder)
    _announced: int = 0
    _streaming: bool = False
    _first: int = 0
    _following: int = 0

    def read(self, size: int, timeout: float) -> bytes:
        data = self.line.read(size, timeout)
        self._decoder.feed(data)
        while (frame := self._decoder.next_frame()) is not None:
            if frame.type == Reply.RESULTS or (frame.type == Reply.CREDIT and frame.seq == self._first):
                self.granted = self._following or 16
            elif frame.type == Reply.CREDIT:
                self.granted += self._announced + 4
                self._first = frame.seq if self._following else 0
            elif not (frame.type == Reply.RESULT and self._streaming):
                self.granted = 16
        return data

    def write(self, data: bytes) -> None:
        if data[:2] == b"HL" and len(data) == 16:
            self._announced = struct.unpack_from("<H", data, 6)[0]
            self._streaming = data[2] == 0x04 and self._announced > 0
            self._first = 0
        if data[:3] == b"HL\x08":
            following = struct.unpack_from("<I", data, 8)[0]
            self._following = 24 + following * self.input_bytes if following else 0
        self.granted -= len(data)
        self.overdrawn = max(self.overdrawn, -self.granted)
        self.line.write(data)

    def drain(self) -> None:
        self.line.drain()


@dataclass
class OlderHost:
    """Makes of a HELLO the one of hosts that know nothing of frames of several inputs."""

    line: ByteStream

    def read(self, size: int, timeout: float) -> bytes:
        return self.line.read(size, timeout)

    def write(self, data: bytes) -> None:
        if len(data) == 16 and data[2] == Request.HELLO:
            data = encode_header(Request.HELLO, struct.unpack_from("<H", data, 4)[0])
        self.line.write(data)

    def drain(self) -> None:
        self.line.drain()


@dataclass
class OlderAgent:
    """Makes of a PROFILE a request that no agent knows, as it is to an agent that is older."""

    line: ByteStream

    def read(self, size: int, timeout: float) -> bytes:
        return self.line.read(size, timeout)

    def write(self, data: bytes) -> None:
        if len(data) == 16 and data[2] == Request.PROFILE:
            _, _, status, seq, length, arg, _ = struct.unpack("<HBBHHII", data)
            data = encode_header(0x70, seq, length, arg, status)
        self.line.write(data)

    def drain(self) -> None:
        self.line.drain()


@dataclass
class LyingLine:
    """Changes what the device says in undamaged frames of one type, as firmware would that counts wrongly.

    Attributes:
        kind: type of the frames.
        places: where 32-bit numbers are changed, bytes from the payload's start.
        value: what they become.
    """

    line: ByteStream
    kind: Reply
    places: tuple[int, ...]
    value: int
    _decoder: Decoder = field(default_factory=Decoder)

    def read(self, size: int, timeout: float) -> bytes:
        self._decoder.feed(self.line.read(size, timeout))
        changed = b""
        while (frame := self._decoder.next_frame()) is not None:
            payload = bytearray(frame.payload)
            for place in self.places if frame.type == self.kind else ():
                struct.pack_into("<I", payload, place, self.value)
            changed += encode_header(frame.type, frame.seq, len(payload), frame.nonce, frame.status)
            changed += encode_payload(bytes(payload)) if payload else b""
        return changed

    def write(self, data: bytes) -> None:
        self.line.write(data)

    def drain(self) -> None:
        self.line.drain()
