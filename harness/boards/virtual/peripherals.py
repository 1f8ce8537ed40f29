"""The small peripherals: clock and power, GPIO, random numbers, and registers that merely remember."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from harness.boards.virtual.peripheral import Peripheral

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.peripheral import Host

RESET_PIN, RESET_WATCHDOG, RESET_SOFT, RESET_LOCKUP = 1, 2, 4, 8  # bits of RESETREAS

_RESETREAS, _SYSTEMOFF, _GPREGRET, _GPREGRET2 = 0x400, 0x500, 0x51C, 0x520
_HFCLKRUN, _HFCLKSTAT, _LFCLKRUN, _LFCLKSTAT, _LFCLKSRCCOPY, _LFCLKSRC = (0x408, 0x40C, 0x414, 0x418, 0x41C, 0x518)


class ClockPower(Peripheral):
    """CLOCK and POWER, which share their registers' page. Clocks start at once."""

    irq = 0
    events = (0x100, 0x104, 0x10C, 0x108, 0x114, 0x118)

    def __init__(self, host: Host) -> None:
        """Start from power-on: no reset reason."""
        self.reset_reason = 0
        self._retained = {_GPREGRET: 0, _GPREGRET2: 0}
        super().__init__(host)

    def reset(self) -> None:
        """Return to the reset state; the reset reason and the retention registers stay."""
        super().reset()
        self._hfxo = False
        self._lf_running = False

    def read(self, offset: int) -> int:
        """Return a register; clock states come from what was started."""
        if offset in self._retained:
            return self._retained[offset]
        if 0x900 <= offset < 0x990:
            return 0xFFFF  # every RAM section is powered
        source = self.registers.get(_LFCLKSRC, 0) & 3
        return {
            _RESETREAS: self.reset_reason,
            _HFCLKRUN: int(self._hfxo),
            _HFCLKSTAT: 1 << 16 | int(self._hfxo),
            _LFCLKRUN: int(self._lf_running),
            _LFCLKSTAT: self._lf_running << 16 | source,
            _LFCLKSRCCOPY: source,
        }.get(offset, super().read(offset))

    def written(self, offset: int, value: int) -> None:
        """Act on the registers that do more than remember."""
        if offset == _RESETREAS:
            self.reset_reason &= ~value
        elif offset in self._retained:
            self._retained[offset] = value & 0xFF
        elif offset == _SYSTEMOFF and value & 1:
            self.host.limit("the firmware entered System OFF, which is not modelled")

    def task(self, offset: int) -> None:
        """Start and stop the oscillators."""
        if offset == 0x000:
            self._hfxo = True
            self.raise_events([0x100])
        elif offset == 0x004:
            self._hfxo = False
        elif offset == 0x008:
            self._lf_running = True
            self.raise_events([0x104])
        elif offset == 0x00C:
            self._lf_running = False
        elif offset == 0x010:
            self.raise_events([0x10C])


class Gpio(Peripheral):
    """P0 and P1, which share a page. Inputs read 0; outputs read back where the input buffer is on."""

    on_output: Callable[[int], None] | None = None  # called with `outputs()` when firmware writes one

    _OUT, _OUTSET, _OUTCLR, _IN, _DIR, _DIRSET, _DIRCLR = 0x504, 0x508, 0x50C, 0x510, 0x514, 0x518, 0x51C

    def read(self, offset: int) -> int:
        """Return a register of P0, or of P1 at 0x300 above."""
        port = 0x300 if offset >= 0x800 else 0
        local = offset - port
        out, direction = self.registers.get(port + self._OUT, 0), self.registers.get(port + self._DIR, 0)
        if local in (self._OUT, self._OUTSET, self._OUTCLR):
            return out
        if local in (self._DIR, self._DIRSET, self._DIRCLR):
            return direction
        if local == self._IN:
            return out & direction
        if 0x700 <= local < 0x780:  # PIN_CNF
            bit = direction >> ((local - 0x700) // 4) & 1
            return self.registers.get(offset, 2) & ~1 | bit
        return self.registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Write a register of P0 or P1."""
        port = 0x300 if offset >= 0x800 else 0
        local = offset - port
        for plain, setter, clearer in (
            (self._OUT, self._OUTSET, self._OUTCLR),
            (self._DIR, self._DIRSET, self._DIRCLR),
        ):
            now = self.registers.get(port + plain, 0)
            if local in (plain, setter, clearer):
                new = {plain: value, setter: now | value, clearer: now & ~value}[local]
                self.registers[port + plain] = new & 0xFFFFFFFF
                if self.on_output is not None:
                    self.on_output(self.outputs())
                return
        if 0x700 <= local < 0x780:
            bit = 1 << (local - 0x700) // 4
            direction = self.registers.get(port + self._DIR, 0)
            self.registers[port + self._DIR] = direction | bit if value & 1 else direction & ~bit
        self.registers[offset] = value

    def outputs(self) -> int:
        """Return the levels driven on P0 (bits 0 to 31) and P1 (bits 32 to 63)."""
        p0 = self.registers.get(self._OUT, 0) & self.registers.get(self._DIR, 0)
        p1 = self.registers.get(0x300 + self._OUT, 0) & self.registers.get(0x300 + self._DIR, 0)
        return p1 << 32 | p0


class RandomNumbers(Peripheral):
    """RNG: a sequence that depends on the board's seed and on how often it was started."""

    irq = 13
    events = (0x100,)
    _VALUE = 0x508

    def __init__(self, host: Host, seed: str) -> None:
        """Draw from a generator seeded by `seed` and the boot number."""
        self._seed = seed
        self._boots = 0
        super().__init__(host)

    def reset(self) -> None:
        """Start another sequence: the noise of a real part doesn't repeat either."""
        super().reset()
        self._running = False
        self._boots += 1
        self._random = random.Random(f"{self._seed}/{self._boots}")  # noqa: S311 - must repeat from run to run

    def _draw(self) -> None:
        self.registers[self._VALUE] = self._random.randrange(256)
        self.raise_events([0x100])
        if self.short(0):  # VALRDY_STOP
            self._running = False

    def task(self, offset: int) -> None:
        """Start drawing, or stop."""
        self._running = offset == 0x000
        if self._running:
            self._draw()

    def event_written(self, offset: int) -> None:
        """Draw the next value once the last one was taken."""
        if self._running and not self.event[offset]:
            self._draw()


class Registers(Peripheral):
    """A peripheral whose settings have no effect here: reads return what was written."""


class Watchdog(Peripheral):
    """WDT: can be looked at, but not started."""

    irq = 16
    events = (0x100,)

    def task(self, offset: int) -> None:
        """Refuse to start."""
        if offset == 0x000:
            self.host.limit("the firmware starts the watchdog, which is not modelled")
