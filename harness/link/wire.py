"""Frames there and back: one request at a time, and recovery from what a line loses or damages.

Nothing here measures time for a result: ticks come from the board's counter. The host's clock bounds waits only.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from harness.errors import BoardFaultError, BoardResetError, LinkError
from harness.link.fault_record import describe_fault
from harness.link.frame import Decoder, Frame, Reason, Reply, Request, encode_header, encode_payload
from harness.link.refusals import refusal
from harness.link.timing import LinkCounters, Timing

if TYPE_CHECKING:
    from collections.abc import Container

    from harness.link.byte_stream import ByteStream

HEADER_BYTES = 16
#: The most that a conversation of this harness announces at once, payload and CRC.
LARGEST_GRANT = 4096 + 4
#: PINGs from the one on with which all was sent that the device may wait for: 4 do on a good line, and more are for one
#: that damages these as well.
_PINGS = 4 + 20
#: Bytes of the PINGs before longer fillings, since most often few bytes are missing.
_FEW = 4 * HEADER_BYTES
#: How much longer than `Timing.step` answers are waited for, round by round, and the PINGs of each round.
_PATIENCE = ((1, _PINGS), (4, 5), (16, 5))
#: Seconds of bytes that a USB adapter may have and not yet handed over: one frame of USB.
_ADAPTER = 0.001
#: Bytes that may wait in the system's buffer for a port, which holds 4096.
_UNREAD = 2048
#: Seconds by which a host that has something else to do wakes up late.
_OVERSLEPT = 0.01


class Wire:
    """Sends requests to one device and finds the frames that answer them.

    Attributes:
        nonce: the device's boot nonce; frames with another one raise. None accepts any.
        counters: what had to be repaired.
    """

    def __init__(self, stream: ByteStream, board: str, timing: Timing) -> None:
        self.nonce: int | None = None
        self.counters = LinkCounters()
        self._stream = stream
        self._board = board
        self._timing = timing
        self._decoder = Decoder()
        self._seq = secrets.randbelow(0xFFFF) + 1  # so that answers to an earlier conversation don't match
        self._avoid = 0
        self._granted = LARGEST_GRANT  # bytes that the device may be waiting for; unknown at first
        self._exact = False  # whether that is what it waits for, if it waits for a payload
        self._heard = 0  # undamaged frames so far

    def next_seq(self) -> int:
        """Return a request number that is not the last RUN's, which the device would take for a repetition."""
        self._seq = self._seq % 0xFFFF + 1
        if self._seq == self._avoid:
            self._seq = self._seq % 0xFFFF + 1
        return self._seq

    def next_run_seq(self) -> int:
        """Return a request number for a new RUN."""
        self._avoid = self.next_seq()
        return self._avoid

    def announce(self, kind: Request, seq: int, length: int, arg: int) -> None:
        """Send a request's header. From here on the device may wait for `length` bytes and their CRC."""
        self._exact = self._granted == HEADER_BYTES
        self._granted = max(self._granted, length + 4)
        self._stream.write(encode_header(kind, seq, length, arg))

    def send_payload(self, payload: bytes) -> None:
        """Send a payload that the device has granted."""
        self._exact = False  # from here on it waits for what the line has lost of it
        self._stream.write(encode_payload(payload))

    def grant(self, size: int) -> None:
        """Note that the device waits for a whole frame of `size` bytes, as far as this host knows."""
        self._granted, self._exact = size, True

    def send_frame(self, kind: Request, seq: int, arg: int, payload: bytes) -> None:
        """Send a whole frame that the device has granted."""
        self._granted, self._exact = HEADER_BYTES + len(payload) + 4, False
        self._stream.write(encode_header(kind, seq, len(payload), arg) + encode_payload(payload))

    def settled(self) -> None:
        """Note that the device waits for a header, and for nothing else."""
        self._granted = HEADER_BYTES

    def check_refusal(self, frame: Frame | None, kind: Request, arg: int, length: int) -> None:
        """Raise if the device understood the request and won't do it: then repeating it is no use.

        Raises:
            LinkError: with the reason; UnknownRequestError if the firmware has never heard of it.
        """
        refused = refusal(self._board, frame, kind, arg, length)
        if refused is not None:
            self.settled()
            raise refused

    def recover(self, patience: float | None = None) -> None:
        """Bring the device back to the start of a header, as docs/link-protocol.md describes.

        Args:
            patience: seconds to wait for the answer to the first PING; None for `Timing.step`.

        Raises:
            LinkError: it doesn't answer after as many bytes as it can have been waiting for.
        """
        self.counters.recoveries += 1
        sent, asked, granted = 0, set[int](), self._granted
        for longer, pings in _PATIENCE:
            heard = self._heard
            more, found = self._ping(pings, longer * self._timing.step, patience, asked)
            sent, patience = sent + more, None
            if found:
                self.settled()
                return
            if self._heard == heard:
                break  # nobody who would be late
        self._granted = granted
        raise self.broken(f"no ACK to PING after {sent} bytes")

    def _ping(self, pings: int, step: float, patience: float | None, asked: set[int]) -> tuple[int, bool]:
        """Fill what the device may be waiting for, and send PINGs until one is answered.

        Args:
            pings: how many are sent at most, from the one on that fills it.
            step: seconds to wait for each answer.
            patience: seconds to wait for the first one; None for `step`.
            asked: the numbers of the PINGs of this recovery. A late answer to one of them is as good: the device was at
                a header, and what it was sent since were whole ones.

        Returns:
            How many bytes were sent, and whether a PING was answered.
        """
        self._silence(step)
        sent, waits = 0, self._granted
        before = self._heard, self._decoder.skipped
        while pings > 0:
            silent = before == (self._heard, self._decoder.skipped)
            zeros = self._filling(sent, waits - sent, silent=silent)
            if not zeros:
                asked.add(self.next_seq())
            data = bytes(zeros) or encode_header(Request.PING, self._seq)
            self._stream.write(data)
            sent += len(data)
            pings -= sent >= waits
            frame = self.receive(self._seq, {Reply.ACK}, patience or step, earlier=asked)
            patience = None
            if frame is not None and frame.type == Reply.ACK:
                return sent, True
            self._granted = max(HEADER_BYTES, waits - sent)
            if frame is not None and frame.status == Reason.DAMAGED_HEADER:
                waits = 0
                self.settled()
                if zeros:
                    self._silence(step)  # they may have been several headers
                sent += self._step_to_header(step)
        return sent, False

    def _filling(self, sent: int, left: int, *, silent: bool) -> int:
        """Return how many zero bytes to send instead of the next PING.

        Args:
            sent: bytes that this recovery has sent.
            left: bytes that the device may be waiting for beyond these.
            silent: nothing has come since it began.
        """
        if self._exact and silent and sent:
            return max(0, left)  # it took the PING without a word, so it waits for what was granted
        return max(0, min(sent, left)) if sent >= _FEW else 0

    def _silence(self, step: float) -> None:
        """Drop what still comes, so that an answer to an earlier byte is not taken for one to the next."""
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and (data := self._stream.read(65536, step)):
            self._decoder.feed(data)
            while (frame := self._decoder.next_frame()) is not None:
                self._heard += 1
                self._check(frame)
        self._decoder.clear()

    def _step_to_header(self, step: float) -> int:
        """Send single zero bytes until a header is complete (and refused). Returns how many."""
        for sent in range(1, HEADER_BYTES + 1):
            self._stream.write(b"\0")
            frame = self.receive(0, set(), step)
            if frame is not None and frame.status == Reason.DAMAGED_HEADER:
                return sent
        return HEADER_BYTES

    def receive(
        self,
        seq: int,
        types: set[Reply],
        patience: float,
        quiet: float | None = None,
        *,
        earlier: Container[int] = (),
    ) -> Frame | None:
        """Return the next frame of `types` that answers `seq`, or a NAK to it, or None if none comes.

        Waits `patience` seconds, or until `quiet` seconds of silence have followed damaged bytes. Answers to the
        requests `earlier` count as well. A wait that this host overslept isn't counted, as long as such waits add up to
        less than `patience`: an emulated device may have stood still as well.

        Raises:
            BoardResetError, BoardFaultError: the device says that the conversation is over.
        """
        now = heard = time.monotonic()
        deadline = now + patience + self._timing.line(self._granted)
        damage = self._decoder.skipped
        steady = looked = False
        spare = patience
        while True:
            frame = self._decoder.next_frame()
            if frame is not None:
                self._heard += 1
                self._check(frame)
                if _answers(frame, seq, types, earlier):
                    return frame
                continue
            now = time.monotonic()
            lost = self._decoder.skipped > damage or self._decoder.pending > 0
            wait = min(deadline, heard + (quiet or self._timing.quiet)) - now if lost else deadline - now
            if wait > 0:
                looked = False
            elif not looked:
                looked, wait = True, 0.0  # this host may have been asleep while the answer came
            else:
                if self._decoder.pending:
                    self._decoder.abandon()
                    continue
                if lost:
                    self.counters.damaged_replies += 1
                return None
            began = now
            data = self._stream.read(65536, wait - (self._pause(wait) if steady else 0.0))
            now = time.monotonic()
            if data:
                steady = self._decoder.missing > 0 and now - heard > self._timing.line(len(data)) / 2
                heard = now
                self._decoder.feed(data)
            elif now - began - wait > _OVERSLEPT and spare > 0:
                spare -= now - began
                deadline, heard = deadline + (now - began), heard + (now - began)

    def _pause(self, most: float) -> float:
        """Sleep while the rest of a frame can't be here yet, instead of waking up for each of its pieces.

        Python's lock goes from thread to thread at each piece that wakes one, and a farm's host has one for each
        board. Returns the seconds for which it slept: 0 if the rest is short.
        """
        seconds = min(self._timing.line(min(self._decoder.missing, _UNREAD)) - _ADAPTER, most / 2)
        if seconds < _ADAPTER:
            return 0.0
        time.sleep(seconds)
        return seconds

    def await_boot(self) -> None:
        """Wait for the INFO that a board sends after a reset; without one, HELLO will have to do."""
        self.settled()
        if not getattr(self._stream, "greets", True):  # the stream waits for the board
            return
        deadline = time.monotonic() + self._timing.boot
        while (left := deadline - time.monotonic()) > 0:
            frame = self._decoder.next_frame()
            if frame is None:
                self._decoder.feed(self._stream.read(65536, left))
            elif frame.type == Reply.FAULT:
                self._check(frame)
            elif frame.type == Reply.INFO and frame.seq == 0:
                return

    def _check(self, frame: Frame) -> None:
        """Raise if the frame says that the conversation is over."""
        if frame.type == Reply.FAULT:
            raise BoardFaultError(f"{self._board}: the firmware stopped: {describe_fault(frame.payload)}")
        if self.nonce is not None and frame.nonce != self.nonce:
            raise BoardResetError(
                f"{self._board}: the board was reset in the middle of the conversation "
                f"(boot nonce 0x{frame.nonce:08X}, was 0x{self.nonce:08X})"
            )

    def broken(self, what: str) -> LinkError:
        """Return the error for a link that can't be repaired."""
        last = self._decoder.last_bytes
        shown = last.hex(" ") if last else "none"
        return LinkError(
            f"{self._board}: {what}: the firmware doesn't answer as it should. Last bytes seen: {shown}. "
            "Check that the board runs an image of this harness, and the port and baud rate"
        )


def _answers(frame: Frame, seq: int, types: Container[int], earlier: Container[int]) -> bool:
    """Whether a frame is of `types` and answers one of these requests, or is a NAK that may mean `seq`."""
    if frame.type == Reply.NAK:
        return frame.seq == seq or frame.seq in earlier or frame.status == Reason.DAMAGED_HEADER
    return frame.type in types and (frame.seq == seq or frame.seq in earlier)
