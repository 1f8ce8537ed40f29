"""What all nRF peripherals share: tasks, events, shorts and interrupts at the same offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTS, INTEN, INTENSET, INTENCLR = 0x200, 0x300, 0x304, 0x308


class Host(Protocol):
    """What a peripheral may ask of the chip around it."""

    def set_interrupt_line(self, irq: int, *, high: bool) -> None:
        """Drive one interrupt line of the NVIC."""

    def ticks(self) -> float:
        """Return the time since power-on in ticks of 16 MHz."""

    def deadlines_changed(self) -> None:
        """Say that `Peripheral.deadline` may have moved."""

    def limit(self, text: str) -> None:
        """Stop the board: the firmware does something that isn't modelled."""

    def bus_fault(self, text: str) -> None:
        """Raise an imprecise bus fault in the CPU."""


class Peripheral:
    """Registers of one peripheral. Offsets are those of the product specification."""

    irq: int | None = None
    events: tuple[int, ...] = ()  # offsets of the modelled events

    def __init__(self, host: Host) -> None:
        """Bring the peripheral into its reset state."""
        self.host = host
        self.reset()

    def reset(self) -> None:
        """Return to the state after reset."""
        self.event = dict.fromkeys(self.events, 0)
        self.inten = 0
        self.registers: dict[int, int] = {}
        self._drive()

    def read(self, offset: int) -> int:
        """Return a register, as the CPU or the debugger reads it."""
        if offset in self.event:
            return self.event[offset]
        if offset in (INTEN, INTENSET, INTENCLR):
            return self.inten
        return self.registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        if offset < 0x100:
            if value & 1:
                self.task(offset)
        elif offset in self.event:
            self.event[offset] = value & 1
            self.event_written(offset)
            self._drive()
        elif offset in (INTEN, INTENSET, INTENCLR):
            self.inten = {INTEN: value, INTENSET: self.inten | value, INTENCLR: self.inten & ~value}[offset]
            self._drive()
            self.host.deadlines_changed()
        else:
            self.registers[offset] = value
            self.written(offset, value)

    def task(self, offset: int) -> None:
        """Do what writing 1 to a task register starts."""

    def event_written(self, offset: int) -> None:
        """Learn that firmware wrote an event register."""

    def written(self, offset: int, value: int) -> None:
        """Learn that a plain register was written."""

    def deadline(self) -> float | None:
        """Return when the peripheral next does something by itself, in ticks of 16 MHz; None if never."""
        return None

    def advance(self) -> None:
        """Do what is due by now."""

    def short(self, bit: int) -> bool:
        """Tell whether a shortcut is enabled."""
        return bool(self.registers.get(SHORTS, 0) >> bit & 1)

    def raise_events(self, offsets: Iterable[int]) -> None:
        """Set events and, where they are enabled, the interrupt line."""
        for offset in offsets:
            self.event[offset] = 1
        self._drive()

    def _drive(self) -> None:
        if self.irq is not None:
            high = any(flag and self.inten >> (offset - 0x100) // 4 & 1 for offset, flag in self.event.items())
            self.host.set_interrupt_line(self.irq, high=high)
