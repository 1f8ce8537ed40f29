"""What peripherals of any chip share: registers at an address, and what they may ask of the chip around them."""

from __future__ import annotations

from typing import Protocol

#: Why a chip was reset, each a bit; the nRF52's RESETREAS has them like this.
RESET_PIN, RESET_WATCHDOG, RESET_SOFT, RESET_LOCKUP = 1, 2, 4, 8


class Host(Protocol):
    """What peripherals and the core's registers may ask of the chip around them.

    Attributes:
        event_time: while an event is passed on, the time at which it happened; then `ticks` returns it.
    """

    event_time: float | None

    def ticks(self) -> float:
        """Return the time since power-on in ticks of 16 MHz."""

    def cycles(self) -> float:
        """Return the same in cycles of the core's clock."""

    def cycles_per_tick(self) -> float:
        """Return how many cycles of the core's clock a tick of 16 MHz has."""

    def asleep_ticks(self) -> float:
        """Return how much of `ticks` the CPU has slept."""

    def attention(self) -> None:
        """Look at interrupts, deadlines and requests before the next block."""

    def set_interrupt_line(self, irq: int, *, high: bool) -> None:
        """Drive one interrupt line of the NVIC."""

    def event_raised(self, address: int) -> None:
        """Pass an event on to the tasks that PPI connects to it."""

    def code_changed(self, begin: int, end: int) -> None:
        """Forget translations of [begin, end), whose content has changed."""

    def traps_changed(self) -> None:
        """Act on what CPACR and CCR say is refused."""

    def cached(self, address: int, size: int) -> bool:
        """Tell whether a data cache may hold other bytes than memory there."""

    def request_reset(self, reason: int) -> None:
        """Reset before the next block; `reason` is a bit of RESETREAS."""

    def limit(self, text: str) -> None:
        """Stop the board before the next block: the firmware does something that isn't modelled."""

    def misuse(self, text: str) -> None:
        """Stop the board before the next block: the firmware does what fails on the chip, at times without a sign."""

    def bus_fault(self, text: str) -> None:
        """Raise an imprecise bus fault before the next block."""


class Timed(Protocol):
    """What does something by itself, as time goes by."""

    def deadline(self) -> float | None:
        """Return when it next does, in ticks of 16 MHz; None if never."""

    def advance(self) -> None:
        """Do what is due by now."""


class Device:
    """A block of registers. Offsets are from its base; as it is, each register keeps what was written.

    Attributes:
        survives: reasons of a reset (bits) that leave it as it is.
    """

    survives = 0

    def __init__(self, host: Host, base: int) -> None:
        self.host = host
        self.base = base
        self.registers: dict[int, int] = {}
        self.reset()

    def reset(self) -> None:
        """Return to the state after reset."""
        self.registers = {}

    def get(self, offset: int) -> int:
        """Return what a plain register holds."""
        return self.registers.get(offset, 0)

    def read(self, offset: int) -> int:
        """Return a register, as the CPU or the debugger reads it."""
        return self.get(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        self.registers[offset] = value
        self.written(offset, value)

    def written(self, offset: int, value: int) -> None:
        """Learn what a register was set to."""

    def polled(self, offset: int) -> None:
        """Learn that the CPU has read here over and over."""

    def deadline(self) -> float | None:
        """Return when it next does something by itself, in ticks of 16 MHz; None if never."""
        return None

    def advance(self) -> None:
        """Do what is due by now."""
