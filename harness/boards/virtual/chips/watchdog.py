"""WDT: resets the chip unless firmware asks it in time not to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.chips.peripheral import Peripheral
from harness.boards.virtual.chips.peripherals import RESET_LOCKUP, RESET_SOFT

if TYPE_CHECKING:
    from harness.boards.virtual.chips.nrf52840 import Page
    from harness.boards.virtual.chips.peripheral import Host
    from harness.boards.virtual.chips.peripherals import ClockPower

_TIMEOUT, _RUNSTATUS, _REQSTATUS, _CRV, _RREN, _CONFIG, _RR = 0x100, 0x400, 0x404, 0x504, 0x508, 0x50C, 0x600
_RELOAD = 0x6E524635
_TICKS_PER_COUNT = 16e6 / 32768
_GRACE = 2 * _TICKS_PER_COUNT  # from the interrupt to the reset
_RUN_ASLEEP = 1  # bit of CONFIG


class Watchdog(Peripheral):
    """The watchdog. A soft reset doesn't stop it. While a debugger holds the core, no time passes for it."""

    tasks = (0x000,)
    events = (_TIMEOUT,)
    survives = RESET_SOFT | RESET_LOCKUP

    def __init__(self, host: Host, page: Page, clock: ClockPower) -> None:
        """Run on the low-frequency clock, which it starts."""
        self._clock = clock
        super().__init__(host, page)

    def reset(self) -> None:
        """Stop."""
        super().reset()
        self._since: float | None = None  # when it was last reloaded, in its own time
        self._ran_out = False
        self._requests = 0  # the reload registers that must still be written

    @property
    def running(self) -> bool:
        """True once it was started."""
        return self._since is not None

    def _now(self) -> float:
        runs_asleep = self.get(_CONFIG) & _RUN_ASLEEP
        return self.host.ticks() - (0.0 if runs_asleep else self.host.asleep_ticks())

    def read(self, offset: int) -> int:
        """Return a register."""
        if offset == _RUNSTATUS:
            return int(self.running)
        if offset == _REQSTATUS:
            return self._requests if self.running else self.get(_RREN) & 0xFF
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register; while it runs, its settings can't be changed."""
        if not (self.running and offset in (_CRV, _RREN, _CONFIG)):
            super().write(offset, value)

    def task(self, offset: int) -> None:
        """Start; there is no way to stop."""
        del offset
        if not self.running:
            self._clock.force_low_frequency()
            self._reload()

    def _reload(self) -> None:
        self._since = self._now()
        self._requests = self.get(_RREN) & 0xFF
        self.host.deadlines_changed()

    def written(self, offset: int, value: int) -> None:
        """Take a request to reload."""
        if offset >= _RR and value == _RELOAD and self.running and not self._ran_out:
            self._requests &= ~(1 << (offset - _RR) // 4)
            if not self._requests:
                self._reload()

    def _left(self) -> float:
        """Return the ticks until it runs out; negative in the time between interrupt and reset."""
        return (self._since or 0.0) + (self.get(_CRV) + 1) * _TICKS_PER_COUNT - self._now()

    def deadline(self) -> float | None:
        """Return when it next does something."""
        if not self.running:
            return None
        return self.host.ticks() + self._left() + (_GRACE if self._ran_out else 0.0)

    def advance(self) -> None:
        """Interrupt, and reset two periods of its clock later; at once where no interrupt is wanted."""
        if not self.running or self._left() > 0.0:
            return
        if not self._ran_out:
            self._ran_out = True
            self.raise_events([_TIMEOUT])
        if not self.inten & 1 or self._left() + _GRACE <= 0.0:
            self.host.watchdog_bites()
