"""The host's side of the link protocol: handshake, inputs and inferences."""

from __future__ import annotations

import zlib
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from harness.errors import BoardFaultError
from harness.link.frame import Reply, Request
from harness.link.messages import (
    MORE_INFO,
    DeviceStats,
    Inference,
    Info,
    LayerTicks,
    check_ticks,
    parse_info,
    parse_profile,
    parse_stats,
)
from harness.link.refusals import check_setup
from harness.link.runs import Runs, WrongStepError
from harness.link.steps import Steps
from harness.link.streaming import fits, stream
from harness.link.timing import LinkCounters, Timing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.link.byte_stream import ByteStream


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
        self._runs = Runs(stream, board, timing or Timing(), attempts, max_chunk)
        self._board = board
        self._wire = self._runs.wire

    @property
    def info(self) -> Info | None:
        """What runs on the board, as it said when it was connected to."""
        return self._runs.info

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
        frame = self._runs.transact(Request.HELLO, Reply.INFO, arg=MORE_INFO)
        self._wire.nonce = frame.nonce
        check_setup(self._board, frame)
        info = self._runs.info = parse_info(frame.payload, frame.nonce)
        self._runs.chunk.most = info.max_chunk
        return info

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
        if len(self._runs.known.pieces) > 1:
            each = list(self.infer_each([data] * count))
            return Inference(each[-1].output, tuple(result.ticks[0] for result in each))
        self._runs.load(data)
        return self._runs.run_loaded(data, count, b"", first=True)[0]

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
        steps, each run once. Sequences are taken some time before their results are returned, and nothing else may be
        asked of the board meanwhile.

        Args:
            sequences: each of one step at least.

        A model that takes an input in pieces runs on each when it is there; its ticks are the sum of theirs.

        Raises:
            As `infer`.
        """
        if len(self._runs.known.pieces) < 2:
            yield from self._sequences(Steps(sequences))
            return
        for steps in sequences:
            parts = list(self._sequences(Steps(self._cut(step) for step in steps)))
            yield [Inference(part[-1].output, (sum(piece.ticks[0] for piece in part),)) for part in parts]

    def _sequences(self, steps: Steps) -> Iterator[list[Inference]]:
        loaded = restarts = 0
        while now := steps.ahead(2):
            if fits(self._runs):
                loaded = 0
                yield from stream(self._runs, steps)
                continue
            self._runs.load(now[0].data, loaded)
            # What is read where it arrives can't be overwritten meanwhile.
            beside = b"" if self._runs.known.pieces or len(now) < 2 else now[1].data[: self._runs.chunk.bytes]
            try:
                result, arrived = self._runs.run_loaded(now[0].data, 1, beside, first=now[0].first)
            except WrongStepError:
                restarts += 1
                if restarts == self._runs.attempts:
                    raise self._wire.broken("no sequence of only the steps that were sent") from None
                steps.begin_anew()
                loaded = 0
                continue
            loaded = len(beside) if arrived else 0
            if complete := steps.answer([result]):
                restarts = 0
                yield from complete

    def profile(self, data: bytes) -> LayerTicks:
        """Run one inference on an input, measured layer by layer.

        Raises:
            UnknownRequestError: the agent on the board is older than this request.
            NoLayersError: the engine on the board can't tell one layer from another.
            As `infer`.
        """
        if len(self._runs.known.pieces) > 1:
            return self._profile_pieces(self._cut(data))
        self._runs.load(data)
        for _ in range(self._runs.attempts):
            payload, _ = self._runs.run(0, b"", Request.PROFILE)
            ran_on, result = parse_profile(payload, self._runs.known.output_bytes)
            if ran_on == zlib.crc32(data):
                check_ticks(self._board, (result.total,), self._runs.known.counter_overhead)
                return result
            self.counters.retransmissions += 1
            self._runs.load(data)
        raise self._wire.broken("no PROFILE for the input that was sent")

    def _profile_pieces(self, pieces: Sequence[bytes]) -> LayerTicks:
        """Sum up the layers of all pieces. A PROFILE can't be repeated alone, so what goes wrong begins anew."""
        for _ in range(self._runs.attempts):
            parts = []
            for number, data in enumerate(pieces):
                self._runs.load(data)
                repaired = replace(self.counters)
                payload, _ = self._runs.run(min(number, 1), b"", Request.PROFILE)
                ran_on, part = parse_profile(payload, self._runs.known.output_bytes)
                if ran_on != zlib.crc32(data) or self.counters != repaired:
                    break
                check_ticks(self._board, (part.total,), self._runs.known.counter_overhead)
                parts.append(part)
            if len(parts) == len(pieces):
                return _summed(parts)
            self.counters.retransmissions += 1
        raise self._wire.broken("no PROFILE for the pieces of the input that was sent")

    def stats(self) -> DeviceStats:
        """Ask for the agent's own memory and link figures."""
        return parse_stats(self._runs.transact(Request.STATS, Reply.STATS, arg=1).payload)

    def echo(self, data: bytes) -> bytes:
        """Send bytes there and back, at most the announced chunk. Overwrites the waiting input."""
        return self._runs.transact(Request.ECHO, Reply.ECHO, payload=data).payload

    def _cut(self, data: bytes) -> list[bytes]:
        """Return the pieces of an input, each filled up to the size that the board takes."""
        known = self._runs.known
        self._runs.check_size(data, known.whole_bytes)
        return [data[piece.start : piece.stop].ljust(known.input_bytes, b"\0") for piece in known.pieces]


def _summed(parts: Sequence[LayerTicks]) -> LayerTicks:
    """Return the layers of an inference in pieces, each of which may have marked fewer layers than the last one."""
    columns = zip_longest(*(part.layers for part in parts), fillvalue=0)
    return LayerTicks(parts[-1].output, sum(part.total for part in parts), tuple(map(sum, columns)))
