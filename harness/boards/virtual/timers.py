"""TIMER and RTC: counters with compare registers, driven by the board's own time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.boards.virtual.peripheral import Peripheral

if TYPE_CHECKING:
    from harness.boards.virtual.peripheral import Host

_COMPARE0 = 0x140


class _Counter(Peripheral):
    """A counter that runs on from `_anchor_ticks` on, when it stood at `_anchor_count`."""

    channels = 4

    def __init__(self, host: Host, irq: int, channels: int) -> None:
        """Make a counter with that many compare registers."""
        self.irq = irq
        self.channels = channels
        self.events = tuple(_COMPARE0 + 4 * n for n in range(channels)) + self._own_events()
        super().__init__(host)

    def _own_events(self) -> tuple[int, ...]:
        return ()

    def reset(self) -> None:
        """Stop and clear."""
        super().reset()
        self._running = False
        self._anchor_count = 0.0
        self._anchor_ticks = 0.0
        self._seen = 0.0

    def _rate(self) -> float:
        """Return counts per tick of 16 MHz."""
        raise NotImplementedError

    def _width(self) -> int:
        raise NotImplementedError

    def _compare(self, channel: int) -> int:
        return self.registers.get(0x540 + 4 * channel, 0) & (1 << self._width()) - 1

    def _elapsed(self) -> float:
        """Return the count since the last anchor, without wrapping."""
        if not self._running:
            return self._anchor_count
        return self._anchor_count + (self.host.ticks() - self._anchor_ticks) * self._rate()

    def count(self) -> int:
        """Return what the counter shows."""
        return int(self._elapsed()) & (1 << self._width()) - 1

    def _anchor(self, count: float) -> None:
        self._anchor_count = count
        self._anchor_ticks = self.host.ticks()
        self._seen = count
        self.host.deadlines_changed()

    def _next_match(self, channel: int, after: float) -> float:
        """Return the first unwrapped count above `after` at which the channel matches."""
        span = 1 << self._width()
        compare = self._compare(channel)
        return compare + span * (math.floor((after - compare) / span) + 1)

    def deadline(self) -> float | None:
        """Return when the next enabled compare interrupt or shortcut is due."""
        if not self._running:
            return None
        due = [
            self._next_match(n, self._seen)
            for n in range(self.channels)
            if self.inten >> (16 + n) & 1 or self.short(n) or self.short(8 + n)
        ]
        if not due:
            return None
        return self._anchor_ticks + (min(due) - self._anchor_count) / self._rate()

    def advance(self) -> None:
        """Set the compare events that are due, in order."""
        while self._running:
            now = self._elapsed()
            matches = [(self._next_match(n, self._seen), n) for n in range(self.channels)]
            at, channel = min(matches)
            if at > now + 1e-6:
                self._seen = max(self._seen, math.floor(now))
                return
            hit = [n for match, n in matches if match == at]
            self._seen = at
            self.raise_events(_COMPARE0 + 4 * n for n in hit if self._compare_enabled(n))
            if any(self.short(n) for n in hit):  # COMPARE_CLEAR
                ticks = self._anchor_ticks + (at - self._anchor_count) / self._rate()
                self._anchor_count, self._anchor_ticks, self._seen = 0.0, ticks, 0.0
            if any(self.short(8 + n) for n in hit):  # COMPARE_STOP
                self._running = False
                self._anchor_count = self._seen
            del channel

    def _compare_enabled(self, _channel: int) -> bool:
        return True

    def read(self, offset: int) -> int:
        """Return a register after catching up with time."""
        if offset in self.event:
            self.advance()
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register after catching up with time."""
        self.advance()
        super().write(offset, value)
        self.host.deadlines_changed()

    def _start(self) -> None:
        if not self._running:
            self._anchor(self._anchor_count)
            self._running = True

    def _stop(self) -> None:
        self._anchor_count = self._elapsed()
        self._running = False

    def _clear(self) -> None:
        self._anchor(0.0)


class Timer(_Counter):
    """TIMER in timer mode: 16 MHz divided by 2 to the PRESCALER."""

    def _rate(self) -> float:
        return 1.0 / (1 << min(self.registers.get(0x510, 4), 9))

    def _width(self) -> int:
        return {0: 16, 1: 8, 2: 24, 3: 32}[self.registers.get(0x508, 0) & 3]

    def task(self, offset: int) -> None:
        """Start, stop, clear or capture."""
        if offset == 0x000:
            if self.registers.get(0x504, 0):
                self.host.limit("the firmware uses TIMER in counter mode, which is not modelled")
            self._start()
        elif offset in (0x004, 0x010):
            self._stop()
        elif offset == 0x00C:
            self._clear()
        elif 0x040 <= offset < 0x040 + 4 * self.channels:
            self.registers[0x540 + offset - 0x040] = self.count()


class Rtc(_Counter):
    """RTC: 32,768 Hz divided by PRESCALER + 1, 24 bits. Compare events need EVTEN or INTEN."""

    def _own_events(self) -> tuple[int, ...]:
        return (0x100, 0x104)

    def _rate(self) -> float:
        return 32768 / 16e6 / (self.registers.get(0x508, 0) + 1)

    def _width(self) -> int:
        return 24

    def _compare_enabled(self, channel: int) -> bool:
        return bool((self.inten | self.registers.get(0x340, 0)) >> (16 + channel) & 1)

    def read(self, offset: int) -> int:
        """Return a register; COUNTER comes from the time."""
        if offset == 0x504:
            return self.count()
        if offset in (0x340, 0x344, 0x348):
            return self.registers.get(0x340, 0)
        return super().read(offset)

    def written(self, offset: int, value: int) -> None:
        """Keep the event routing; refuse the tick interrupt."""
        enabled = self.registers.get(0x340, 0)
        if offset == 0x344:
            self.registers[0x340] = enabled | value
        elif offset == 0x348:
            self.registers[0x340] = enabled & ~value

    def write(self, offset: int, value: int) -> None:
        """Write a register; TICK and OVRFLW interrupts are not modelled."""
        super().write(offset, value)
        if self.inten & 3:
            self.host.limit("the firmware uses the TICK or OVRFLW interrupt of RTC, which is not modelled")

    def task(self, offset: int) -> None:
        """Start, stop or clear."""
        if offset == 0x000:
            self._start()
        elif offset == 0x004:
            self._stop()
        elif offset == 0x008:
            self._clear()
        elif offset == 0x00C:
            self._anchor(float(0xFFFFF0))
