"""What all nRF peripherals share: tasks, events, shorts and interrupts at the same offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.chips.device import Device
from harness.boards.virtual.chips.registers import register_name

if TYPE_CHECKING:
    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.nrf52840 import Page

SHORTS, INTEN, ENABLE = 0x200, 0x300, 0x500


class Peripheral(Device):
    """Registers of one page of peripherals. Offsets are those of the product specification.

    Where there is no register, reads are 0 and writes are ignored, as on the chip. A task that isn't modelled stops
    the board when it is triggered.

    Attributes:
        tasks: offsets of the tasks that `task` does.
        events: offsets of the events that can come.
        switches: offsets of registers of bits that the register behind it sets, and the one behind that clears.
        flags: offsets of registers of which a written 1 clears its bit.
        retained: offsets of registers that a reset leaves alone.
        routed: offsets of the events that PPI connects to something.
    """

    tasks: tuple[int, ...] = ()
    events: tuple[int, ...] = ()
    switches: tuple[int, ...] = (INTEN,)
    flags: tuple[int, ...] = ()
    retained: tuple[int, ...] = ()

    def __init__(self, host: Host, page: Page) -> None:
        self.page = page
        self.routed: frozenset[int] = frozenset()
        self.registers = {}
        self._switch_of = {switch + 4 * way: (switch, way) for switch in self.switches for way in range(3)}
        super().__init__(host, page.base)

    def reset(self) -> None:
        """Return to the state after reset."""
        self.event = dict.fromkeys(self.events, 0)
        self.registers = {offset: self.get(offset) for offset in self.retained}
        self._drive()

    @property
    def inten(self) -> int:
        """The events whose interrupts are enabled, as bits."""
        return self.registers.get(INTEN, 0)

    def read(self, offset: int) -> int:
        """Return a register, as the CPU or the debugger reads it."""
        if offset in self.event:
            return self.event[offset]
        if offset in self._switch_of:
            return self.get(self._switch_of[offset][0])
        return self.get(offset)

    def get(self, offset: int) -> int:
        """Return what a plain register holds."""
        value = self.registers.get(offset)
        return self.page.layout.resets.get(offset, 0) if value is None else value

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        if offset < 0x100:
            if value & 1:
                self._trigger(offset)
        elif offset in self.event:
            self.event[offset] = value & 1
            self.event_written(offset)
            self._drive()
        elif offset in self.page.layout.writable:
            self._check_start(offset, value)
            if offset in self._switch_of:
                offset, way = self._switch_of[offset]
                now = self.get(offset)
                value = (value, now | value, now & ~value)[way]
            elif offset in self.flags:
                value = self.get(offset) & ~value
            self.registers[offset] = value
            self.written(offset, value)
            if offset == INTEN:
                self._drive()
                self.host.attention()

    def _trigger(self, offset: int) -> None:
        if offset in self.tasks:
            self.task(offset)
        elif offset in self.page.layout.tasks:
            self.host.limit(f"the firmware starts {self.name(offset)}, which isn't modelled")

    def _check_start(self, offset: int, value: int) -> None:
        bits = self.page.layout.starters.get(offset)
        if bits is not None and (not bits or value & bits):
            self.host.limit(f"the firmware writes {value:#x} to {self.name(offset)}; what that starts isn't modelled")

    def polled(self, offset: int) -> None:
        """Learn that the CPU has read here over and over; stop it if it waits for what never comes."""
        if offset in self.page.layout.events and offset not in self.event:
            self.host.limit(f"the firmware waits for {self.name(offset)}, which isn't modelled")

    def name(self, offset: int) -> str:
        """Return a register's name, for messages."""
        return register_name(self.page.base, self.page.names, offset, self.get(ENABLE))

    def task(self, offset: int) -> None:
        """Do what writing 1 to a task register starts."""

    def event_written(self, offset: int) -> None:
        """Learn that firmware wrote an event register."""

    def written(self, offset: int, value: int) -> None:
        """Learn what a register was set to; of `switches`, the first of the three."""

    def short(self, bit: int) -> bool:
        """Tell whether a shortcut is enabled."""
        return bool(self.registers.get(SHORTS, 0) >> bit & 1)

    def raise_events(self, *offsets: int) -> None:
        """Set events and, where they are enabled, the interrupt line; trigger what PPI connects to them."""
        for offset in offsets:
            self.event[offset] = 1
        self._drive()
        for offset in self.routed.intersection(offsets):
            self.host.event_raised(self.page.base + offset)

    def _drive(self) -> None:
        if self.page.irq is not None:
            inten = self.inten
            high = any(flag and inten >> (offset - 0x100) // 4 & 1 for offset, flag in self.event.items())
            self.host.set_interrupt_line(self.page.irq, high=high)


class Registers(Peripheral):
    """A peripheral that can be set up, but does nothing: what starts it, or waits for it, is reported."""

    def polled(self, offset: int) -> None:
        """Stop firmware that waits for any of these registers to change."""
        self.host.limit(f"the firmware waits for {self.name(offset)}, which isn't modelled")
