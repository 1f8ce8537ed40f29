"""The chip as a whole: its parts, what its peripherals ask of it, and what a debugger does to it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.boards.virtual.chips.memory import Memory
from harness.boards.virtual.core import scs
from harness.boards.virtual.core.alarms import Alarms
from harness.boards.virtual.core.alignment import Traps
from harness.boards.virtual.core.cores import CORES
from harness.boards.virtual.core.debug_registers import C_HALT, DFSR_VCATCH, VC_CORERESET, DebugRegisters
from harness.boards.virtual.core.engine import Engine
from harness.boards.virtual.core.exceptions import Exceptions
from harness.boards.virtual.core.nvic import Nvic
from harness.boards.virtual.core.scs_m7 import CachedControl
from harness.boards.virtual.families import build_bus, build_usb
from harness.errors import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.boards.virtual.chips.made import Made
    from harness.boards.virtual.core.exceptions import Crash
    from harness.boards.virtual.ports.serial_line import Line
    from harness.boards.virtual.ports.serial_port import Wake
    from harness.boards.virtual.usb.host import UsbHost

TICKS_HZ = 16e6  # what timers are told the time in


class Chip:
    """CPU, memories and peripherals. Every method is safe to call from any thread.

    The board's own time, which only its timers see, advances by one core cycle per instruction and by the
    host's time while the board sleeps.
    """

    def __init__(self, made: Made, line: Line, wake: Wake, *, allow_native: bool) -> None:
        self.data, self.wiring = made.data, made.wiring
        self._per_tick = made.wiring.clock_hz / TICKS_HZ  # instructions, if each took one cycle of the core's clock
        self._condition = threading.Condition(threading.RLock())
        self._wake = wake
        self._line = line
        self.memory = Memory(made.data, made.identity)
        self.halted = self.sleeping = self.locked_up = self.in_reset = False
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
        self._alarms = Alarms()
        self._pausing = 0
        self._thread: threading.Thread | None = None
        self._slept_ticks = 0.0
        self.nvic = Nvic(made.data.interrupts, made.data.priority_bits)
        self.nvic.on_enabled = self._interrupts_enabled
        self.bus = build_bus(self, made, self.memory, line)
        self.usbd = build_usb(self, self.bus, self.memory)
        self.usb_host: UsbHost | None = None
        core = CORES[made.data.cpu]
        control = CachedControl if core.caches else scs.SystemControl
        self.scs = control(self, self.nvic, made.data.cpuid, core)
        self.debug = DebugRegisters(self, made.data, core)
        self.private = scs.PrivateBus(self.scs, self.debug)
        self.engine = Engine(core, self.memory, self.bus, self.private, allow_native=allow_native)
        self.cpu = self.engine.cpu
        self.engine.on_unmask = self._on_unmask
        self.exceptions = Exceptions(self.cpu, self.memory, self.scs, core)
        self._reset(0)

    # ------------------------------------------------------------------ what peripherals ask for

    def set_interrupt_line(self, irq: int, *, high: bool) -> None:
        """Drive one interrupt line of the NVIC."""
        if self.nvic.set_line(irq, high=high):
            self.attention()

    def _interrupts_enabled(self, lines: int) -> None:
        if self.data.fpu_interrupt is not None and lines >> self.data.fpu_interrupt & 1:
            self.limit("the firmware enables the interrupt of FP exceptions (FPU), which isn't modelled")

    def ticks(self) -> float:
        """Return the time since power-on in ticks of 16 MHz."""
        if self.event_time is not None:
            return self.event_time
        return self.engine.counter.total / self._per_tick + self._slept_ticks

    def asleep_ticks(self) -> float:
        """Return how much of `ticks` the CPU has slept."""
        return self._slept_ticks

    def cycles_per_tick(self) -> float:
        """Return how many cycles of the core's clock a tick of 16 MHz has."""
        return self._per_tick

    def cycles(self) -> float:
        """Return the time since power-on in cycles of the core's clock."""
        return self.ticks() * self._per_tick

    def instructions(self) -> int:
        """Return the instructions issued since power-on."""
        return self.engine.counter.total

    def attention(self) -> None:
        """Look at interrupts, deadlines and requests before the next block."""
        self.engine.counter.stop_soon()

    def traps_changed(self) -> None:
        """Refuse FP instructions, unaligned accesses and division by zero, or not, as CPACR and CCR now say."""
        ccr = self.scs.registers[scs.CCR]
        refused = Traps(unaligned=bool(ccr & scs.CCR_UNALIGN_TRP), zero=bool(ccr & scs.CCR_DIV_0_TRP))
        self.engine.refuse(refused, fp=not self.scs.fpu_enabled)

    def cached(self, address: int, size: int) -> bool:
        """Tell whether a data cache may hold other bytes than memory there."""
        return self.scs.cached(address, size)

    def request_reset(self, reason: int) -> None:
        """Reset before the next block; `reason` is a bit of RESETREAS."""
        self._reset_wanted |= reason
        self.attention()

    def event_raised(self, address: int) -> None:
        """Pass an event of a peripheral on to what is connected to it."""
        self.bus.event_raised(address)

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
        for first, last in self.memory.spans(begin, end):
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
        self._alarms.set(total, action)
        self.attention()

    def lose_power(self, noise: Callable[[int], bytes]) -> None:
        """Power off and on again, with other RAM contents, so many bytes; for an action of `at_instruction`."""
        for bank in self.memory.banks:
            self.memory.write_ram(bank.base, noise(len(bank.content)))
            self.code_changed(bank.base, bank.end)
        self.bus.forget_resets()
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
            self.bus.flash.erase_all()
            for bank in self.memory.banks:
                bank.content[:] = 0
            for region in self.memory.code_regions:
                self.engine.counter.forget(region.base, region.end)
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
            bus = self.private if scs.PPB <= address < scs.PPB + scs.PPB_BYTES else self.bus
            return bus.read(address, size, debugger=True)

    def debug_write(self, address: int, data: bytes) -> bool:
        """Write memory or a register for the debugger; False where there is neither, or it can't be written now."""
        value = int.from_bytes(data, "little")
        with self.paused(wake=not self.memory.in_ram(self.memory.data_address(address), len(data))):
            if self.memory.find(address, len(data)) is not None:
                address = self.memory.data_address(address)
                if not self.memory.write_ram(address, data):
                    return self.bus.flash.program(address, data)
                self.code_changed(address, address + len(data))
            elif scs.PPB <= address < scs.PPB + scs.PPB_BYTES:
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
        self.bus.note_reset(reason)
        self.bus.reset(reason)
        if self.usb_host is not None:
            self.usb_host.pump()  # sees that the device has gone
        self.scs.reset()
        self.traps_changed()
        sp, pc = (self.memory.read_word(address) or 0 for address in (self.data.vectors, self.data.vectors + 4))
        self.cpu.reset(sp, pc)
        self.engine.reset()
        self.debug.reset_seen = True
        self.debug.control &= ~C_HALT
        self._skip_trap = None
        if self.debug.catches(VC_CORERESET):
            self.halt(DFSR_VCATCH)
