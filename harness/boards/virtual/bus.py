"""The bus: which peripheral answers at which address, for the CPU and for the debugger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.nvmc import Nvmc
from harness.boards.virtual.peripherals import ClockPower, Gpio, RandomNumbers, Registers, Watchdog
from harness.boards.virtual.timers import Rtc, Timer
from harness.boards.virtual.uarte import Pins, Uarte

if TYPE_CHECKING:
    from harness.boards.virtual.cpu import Cpu
    from harness.boards.virtual.debug import DebugRegisters
    from harness.boards.virtual.line import Line
    from harness.boards.virtual.memory import Memory
    from harness.boards.virtual.nvmc import CodeWatcher
    from harness.boards.virtual.peripheral import Host, Peripheral
    from harness.boards.virtual.scs import SystemControl

PAGE = 0x1000
PPB, PPB_BYTES = 0xE0000000, 0x100000
_SCS = 0xE000E000


class Bus:
    """Peripherals and the private bus of the core."""

    def __init__(
        self,
        host: Host,
        watcher: CodeWatcher,
        memory: Memory,
        line: Line,
        pins: Pins,
        seed: str,
    ) -> None:
        """Build the peripherals of the nRF52840 that are modelled."""
        self.clock_power = ClockPower(host)
        self.uarte = Uarte(host, memory, watcher, line, pins)
        self.nvmc = Nvmc(host, memory, watcher)
        self.gpio = Gpio(host)
        self.pages: dict[int, Peripheral] = {
            0x40000000: self.clock_power,
            0x40002000: self.uarte,
            0x40008000: Timer(host, 8, 4),
            0x40009000: Timer(host, 9, 4),
            0x4000A000: Timer(host, 10, 4),
            0x4000B000: Rtc(host, 11, 3),
            0x4000D000: RandomNumbers(host, seed),
            0x40010000: Watchdog(host),
            0x40011000: Rtc(host, 17, 4),
            0x4001A000: Timer(host, 26, 6),
            0x4001B000: Timer(host, 27, 6),
            0x4001E000: self.nvmc,
            0x40024000: Rtc(host, 36, 4),
            0x50000000: self.gpio,
            0x40006000: Registers(host),  # GPIOTE
        }

    def reset(self) -> None:
        """Reset every peripheral."""
        for peripheral in self.pages.values():
            peripheral.reset()

    def read(self, address: int, size: int) -> int | None:
        """Read a peripheral register, or None where there is none."""
        peripheral = self.pages.get(address & -PAGE)
        if peripheral is None:
            return None
        return peripheral.read(address % PAGE & ~3) >> 8 * (address & 3) & (1 << 8 * size) - 1

    def write(self, address: int, value: int) -> bool:
        """Write a peripheral register; False where there is none. Narrow writes act as words, as on the APB."""
        peripheral = self.pages.get(address & -PAGE)
        if peripheral is None:
            return False
        peripheral.write(address % PAGE & ~3, value)
        return True


class PrivateBus:
    """What the core has for itself at 0xE0000000."""

    def __init__(self, scs: SystemControl, debug: DebugRegisters, cpu: Cpu) -> None:
        """Join system control and debug registers."""
        self._scs = scs
        self._debug = debug
        self._cpu = cpu

    def read(self, address: int, size: int, *, debugger: bool) -> int:
        """Read a register; 0 where there is none."""
        word = address & ~3
        value = self._debug.read(word, debugger=debugger)
        if value is None:
            value = self._scs.read(word - _SCS, self._cpu) if _SCS <= word < _SCS + PAGE else 0
        return value >> 8 * (address & 3) & (1 << 8 * size) - 1

    def write(self, address: int, value: int, size: int, *, debugger: bool) -> None:
        """Write a register. Only priorities can be written in bytes."""
        if not self._debug.write(address, value, debugger=debugger) and _SCS <= address < _SCS + PAGE:
            self._scs.write(address - _SCS, value, size)
