"""Runs the chip: one thread that executes, sleeps when the CPU does, and obeys the debugger."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.boards.virtual.chip import TICKS_HZ, Chip
from harness.boards.virtual.core import scs
from harness.boards.virtual.core.block_table import NO_LIMIT
from harness.boards.virtual.core.debug_registers import DFSR_BKPT, DFSR_HALTED, DFSR_VCATCH, VC_HARDERR
from harness.boards.virtual.core.engine import Stop
from harness.boards.virtual.core.exceptions import Crash, Fault, LockupError
from harness.boards.virtual.core.fault_kinds import fault_of, refused_at
from harness.boards.virtual.core.nvic import HARD_FAULT
from harness.boards.virtual.core.thumb import condition_holds
from harness.errors import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HALTED_PUMP_S = 0.02  # DMA goes on while the core is halted
_WFE_S = 0.001
_CLOSE_S = 0.05
_ERASED = 0xFFFFFFFF


class Machine(Chip):
    """A chip that runs in a thread of its own."""

    def start(self, name: str) -> None:
        """Power on."""
        self._thread = threading.Thread(target=self._main, name=f"virtual board {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Power off and wait for the thread."""
        self._closing = True
        with suppress(RuntimeError):  # a signal's exception may have come just after this thread had taken the lock
            while True:
                self._condition.release()
        thread = self._thread
        while thread is not None and thread.is_alive():
            self.engine.counter.stop_soon()
            self._wake.wake()
            # Each time anew: where a signal's exception ends the caller's code, one call may have been lost.
            if self._condition.acquire(timeout=_CLOSE_S):
                self._condition.notify_all()
                self._condition.release()
            thread.join(_CLOSE_S)

    def _main(self) -> None:
        with self._condition:
            try:
                while not self._closing:
                    self._turn()
            except BaseException as error:  # noqa: BLE001 - the host learns of it at its next access
                self.failure = error
                self.crash = Crash("emulator limit", f"the emulator failed: {error!r}", self.cpu.read("pc"))
            finally:
                self._busy = False
                self._condition.notify_all()

    def _turn(self) -> None:
        """Do the most urgent thing once. The lock is held here, but not while the CPU runs or sleeps."""
        if self._pausing:
            self._condition.wait()
        elif self._reset_wanted:
            self._reset(self._reset_wanted)
        elif self.halted or self.in_reset:
            self._idle_halted()
        elif self.locked_up:
            self._condition.wait()
        elif self._stop_wanted is not None:
            self._stop(*self._stop_wanted)
        elif self._bus_fault_text is not None:
            text, self._bus_fault_text = self._bus_fault_text, None
            self._fault(Fault("bus fault", text, cfsr=scs.IMPRECISERR))
        elif self.sleeping and not self._wakes():
            self._sleep(None)
        elif (number := self.nvic.next_exception(self.cpu)) is not None:
            self._enter(number)
        elif self._step_wanted:
            self._step()
        else:
            self._run()

    def _disturbed(self) -> bool:
        """Do what an injected fault wants now; True if it wanted something."""
        action = self._alarms.due(self.engine.counter.total)
        if action is not None:
            action()
        elif self.hung:
            self._condition.wait()
        return action is not None or self.hung

    def _idle_halted(self) -> None:
        active = self.bus.serial.enabled and not self.in_reset
        self._condition.wait(_HALTED_PUMP_S if active else None)
        if active:
            self.bus.serial.pump()

    def _advance(self) -> None:
        for peripheral in self.bus.timed:
            peripheral.advance()
        self.scs.advance()

    def _deadline(self) -> float | None:
        """Return when a timer next wants attention, in ticks of 16 MHz."""
        due = [*(peripheral.deadline() for peripheral in self.bus.timed), self.scs.deadline()]
        return min((at for at in due if at is not None), default=None)

    def _catch_up(self) -> None:
        self._advance()
        self.bus.serial.pump()
        if self.usb_host is not None:
            self.usb_host.pump()

    def _wakes(self) -> bool:
        self._catch_up()
        if self.nvic.candidates():
            self.sleeping = False
        return not self.sleeping

    @contextmanager
    def _unlocked(self) -> Iterator[None]:
        self._busy = True
        self._condition.notify_all()
        self._condition.release()
        try:
            yield
        finally:
            self._condition.acquire()
            self._busy = False
            self._condition.notify_all()

    def _sleep(self, at_most_s: float | None) -> None:
        deadline = self._deadline()
        timeout = None if deadline is None else max(deadline - self.ticks(), 0.0) / TICKS_HZ
        if at_most_s is not None:
            timeout = at_most_s if timeout is None else min(timeout, at_most_s)
        began = time.monotonic()
        if self.on_sleep is not None:
            self.on_sleep(began)
        with self._line.look() as watching, self._unlocked():  # a debugger may replace ports once it has the lock
            self._line.wait(timeout, watching)
        slept_ticks = (time.monotonic() - began) * TICKS_HZ
        if deadline is not None:  # the host wakes up late; the board doesn't
            slept_ticks = min(slept_ticks, max(deadline - self.ticks(), 0.0))
        self._slept_ticks += slept_ticks
        if self.on_sleep is not None:
            self.on_sleep(None)

    def _allow(self) -> None:
        """Let the CPU run until the next deadline."""
        deadline = self._deadline()
        limit = NO_LIMIT
        if deadline is not None:
            limit = int((deadline - self._slept_ticks) * self._per_tick) + 1
        self.engine.counter.set_limit(max(self._alarms.limit(limit), 0))

    def _run(self) -> None:
        if self._disturbed():
            return
        pc = self.cpu.read("pc")
        if pc in self.engine.breakpoints and pc != self._skip_trap:
            self.halt(DFSR_BKPT)
            return
        self.engine.suspects.disarm(pc)
        if pc in self.engine.breakpoints or pc in self.engine.traps:
            self._single(pc)
            return
        self._skip_trap = None
        self._advance()
        self.engine.prepare()
        self._allow()
        if self.nvic.next_exception(self.cpu) is not None:
            return
        with self._unlocked():
            stop = self.engine.run()
        self._handle(stop)

    def _single(self, pc: int) -> int:
        """Execute the instruction at `pc`, although a trap may be there; return how many were issued."""
        if condition_holds(self.cpu.read("xpsr")) and (fault := refused_at(self.engine, pc)) is not None:
            self.engine.counter.total += 1
            self._fault(fault)
            return 1
        self._skip_trap = None
        self.engine.suspects.arm(pc)
        stop, issued = self.engine.step()
        self.cpu.align_stack_pointers()
        self._handle(stop)
        return issued

    def _step(self) -> None:
        if self._single(self.cpu.read("pc")):
            self._step_wanted = False
            if not self.halted:
                self.halt(DFSR_HALTED)

    def _handle(self, stop: Stop) -> None:
        """Do what the CPU stopped for."""
        if stop is Stop.WFI:
            self.sleeping = True
            self.bus.serial.slept()
        elif stop is Stop.WFE:
            if not self.nvic.candidates():
                self._catch_up()
                self.sleeping = True  # which a debugger sees
                self._sleep(_WFE_S)
                self.sleeping = False
        elif stop is Stop.BKPT and self.debug.enabled:
            self.halt(DFSR_BKPT)
        elif stop is Stop.EXCEPTION_RETURN:
            self._leave()
        elif stop is Stop.SUSPECT:
            pc = self.cpu.read("pc")
            if self.engine.suspects.begins_it_block(pc):
                self.engine.suspects.arm(pc)
            else:
                self._single(pc)
        elif stop is Stop.ACCESS:
            self._fault(self._access_fault())
        elif stop not in (Stop.BOUNDARY, Stop.TRAP):
            self._fault(fault_of(stop, self.engine))

    def _access_fault(self) -> Fault:
        access = self.engine.space.access
        if access is None:
            raise EmulatorError("an access failed, but which one is unknown")
        where = "where there is no memory"
        if 0x40000000 <= access.address < 0x60000000:
            where = self.bus.nothing
        elif self.memory.find(access.address, 1) is not None:
            where = f"which can't be written so now ({self.bus.flash.how})"
        text = f"{'write to' if access.write else 'read from'} {access.address:#010x}, {where}"
        return Fault("bus fault", text, cfsr=scs.PRECISERR, address=access.address)

    def _fault_status(self) -> dict[str, int]:
        names = {"cfsr": scs.CFSR, "hfsr": scs.HFSR, "mmfar": scs.MMFAR, "bfar": scs.BFAR}
        return {name: self.scs.read(offset) for name, offset in names.items()}

    def _crash(self, kind: str, text: str, pc: int | None = None) -> Crash:
        registers = self.cpu.core()
        return Crash(kind, text, registers["pc"] if pc is None else pc, registers | self._fault_status())

    def _fault(self, fault: Fault) -> None:
        if self._stop_wanted is not None:
            return
        fault = self.exceptions.as_taken(fault)
        crash = self._crash("lockup", "")
        try:
            number = self.exceptions.raise_fault(fault)
        except LockupError as error:
            text = self._no_vectors(crash.pc) or str(error)
            self._lock_up(replace(crash, text=text, address=fault.address))
            return
        if fault.is_call and number == fault.exception:
            return
        registers = {**crash.registers, **self._fault_status()}
        self.crash = Crash(fault.kind, fault.text, crash.pc, registers, fault.address)
        if number == HARD_FAULT and self.debug.catches(VC_HARDERR):
            self.halt(DFSR_VCATCH)

    def _no_vectors(self, pc: int) -> str | None:
        """Say that the CPU stands where a reset put it, without a vector table; None if that isn't so."""
        vectors = self.data.vectors
        sp, entry = (self.memory.read_word(address) or 0 for address in (vectors, vectors + 4))
        runs = self.memory.in_ram(sp - 4, 4) and entry & 1 and self.memory.find(entry & ~1, 2)
        if runs or pc != entry & ~1:
            return None
        empty = sp == entry == _ERASED
        holds = "flash is empty there" if empty else f"the words there are {sp:#010x} and {entry:#010x}"
        return (
            f"no vector table at {vectors:#010x}, where a reset looks for one: {holds}. An image that is linked to "
            "another address starts only behind a bootloader, or if a debugger sets sp, pc and VTOR"
        )

    def _lock_up(self, crash: Crash) -> None:
        self.crash = crash
        self.locked_up = True
        self.cpu.branch(0xFFFFFFFF)
        if self.debug.catches(VC_HARDERR):
            self.halt(DFSR_VCATCH)

    def _stop(self, kind: str, text: str) -> None:
        address, _ = self.engine.counter.last_block()
        access = self.engine.space.access
        self.crash = self._crash(kind, text, access.registers["pc"] if access else address)
        self._stop_wanted = None
        self.locked_up = True

    def _enter(self, number: int) -> None:
        self.sleeping = False
        with self._lockups():
            self.exceptions.enter(number)

    def _leave(self) -> None:
        with self._lockups():
            self.exceptions.leave(self.cpu.read("pc") | 1)
            self.crash = None

    @contextmanager
    def _lockups(self) -> Iterator[None]:
        try:
            yield
        except LockupError as error:
            self._lock_up(self._crash("lockup", str(error)))
