"""NVIC and exception priorities: what is pending, what may interrupt what (Armv7-M manual, B1.5 and B3.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.core.cpu import Cpu

NMI, HARD_FAULT, MEM_MANAGE, BUS_FAULT, USAGE_FAULT, SVCALL, PENDSV, SYSTICK = 2, 3, 4, 5, 6, 11, 14, 15
NAMES = {2: "NMI", 3: "HardFault", 4: "MemManage", 5: "BusFault", 6: "UsageFault", 11: "SVCall", 14: "PendSV"}
NAMES[SYSTICK] = "SysTick"
FIRST_IRQ = 16
LOWEST = 256  # the priority of no exception at all


class Nvic:
    """Pending, enabled and active exceptions, and their priorities."""

    def __init__(self, lines: int, priority_bits: int) -> None:
        """Build an NVIC of so many interrupt lines, with priorities of so many bits."""
        self.lines = lines
        self._priority_mask = 0xFF & ~((1 << 8 - priority_bits) - 1)
        self.on_enabled: Callable[[int], None] = lambda _lines: None  # called with the interrupts that are enabled
        self.reset()

    def reset(self) -> None:
        """Disable and forget everything."""
        self.enabled = 0
        self.pending = 0  # by IRQ number
        self.system_pending = 0  # by exception number: NMI, PendSV, SysTick
        self.active: list[int] = []  # the newest last
        self.priorities = bytearray(FIRST_IRQ + self.lines)
        self.group_mask = 0xFF
        self._level = 0

    def set_line(self, irq: int, *, high: bool) -> bool:
        """Drive an interrupt line; True if that made an interrupt pending."""
        bit = 1 << irq
        if not high:
            self._level &= ~bit
            return False
        self._level |= bit
        if self.pending & bit:
            return False
        self.pending |= bit
        return True

    def clear_pending(self, mask: int) -> None:
        """Clear pending interrupts; those whose line is still high are pending again at once."""
        self.pending = self.pending & ~mask | self._level & mask

    def set_priority(self, exception: int, value: int) -> None:
        """Set a configurable priority."""
        self.priorities[exception] = value & self._priority_mask

    def priority(self, exception: int) -> int:
        """Return an exception's group priority; lower is more urgent."""
        if exception in (NMI, HARD_FAULT):
            return {NMI: -2, HARD_FAULT: -1}[exception]
        return self.priorities[exception] & self.group_mask

    def running_priority(self, cpu: Cpu) -> int:
        """Return the priority at which the CPU runs now, masks included."""
        running = min((self.priority(exception) for exception in self.active), default=LOWEST)
        if basepri := cpu.read("basepri"):
            running = min(running, basepri & self.group_mask)
        if cpu.read("primask") & 1:
            running = min(running, 0)
        if cpu.read("faultmask") & 1:
            running = min(running, -1)
        return running

    def candidates(self) -> int:
        """Return pending exceptions that are enabled, as bits by exception number."""
        return (self.pending & self.enabled) << FIRST_IRQ | self.system_pending

    def next_exception(self, cpu: Cpu) -> int | None:
        """Return the pending exception that must be taken now, or None."""
        waiting = self.candidates()
        if not waiting:
            return None
        numbers = [n for n in range(waiting.bit_length()) if waiting >> n & 1]
        best = min(numbers, key=lambda n: (self.priority(n), self._full_priority(n), n))
        return best if self.priority(best) < self.running_priority(cpu) else None

    def _full_priority(self, exception: int) -> int:
        return -1 if exception < MEM_MANAGE else self.priorities[exception]

    def take(self, exception: int) -> None:
        """Make a pending exception active."""
        if exception >= FIRST_IRQ:
            self.pending &= ~(1 << exception - FIRST_IRQ)
        self.system_pending &= ~(1 << exception)
        self.active.append(exception)

    def leave(self, exception: int) -> None:
        """End an active exception; its interrupt is pending again if its line is still high."""
        if exception in self.active:
            self.active.remove(exception)
        if exception >= FIRST_IRQ:
            self.pending |= self._level & 1 << exception - FIRST_IRQ

    def read(self, offset: int) -> int:
        """Return a register at 0xE000E100 + offset."""
        word = 32 * (offset % 0x80 // 4)
        if offset < 0x100:
            return self.enabled >> word & 0xFFFFFFFF
        if offset < 0x200:
            return self.pending >> word & 0xFFFFFFFF
        if offset < 0x280:
            active = sum(1 << n - FIRST_IRQ for n in set(self.active) if n >= FIRST_IRQ)
            return active >> word & 0xFFFFFFFF
        first = FIRST_IRQ + offset - 0x300
        return int.from_bytes(self.priorities[first : first + 4].ljust(4, b"\0"), "little")

    def write(self, offset: int, value: int, size: int) -> None:
        """Write a register at 0xE000E100 + offset."""
        mask = value << 32 * (offset % 0x80 // 4) & (1 << self.lines) - 1
        if offset < 0x80:
            self.enabled |= mask
            self.on_enabled(mask)
        elif offset < 0x100:
            self.enabled &= ~mask
        elif offset < 0x180:
            self.pending |= mask
        elif offset < 0x200:
            self.clear_pending(mask)
        elif 0x300 <= offset < 0x300 + self.lines:
            for index, byte in enumerate(value.to_bytes(4, "little")[:size]):
                if offset - 0x300 + index < self.lines:
                    self.set_priority(FIRST_IRQ + offset - 0x300 + index, byte)
