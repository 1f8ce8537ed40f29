"""Clocks, watchdog and timer of the RP2040 (RP2040 datasheet, chapters Clocks, XOSC, PLL, Watchdog, Timer)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.chips.device import RESET_SOFT, RESET_WATCHDOG, Device

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host

_XOSC_HZ, _TICKS_PER_US = 12_000_000, 16


class Known(Device):
    """A block of which only some registers are modelled. A reset by the debugger or by the core leaves it as it is.

    Attributes:
        known: offsets of these registers.
        name: the block's.
    """

    survives = RESET_SOFT
    known: frozenset[int] = frozenset()
    name = ""

    def read(self, offset: int) -> int:
        """Return a register."""
        self._check(offset)
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        self._check(offset)
        super().write(offset, value)

    def _check(self, offset: int) -> None:
        if offset not in self.known:
            self.host.limit(f"the firmware uses the register {offset:#04x} of {self.name}, which isn't modelled")


class Oscillator(Known):
    """XOSC, which is stable at once."""

    known, name = frozenset({0x0, 0x4, 0xC}), "XOSC"

    @property
    def runs(self) -> bool:
        """Whether it is on."""
        return self.get(0x0) >> 12 & 0xFFF == 0xFAB

    def read(self, offset: int) -> int:
        """Return a register."""
        return int(self.runs) << 31 if offset == 0x4 else super().read(offset)


class Pll(Known):
    """PLL_SYS, which locks at once."""

    known, name = frozenset({0x0, 0x4, 0x8, 0xC}), "PLL_SYS"

    def __init__(self, host: Host, base: int, oscillator: Oscillator) -> None:
        self._oscillator = oscillator
        super().__init__(host, base)

    def reset(self) -> None:
        """Power it down."""
        self.registers = {0x0: 1, 0x4: 0x2D, 0xC: 0x77000}

    @property
    def locked(self) -> bool:
        """Whether it runs, behind the crystal."""
        return not self.get(0x4) & 0x21 and self._oscillator.runs and self.get(0x8) > 0

    @property
    def frequency(self) -> float:
        """What its dividers are set to, in Hz."""
        posts = (self.get(0xC) >> 16 & 7) * (self.get(0xC) >> 12 & 7)
        return _XOSC_HZ / max(self.get(0x0) & 0x3F, 1) * self.get(0x8) / max(posts, 1)

    def read(self, offset: int) -> int:
        """Return a register."""
        value = super().read(offset)
        return value | int(self.locked) << 31 if offset == 0x0 else value


class Clocks(Known):
    """CLOCKS: what clk_ref, clk_sys and clk_peri are driven by. Each change takes effect at once."""

    known, name = frozenset({0x30, 0x34, 0x38, 0x3C, 0x40, 0x44, 0x48, 0x78}), "CLOCKS"

    def __init__(self, host: Host, base: int, pll: Pll, oscillator: Oscillator, clock_hz: int) -> None:
        self._pll, self._oscillator, self._clock_hz = pll, oscillator, clock_hz
        super().__init__(host, base)

    def reset(self) -> None:
        """Run from ROSC."""
        self.registers = {0x34: 0x100, 0x40: 0x100}

    @property
    def reference_is_crystal(self) -> bool:
        """Whether clk_ref is the crystal's."""
        return self.get(0x30) & 3 == 2

    @property
    def peripherals_run(self) -> bool:
        """Whether clk_peri runs, from clk_sys."""
        return self.get(0x48) & 0x8E0 == 0x800 and self.get(0x3C) & 1 == 1

    def read(self, offset: int) -> int:
        """Return a register; CLK_REF_SELECTED and CLK_SYS_SELECTED have one bit for each source."""
        if offset in (0x38, 0x44):
            return 1 << (self.get(offset - 8) & 3)
        return super().read(offset)

    def written(self, offset: int, value: int) -> None:
        """Check that the core's clock is the one that the board's kind says."""
        if offset == 0x30 and value & 3 == 2 and not self._oscillator.runs:
            self.host.misuse("the firmware takes clk_ref from the crystal, which isn't on: the core stands still")
        if offset != 0x3C or not value & 1:
            return
        frequency = self._pll.frequency
        if value & 0xE0 or not self._pll.locked:
            self.host.limit("the firmware takes clk_sys from something else than the locked PLL_SYS: not modelled")
        elif frequency != self._clock_hz:
            self.host.limit(
                f"the firmware clocks the core at {frequency:.0f} Hz, and this kind of board has {self._clock_hz}"
            )


class Watchdog(Known):
    """WATCHDOG without its watch: the tick for the timer, why there was a reset, and words that a reset keeps."""

    survives = RESET_SOFT | RESET_WATCHDOG
    known, name = frozenset({0x0, 0x8, *range(0xC, 0x30, 4)}), "WATCHDOG"

    def read(self, offset: int) -> int:
        """Return a register."""
        value = super().read(offset)
        return value & 0x3FF | value << 1 & 0x400 if offset == 0x2C else value

    def written(self, offset: int, value: int) -> None:
        """Refuse the watch itself."""
        if offset == 0x0 and value >> 30:
            self.host.limit("the firmware starts the watchdog, which isn't modelled")

    def ticks(self, *, crystal: bool) -> bool:
        """Tell whether the timer gets a tick each microsecond."""
        return crystal and self.get(0x2C) & 0x3FF == 0x200 | _XOSC_HZ // 1_000_000


class Timer(Known):
    """TIMER: microseconds, 64 bits, as long as the watchdog's tick comes."""

    known, name = frozenset({0x24, 0x28}), "TIMER"

    def __init__(self, host: Host, base: int, ticking: Callable[[], bool]) -> None:
        self._ticking, self._built = ticking, False
        super().__init__(host, base)
        self._built = True

    def reset(self) -> None:
        """Begin at 0."""
        super().reset()
        self._from = self.host.ticks() if self._built else 0.0  # at power-on nobody tells yet

    def read(self, offset: int) -> int:
        """Return TIMERAWH or TIMERAWL."""
        super().read(offset)
        if not self._ticking():
            self.host.misuse("the firmware reads the timer, which gets no tick of a microsecond: it stands still")
        now = int((self.host.ticks() - self._from) / _TICKS_PER_US)
        return now >> 32 if offset == 0x24 else now & 0xFFFFFFFF
