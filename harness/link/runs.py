"""Single requests of a conversation that is under way: inputs in chunks, and inferences on what was written."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

from harness.errors import LinkError, MeasurementError
from harness.link.chunk_size import ChunkSize
from harness.link.frame import Frame, Reason, Reply, Request
from harness.link.messages import RESET_STATE, Inference, Info, check_ticks, parse_result
from harness.link.refusals import check_inference
from harness.link.wire import LARGEST_GRANT, Wire

if TYPE_CHECKING:
    from harness.link.byte_stream import ByteStream
    from harness.link.timing import LinkCounters, Timing


class WrongStepError(Exception):
    """A model with state ran on something else than the step that was sent: its sequence has to begin anew."""


class Runs:
    """Requests to one board, each repeated until it is answered.

    Args:
        stream: what carries the bytes.
        board: the name that messages give it.
        timing: how long to wait for what.
        attempts: how often one request is sent before the link counts as broken.
        max_chunk: bytes of an input that travel in one frame.

    Attributes:
        info: what runs on the board, once it has said so.
        wire: carries the frames.
        chunk: how much of an input travels in one frame now.
        slowest: seconds that the slowest inference so far took; 0 before the first.
    """

    def __init__(self, stream: ByteStream, board: str, timing: Timing, attempts: int, max_chunk: int) -> None:
        self.info: Info | None = None
        self.board = board
        self.timing = timing
        self.wire = Wire(stream, board, timing)
        self.attempts = attempts
        self.chunk = ChunkSize(min(max_chunk, LARGEST_GRANT - 4))
        self.slowest = 0.0

    @property
    def counters(self) -> LinkCounters:
        """What had to be repaired so far."""
        return self.wire.counters

    @property
    def known(self) -> Info:
        """What runs on the board.

        Raises:
            LinkError: it hasn't said so.
        """
        if self.info is None:
            raise LinkError(f"{self.board}: not connected; call connect() first")
        return self.info

    def check_size(self, data: bytes, size: int) -> None:
        """Raise MeasurementError if an input has another size than the model takes."""
        if len(data) != size:
            raise MeasurementError(f"{self.board}: an input of {len(data)} bytes for a model that takes {size}")

    def transact(self, kind: Request, expected: Reply, *, arg: int = 0, payload: bytes = b"") -> Frame:
        """Send one request until it is answered. A request here may be executed twice without harm."""
        for _ in range(self.attempts):
            frame = self._exchange(kind, expected, arg=arg, payload=payload)
            if frame is not None:
                return frame
        raise self.wire.broken(f"no {expected.name} to {kind.name}")

    def _exchange(self, kind: Request, expected: Reply, *, arg: int = 0, payload: bytes = b"") -> Frame | None:
        """Try one request once. None if it failed; the device waits for a header again then.

        Raises:
            LinkError: the device refuses it, or can't be brought back to a header.
        """
        seq = self.wire.next_seq()
        self.wire.announce(kind, seq, len(payload), arg)
        frame = self.wire.receive(seq, {Reply.CREDIT if payload else expected}, self.timing.reply)
        if payload and frame is not None and frame.type == Reply.CREDIT:
            self.wire.send_payload(payload)
            frame = self.wire.receive(seq, {expected}, self.timing.reply)
        if frame is not None and frame.type == expected:
            self.wire.settled()
            return frame
        self.wire.check_refusal(frame, kind, arg, len(payload))
        self.counters.retransmissions += 1
        if frame is None or frame.status != Reason.DAMAGED_PAYLOAD:
            self.wire.recover()
        return None

    def load(self, data: bytes, offset: int = 0) -> None:
        """Write `data` from `offset` on to the waiting input."""
        self.check_size(data, self.known.input_bytes)
        failures = 0
        while offset < len(data):
            chunk = data[offset : offset + self.chunk.bytes]
            if self._exchange(Request.WRITE, Reply.ACK, arg=offset, payload=chunk) is None:
                failures += 1
                self.chunk.note(damaged=True)
                if failures == self.attempts:
                    raise self.wire.broken("no undamaged WRITE")
                continue
            failures = 0
            self.chunk.note(damaged=False)
            offset += len(chunk)

    def run_loaded(self, data: bytes, count: int, ahead: bytes, *, first: bool) -> tuple[Inference, bool]:
        """Run on the waiting input, make sure that it was `data`, and say whether `ahead` arrived as well.

        Raises:
            WrongStepError: the state of a model has seen another input, and this is not the first step.
        """
        crc = zlib.crc32(data)
        stateful = self.known.stateful
        for _ in range(self.attempts):
            payload, arrived = self.run(count | (RESET_STATE if stateful and first else 0), ahead)
            ran_on, result = parse_result(payload, self.known.output_bytes)
            if ran_on == crc and len(result.ticks) == count:
                check_ticks(self.board, result.ticks, self.known.counter_overhead)
                return result, arrived
            # The waiting input was overwritten, by bytes that a recovery sent or by a damaged chunk.
            self.counters.retransmissions += 1
            if stateful and not first:
                raise WrongStepError
            self.load(data)
            ahead = b""
        raise self.wire.broken("no RESULT for the input that was sent")

    def run(self, arg: int, ahead: bytes, kind: Request = Request.RUN) -> tuple[bytes, bool]:
        """Execute a RUN exactly once, or a PROFILE. Returns the answer's payload, and whether `ahead` arrived."""
        count = arg % RESET_STATE or 1
        seq = self.wire.next_run_seq() if kind is Request.RUN else self.wire.next_seq()
        for attempt in range(self.attempts):
            if attempt:
                self.counters.retransmissions += 1
                ahead = b""  # a repetition carries none, so that the device can tell it from a new request
            self.wire.announce(kind, seq, len(ahead), arg)
            result, arrived = self._await_run(kind, seq, ahead, arg)
            if result is not None:
                return result, arrived
            # A first inference may take any time. The device has room for one PING while it computes.
            self.wire.recover(None if ahead or self.slowest else self.timing.inference * count)
        raise self.wire.broken(f"no answer to {kind.name}")

    def _await_run(self, kind: Request, seq: int, ahead: bytes, arg: int) -> tuple[bytes | None, bool]:
        """Wait for what answers: PROFILE or RESULT, and where the next input travels along, CREDIT and ACK."""
        count = arg % RESET_STATE or 1
        result: bytes | None = None
        sent = not ahead
        started = time.monotonic()
        while True:
            frame = self._next_answer(seq, count, ahead=bool(ahead), result_seen=result is not None)
            if frame is None and result is not None:
                self.wire.recover()  # the RESULT is safe, only what followed was lost
            if frame is None or frame.type == Reply.NAK:
                self.wire.check_refusal(frame, kind, arg, len(ahead))
                self.note_nak(frame)
                return result, False
            if frame.type == Reply.ACK:
                self.wire.settled()
                self.chunk.note(damaged=False)
                return result, result is not None
            if frame.type in {Reply.RESULT, Reply.PROFILE}:
                result = frame.payload
                self.slowest = max(self.slowest, (time.monotonic() - started) / count)
                if not ahead:
                    self.wire.settled()
                    return result, False
            if not sent:  # both CREDIT and RESULT say that the payload is granted
                self.wire.send_payload(ahead)
                sent = True

    def _next_answer(self, seq: int, count: int, *, ahead: bool, result_seen: bool) -> Frame | None:
        if result_seen:
            return self.wire.receive(seq, {Reply.ACK}, self.timing.reply)
        wanted = {Reply.CREDIT, Reply.RESULT, Reply.PROFILE, Reply.ACK}
        quiet = self.patience(3, count) if not self.slowest and ahead else self.quiet(count)
        return self.wire.receive(seq, wanted, self.patience(10, count), quiet)

    def note_nak(self, frame: Frame | None) -> None:
        """Note a payload that the line has damaged.

        Raises:
            MeasurementError: the inference can't be measured.
        """
        check_inference(self.board, frame, self.known.counter_hz)
        if frame is not None and frame.status == Reason.DAMAGED_PAYLOAD:
            self.wire.settled()
            self.chunk.note(damaged=True)
            self.counters.retransmissions += 1

    def quiet(self, count: int) -> float:
        """Seconds of silence after damaged bytes; they may be `count` inferences, so they say less than elsewhere."""
        return self.timing.quiet + 3 * self.slowest * count

    def patience(self, factor: float, count: int) -> float:
        """Seconds to wait for `count` inferences: `factor` times the slowest one so far, and a bit."""
        if self.slowest == 0.0:
            return self.timing.reply + self.timing.inference * count
        return self.timing.quiet + self.timing.reply * factor / 10 + factor * self.slowest * count
