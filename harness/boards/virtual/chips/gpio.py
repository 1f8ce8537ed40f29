"""GPIO and GPIOTE: pins, and the tasks and events on them. Nothing outside drives a pin; pull-ups do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.chips.peripheral import Peripheral

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.nrf52840 import Page

_OUT, _IN, _DIR, _LATCH, _PIN_CNF, _PIN_CNF_END = 0x504, 0x510, 0x514, 0x520, 0x700, 0x780
_P1 = 0x300  # P1's registers are that far above P0's
_PULL_UP, _SENSE_HIGH, _SENSE_LOW = 3, 2, 3


def _with(mask: int, pin: int, *, on: bool) -> int:
    return mask | pin if on else mask & ~pin


class Gpio(Peripheral):
    """P0 and P1, which share a page."""

    switches = (_OUT, _DIR, _OUT + _P1, _DIR + _P1)
    on_output: Callable[[int], None] | None = None  # called with `outputs()` when firmware changes one
    on_input: Callable[[int, int], None] | None = None  # called with the levels of all pins before and after

    def reset(self) -> None:
        super().reset()
        self._connected = self._pulled_up = self._sense_high = self._sense_low = 0  # P1 above P0, 32 bits each
        self._taken: dict[int, bool] = {}  # pins that GPIOTE drives, with their levels
        self._latch = self._levels = 0
        self.detect = False

    def read(self, offset: int) -> int:
        """Return a register of P0, or of P1 at 0x300 above."""
        port = offset >= 0x800
        local = offset - port * _P1
        if local in (_IN, _LATCH):
            return (self.levels() if local == _IN else self._latch) >> 32 * port & 0xFFFFFFFF
        if _PIN_CNF <= local < _PIN_CNF_END:
            return self.get(offset) & ~1 | self.get(_DIR + port * _P1) >> (local - _PIN_CNF) // 4 & 1
        return super().read(offset)

    def written(self, offset: int, value: int) -> None:
        port = offset >= 0x800
        local = offset - port * _P1
        if local == _LATCH:
            self._latch &= ~(value << 32 * port)
        elif _PIN_CNF <= local < _PIN_CNF_END:
            number, direction = (local - _PIN_CNF) // 4, _DIR + port * _P1
            self.registers[direction] = _with(self.get(direction), 1 << number, on=bool(value & 1))
            pin, sense = 1 << 32 * port + number, value >> 16 & 3
            self._connected = _with(self._connected, pin, on=not value & 2)
            self._pulled_up = _with(self._pulled_up, pin, on=value >> 2 & 3 == _PULL_UP)
            self._sense_high = _with(self._sense_high, pin, on=sense == _SENSE_HIGH)
            self._sense_low = _with(self._sense_low, pin, on=sense == _SENSE_LOW)
        self.pins_changed()

    def take(self, number: int, *, level: bool | None) -> None:
        """Let GPIOTE drive a pin (port x 32 + pin), or give it back with None."""
        if level is None:
            self._taken.pop(number, None)
        else:
            self._taken[number] = level
        self.pins_changed()

    def _driven(self) -> tuple[int, int]:
        """Return which pins are outputs, and their levels."""
        direction, out = (self.get(offset) | self.get(offset + _P1) << 32 for offset in (_DIR, _OUT))
        for number, level in self._taken.items():
            direction |= 1 << number
            out = _with(out, 1 << number, on=level)
        return direction, out & direction

    def outputs(self) -> int:
        """Return the levels driven on P0 (bits 0 to 31) and P1 (bits 32 to 63)."""
        return self._driven()[1]

    def levels(self) -> int:
        """Return what the pins read as: 0 where the input buffer is off."""
        direction, out = self._driven()
        return (out | self._pulled_up & ~direction) & self._connected

    def pins_changed(self) -> None:
        """Pass on what changed at the pins."""
        before, self._levels = self._levels, self.levels()
        sensed = self._levels & self._sense_high | ~self._levels & self._sense_low
        self._latch |= sensed
        rose, self.detect = bool(sensed) and not self.detect, bool(sensed)
        if self.on_output is not None:
            self.on_output(self.outputs())
        if self.on_input is not None and (rose or before != self._levels):
            self.on_input(before, self._levels)


class Gpiote(Peripheral):
    """GPIOTE: eight channels that drive a pin or watch one, and the event of all pins together."""

    tasks = tuple(base + 4 * channel for base in (0x000, 0x030, 0x060) for channel in range(8))
    events = (*range(0x100, 0x120, 4), 0x17C)
    _CONFIG, _PORT = 0x510, 0x17C
    _EVENT, _TASK = 1, 3
    _RISING, _FALLING, _TOGGLE = 1, 2, 3

    def __init__(self, host: Host, page: Page, gpio: Gpio) -> None:
        self._gpio = gpio
        gpio.on_input = self._pins_changed
        super().__init__(host, page)

    def reset(self) -> None:
        """Give all pins back. The GPIO is reset along with this."""
        super().reset()
        self._driven: dict[int, tuple[int, bool]] = {}  # channel: pin, level
        self._detected = False

    def _config(self, channel: int) -> tuple[int, int, int]:
        value = self.get(self._CONFIG + 4 * channel)
        return value & 3, value >> 8 & 0x3F, value >> 16 & 3

    def written(self, offset: int, value: int) -> None:
        channel = (offset - self._CONFIG) // 4
        if not 0 <= channel < 8:
            return
        mode, pin, _ = self._config(channel)
        earlier = self._driven.pop(channel, None)
        if earlier is not None and (mode != self._TASK or earlier[0] != pin):
            self._gpio.take(earlier[0], level=None)
        if mode == self._TASK:
            self._drive_pin(channel, pin, level=bool(value >> 20 & 1))

    def _drive_pin(self, channel: int, pin: int, *, level: bool) -> None:
        self._driven[channel] = (pin, level)
        self._gpio.take(pin, level=level)

    def task(self, offset: int) -> None:
        channel = offset // 4 % 12  # the three groups are 0x30 apart
        mode, _, polarity = self._config(channel)
        if mode != self._TASK:
            return
        pin, level = self._driven[channel]
        out = {self._RISING: True, self._FALLING: False, self._TOGGLE: not level}.get(polarity, level)
        self._drive_pin(channel, pin, level=(out, True, False)[offset // 0x30])

    def _pins_changed(self, before: int, after: int) -> None:
        events = []
        for channel in range(8):
            mode, pin, polarity = self._config(channel)
            rose, fell = after & ~before, before & ~after
            watched = (0, rose, fell, rose | fell)[polarity]
            if mode == self._EVENT and watched >> pin & 1:
                events.append(0x100 + 4 * channel)
        if self._gpio.detect and not self._detected:
            events.append(self._PORT)
        self._detected = self._gpio.detect
        if events:
            self.raise_events(*events)
