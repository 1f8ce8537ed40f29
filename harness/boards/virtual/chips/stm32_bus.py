"""What the buses of STM32 have alike: clocks, causes of resets, pins, timer, random numbers.

Registers are those of the reference manuals RM0351, RM0432 and RM0433. What isn't modelled answers nothing: an access
stops the CPU.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, ClassVar

from harness.boards.virtual.chips.bus import Bus
from harness.boards.virtual.chips.device import RESET_PIN, Device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.stm32l4_usart import SerialPort

PORTS = "ABCDEFGHIJK"
_MODER, _ODR, _IDR, _BSRR, _BRR, _AFRL = 0x00, 0x14, 0x10, 0x18, 0x28, 0x20
_OUTPUT, _ALTERNATE = 1, 2
_CR = 0x00


class ResetAndClocks(Device):
    """RCC: clocks, which are ready at once, and why the chip was reset, which a reset doesn't forget.

    Attributes:
        ready_after: bits of CR: that switches a clock on, that tells that it runs.
        switch: the register with what clocks the core, and how many bits that has; the next ones tell that it does.
        causes: the register with the causes of resets.
        flags: its bits for the reasons of a reset that are told apart.
        flags_of_power: its bits after power-on, beside the pin's.
        clear_flags: the bit that clears them.
    """

    ready_after: ClassVar[tuple[tuple[int, int], ...]]
    switch: ClassVar[tuple[int, int]]
    causes: ClassVar[int]
    flags: ClassVar[dict[int, int]]
    flags_of_power: ClassVar[int]
    clear_flags: ClassVar[int]

    def __init__(self, host: Host, base: int, clock_hz: int) -> None:
        """Connect; `clock_hz` is what the board's kind says of the core."""
        self.clock_hz = clock_hz
        self._flags = 0
        super().__init__(host, base)

    def note_reset(self, reason: int) -> None:
        """Set the flags of a reset: the pin's with each, as the chip drives the pin; power-on's for no reason."""
        self._flags |= self.flags[RESET_PIN] | (0 if reason else self.flags_of_power)
        self._flags |= sum(flag for bit, flag in self.flags.items() if reason & bit)

    def forget_resets(self) -> None:
        """Clear the flags."""
        self._flags = 0

    def read(self, offset: int) -> int:
        """Return a register; a clock that is on is ready."""
        value = super().read(offset)
        register, bits = self.switch
        if offset == _CR:
            for on, ready in self.ready_after:
                value = value & ~(1 << ready) | (value >> on & 1) << ready
        elif offset == register:
            chosen = (1 << bits) - 1
            value = value & ~(chosen << bits) | (value & chosen) << bits
        elif offset == self.causes:
            value |= self._flags
        return value

    def written(self, offset: int, value: int) -> None:
        """Forget why the chip was reset, if that was asked for."""
        if offset == self.causes:
            self.registers[offset] = value & 3  # LSION, which some have there, too
            self._flags = 0 if value & self.clear_flags else self._flags

    def polled(self, offset: int) -> None:
        """Stop firmware that waits for a clock that never tells that it runs."""
        self.host.limit(f"the firmware waits for what RCC + {offset:#04x} tells, which isn't modelled")

    def runs(self, register: int, bit: int) -> bool:
        """Tell whether the block or memory that this bit of a register gives its clock has it."""
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

    def __init__(self, host: Host, bases: Iterable[int]) -> None:
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
                name = f"P{PORTS[pin // 16]}{number}"
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

    def __init__(self, host: Host, base: int, seed: str, clocked: Callable[[], bool]) -> None:
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


class Stm32Bus(Bus):
    """The peripherals of an STM32 that firmware of this package uses.

    Attributes:
        port: the serial port that is modelled.
        blocks: name, register and bit of RCC of each block that needs a clock, by its address.
        clocks: RCC.
    """

    port: ClassVar[SerialPort]
    blocks: ClassVar[dict[int, tuple[str, int, int]]]
    block = 0x400
    nothing = "where no peripheral is modelled"

    def __init__(self, host: Host, clocks: ResetAndClocks, peripherals: Iterable[Device]) -> None:
        """Let RCC and the other peripherals answer at their addresses."""
        self._host, self.clocks = host, clocks
        super().__init__([clocks, *peripherals])

    def note_reset(self, reason: int) -> None:
        """Set the flags of RCC."""
        self.clocks.note_reset(reason)

    def forget_resets(self) -> None:
        """Clear the flags of RCC."""
        self.clocks.forget_resets()

    def _check_clock(self, address: int) -> None:
        base = address & -self.block
        name, *enable = (self.port.name, *self.port.clock) if base == self.port.base else self.blocks.get(base, ("",))
        if enable and not self.clocks.runs(*enable):
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
