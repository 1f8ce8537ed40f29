"""TIMER and RTC: counters with compare registers, driven by the board's own time or by a task."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.boards.virtual.chips.peripheral import INTEN, Peripheral

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.nrf52840 import Page
    from harness.boards.virtual.chips.peripherals import ClockPower

_COMPARE0 = 0x140


class _Counter(Peripheral):
    """A counter that runs on from `_anchor_ticks` on, when it stood at `_anchor_count`."""

    def __init__(self, host: Host, page: Page, channels: int) -> None:
        self.channels = channels
        self.events = tuple(_COMPARE0 + 4 * n for n in range(channels)) + self._own_events()
        super().__init__(host, page)

    def _own_events(self) -> tuple[int, ...]:
        return ()

    def reset(self) -> None:
        super().reset()
        self._running = False
        self._anchor_count = 0.0
        self._anchor_ticks = 0.0
        self._seen = 0.0

    def _rate(self) -> float:
        """Return counts per tick of 16 MHz; 0 if it counts something else."""
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
        self.host.attention()

    def _ticks_at(self, count: float) -> float:
        """Return when the counter gets to an unwrapped count."""
        rate = self._rate()
        return self._anchor_ticks + (count - self._anchor_count) / rate if rate else self.host.ticks()

    def _next_multiple(self, remainder: int, after: float) -> float:
        """Return the first unwrapped count above `after` at which the counter shows `remainder`."""
        span = 1 << self._width()
        return remainder + span * (math.floor((after - remainder) / span) + 1)

    def _next_events(self, after: float) -> Iterator[tuple[float, int]]:
        """Yield for each event the unwrapped count at which it comes next, and its offset."""
        for channel in range(self.channels):
            yield self._next_multiple(self._compare(channel), after), _COMPARE0 + 4 * channel

    def _wanted(self, event: int) -> bool:
        """Tell whether something waits for an event to come in time."""
        channel = (event - _COMPARE0) // 4
        shorts = channel >= 0 and (self.short(channel) or self.short(8 + channel))
        return bool(self.inten >> (event - 0x100) // 4 & 1 or shorts or event in self.routed)

    def deadline(self) -> float | None:
        """Return when the next event is due that something waits for."""
        if not self._running or not self._rate():
            return None
        due = [at for at, event in self._next_events(self._seen) if self._wanted(event)]
        return self._ticks_at(min(due)) if due else None

    def advance(self) -> None:
        while self._running:
            now = self._elapsed()
            coming = list(self._next_events(self._seen))
            at = min(at for at, _ in coming)
            if at > now + 1e-6:
                self._seen = max(self._seen, math.floor(now))
                return
            self._reach(at, [event for due, event in coming if due == at])

    def _reach(self, count: float, events: list[int]) -> None:
        """Count to where events come: raise them, then do what they are cut short to."""
        self._seen = count
        ticks = self._ticks_at(count)
        channels = [(event - _COMPARE0) // 4 for event in events if event >= _COMPARE0]
        if any(self.short(n) for n in channels):  # COMPARE_CLEAR
            self._anchor_count, self._anchor_ticks, self._seen = 0.0, ticks, 0.0
        if any(self.short(8 + n) for n in channels):  # COMPARE_STOP
            self._anchor_count = self._seen
            self._running = False
        earlier, self.host.event_time = self.host.event_time, ticks
        self.raise_events(*(event for event in events if self._enabled(event)))
        self.host.event_time = earlier

    def _enabled(self, _event: int) -> bool:
        return True

    def read(self, offset: int) -> int:
        if offset in self.event:
            self.advance()
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        self.advance()
        super().write(offset, value)
        self.host.attention()

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
    """TIMER: counts 16 MHz divided by 2 to the PRESCALER, or how often its COUNT task is triggered."""

    tasks = (0x000, 0x004, 0x008, 0x00C, 0x010, *range(0x040, 0x058, 4))
    _MODE, _BITMODE, _PRESCALER = 0x504, 0x508, 0x510

    def _rate(self) -> float:
        return 0.0 if self.get(self._MODE) & 3 else 1.0 / (1 << min(self.get(self._PRESCALER), 9))

    def _width(self) -> int:
        return {0: 16, 1: 8, 2: 24, 3: 32}[self.get(self._BITMODE) & 3]

    def task(self, offset: int) -> None:
        if offset == 0x000:
            self._start()
        elif offset in (0x004, 0x010):
            self._stop()
        elif offset == 0x008:
            if self._running and not self._rate():
                self._anchor_count += 1
                self.advance()
        elif offset == 0x00C:
            self._clear()
        elif offset < 0x040 + 4 * self.channels:
            self.registers[0x540 + offset - 0x040] = self.count()


class Rtc(_Counter):
    """RTC: 32,768 Hz divided by PRESCALER + 1, 24 bits. Its events need EVTEN or INTEN, and it needs that clock."""

    tasks = (0x000, 0x004, 0x008, 0x00C)
    _EVTEN, _COUNTER, _PRESCALER = 0x340, 0x504, 0x508
    switches = (INTEN, _EVTEN)
    _TICK, _OVRFLW = 0x100, 0x104
    _NEAR_OVERFLOW = 0xFFFFF0

    def __init__(self, host: Host, page: Page, channels: int, clock: ClockPower) -> None:
        self._clock = clock
        clock.on_low_frequency.append(self._clock_changed)
        super().__init__(host, page, channels)

    def _own_events(self) -> tuple[int, ...]:
        return (self._TICK, self._OVRFLW)

    def reset(self) -> None:
        super().reset()
        self._started = False

    def _rate(self) -> float:
        return 32768 / 16e6 / ((self.get(self._PRESCALER) & 0xFFF) + 1)

    def _width(self) -> int:
        return 24

    def _enabled(self, event: int) -> bool:
        return bool((self.inten | self.get(self._EVTEN)) >> (event - 0x100) // 4 & 1)

    def _next_events(self, after: float) -> Iterator[tuple[float, int]]:
        yield from super()._next_events(after)
        yield self._next_multiple(0, after), self._OVRFLW
        if self._enabled(self._TICK):
            yield max(math.floor(after) + 1.0, math.floor(self._elapsed()) * 1.0), self._TICK

    def read(self, offset: int) -> int:
        return self.count() if offset == self._COUNTER else super().read(offset)

    def _clock_changed(self) -> None:
        """Count only while there is a clock."""
        self.advance()
        if self._started and self._clock.low_frequency:
            self._start()
        elif self._running:
            self._stop()
        self.host.attention()

    def task(self, offset: int) -> None:
        """Start, stop, clear, or go to shortly before the overflow."""
        if offset in (0x000, 0x004):
            self._started = offset == 0x000
            self._clock_changed()
        else:
            self._anchor(0.0 if offset == 0x008 else float(self._NEAR_OVERFLOW))
