"""What all nRF peripherals share: tasks, events, shorts and interrupts at the same offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from harness.boards.virtual.chips.registers import register_name

if TYPE_CHECKING:
    from harness.boards.virtual.chips.nrf52840 import Page

SHORTS, INTEN, ENABLE = 0x200, 0x300, 0x500
RESET_PIN, RESET_WATCHDOG, RESET_SOFT, RESET_LOCKUP = 1, 2, 4, 8  # bits of RESETREAS


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


class Peripheral:
    """Registers of one page of peripherals. Offsets are those of the product specification.

    Where there is no register, reads are 0 and writes are ignored, as on the chip. A task that isn't modelled stops
    the board when it is triggered.

    Attributes:
        tasks: offsets of the tasks that `task` does.
        events: offsets of the events that can come.
        switches: offsets of registers of bits that the register behind it sets, and the one behind that clears.
        flags: offsets of registers of which a written 1 clears its bit.
        retained: offsets of registers that a reset leaves alone.
        survives: reasons of a reset (bits of RESETREAS) that leave it as it is.
        routed: offsets of the events that PPI connects to something.
    """

    tasks: tuple[int, ...] = ()
    events: tuple[int, ...] = ()
    switches: tuple[int, ...] = (INTEN,)
    flags: tuple[int, ...] = ()
    retained: tuple[int, ...] = ()
    survives = 0

    def __init__(self, host: Host, page: Page) -> None:
        self.host = host
        self.page = page
        self.routed: frozenset[int] = frozenset()
        self.registers: dict[int, int] = {}
        self._switch_of = {switch + 4 * way: (switch, way) for switch in self.switches for way in range(3)}
        self.reset()

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

    def deadline(self) -> float | None:
        """Return when the peripheral next does something by itself, in ticks of 16 MHz; None if never."""
        return None

    def advance(self) -> None:
        """Do what is due by now."""

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
