"""Inputs as fast as the line and the board allow: several in a frame, and a frame under way while the board computes.

Each frame says how many inputs the next one has, and is answered by the results of the one before it: with them the
device grants the next one. So one frame travels each way, and the board never waits for an input that the host has.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.link.frame import CRC, HEADER, Frame, Reason, Reply, Request
from harness.link.messages import check_ticks, parse_results
from harness.link.refusals import check_inference
from harness.link.wire import LARGEST_GRANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.link.messages import Inference
    from harness.link.runs import Runs
    from harness.link.steps import Step, Steps

_MASK = struct.Struct("<I")
#: Bytes of a frame beside its inputs.
_AROUND = HEADER.size + _MASK.size + CRC.size
_LARGEST = LARGEST_GRANT - _AROUND


@dataclass(frozen=True, slots=True)
class _Sent:
    """A frame that isn't answered yet."""

    seq: int
    steps: list[Step]


def fits(runs: Runs) -> bool:
    """Tell whether the board takes frames of inputs, and the line is good enough for them.

    How long an inference takes has to be known, so that a lost frame is told from one that takes its time.
    """
    known = runs.known
    return bool(known.most_inputs and runs.slowest) and runs.chunk.frame_bytes >= min(known.input_bytes, _LARGEST)


def stream(runs: Runs, steps: Steps) -> Iterator[list[Inference]]:
    """Run steps as long as the line is good enough, each exactly once.

    Args:
        runs: the conversation; `fits` has said yes.
        steps: what to run. Those that aren't answered when this ends have not been run.

    Yields:
        The results of each sequence that is complete.

    Raises:
        LinkError: the link could not be repaired.
        BoardResetError, BoardFaultError: the board was reset, or stopped in a fault.
        MeasurementError: the engine on the board reports that an inference failed.
    """
    return _Stream(runs, steps).results()


class _Stream:
    def __init__(self, runs: Runs, steps: Steps) -> None:
        self._runs = runs
        self._wire = runs.wire
        self._steps = steps
        self._sent: deque[_Sent] = deque()
        self._next = 0  # inputs of the frame that the newest one announces

    def results(self) -> Iterator[list[Inference]]:
        failed = self._open()
        while self._sent and failed is _FINE:
            began = time.monotonic()
            frame = self._await_results()
            if frame is None or frame.type == Reply.NAK or frame.seq != self._sent[0].seq:
                failed = frame
                break
            self._runs.slowest = max(self._runs.slowest, (time.monotonic() - began) / len(self._sent[0].steps))
            complete = self._answer(self._sent.popleft(), frame)
            if self._next and not frame.status:
                self._send()
            else:
                self._wire.settled()
            yield from complete
            check_inference(self._runs.board, frame, self._runs.known.counter_hz)
        if failed is not _FINE:
            yield from self._repair(failed)

    def _count(self, behind: int) -> int:
        """Return how many inputs to send in a frame, of the steps that wait without the first `behind`."""
        known = self._runs.known
        most = min(self._runs.chunk.frame_bytes, _LARGEST) // known.input_bytes
        return len(self._steps.ahead(min(max(1, most), known.most_inputs), behind))

    def _frame(self, count: int) -> bytes:
        """Return the payload of the next frame, which from here on counts as sent, and choose the size of the next."""
        behind = sum(len(sent.steps) for sent in self._sent)
        steps = self._steps.ahead(count, behind)
        for step in steps:
            self._runs.check_size(step.data, self._runs.known.input_bytes)
        stateful = self._runs.known.stateful
        mask = sum(1 << place for place, step in enumerate(steps) if stateful and step.first)
        self._next = self._count(behind + count)
        self._sent.append(_Sent(self._wire.next_seq(), steps))
        return _MASK.pack(mask) + b"".join(step.data for step in steps)

    def _open(self) -> Frame | None:
        """Send the first frame, and the second one if there is one. Returns what failed."""
        payload = self._frame(self._count(0))
        seq, reply = self._sent[0].seq, self._runs.timing.reply
        self._wire.announce(Request.STREAM, seq, len(payload), self._next)
        frame = self._wire.receive(seq, {Reply.CREDIT}, reply)
        if frame is None or frame.type == Reply.NAK:
            return frame
        self._wire.send_payload(payload)
        self._note_grant()
        if self._next:
            frame = self._wire.receive(seq, {Reply.CREDIT}, reply)
            if frame is None or frame.type == Reply.NAK:
                return frame
            self._send()
        return _FINE

    def _send(self) -> None:
        """Send the frame that was granted."""
        payload = self._frame(self._next)
        self._wire.send_frame(Request.STREAM, self._sent[-1].seq, self._next, payload)
        self._note_grant()

    def _note_grant(self) -> None:
        """Note what the device waits for if all that was sent has arrived: what it will grant, with its next answer."""
        if self._next:
            self._wire.grant(_AROUND + self._next * self._runs.known.input_bytes)

    def _await_results(self) -> Frame | None:
        count = len(self._sent[0].steps)  # the device answers before it begins with the next frame
        return self._wire.receive(
            self._sent[-1].seq,
            {Reply.RESULTS},
            self._runs.patience(10, count),
            self._runs.quiet(count),
            earlier={self._sent[0].seq},
        )

    def _answer(self, sent: _Sent, frame: Frame) -> list[list[Inference]]:
        found = parse_results(frame.payload, self._runs.known.output_bytes)
        steps = sent.steps[: len(found)] if frame.status else sent.steps  # less, if the next one failed
        if [crc for crc, _ in found] != [zlib.crc32(step.data) for step in steps]:
            raise self._wire.broken("RESULTS for other inputs than were sent")
        results = [result for _, result in found]
        overhead = self._runs.known.counter_overhead
        check_ticks(self._runs.board, (result.ticks[0] for result in results), overhead)
        self._runs.chunk.note(damaged=False)
        return self._steps.answer(results)

    # ---- when something is lost

    def _repair(self, failed: Frame | None) -> Iterator[list[Inference]]:
        """Find out what was run, and get the results of that. The device waits for a header then."""
        self._runs.counters.retransmissions += 1
        self._runs.chunk.note(damaged=True, sent=sum(len(step.data) for step in self._sent[-1].steps))
        self._check(failed, Request.STREAM)
        if failed is not None and failed.status == Reason.DAMAGED_PAYLOAD:
            self._wire.settled()
        else:
            self._wire.recover()
        while self._sent:
            frame = self._again(self._sent[0].seq)
            if frame is None:
                return
            yield from self._answer(self._sent.popleft(), frame)
            check_inference(self._runs.board, frame, self._runs.known.counter_hz)

    def _again(self, seq: int) -> Frame | None:
        """Ask for the results of a frame. None if the device has not run it."""
        for attempt in range(self._runs.attempts):
            if attempt:
                self._runs.counters.retransmissions += 1
                self._wire.recover()
            self._wire.announce(Request.AGAIN, seq, 0, 0)
            frame = self._wire.receive(seq, {Reply.RESULTS}, self._runs.timing.reply)
            if frame is not None and (frame.type == Reply.RESULTS or frame.status == Reason.NOT_RUN):
                self._wire.settled()
                return frame if frame.type == Reply.RESULTS else None
            self._check(frame, Request.AGAIN)
        raise self._wire.broken("no RESULTS to AGAIN")

    def _check(self, frame: Frame | None, kind: Request) -> None:
        """Raise if a NAK says what repeating doesn't mend."""
        if frame is not None and frame.type == Reply.NAK:
            self._wire.check_refusal(frame, kind, self._next, 0)
            check_inference(self._runs.board, frame, self._runs.known.counter_hz)


_FINE = Frame(0, 0, 0, 0)
