"""The chip as a whole: its parts, what its peripherals ask of it, and what a debugger does to it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.boards.virtual.chips.bus import Bus
from harness.boards.virtual.chips.memory import CODE_RAM_BASE, RAM_BASE, RAM_BYTES, Memory, data_address
from harness.boards.virtual.chips.nrf52840 import FPU_IRQ, PAGES, WORKAROUNDS
from harness.boards.virtual.chips.peripherals import RESETREAS
from harness.boards.virtual.core.alignment import Traps
from harness.boards.virtual.core.debug_registers import C_HALT, DFSR_VCATCH, VC_CORERESET, DebugRegisters
from harness.boards.virtual.core.engine import Engine
from harness.boards.virtual.core.exceptions import Exceptions
from harness.boards.virtual.core.nvic import Nvic
from harness.boards.virtual.core.scs import (
    CCR,
    CCR_DIV_0_TRP,
    CCR_UNALIGN_TRP,
    PPB,
    PPB_BYTES,
    PrivateBus,
    SystemControl,
)
from harness.boards.virtual.usb.usbd import Usbd
from harness.boards.virtual.usb.workarounds import Workarounds
from harness.errors import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.boards.virtual.chips.uarte import Pins
    from harness.boards.virtual.core.exceptions import Crash
    from harness.boards.virtual.ports.serial_line import Line
    from harness.boards.virtual.ports.serial_port import Wake
    from harness.boards.virtual.usb.host import UsbHost

INSTRUCTIONS_PER_TICK = 4  # of 16 MHz, if each instruction took one cycle of the 64 MHz core clock


class Chip:
    """CPU, memories and peripherals. Every method is safe to call from any thread.

    The board's own time, which only its timers see, advances by one core cycle per instruction and by the
    host's time while the board sleeps.
    """

    def __init__(self, line: Line, wake: Wake, pins: Pins, chip_id: int, seed: str, *, allow_native: bool) -> None:
        self._condition = threading.Condition(threading.RLock())
        self._wake = wake
        self._line = line
        self.memory = Memory(chip_id)
        self.halted = self.sleeping = self.locked_up = False
        self.in_reset = False
        self.crash: Crash | None = None
        self.failure: BaseException | None = None
        self.on_sleep: Callable[[float | None], None] | None = None  # host time when sleep began; None: awake again
        self._stop_wanted: tuple[str, str] | None = None  # kind and text of the crash
        self._bus_fault_text: str | None = None
        self._step_wanted = self.hung = self._busy = self._closing = False
        self._skip_trap: int | None = None
        self._reset_wanted = 0  # why, as bits of RESETREAS
        self.event_time: float | None = None
        self.boots = 0
        self._alarms: list[tuple[int, Callable[[], None]]] = []
        self._pausing = 0
        self._thread: threading.Thread | None = None
        self._slept_ticks = 0.0
        self.nvic = Nvic()
        self.nvic.on_enabled = self._interrupts_enabled
        self.bus = Bus(self, self.memory, line, pins, seed)
        workarounds = Workarounds(self, WORKAROUNDS)
        self.usbd = Usbd(self, PAGES[0x40027000], self.memory, self.bus.clock_power, workarounds)
        self.usb_host: UsbHost | None = None
        self.bus.add(workarounds)
        self.bus.add(self.usbd)
        self.scs = SystemControl(self, self.nvic)
        self.debug = DebugRegisters(self)
        self.private = PrivateBus(self.scs, self.debug)
        self.engine = Engine(self.memory, self.bus, self.private, allow_native=allow_native)
        self.cpu = self.engine.cpu
        self.engine.on_unmask = self._on_unmask
        self.exceptions = Exceptions(self.cpu, self.memory, self.scs)
        self._reset(0)

    # ------------------------------------------------------------------ what peripherals ask for

    def set_interrupt_line(self, irq: int, *, high: bool) -> None:
        """Drive one interrupt line of the NVIC."""
        if self.nvic.set_line(irq, high=high):
            self.attention()

    def _interrupts_enabled(self, lines: int) -> None:
        if lines >> FPU_IRQ & 1:
            self.limit("the firmware enables the interrupt of FP exceptions (FPU), which isn't modelled")

    def ticks(self) -> float:
        """Return the time since power-on in ticks of 16 MHz."""
        if self.event_time is not None:
            return self.event_time
        return self.engine.counter.total / INSTRUCTIONS_PER_TICK + self._slept_ticks

    def asleep_ticks(self) -> float:
        """Return how much of `ticks` the CPU has slept."""
        return self._slept_ticks

    def cycles(self) -> float:
        """Return the time since power-on in cycles of 64 MHz."""
        return self.ticks() * INSTRUCTIONS_PER_TICK

    def instructions(self) -> int:
        """Return the instructions issued since power-on."""
        return self.engine.counter.total

    def attention(self) -> None:
        """Look at interrupts, deadlines and requests before the next block."""
        self.engine.counter.stop_soon()

    def traps_changed(self) -> None:
        """Refuse FP instructions, unaligned accesses and division by zero, or not, as CPACR and CCR now say."""
        ccr = self.scs.registers[CCR]
        refused = Traps(unaligned=bool(ccr & CCR_UNALIGN_TRP), zero=bool(ccr & CCR_DIV_0_TRP))
        self.engine.refuse(refused, fp=not self.scs.fpu_enabled)

    def request_reset(self, reason: int) -> None:
        """Reset before the next block; `reason` is a bit of RESETREAS."""
        self._reset_wanted |= reason
        self.attention()

    def event_raised(self, address: int) -> None:
        """Pass an event on to the tasks that PPI connects to it."""
        self.bus.ppi.pass_on(address)

    def limit(self, text: str) -> None:
        """Stop the board before the next block: the firmware does something that isn't modelled."""
        self._stop_wanted = self._stop_wanted or ("emulator limit", text)
        self.attention()

    def misuse(self, text: str) -> None:
        """Stop the board before the next block: the firmware does what fails on the chip, at times without a sign."""
        self._stop_wanted = self._stop_wanted or ("misuse", text)
        self.attention()

    def bus_fault(self, text: str) -> None:
        """Raise an imprecise bus fault before the next block."""
        self._bus_fault_text = self._bus_fault_text or text
        self.attention()

    def code_changed(self, begin: int, end: int) -> None:
        """Forget translations of [begin, end), whose content has changed."""
        spans = [(begin, end)]
        if RAM_BASE <= begin < RAM_BASE + RAM_BYTES:
            spans.append((begin - RAM_BASE + CODE_RAM_BASE, end - RAM_BASE + CODE_RAM_BASE))
        for first, last in spans:
            if self.engine.counter.has_code(first, last):
                self.engine.counter.forget(first, last)
                self.engine.flush_wanted = True
                self.attention()

    def _on_unmask(self) -> None:
        if self.nvic.candidates():
            self.attention()

    # ------------------------------------------------------------------ what an injected fault asks for

    def at_instruction(self, total: int, action: Callable[[], None]) -> None:
        """Do something between two blocks, once `total` instructions were issued since power-on."""
        self._alarms.append((total, action))
        self.attention()

    def _due_alarm(self) -> Callable[[], None] | None:
        for alarm in self._alarms:
            if alarm[0] <= self.engine.counter.total:
                self._alarms.remove(alarm)
                return alarm[1]
        return None

    def lose_power(self, noise: bytes) -> None:
        """Power off and on again, with other RAM contents; for an action of `at_instruction`."""
        self.memory.write_ram(RAM_BASE, noise)
        self.code_changed(RAM_BASE, RAM_BASE + len(noise))
        self.bus.clock_power.registers[RESETREAS] = 0
        self._reset(0)

    # ------------------------------------------------------------------ what the debugger asks for

    @contextmanager
    def paused(self, *, wake: bool = True) -> Iterator[None]:
        """Hold the CPU between two blocks, to change registers or code; `wake` lets a sleeping one look at that.

        Raises:
            EmulatorError: the board has failed or is closed.
        """
        with self._condition:
            self._pausing += 1
            try:
                while self._busy and not self.sleeping:  # while it sleeps, nothing moves without the lock
                    self.engine.counter.stop_soon()
                    self._wake.wake()
                    self._condition.wait(0.1)
                self.check()
                yield
            finally:
                self._pausing -= 1
                if wake and self._busy:
                    self._wake.wake()
                self._condition.notify_all()

    def check(self) -> None:
        """Raise what stopped the emulator, if anything did.

        Raises:
            EmulatorError: the board has failed or is closed.
        """
        if self.failure is not None:
            raise EmulatorError(f"the virtual board failed inside: {self.failure}") from self.failure
        if self._closing:
            raise EmulatorError("the virtual board is closed")

    def halt(self, reason: int) -> None:
        """Halt the core; the caller holds `paused`."""
        self.halted = True
        self.debug.control |= C_HALT
        self.debug.dfsr |= reason

    def resume(self, *, step: bool) -> None:
        """Let the core go on, or take one step; the caller holds `paused`."""
        self._step_wanted = step
        self._skip_trap = self.cpu.read("pc")
        self.halted = False

    def pc_written(self) -> None:
        """Forget a lockup: the debugger has put the core somewhere else."""
        self.locked_up = False
        self.sleeping = False
        self.crash = None
        self._skip_trap = None

    def reset(self, reason: int) -> None:
        """Reset the chip; `reason` is a bit of RESETREAS."""
        with self.paused():
            self._reset(reason)

    def hold_in_reset(self, *, asserted: bool, reason: int) -> None:
        """Drive the reset pin."""
        with self.paused():
            released = self.in_reset and not asserted
            self.in_reset = asserted
            if released:
                self._reset(reason)

    def erase_all(self) -> None:
        """Erase flash, UICR and RAM, as CTRL-AP does."""
        with self.paused():
            self.bus.nvmc.erase_all()
            self.memory.ram[:] = 0
            self.engine.counter.forget(0, 0x20000000 + len(self.memory.ram))
            self.engine.flush_wanted = True

    def wait_while_running(self, seconds: float) -> None:
        """Wait until the core has halted, sleeps or will never run again, so many seconds at most."""
        with self._condition:
            self._condition.wait_for(lambda: not self.running or self.failure is not None or self._closing, seconds)

    @property
    def running(self) -> bool:
        """Whether the CPU executes, or is about to."""
        return not (self.sleeping or self.halted or self.locked_up or self.in_reset)

    def debug_read(self, address: int, size: int) -> int | None:
        """Read memory or a register for the debugger; None where there is neither."""
        data = self.memory.read(address, size)
        if data is not None:
            return int.from_bytes(data, "little")
        with self._condition:
            bus = self.private if PPB <= address < PPB + PPB_BYTES else self.bus
            return bus.read(address, size, debugger=True)

    def debug_write(self, address: int, data: bytes) -> bool:
        """Write memory or a register for the debugger; False where there is neither, or it can't be written now."""
        value = int.from_bytes(data, "little")
        with self.paused(wake=not self.memory.in_ram(data_address(address), len(data))):
            if self.memory.find(address, len(data)) is not None:
                address = data_address(address)
                if not self.memory.write_ram(address, data):
                    return self.bus.nvmc.program(address, data)
                self.code_changed(address, address + len(data))
            elif PPB <= address < PPB + PPB_BYTES:
                self.private.write(address, value, len(data), debugger=True)
                if self.nvic.candidates():  # what wakes the core wakes it at once
                    self.sleeping = False
                if self._reset_wanted:  # a reset through the debugger is done when the write is
                    self._reset(self._reset_wanted)
            else:
                return self.bus.write(address, value)
        return True

    def _reset(self, reason: int) -> None:
        self._reset_wanted, self._step_wanted = 0, False
        self._stop_wanted = self._bus_fault_text = None
        self.halted = self.sleeping = self.locked_up = False
        self.crash = None
        self.hung = False
        self.boots += 1
        self.bus.clock_power.registers[RESETREAS] = self.bus.clock_power.get(RESETREAS) | reason
        self.bus.reset(reason)
        if self.usb_host is not None:
            self.usb_host.pump()  # sees that the device has gone
        self.scs.reset()
        self.traps_changed()
        sp, pc = (self.memory.read_word(address) or 0 for address in (0, 4))
        self.cpu.reset(sp, pc)
        self.engine.reset()
        self.debug.reset_seen = True
        self.debug.control &= ~C_HALT
        self._skip_trap = None
        if self.debug.catches(VC_CORERESET):
            self.halt(DFSR_VCATCH)
