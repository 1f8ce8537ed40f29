"""The bus: which peripheral answers at which address, for the CPU and for the debugger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.chips.gpio import Gpio, Gpiote
from harness.boards.virtual.chips.nrf52840 import PAGES, SYSTEM_ROM_TABLE
from harness.boards.virtual.chips.nvmc import Nvmc
from harness.boards.virtual.chips.peripheral import Peripheral, Registers, Timed
from harness.boards.virtual.chips.peripherals import (
    ClockPower,
    CryptoEngine,
    EventGenerator,
    RandomNumbers,
    Temperature,
    Watchdog,
)
from harness.boards.virtual.chips.ppi import Ppi
from harness.boards.virtual.chips.timers import Rtc, Timer
from harness.boards.virtual.chips.uarte import Pins, Uarte

if TYPE_CHECKING:
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.chips.peripheral import Host
    from harness.boards.virtual.ports.serial_line import Line

PAGE = 0x1000
_ROM_TABLE = 0xF0000000
_POLLS = 1000  # reads of one page in a row, after which the CPU must be waiting for something
_TIMERS = {0x40008000: 4, 0x40009000: 4, 0x4000A000: 4, 0x4001A000: 6, 0x4001B000: 6}  # with their channels
_RTCS = {0x4000B000: 3, 0x40011000: 4, 0x40024000: 4}


class Bus:
    """The peripherals of the nRF52840, by their addresses."""

    def __init__(self, host: Host, memory: Memory, line: Line, pins: Pins, seed: str) -> None:
        """Build the peripherals of the nRF52840; those that aren't modelled have at least their registers."""
        self.pages: dict[int, Peripheral] = {base: Registers(host, page) for base, page in PAGES.items()}
        self.clock_power = ClockPower(host, PAGES[0x40000000])
        self.uarte = Uarte(host, PAGES[0x40002000], memory, line, pins)
        self.nvmc = Nvmc(host, PAGES[0x4001E000], memory)
        self.gpio = Gpio(host, PAGES[0x50000000])
        self.ppi = Ppi(host, PAGES[0x4001F000], self.pages, self.write)
        self._watchdog = Watchdog(host, PAGES[0x40010000], self.clock_power)
        modelled: list[Peripheral] = [
            self.clock_power,
            self.uarte,
            self.nvmc,
            self.gpio,
            self.ppi,
            self._watchdog,
            Gpiote(host, PAGES[0x40006000], self.gpio),
            Temperature(host, PAGES[0x4000C000]),
            RandomNumbers(host, PAGES[0x4000D000], seed),
            CryptoEngine(host, PAGES[0x5002B000]),
            *(Timer(host, PAGES[base], channels) for base, channels in _TIMERS.items()),
            *(Rtc(host, PAGES[base], channels, self.clock_power) for base, channels in _RTCS.items()),
            *(EventGenerator(host, PAGES[base]) for base in range(0x40014000, 0x4001A000, PAGE)),
        ]
        self.pages.update({peripheral.page.base: peripheral for peripheral in modelled})
        self.timed: list[Timed] = [each for each in modelled if type(each).deadline is not Peripheral.deadline]
        self._read_page, self._reads = 0, 0

    def add(self, peripheral: Peripheral) -> None:
        """Let another peripheral answer at its page."""
        self.pages[peripheral.page.base] = peripheral
        if type(peripheral).deadline is not Peripheral.deadline:
            self.timed.append(peripheral)

    def spans(self) -> list[tuple[int, int]]:
        """Return address and length of each run of pages that answer."""
        spans: list[tuple[int, int]] = []
        for base in [*sorted(self.pages), _ROM_TABLE]:
            if spans and sum(spans[-1]) == base:
                spans[-1] = (spans[-1][0], spans[-1][1] + PAGE)
            else:
                spans.append((base, PAGE))
        return spans

    def reset(self, reason: int) -> None:
        """Reset every peripheral that a reset for this reason (bits of RESETREAS; 0: power-on) reaches."""
        for peripheral in self.pages.values():
            if not reason or reason & ~peripheral.survives:
                peripheral.reset()
        if self._watchdog.running:
            self.clock_power.force_low_frequency()

    def read(self, address: int, size: int, *, debugger: bool = False) -> int | None:
        """Read a peripheral register, or None where there is none."""
        base, offset = address & -PAGE, address % PAGE & ~3
        if base == _ROM_TABLE:
            word = SYSTEM_ROM_TABLE.get(address & ~3, 0)
        else:
            peripheral = self.pages.get(base)
            if peripheral is None:
                return None
            if base != self._read_page:
                self._read_page, self._reads = base, 0
            elif not debugger:
                self._reads += 1
                if self._reads > _POLLS:
                    peripheral.polled(offset)
            word = peripheral.read(offset)
        return word >> 8 * (address & 3) & (1 << 8 * size) - 1

    def write(self, address: int, value: int) -> bool:
        """Write a peripheral register; False where there is none. Narrow writes act as words, as on the APB."""
        peripheral = self.pages.get(address & -PAGE)
        if peripheral is None:
            return address & -PAGE == _ROM_TABLE
        self._read_page = 0
        peripheral.write(address % PAGE & ~3, value)
        return True
