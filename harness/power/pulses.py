"""Finds the batches of inferences in a stream of samples while it comes, and adds up what they took."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from harness.power.base import Chunk, join

if TYPE_CHECKING:
    from collections.abc import Sequence

_SETTLING = 0.1  # share of the idle time before and after that is left out, for starts and stops that take a moment


@dataclass
class Pulse:
    """One time that the sync pin was high: one batch.

    Attributes:
        start: number of its first sample.
        end: number of the first sample behind it.
        charge: sum of the currents, ampere times samples.
        energy: sum of the powers, watt times samples.
        peak_a: largest current in it, in ampere.
        lost: how many of its samples were lost.
        damaged: whether an edge lies beside a lost sample, so that it is not known when it was.
    """

    start: int
    end: int = -1
    charge: float = 0.0
    energy: float = 0.0
    peak_a: float = 0.0
    lost: int = 0
    damaged: bool = False


@dataclass(frozen=True)
class Idle:
    """What the board drew while it waited.

    Attributes:
        current_a: mean current, in ampere.
        power_w: mean power, in watt.
    """

    current_a: float
    power_w: float


@dataclass(frozen=True)
class Capture:
    """All that is kept of one capture.

    Attributes:
        pulses: the batches, in order.
        before: idle at its start; None if the sync pin was high there, or nothing came.
        after: the idle stretch at its end.
        samples: how many, lost ones included.
        lost: how many of them were lost.
        range_changes: how often the monitor changed its range.
        over_range: samples beyond what the monitor can measure.
        other_edges: edges on inputs that are not the sync pin's, by number of the input.
        voltage_v: mean supply, in volt.
    """

    pulses: tuple[Pulse, ...]
    before: Idle | None
    after: Idle | None
    samples: int
    lost: int
    range_changes: int
    over_range: int
    other_edges: dict[int, int]
    voltage_v: float

    @property
    def high(self) -> int:
        """How many samples the sync pin was high."""
        return sum(pulse.end - pulse.start for pulse in self.pulses)


@dataclass
class _Sums:
    charge: float = 0.0
    energy: float = 0.0
    count: int = 0

    def add(self, chunk: Chunk, first: int, last: int) -> None:
        good = ~chunk.lost[first:last]
        self.charge += float(chunk.current_a[first:last][good].sum())
        self.energy += float(chunk.power_w[first:last][good].sum())
        self.count += int(np.count_nonzero(good))

    def idle(self) -> Idle | None:
        return Idle(self.charge / self.count, self.energy / self.count) if self.count else None


@dataclass
class PulseFinder:
    """Takes chunks one after the other and keeps sums only, so that memory doesn't grow with the capture.

    Attributes:
        sync_input: which input of the monitor carries the sync pin.
        idle_samples: how long the board idles before the first batch and after the last.
    """

    sync_input: int
    idle_samples: int
    _pulses: list[Pulse] = field(default_factory=list)
    _open: Pulse | None = None
    _inputs: int | None = None
    _last_lost: bool = False
    _samples: int = 0
    _lost: int = 0
    _range_changes: int = 0
    _over_range: int = 0
    _voltage_sum: float = 0.0
    _head: _Sums = field(default_factory=_Sums)
    _tail: deque[Chunk] = field(default_factory=deque)
    _tail_samples: int = 0
    _other: dict[int, int] = field(default_factory=dict)

    def feed(self, chunk: Chunk) -> None:
        """Take the samples that follow those of the last call."""
        count = len(chunk)
        if count == 0:
            return
        levels = chunk.logic >> self.sync_input & 1
        if self._inputs is None and levels[0]:
            self._open = Pulse(0, damaged=True)
        done = 0
        for place in self._edges(chunk):
            self._add(chunk, done, place)
            self._turn(chunk, place, high=bool(levels[place]))
            done = place
        self._add(chunk, done, count)
        first, last = self._head_span()
        self._head.add(chunk, *np.clip([first - self._samples, last - self._samples], 0, count).tolist())
        self._keep_tail(chunk)
        self._inputs = int(chunk.logic[-1])
        self._last_lost = bool(chunk.lost[-1])
        self._samples += count
        self._lost += int(np.count_nonzero(chunk.lost))
        self._range_changes += chunk.range_changes
        self._over_range += chunk.over_range
        self._voltage_sum += float(np.mean(chunk.voltage_v)) * count

    def has_idled(self, batches: int) -> bool:
        """Tell from another thread whether the idle time behind the last of so many batches has come.

        A virtual board's time stands still while its computer is busy, so the host's clock doesn't tell that. True as
        well if no batch was seen at all: nothing can be told then.
        """
        if not self._pulses:
            return True
        behind = self._samples - self._pulses[-1].end
        return len(self._pulses) >= batches and self._open is None and behind >= self.least_idle

    @property
    def least_idle(self) -> int:
        """How many samples of idle time there must be before the first batch and behind the last."""
        return self._head_span()[1]

    def finish(self) -> Capture:
        """Return what was found. A batch that had not ended counts as damaged."""
        if self._open is not None:
            self._open.end, self._open.damaged = self._samples, True
            self._pulses.append(self._open)
            self._open = None
        margin = self._head_span()
        busy_head = bool(self._pulses) and self._pulses[0].start < margin[1]
        busy_tail = bool(self._pulses) and self._pulses[-1].end > self._samples - margin[1]
        return Capture(
            tuple(self._pulses),
            None if busy_head else self._head.idle(),
            None if busy_tail else self._tail_sums().idle(),
            self._samples,
            self._lost,
            self._range_changes,
            self._over_range,
            dict(self._other),
            self._voltage_sum / self._samples if self._samples else 0.0,
        )

    def _edges(self, chunk: Chunk) -> list[int]:
        """Return where the sync pin changes, and count what the other inputs do."""
        before = int(chunk.logic[0]) if self._inputs is None else self._inputs
        changed = chunk.logic ^ np.concatenate((np.array([before], np.uint8), chunk.logic[:-1]))
        places = np.flatnonzero(changed)
        changed = changed[places]
        for number in range(8):
            edges = int(np.count_nonzero(changed >> number & 1))
            if edges and number != self.sync_input:
                self._other[number] = self._other.get(number, 0) + edges
        found: list[int] = places[(changed >> self.sync_input & 1) == 1].tolist()
        return found

    def _turn(self, chunk: Chunk, place: int, *, high: bool) -> None:
        damaged = self._last_lost if place == 0 else bool(chunk.lost[place - 1])
        at = self._samples + place
        if high:
            self._open = Pulse(at, damaged=damaged)
        elif self._open is not None:
            self._open.end = at
            self._open.damaged |= damaged
            self._pulses.append(self._open)
            self._open = None

    def _add(self, chunk: Chunk, first: int, last: int) -> None:
        if self._open is None or first == last:
            return
        pulse, current = self._open, chunk.current_a[first:last]
        pulse.charge += float(current.sum())
        pulse.energy += float(chunk.power_w[first:last].sum())
        pulse.peak_a = max(pulse.peak_a, float(current.max()))
        pulse.lost += int(np.count_nonzero(chunk.lost[first:last]))

    def _head_span(self) -> tuple[int, int]:
        return int(_SETTLING * self.idle_samples), int((1 - _SETTLING) * self.idle_samples)

    def _keep_tail(self, chunk: Chunk) -> None:
        self._tail.append(chunk)
        self._tail_samples += len(chunk)
        while self._tail_samples - len(self._tail[0]) >= self.idle_samples:
            self._tail_samples -= len(self._tail.popleft())

    def _tail_sums(self) -> _Sums:
        """Add up the idle time at the end, counted from the last sample backwards."""
        sums = _Sums()
        first, last = self._head_span()
        behind = 0  # samples behind the chunk at hand
        for chunk in reversed(self._tail):
            size = len(chunk)
            begin, end = size + behind - last, size + behind - first
            sums.add(chunk, *np.clip([begin, end], 0, size).tolist())
            behind += size
        return sums


class MarkFinder:
    """Batches in the stream of a monitor that marks only where they end.

    Keeps the samples until it is known how long each batch took, then looks for the batches.

    Args:
        sync_input: which input carries the marks: high at the last sample of a batch.
        idle_samples: how long the board idles before the first batch and after the last, in samples.
        rate_hz: sample rate, per second.
    """

    def __init__(self, sync_input: int, idle_samples: int, rate_hz: float) -> None:
        self._finder = PulseFinder(sync_input, idle_samples)
        self._bit = 1 << sync_input
        self._rate_hz = rate_hz
        self._chunks: list[Chunk] = []
        self._marks = self._behind = 0

    def feed(self, chunk: Chunk) -> None:
        """Take the samples that follow those of the last call."""
        self._chunks.append(chunk)
        marks = np.flatnonzero(chunk.logic & self._bit)
        self._behind = self._behind + len(chunk) if marks.size == 0 else len(chunk) - int(marks[-1]) - 1
        self._marks += marks.size

    def has_idled(self, batches: int) -> bool:
        """Tell from another thread whether the idle time behind the last of so many batches has come, or no batch."""
        return self._marks == 0 or (self._marks >= batches and self._behind >= self._finder.least_idle)

    def finish(self, seconds: Sequence[float]) -> Capture:
        """Return what was found.

        Args:
            seconds: how long each batch took by the board's count.
        """
        whole = join(self._chunks)
        if whole is not None:
            ends = np.flatnonzero(whole.logic & self._bit) + 1
            logic = np.where(whole.logic & self._bit, self._bit, 0).astype(np.uint8)
            if len(ends) == len(seconds):
                for end, duration in zip(ends.tolist(), seconds, strict=True):
                    logic[max(end - round(duration * self._rate_hz), 0) : end] = self._bit
            self._finder.feed(replace(whole, logic=logic))
        return self._finder.finish()
