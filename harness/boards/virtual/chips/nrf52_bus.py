"""The bus of the nRF52: its peripherals, and what else differs from other families."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from harness.boards.virtual.chips.bus import PAGE, Bus
from harness.boards.virtual.chips.device import Device
from harness.boards.virtual.chips.gpio import Gpio, Gpiote
from harness.boards.virtual.chips.nrf52840 import PAGES
from harness.boards.virtual.chips.nvmc import Nvmc
from harness.boards.virtual.chips.peripheral import Registers
from harness.boards.virtual.chips.peripherals import (
    RESETREAS,
    ClockPower,
    CryptoEngine,
    EventGenerator,
    RandomNumbers,
    Temperature,
    Watchdog,
)
from harness.boards.virtual.chips.ppi import Ppi
from harness.boards.virtual.chips.rom_tables import component
from harness.boards.virtual.chips.timers import Rtc, Timer
from harness.boards.virtual.chips.uarte import Pins, Uarte

if TYPE_CHECKING:
    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.ports.serial_line import Line
    from harness.config.chip import ChipData, RomTable

_ROM_TABLE = 0xF0000000
_DEVICEADDR = 0x100000A4
_TIMERS = {0x40008000: 4, 0x40009000: 4, 0x4000A000: 4, 0x4001A000: 6, 0x4001B000: 6}  # with their channels
_RTCS = {0x4000B000: 3, 0x40011000: 4, 0x40024000: 4}


class RomTablePage(Device):
    """The chip's own ROM table, which Nordic's start-up code reads to learn part and revision."""

    def __init__(self, host: Host, table: RomTable) -> None:
        ids = component(table.part, 1, table.designer, table.revision)
        self._words = {
            0x000: 0xF00FF003,  # the core's table at 0xE00FF000
            **{0xFD0 + 4 * index: value for index, value in enumerate(ids)},
        }
        super().__init__(host, _ROM_TABLE)

    def read(self, offset: int) -> int:
        """Return a word of the table."""
        return self._words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Ignore it: the table can only be read."""


class Nrf52Bus(Bus):
    """The peripherals of an nRF52; those that aren't modelled have at least their registers."""

    has_ctrl_ap = True

    def __init__(self, host: Host, chip: ChipData, memory: Memory, line: Line, pins: Pins, seed: str) -> None:
        """Build the peripherals, and write the address that the chip was given in the factory."""
        pages = {base: page for base, page in PAGES.items() if base not in chip.absent}
        super().__init__(Registers(host, page) for page in pages.values())
        self.clock_power = ClockPower(host, PAGES[0x40000000])
        self.serial = self.uarte = Uarte(host, PAGES[0x40002000], memory, line, pins)
        self.flash = self.nvmc = Nvmc(host, PAGES[0x4001E000], memory, chip)
        self.gpio = Gpio(host, PAGES[0x50000000])
        self.ppi = Ppi(host, PAGES[0x4001F000], self.pages, self.write)
        self._watchdog = Watchdog(host, PAGES[0x40010000], self.clock_power)
        modelled: list[Device] = [
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
            RomTablePage(host, chip.rom_table),
        ]
        for peripheral in modelled:
            if peripheral.base not in chip.absent:
                self.add(peripheral)
        identity = memory.read(chip.identity.start, 8) if chip.identity is not None else None
        low, high = struct.unpack("<II", identity or bytes(8))
        memory.put(_DEVICEADDR, struct.pack("<II", high ^ low, low >> 16))

    def reset(self, reason: int) -> None:
        """Reset every peripheral that a reset for this reason (bits of RESETREAS; 0: power-on) reaches."""
        super().reset(reason)
        if self._watchdog.running:
            self.clock_power.force_low_frequency()

    def note_reset(self, reason: int) -> None:
        """Add the reason to RESETREAS."""
        self.clock_power.registers[RESETREAS] = self.clock_power.get(RESETREAS) | reason

    def forget_resets(self) -> None:
        """Clear RESETREAS."""
        self.clock_power.registers[RESETREAS] = 0

    def plug(self, *, in_: bool) -> None:
        """Give or take the power of a USB cable."""
        self.clock_power.plug(in_=in_)

    def event_raised(self, address: int) -> None:
        """Pass an event on to the tasks that PPI connects to it."""
        self.ppi.pass_on(address)
