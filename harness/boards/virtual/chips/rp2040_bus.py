"""The bus of the RP2040: resets, clocks, pins, timer and what else firmware of this package uses.

Registers are those of the RP2040 datasheet. What isn't modelled answers nothing, or stops the board.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from harness.boards.virtual.chips.bus import Bus
from harness.boards.virtual.chips.device import RESET_PIN, RESET_WATCHDOG
from harness.boards.virtual.chips.rp2040_clocks import Clocks, Known, Oscillator, Pll, Timer, Watchdog
from harness.boards.virtual.chips.rp2040_rom import RomDoor
from harness.boards.virtual.chips.rp2040_uart import Dma, Uart

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Device, Host
    from harness.boards.virtual.chips.made import Made
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.ports.serial_line import Line

_SSI, _CLOCKS, _RESETS, _IO, _PADS = 0x18000000, 0x40008000, 0x4000C000, 0x40014000, 0x4001C000
_XOSC, _PLL, _UART0, _TIMER, _WATCHDOG = 0x40024000, 0x40028000, 0x40034000, 0x40054000, 0x40058000
_ROSC, _CHIP_RESET, _DMA, _SIO = 0x40060000, 0x40064000, 0x50000000, 0xD0000000
#: The bit of RESETS that holds each block, and what it is called.
_HELD = {
    _DMA: (2, "the DMA"),
    _IO: (5, "IO_BANK0"),
    _PADS: (8, "PADS_BANK0"),
    _PLL: (12, "PLL_SYS"),
    _TIMER: (21, "the timer"),
    _UART0: (22, "UART0"),
}
_ALL_HELD = 0x01FFFFFF
_UART_FUNCTION, _SIO_FUNCTION = 2, 5
#: CTRLR0, CTRLR1 and SPI_CTRLR0 of XIP_SSI for command 03h, and what clock the flash's data sheet allows it.
_READ_03H = {0x0: 31 << 16 | 3 << 8, 0x4: 0, 0xF4: 0x03 << 24 | 2 << 8 | 6 << 2}
_MOST_HZ = 50_000_000


class Resets(Known):
    """RESETS: which blocks are held in reset."""

    known, name = frozenset({0x0, 0x4, 0x8}), "RESETS"

    def __init__(self, host: Host, base: int, hold: Callable[[int], None]) -> None:
        """Hold all; `hold` is called with the bits of the blocks that are held anew."""
        self._hold = hold
        super().__init__(host, base)

    def reset(self) -> None:
        """Hold all."""
        self.registers = {0x0: _ALL_HELD}

    def read(self, offset: int) -> int:
        """Return a register; RESET_DONE is the opposite of RESET at once."""
        return ~self.get(0) & _ALL_HELD if offset == 0x8 else super().read(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        before = self.get(0)
        super().write(offset, value)
        self._hold(self.get(0) & ~before)


class Rosc(Known):
    """ROSC: random bits, which repeat with seed and boot."""

    known, name = frozenset({0x1C}), "ROSC"
    survives = 0

    def __init__(self, host: Host, base: int, seed: str) -> None:
        self._seed, self._boot = seed, 0
        super().__init__(host, base)

    def reset(self) -> None:
        """Begin the bits of another boot."""
        super().reset()
        self._boot += 1
        self._random = random.Random(f"{self._seed}/{self._boot}")  # noqa: S311 - must repeat from run to run

    def read(self, offset: int) -> int:
        """Return RANDOMBIT."""
        super().read(offset)
        return self._random.getrandbits(1)


class ChipReset(Known):
    """VREG_AND_CHIP_RESET: whether the last reset of the whole chip was a power-on or the pin RUN."""

    known, name = frozenset({0x8}), "VREG_AND_CHIP_RESET"
    survives = -1

    def note(self, reason: int) -> None:
        """Keep the reason of a reset, if it reaches the whole chip."""
        if not reason or reason & RESET_PIN:
            self.registers[0x8] = 1 << 16 if reason else 1 << 8


class Ssi(Known):
    """XIP_SSI: how the flash is read. Only what boot2 of this package sets is modelled: command 03h, bit by bit."""

    known, name = frozenset({0x0, 0x4, 0x8, 0x10, 0x14, 0x28, 0xF0, 0xF4}), "XIP_SSI"

    def __init__(self, host: Host, base: int, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        super().__init__(host, base)

    def written(self, offset: int, value: int) -> None:
        """Check the settings when they take effect."""
        if offset != 0x8 or not value & 1:
            return
        if any(self.get(place) != wanted for place, wanted in _READ_03H.items()):
            self.host.limit("boot2 lets the flash be read by something else than command 03h: not modelled")
        divider = self.get(0x14)
        if divider < 2 or divider % 2 or self._clock_hz / divider > _MOST_HZ:
            self.host.misuse(f"boot2 divides the flash's clock by {divider}: command 03h is good for 50 MHz at most")


class Sio(Known):
    """SIO: the levels of the pins, and which core this is."""

    known, name = frozenset({0x0, 0x4, *range(0x10, 0x30, 4)}), "SIO"

    def __init__(self, host: Host, base: int, changed: Callable[[], None]) -> None:
        self.changed = changed
        super().__init__(host, base)

    def reset(self) -> None:
        """Drive nothing."""
        super().reset()
        self.changed()

    def write(self, offset: int, value: int) -> None:
        """Write GPIO_OUT or GPIO_OE, or set, clear or invert bits of it."""
        self._check(offset)
        place, how = offset & -16, offset >> 2 & 3
        if place in (0x10, 0x20):
            old = self.get(place)
            self.registers[place] = (value, old | value, old & ~value, old ^ value)[how]
            self.changed()


class Io(Known):
    """IO_BANK0: which block has each pin."""

    known, name = frozenset(range(4, 0xF0, 8)), "IO_BANK0"

    def function(self, pin: int) -> int:
        """Return what a pin is connected to."""
        return self.registers.get(8 * pin + 4, 0x1F) & 0x1F


class Pads(Known):
    """PADS_BANK0: pulls and drive of the pins."""

    known, name = frozenset(range(4, 0x7C, 4)), "PADS_BANK0"

    def reset(self) -> None:
        """Pull down, input enabled, as after a reset."""
        self.registers = dict.fromkeys(self.known, 0x56)


class Pins:
    """The pins as somebody outside sees them."""

    def __init__(self, host: Host) -> None:
        self.on_output: Callable[[int], None] | None = None
        self.io = Io(host, _IO)
        self.sio = Sio(host, _SIO, lambda: None)
        self.sio.changed = self._changed

    def _changed(self) -> None:
        if self.on_output is not None:
            connected = sum(1 << pin for pin in range(30) if self.io.function(pin) == _SIO_FUNCTION)
            self.on_output(self.sio.get(0x10) & self.sio.get(0x20) & connected)


class Rp2040Bus(Bus):
    """The peripherals of an RP2040 that firmware of this package uses. Three aliases of each change single bits."""

    block = 0x4000
    nothing = "where no peripheral is modelled"

    def __init__(self, host: Host, made: Made, memory: Memory, line: Line) -> None:
        """Build the peripherals."""
        wiring = made.wiring
        self._host = host
        self.flash = RomDoor(host, memory, made.data.flash.start)
        self.gpio = gpio = Pins(host)
        self._resets = Resets(host, _RESETS, self._held)
        oscillator = Oscillator(host, _XOSC)
        pll = Pll(host, _PLL, oscillator)
        clocks = Clocks(host, _CLOCKS, pll, oscillator, wiring.clock_hz)
        self._watchdog = watchdog = Watchdog(host, _WATCHDOG)
        self._chip_reset = ChipReset(host, _CHIP_RESET)
        timer = Timer(host, _TIMER, lambda: watchdog.ticks(crystal=clocks.reference_is_crystal))
        dma = Dma(host, _DMA, _UART0)

        def wrong() -> str | None:
            if not clocks.peripherals_run:
                return "the firmware enables UART0 without clk_peri from clk_sys"
            for pin in wiring.serial:
                if gpio.io.function(pin) != _UART_FUNCTION:
                    return f"the firmware enables UART0, but GP{pin} isn't set to it; this board's serial line is there"
            return None

        self.serial = uart = Uart(host, _UART0, memory, line, dma, wiring.clock_hz, wrong)
        devices = [self._resets, oscillator, pll, clocks, watchdog, self._chip_reset, timer, dma, uart, self.flash]
        more = [Rosc(host, _ROSC, made.seed), Ssi(host, _SSI, wiring.clock_hz), gpio.sio, gpio.io, Pads(host, _PADS)]
        super().__init__([*devices, *more])

    def spans(self) -> list[tuple[int, int]]:
        """Return address and length of each peripheral with its aliases; SIO has none."""
        return [(base, 0x1000 if base == _SIO else self.block) for base in sorted(self.pages)]

    def note_reset(self, reason: int) -> None:
        """Keep what CHIP_RESET and the watchdog's REASON tell."""
        self._chip_reset.note(reason)
        self._watchdog.registers[0x8] = int(bool(reason & RESET_WATCHDOG))

    def _held(self, bits: int) -> None:
        for base, (bit, _) in _HELD.items():
            if bits >> bit & 1:
                self.pages[base].reset()

    def _find(self, address: int, *, debugger: bool) -> Device | None:
        device = self.pages.get(address & -self.block)
        bit, name = _HELD.get(address & -self.block, (None, ""))
        if not debugger and bit is not None and self._resets.get(0) >> bit & 1:
            self._host.misuse(f"the firmware uses {name} while RESETS holds it: it is dead then")
        return device

    def read(self, address: int, size: int, *, debugger: bool = False) -> int | None:
        """Read a peripheral register, or None where there is none."""
        self._find(address, debugger=debugger)
        return super().read(address & ~0x3000, size, debugger=debugger)

    def write(self, address: int, value: int) -> bool:
        """Write a peripheral register, or at an alias invert, set or clear bits; False where there is none."""
        device, how = self._find(address, debugger=False), address >> 12 & 3
        if device is not None and how:
            old = device.read(address & 0xFFC)
            value = (value, old ^ value, old | value, old & ~value)[how]
        return super().write(address & ~0x3000, value)
