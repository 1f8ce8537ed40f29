"""The bus of the STM32L4: clocks, pins, timer, random numbers, and what else differs from other families.

Registers are those of the reference manual RM0351. What isn't modelled answers nothing: an access stops the CPU.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, ClassVar

from harness.boards.virtual.chips.bus import Bus
from harness.boards.virtual.chips.device import RESET_PIN, RESET_SOFT, RESET_WATCHDOG, Device
from harness.boards.virtual.chips.stm32l4_flash import ACR, FlashInterface
from harness.boards.virtual.chips.stm32l4_usart import USART1, Dma, Usart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.chips.stm32l4_usart import SerialPort
    from harness.boards.virtual.ports.serial_line import Line
    from harness.config.chip import ChipData

_TIM2, _DMA1, _RCC, _FLASH = 0x40000000, 0x40020000, 0x40021000, 0x40022000
_GPIOS = {0x48000000 + 0x400 * port: port for port in range(8)}
_RNG = 0x50060800
_CR, CFGR, _PLLCFGR, _CCIPR, _CSR = 0x00, 0x08, 0x0C, 0x88, 0x94
_READY_AFTER = ((0, 1), (8, 10), (16, 17), (24, 25))  # bits of CR: that switches a clock on, that tells it runs
_PLL_READY, SW_PLL = 1 << 25, 3
_HSI_HZ = 16_000_000
_RCC_RESETS = {_CR: 0x63, _PLLCFGR: 0x1000, 0x48: 0x100}
_FLAGS = {RESET_PIN: 1 << 26, RESET_SOFT: 1 << 28, RESET_WATCHDOG: 1 << 29}
_PIN_FLAG, _BROWNOUT_FLAG, _CLEAR_FLAGS = 1 << 26, 1 << 27, 1 << 23
_PORTS = "ABCDEFGHIJK"
#: Each block's name, and the bit of RCC that gives it its clock.
BLOCKS = {
    _TIM2: ("TIM2", 0x58, 0),
    _DMA1: ("DMA1", 0x48, 0),
    _RNG: ("the RNG", 0x4C, 18),
    **{base: (f"GPIO{_PORTS[port]}", 0x4C, port) for base, port in _GPIOS.items()},
}
_MODER, _ODR, _IDR, _BSRR, _BRR, _AFRL = 0x00, 0x14, 0x10, 0x18, 0x28, 0x20
_OUTPUT, _ALTERNATE = 1, 2


class Rcc(Device):
    """Clocks, which are ready at once, and why the chip was reset, which a reset doesn't forget.

    Attributes:
        hz_per_wait_state: how much faster the core's clock may be for each wait state of the flash, in voltage range 1.
    """

    hz_per_wait_state = 16_000_000

    def __init__(self, host: Host, clock_hz: int, wait_states: Callable[[], int]) -> None:
        self.clock_hz, self._wait_states = clock_hz, wait_states
        self._flags = 0
        super().__init__(host, _RCC)

    def reset(self) -> None:
        """Run from MSI at 4 MHz."""
        self.registers = dict(_RCC_RESETS)

    def note_reset(self, reason: int) -> None:
        """Set the flags of a reset: the pin's with each, as the chip drives the pin; power-on for no reason."""
        self._flags |= _PIN_FLAG | (0 if reason else _BROWNOUT_FLAG)
        self._flags |= sum(flag for bit, flag in _FLAGS.items() if reason & bit and flag != _PIN_FLAG)

    def forget_resets(self) -> None:
        """Clear the flags."""
        self._flags = 0

    def read(self, offset: int) -> int:
        """Return a register; a clock that is on is ready."""
        value = super().read(offset)
        if offset == _CR:
            for on, ready in _READY_AFTER:
                value = value & ~(1 << ready) | (value >> on & 1) << ready
        elif offset == CFGR:
            value = value & ~0xC | (value & 3) << 2
        elif offset == _CSR:
            value |= self._flags
        return value

    def written(self, offset: int, value: int) -> None:
        """Check that the clock is the one that the board's kind says, and that flash is fast enough for it."""
        if offset == _CSR and value & _CLEAR_FLAGS:
            self._flags = 0
            self.registers[_CSR] = value & 3  # LSION
        if offset == CFGR and value & 3 == SW_PLL:
            self.switched(value >> 4 & 0x3FF)

    def switched(self, dividers: int) -> None:
        """Check the PLL as the core's clock; `dividers` are HPRE, PPRE1 and PPRE2, 0 for none."""
        pll = self.get(_PLLCFGR)
        frequency = _HSI_HZ * (pll >> 8 & 0x7F) // ((pll >> 4 & 0xF) + 1) // (2 * ((pll >> 25 & 3) + 1))
        if pll & 3 != 2 or not pll >> 24 & 1 or not self.read(_CR) & _PLL_READY or dividers:
            self.host.limit("the firmware clocks the core from something else than the PLL behind HSI: not modelled")
        elif frequency != self.clock_hz:
            self.host.limit(
                f"the firmware clocks the core at {frequency} Hz, and this kind of board has {self.clock_hz}"
            )
        else:
            self.check_flash(frequency)

    def check_flash(self, frequency: int) -> None:
        """Check that flash is fast enough for a clock of the core."""
        if self._wait_states() < -(-frequency // self.hz_per_wait_state) - 1:
            self.host.misuse(f"the core's clock is {frequency} Hz with {self._wait_states()} wait states of the flash")

    def polled(self, offset: int) -> None:
        """Stop firmware that waits for a clock that never tells that it runs."""
        self.host.limit(f"the firmware waits for what RCC + {offset:#04x} tells, which isn't modelled")

    def runs(self, register: int, bit: int) -> bool:
        """Tell whether the block that this bit of a register gives its clock has it."""
        return bool(self.get(register) >> bit & 1)


class Port(Device):
    """The pins of one port."""

    def __init__(self, host: Host, base: int, changed: Callable[[], None]) -> None:
        self._changed = changed
        super().__init__(host, base)

    def reset(self) -> None:
        """Make every pin an analogue input; those of the debugger don't matter here."""
        self.registers = {_MODER: 0xFFFFFFFF}
        self._changed()

    def mode(self, pin: int) -> int:
        """Return what MODER says of a pin."""
        return self.get(_MODER) >> 2 * pin & 3

    def function(self, pin: int) -> int:
        """Return the alternate function of a pin."""
        return self.get(_AFRL + 4 * (pin // 8)) >> 4 * (pin % 8) & 0xF

    @property
    def levels(self) -> int:
        """The levels that are driven."""
        return self.get(_ODR) & sum(1 << pin for pin in range(16) if self.mode(pin) == _OUTPUT)

    def read(self, offset: int) -> int:
        """Return a register."""
        return self.levels if offset == _IDR else super().read(offset)

    def written(self, offset: int, value: int) -> None:
        """Set pins."""
        if offset == _BSRR:
            self.registers[_ODR] = (self.get(_ODR) & ~(value >> 16) | value) & 0xFFFF
        elif offset == _BRR:
            self.registers[_ODR] = self.get(_ODR) & ~value
        self._changed()


class Pins:
    """All ports: port x 16 + pin."""

    def __init__(self, host: Host, bases: Iterable[int] = _GPIOS) -> None:
        """Make the ports A and so on, which are at these addresses."""
        self.on_output: Callable[[int], None] | None = None
        self.ports: list[Port] = []
        for base in bases:
            self.ports.append(Port(host, base, self._changed))

    def _changed(self) -> None:
        if self.on_output is not None:
            self.on_output(sum(port.levels << 16 * number for number, port in enumerate(self.ports)))

    def not_connected(self, pins: tuple[int, ...], to: SerialPort) -> str | None:
        """Say which of these pins isn't connected to a serial port; None if all are."""
        for pin in pins:
            port, number = self.ports[pin // 16], pin % 16
            if (port.mode(number), port.function(number)) != (_ALTERNATE, to.function):
                name = f"P{_PORTS[pin // 16]}{number}"
                return f"the firmware enables {to.name}, but {name} isn't set to it; this board's serial line is there"
        return None


class Timer2(Device):
    """TIM2 as a counter that goes on by itself, to 32 bits and round; `divider` cycles of the core are one of its."""

    _CR1, _EGR, _CNT, _PSC, _ARR = 0x00, 0x14, 0x24, 0x28, 0x2C

    def __init__(self, host: Host, base: int, divider: int = 1) -> None:
        self._divider = divider
        super().__init__(host, base)

    def reset(self) -> None:
        """Stop at 0."""
        self.registers = {self._ARR: 0xFFFFFFFF}
        self._prescaler, self._from, self._at = 0, 0.0, 0

    def _count(self) -> int:
        if not self.get(self._CR1) & 1:
            return self._at
        return self._at + int((self.host.cycles() - self._from) / (self._divider * (self._prescaler + 1))) & 0xFFFFFFFF

    def read(self, offset: int) -> int:
        """Return a register."""
        return self._count() if offset == self._CNT else super().read(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register; the count goes on from where it is."""
        self._at, self._from = self._count(), self.host.cycles()
        super().write(offset, value)
        if offset == self._EGR and value & 1:
            self._prescaler, self._at = self.get(self._PSC), 0
        elif offset == self._CNT:
            self._at = value
        elif (offset == self._ARR and value != 0xFFFFFFFF) or (offset == 0x0C and value):
            self.host.limit("the firmware lets TIM2 count to less than 2^32 or interrupt, which isn't modelled")


class RandomNumbers(Device):
    """The RNG, which repeats with seed and boot. It has numbers while it and its clock of 48 MHz run."""

    def __init__(self, host: Host, seed: str, clocked: Callable[[], bool], base: int = _RNG) -> None:
        self._seed, self._boot, self._clocked = seed, 0, clocked
        super().__init__(host, base)

    def reset(self) -> None:
        """Begin the numbers of another boot."""
        super().reset()
        self._boot += 1
        self._random = random.Random(f"{self._seed}/{self._boot}")  # noqa: S311 - must repeat from run to run

    def read(self, offset: int) -> int:
        """Return a register."""
        runs = bool(self.get(0x00) & 4) and self._clocked()
        if offset == 0x04:
            return int(runs)
        return self._random.getrandbits(32) if offset == 0x08 and runs else super().read(offset)


class Stm32l4Bus(Bus):
    """The peripherals of an STM32L4 that firmware of this package uses.

    Attributes:
        port: the serial port that is modelled.
        blocks: name, register and bit of RCC of each block that needs a clock, by its address.
    """

    port: ClassVar[SerialPort] = USART1
    blocks: ClassVar[dict[int, tuple[str, int, int]]] = BLOCKS
    block = 0x400
    nothing = "where no peripheral is modelled"

    def __init__(
        self,
        host: Host,
        chip: ChipData,
        memory: Memory,
        line: Line,
        pins: tuple[int, ...],
        clock_hz: int,
        seed: str,
    ) -> None:
        """Build the peripherals; `pins` are those of the serial line."""
        self._host = host
        self.flash = interface = FlashInterface(host, _FLASH, memory, chip)
        self._rcc = rcc = self._clocks(host, clock_hz, lambda: interface.get(ACR) & 0xF)
        self.gpio = self._pins = Pins(host)
        dma = self._dma(host, _DMA1)
        self.serial = usart = Usart(host, self.port, memory, line, dma, clock_hz, lambda: self._not_connected(pins))
        numbers = RandomNumbers(host, seed, lambda: bool(rcc.get(_CCIPR) >> 26 & 3))
        super().__init__([interface, rcc, *self._pins.ports, dma, usart, Timer2(host, _TIM2), numbers])

    def _clocks(self, host: Host, clock_hz: int, wait_states: Callable[[], int]) -> Rcc:
        return Rcc(host, clock_hz, wait_states)

    def _dma(self, host: Host, base: int) -> Dma:
        return Dma(host, base, self.port)

    def _not_connected(self, pins: tuple[int, ...]) -> str | None:
        return self._pins.not_connected(pins, self.port)

    def note_reset(self, reason: int) -> None:
        """Set the flags of RCC_CSR."""
        self._rcc.note_reset(reason)

    def forget_resets(self) -> None:
        """Clear the flags of RCC_CSR."""
        self._rcc.forget_resets()

    def _check_clock(self, address: int) -> None:
        base = address & -self.block
        name, *enable = (self.port.name, *self.port.clock) if base == self.port.base else self.blocks.get(base, ("",))
        if enable and not self._rcc.runs(*enable):
            self._host.misuse(f"the firmware uses {name} while RCC gives it no clock: it is dead then")

    def read(self, address: int, size: int, *, debugger: bool = False) -> int | None:
        """Read a peripheral register, or None where there is none."""
        if not debugger:
            self._check_clock(address)
        return super().read(address, size, debugger=debugger)

    def write(self, address: int, value: int) -> bool:
        """Write a peripheral register; False where there is none."""
        self._check_clock(address)
        return super().write(address, value)
