"""The small peripherals: clock and power, watchdog, random numbers, temperature, software interrupts, crypto engine."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from harness.boards.virtual.chips.device import RESET_LOCKUP, RESET_SOFT, RESET_WATCHDOG
from harness.boards.virtual.chips.peripheral import INTEN, Peripheral, Registers

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.nrf52840 import Page

RESETREAS, _SYSTEMOFF, _GPREGRET, _GPREGRET2 = 0x400, 0x500, 0x51C, 0x520
_HFCLKRUN, _HFCLKSTAT, _LFCLKRUN, _LFCLKSTAT, _LFCLKSRCCOPY, _LFCLKSRC = (0x408, 0x40C, 0x414, 0x418, 0x41C, 0x518)
_CTIV = 0x538
_USBDETECTED, _USBREMOVED, _USBPWRRDY, _USBREGSTATUS = 0x11C, 0x120, 0x124, 0x438
_HFCLKSTARTED, _LFCLKSTARTED, _DONE, _CTTO, _CTSTARTED, _CTSTOPPED = 0x100, 0x104, 0x10C, 0x110, 0x128, 0x12C
_RAM_POWER = range(0x900, 0x990, 0x10)
_QUARTER_SECOND = 4e6  # in ticks of 16 MHz
_TIMEOUT, _RUNSTATUS, _REQSTATUS, _CRV, _RREN, _WDT_CONFIG, _RR = 0x100, 0x400, 0x404, 0x504, 0x508, 0x50C, 0x600
_RELOAD = 0x6E524635
_TICKS_PER_COUNT = 16e6 / 32768
_GRACE = 2 * _TICKS_PER_COUNT  # from the interrupt to the reset
_RUN_ASLEEP = 1  # bit of CONFIG


class ClockPower(Peripheral):
    """CLOCK and POWER, which share their registers' page. Clocks start at once; the supply never fails.

    Attributes:
        vbus: whether a USB cable gives power to the USB regulator, which is ready at once.
    """

    vbus = False

    tasks = tuple(range(0x000, 0x01C, 4))
    events = (
        *(_HFCLKSTARTED, _LFCLKSTARTED, _DONE, _CTTO, _CTSTARTED, _CTSTOPPED),
        *(_USBDETECTED, _USBREMOVED, _USBPWRRDY),
    )
    switches = (INTEN, *_RAM_POWER)  # a section without power keeps its content here
    flags = (RESETREAS,)
    retained = (RESETREAS, _GPREGRET, _GPREGRET2)

    def __init__(self, host: Host, page: Page) -> None:
        self.on_low_frequency: list[Callable[[], None]] = []  # called when that clock has started or stopped
        super().__init__(host, page)

    def reset(self) -> None:
        super().reset()
        self._hfxo = False
        self._lf_running = self._lf_forced = False
        self._calibrate_at: float | None = None

    @property
    def crystal_runs(self) -> bool:
        """True while the high-frequency crystal oscillator runs, without which there is no USB."""
        return self._hfxo

    def plug(self, *, in_: bool) -> None:
        """Give or take the power of a USB cable."""
        if in_ != self.vbus:
            self.vbus = in_
            self.raise_events(*((_USBDETECTED, _USBPWRRDY) if in_ else (_USBREMOVED,)))

    @property
    def low_frequency(self) -> bool:
        """True while the clock of RTC and WDT runs."""
        return self._lf_running or self._lf_forced

    def force_low_frequency(self) -> None:
        """Start the low-frequency clock for the watchdog, until the next reset."""
        self._lf_forced = True
        self._low_frequency_changed()

    def _low_frequency_changed(self) -> None:
        for call in self.on_low_frequency:
            call()

    def read(self, offset: int) -> int:
        """Return a register; clock states come from what was started."""
        source = self.get(_LFCLKSRC) & 3
        return {
            _HFCLKRUN: int(self._hfxo),
            _HFCLKSTAT: 1 << 16 | int(self._hfxo),
            _LFCLKRUN: int(self._lf_running),
            _LFCLKSTAT: self.low_frequency << 16 | source,
            _LFCLKSRCCOPY: source,
            _USBREGSTATUS: 3 if self.vbus else 0,
        }.get(offset, super().read(offset))

    def written(self, offset: int, value: int) -> None:
        if offset in (_GPREGRET, _GPREGRET2):
            self.registers[offset] = value & 0xFF
        elif offset == _SYSTEMOFF and value & 1:
            self.host.limit("the firmware entered System OFF, which is not modelled")

    def task(self, offset: int) -> None:
        """Start and stop the oscillators; calibrate, now or later."""
        if offset == 0x000:
            self._hfxo = True
            self.raise_events(_HFCLKSTARTED)
        elif offset == 0x004:
            self._hfxo = False
        elif offset in (0x008, 0x00C):
            self._lf_running = offset == 0x008
            self._low_frequency_changed()
            if self._lf_running:
                self.raise_events(_LFCLKSTARTED)
        elif offset == 0x010:
            self.raise_events(_DONE)
        elif offset == 0x014:
            self._calibrate_at = self.host.ticks() + (self.get(_CTIV) & 0x7F) * _QUARTER_SECOND
            self.raise_events(_CTSTARTED)
            self.host.attention()
        else:
            self._calibrate_at = None
            self.raise_events(_CTSTOPPED)

    def deadline(self) -> float | None:
        return self._calibrate_at

    def advance(self) -> None:
        if self._calibrate_at is not None and self.host.ticks() >= self._calibrate_at:
            self._calibrate_at = None
            self.raise_events(_CTTO)


class Watchdog(Peripheral):
    """The watchdog. A soft reset doesn't stop it. While a debugger holds the core, no time passes for it."""

    tasks = (0x000,)
    events = (_TIMEOUT,)
    survives = RESET_SOFT | RESET_LOCKUP

    def __init__(self, host: Host, page: Page, clock: ClockPower) -> None:
        self._clock = clock
        super().__init__(host, page)

    def reset(self) -> None:
        super().reset()
        self._since: float | None = None  # when it was last reloaded, in its own time
        self._ran_out = False
        self._requests = 0  # the reload registers that must still be written

    @property
    def running(self) -> bool:
        """True once it was started."""
        return self._since is not None

    def _now(self) -> float:
        runs_asleep = self.get(_WDT_CONFIG) & _RUN_ASLEEP
        return self.host.ticks() - (0.0 if runs_asleep else self.host.asleep_ticks())

    def read(self, offset: int) -> int:
        if offset == _RUNSTATUS:
            return int(self.running)
        if offset == _REQSTATUS:
            return self._requests if self.running else self.get(_RREN) & 0xFF
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register; while it runs, its settings can't be changed."""
        if not (self.running and offset in (_CRV, _RREN, _WDT_CONFIG)):
            super().write(offset, value)

    def task(self, offset: int) -> None:
        del offset
        if not self.running:
            self._clock.force_low_frequency()
            self._reload()

    def _reload(self) -> None:
        self._since = self._now()
        self._requests = self.get(_RREN) & 0xFF
        self.host.attention()

    def written(self, offset: int, value: int) -> None:
        if offset >= _RR and value == _RELOAD and self.running and not self._ran_out:
            self._requests &= ~(1 << (offset - _RR) // 4)
            if not self._requests:
                self._reload()

    def _left(self) -> float:
        """Return the ticks until it runs out; negative in the time between interrupt and reset."""
        return (self._since or 0.0) + (self.get(_CRV) + 1) * _TICKS_PER_COUNT - self._now()

    def deadline(self) -> float | None:
        if not self.running:
            return None
        return self.host.ticks() + self._left() + (_GRACE if self._ran_out else 0.0)

    def advance(self) -> None:
        """Interrupt, and reset two periods of its clock later; at once where no interrupt is wanted."""
        if not self.running or self._left() > 0.0:
            return
        if not self._ran_out:
            self._ran_out = True
            self.raise_events(_TIMEOUT)
        if not self.inten & 1 or self._left() + _GRACE <= 0.0:
            self.host.request_reset(RESET_WATCHDOG)


class RandomNumbers(Peripheral):
    """RNG: a sequence that depends on the board's seed and on how often it was started."""

    tasks = (0x000, 0x004)
    events = (0x100,)
    _VALUE = 0x508

    def __init__(self, host: Host, page: Page, seed: str) -> None:
        self._seed = seed
        self._boots = 0
        super().__init__(host, page)

    def reset(self) -> None:
        """Start another sequence: the noise of a real part doesn't repeat either."""
        super().reset()
        self._running = False
        self._boots += 1
        self._random = random.Random(f"{self._seed}/{self._boots}")  # noqa: S311 - must repeat from run to run

    def _draw(self) -> None:
        self.registers[self._VALUE] = self._random.randrange(256)
        self.raise_events(0x100)
        if self.short(0):  # VALRDY_STOP
            self._running = False

    def task(self, offset: int) -> None:
        self._running = offset == 0x000
        if self._running:
            self._draw()

    def event_written(self, offset: int) -> None:
        if self._running and not self.event[offset]:
            self._draw()


class Temperature(Peripheral):
    """TEMP: it is always 25 degrees Celsius, and measuring takes no time."""

    tasks = (0x000,)
    events = (0x100,)
    _TEMP = 0x508
    _QUARTER_DEGREES = 100

    def task(self, offset: int) -> None:
        del offset
        self.registers[self._TEMP] = self._QUARTER_DEGREES
        self.raise_events(0x100)


class EventGenerator(Peripheral):
    """EGU: each task sets the event of the same number."""

    tasks = tuple(range(0x000, 0x040, 4))
    events = tuple(range(0x100, 0x140, 4))

    def task(self, offset: int) -> None:
        self.raise_events(0x100 + offset)


class CryptoEngine(Registers):
    """The registers behind CRYPTOCELL. Few of them are documented; the engine itself isn't modelled."""

    def read(self, offset: int) -> int:
        """Read a documented register; another one stops the board."""
        self._check(offset)
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a documented register; another one stops the board."""
        self._check(offset)
        super().write(offset, value)

    def _check(self, offset: int) -> None:
        if offset not in self.page.layout:
            self.host.limit(f"the firmware uses CryptoCell (at {self.page.base + offset:#x}), which isn't modelled")
