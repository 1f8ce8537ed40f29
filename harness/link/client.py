"""The host's side of the link protocol: handshake, inputs and inferences."""

from __future__ import annotations

import time
import zlib
from dataclasses import replace
from itertools import chain, pairwise, zip_longest
from typing import TYPE_CHECKING

from harness.errors import BoardFaultError, LinkError, MeasurementError
from harness.link.chunk_size import ChunkSize
from harness.link.frame import Frame, Reason, Reply, Request
from harness.link.messages import (
    RESET_STATE,
    DeviceStats,
    Inference,
    Info,
    LayerTicks,
    check_ticks,
    parse_info,
    parse_profile,
    parse_result,
    parse_stats,
)
from harness.link.refusals import check_inference, check_setup
from harness.link.timing import LinkCounters, Timing
from harness.link.wire import LARGEST_GRANT, Wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.link.byte_stream import ByteStream


class _WrongStepError(Exception):
    """A model with state ran on something else than the step that was sent: its sequence has to begin anew."""


class Link:
    """A conversation with the agent on one board.

    Args:
        stream: what carries the bytes.
        board: the name that messages give it.
        timing: how long to wait for what.
        attempts: how often one request is sent before the link counts as broken.
        max_chunk: bytes of an input that travel in one frame, at most 4096; lowered while the line damages frames.
    """

    def __init__(
        self,
        stream: ByteStream,
        board: str,
        timing: Timing | None = None,
        *,
        attempts: int = 20,
        max_chunk: int = 4096,
    ) -> None:
        self.info: Info | None = None
        self._board = board
        self._timing = timing or Timing()
        self._wire = Wire(stream, board, self._timing)
        self._attempts = attempts
        self._chunk = ChunkSize(min(max_chunk, LARGEST_GRANT - 4))
        self._slowest = 0.0

    @property
    def counters(self) -> LinkCounters:
        """What had to be repaired so far."""
        return self._wire.counters

    def connect(self, *, after_reset: bool = True) -> Info:
        """Find the start of a header, and ask the board what runs on it.

        Args:
            after_reset: wait for the unasked INFO of a board that has just been reset.

        Raises:
            LinkError: no answer in `Timing.boot` seconds, or one that is not the protocol's.
            BoardFaultError, MeasurementError: the firmware reports a fault, or that the engine's setup failed.
        """
        self._wire.nonce = None
        if after_reset:
            self._wire.await_boot()
        frame = self._transact(Request.HELLO, Reply.INFO)
        self._wire.nonce = frame.nonce
        check_setup(self._board, frame)
        self.info = parse_info(frame.payload, frame.nonce)
        self._chunk.most = self.info.max_chunk
        return self.info

    def ask(self, patience: float = 0.3) -> Info | None:
        """Ask once what runs on a board that may run anything; None if no agent answers in `patience` seconds.

        The device may have been waiting for other bytes: reset it before the conversation goes on.

        Raises:
            LinkError: the port is gone.
        """
        self._wire.nonce = None
        seq = self._wire.next_seq()
        self._wire.announce(Request.HELLO, seq, 0, 0)
        try:
            frame = self._wire.receive(seq, {Reply.INFO}, patience)
        except BoardFaultError:
            return None
        if frame is None or frame.type != Reply.INFO:
            return None
        return parse_info(frame.payload, frame.nonce)

    def infer(self, data: bytes, count: int = 1) -> Inference:
        """Run `count` inferences on one input, given as the raw bytes of all input tensors.

        A model with state is reset before each of them.

        Raises:
            LinkError: the link could not be repaired.
            BoardResetError, BoardFaultError: the board was reset, or stopped in a fault.
            MeasurementError: the engine on the board reports that the inference failed.
        """
        if len(self._known.pieces) > 1:
            each = list(self.infer_each([data] * count))
            return Inference(each[-1].output, tuple(result.ticks[0] for result in each))
        self._load(data)
        return self._run_loaded(data, count, b"", first=True)[0]

    def infer_each(self, inputs: Iterable[bytes]) -> Iterator[Inference]:
        """Run one inference on each input; the next input travels while the board computes.

        A model with state is reset before each of them.

        Raises:
            As `infer`.
        """
        for (result,) in self.infer_sequences((data,) for data in inputs):
            yield result

    def infer_sequences(self, sequences: Iterable[Sequence[bytes]]) -> Iterator[list[Inference]]:
        """Run one inference on each step of each sequence; the next step travels while the board computes.

        A model with state is reset before each sequence and keeps its state from step to step. When the line has made
        it run on something else than a step, its sequence begins anew, so that all that is returned comes of the right
        steps, each run once.

        Args:
            sequences: each of one step at least.

        A model that takes an input in pieces runs on each when it is there; its ticks are the sum of theirs.

        Raises:
            As `infer`.
        """
        if len(self._known.pieces) < 2:
            yield from self._sequences(sequences)
            return
        for steps in sequences:
            parts = list(self._sequences(self._cut(step) for step in steps))
            yield [Inference(part[-1].output, (sum(piece.ticks[0] for piece in part),)) for part in parts]

    def _sequences(self, sequences: Iterable[Sequence[bytes]]) -> Iterator[list[Inference]]:
        loaded = 0
        for steps, upcoming in pairwise(chain(sequences, [()])):
            following = [*steps[1:], *upcoming[:1], b""]
            results: list[Inference] = []
            restarts = 0
            while len(results) < len(steps):
                at = len(results)
                self._load(steps[at], loaded)
                # What is read where it arrives can't be overwritten meanwhile.
                ahead = b"" if self._known.pieces else following[at][: self._chunk.bytes]
                try:
                    result, arrived = self._run_loaded(steps[at], 1, ahead, first=at == 0)
                except _WrongStepError:
                    restarts += 1
                    if restarts == self._attempts:
                        raise self._wire.broken("no sequence of only the steps that were sent") from None
                    results, loaded = [], 0
                    continue
                results.append(result)
                loaded = len(ahead) if arrived else 0
            yield results

    def profile(self, data: bytes) -> LayerTicks:
        """Run one inference on an input, measured layer by layer.

        Raises:
            UnknownRequestError: the agent on the board is older than this request.
            NoLayersError: the engine on the board can't tell one layer from another.
            As `infer`.
        """
        if len(self._known.pieces) > 1:
            return self._profile_pieces(self._cut(data))
        self._load(data)
        for _ in range(self._attempts):
            payload, _ = self._run(0, b"", Request.PROFILE)
            ran_on, result = parse_profile(payload, self._known.output_bytes)
            if ran_on == zlib.crc32(data):
                check_ticks(self._board, (result.total,), self._known.counter_overhead)
                return result
            self.counters.retransmissions += 1
            self._load(data)
        raise self._wire.broken("no PROFILE for the input that was sent")

    def _profile_pieces(self, pieces: Sequence[bytes]) -> LayerTicks:
        """Sum up the layers of all pieces. A PROFILE can't be repeated alone, so what goes wrong begins anew."""
        for _ in range(self._attempts):
            parts = []
            for number, data in enumerate(pieces):
                self._load(data)
                repaired = replace(self.counters)
                payload, _ = self._run(min(number, 1), b"", Request.PROFILE)
                ran_on, part = parse_profile(payload, self._known.output_bytes)
                if ran_on != zlib.crc32(data) or self.counters != repaired:
                    break
                check_ticks(self._board, (part.total,), self._known.counter_overhead)
                parts.append(part)
            if len(parts) == len(pieces):
                return _summed(parts)
            self.counters.retransmissions += 1
        raise self._wire.broken("no PROFILE for the pieces of the input that was sent")

    def stats(self) -> DeviceStats:
        """Ask for the agent's own memory and link figures."""
        return parse_stats(self._transact(Request.STATS, Reply.STATS).payload)

    def echo(self, data: bytes) -> bytes:
        """Send bytes there and back, at most the announced chunk. Overwrites the waiting input."""
        return self._transact(Request.ECHO, Reply.ECHO, payload=data).payload

    # ---- inputs

    @property
    def _known(self) -> Info:
        if self.info is None:
            raise LinkError(f"{self._board}: not connected; call connect() first")
        return self.info

    def _cut(self, data: bytes) -> list[bytes]:
        """Return the pieces of an input, each filled up to the size that the board takes."""
        self._check_size(data, self._known.whole_bytes)
        size = self._known.input_bytes
        return [data[piece.start : piece.stop].ljust(size, b"\0") for piece in self._known.pieces]

    def _check_size(self, data: bytes, size: int) -> None:
        if len(data) != size:
            raise MeasurementError(f"{self._board}: an input of {len(data)} bytes for a model that takes {size}")

    def _load(self, data: bytes, offset: int = 0) -> None:
        """Write `data` from `offset` on to the waiting input."""
        self._check_size(data, self._known.input_bytes)
        failures = 0
        while offset < len(data):
            chunk = data[offset : offset + self._chunk.bytes]
            if self._wire.exchange(Request.WRITE, Reply.ACK, arg=offset, payload=chunk) is None:
                failures += 1
                self._chunk.note(damaged=True)
                if failures == self._attempts:
                    raise self._wire.broken("no undamaged WRITE")
                continue
            failures = 0
            self._chunk.note(damaged=False)
            offset += len(chunk)

    # ---- requests

    def _transact(self, kind: Request, expected: Reply, *, payload: bytes = b"") -> Frame:
        """Send one request until it is answered. A request here may be executed twice without harm."""
        for _ in range(self._attempts):
            frame = self._wire.exchange(kind, expected, payload=payload)
            if frame is not None:
                return frame
        raise self._wire.broken(f"no {expected.name} to {kind.name}")

    def _run_loaded(self, data: bytes, count: int, ahead: bytes, *, first: bool) -> tuple[Inference, bool]:
        """Run on the waiting input, make sure that it was `data`, and say whether `ahead` arrived as well.

        Raises:
            _WrongStepError: the state of a model has seen another input, and this is not the first step.
        """
        crc = zlib.crc32(data)
        stateful = self._known.stateful
        for _ in range(self._attempts):
            payload, arrived = self._run(count | (RESET_STATE if stateful and first else 0), ahead)
            ran_on, result = parse_result(payload, self._known.output_bytes)
            if ran_on == crc and len(result.ticks) == count:
                check_ticks(self._board, result.ticks, self._known.counter_overhead)
                return result, arrived
            # The waiting input was overwritten, by bytes that a recovery sent or by a damaged chunk.
            self.counters.retransmissions += 1
            if stateful and not first:
                raise _WrongStepError
            self._load(data)
            ahead = b""
        raise self._wire.broken("no RESULT for the input that was sent")

    def _run(self, arg: int, ahead: bytes, kind: Request = Request.RUN) -> tuple[bytes, bool]:
        """Execute a RUN exactly once, or a PROFILE. Returns the answer's payload, and whether `ahead` arrived."""
        count = arg % RESET_STATE or 1
        seq = self._wire.next_run_seq() if kind is Request.RUN else self._wire.next_seq()
        for attempt in range(self._attempts):
            if attempt:
                self.counters.retransmissions += 1
                ahead = b""  # a repetition carries none, so that the device can tell it from a new request
            self._wire.announce(kind, seq, len(ahead), arg)
            result, arrived = self._await_run(kind, seq, ahead, arg)
            if result is not None:
                return result, arrived
            # A first inference may take any time. The device has room for one PING while it computes.
            self._wire.recover(None if ahead or self._slowest else self._timing.inference * count)
        raise self._wire.broken(f"no answer to {kind.name}")

    def _await_run(self, kind: Request, seq: int, ahead: bytes, arg: int) -> tuple[bytes | None, bool]:
        """Wait for what answers: PROFILE or RESULT, and where the next input travels along, CREDIT and ACK."""
        count = arg % RESET_STATE or 1
        result: bytes | None = None
        sent = not ahead
        started = time.monotonic()
        while True:
            frame = self._next_answer(seq, count, ahead=bool(ahead), result_seen=result is not None)
            if frame is None and result is not None:
                self._wire.recover()  # the RESULT is safe, only what followed was lost
            if frame is None or frame.type == Reply.NAK:
                self._wire.check_refusal(frame, kind, arg, len(ahead))
                self._note_nak(frame)
                return result, False
            if frame.type == Reply.ACK:
                self._wire.settled()
                self._chunk.note(damaged=False)
                return result, result is not None
            if frame.type in {Reply.RESULT, Reply.PROFILE}:
                result = frame.payload
                self._slowest = max(self._slowest, (time.monotonic() - started) / count)
                if not ahead:
                    self._wire.settled()
                    return result, False
            if not sent:  # both CREDIT and RESULT say that the payload is granted
                self._wire.send_payload(ahead)
                sent = True

    def _next_answer(self, seq: int, count: int, *, ahead: bool, result_seen: bool) -> Frame | None:
        if result_seen:
            return self._wire.receive(seq, {Reply.ACK}, self._timing.reply)
        # Silence after damaged bytes may be an inference going on, so it says less than elsewhere.
        wanted = {Reply.CREDIT, Reply.RESULT, Reply.PROFILE, Reply.ACK}
        quiet = self._timing.quiet + 3 * self._slowest * count
        if not self._slowest and ahead:
            quiet = self._patience(3, count)
        return self._wire.receive(seq, wanted, self._patience(10, count), quiet)

    def _note_nak(self, frame: Frame | None) -> None:
        check_inference(self._board, frame, self._known.counter_hz)
        if frame is not None and frame.status == Reason.DAMAGED_PAYLOAD:
            self._wire.settled()
            self._chunk.note(damaged=True)
            self.counters.retransmissions += 1

    def _patience(self, factor: float, count: int) -> float:
        """Seconds to wait for `count` inferences: `factor` times the slowest one so far, and a bit."""
        if self._slowest == 0.0:
            return self._timing.reply + self._timing.inference * count
        return self._timing.quiet + self._timing.reply * factor / 10 + factor * self._slowest * count


def _summed(parts: Sequence[LayerTicks]) -> LayerTicks:
    """Return the layers of an inference in pieces, each of which may have marked fewer layers than the last one."""
    columns = zip_longest(*(part.layers for part in parts), fillvalue=0)
    return LayerTicks(parts[-1].output, sum(part.total for part in parts), tuple(map(sum, columns)))
