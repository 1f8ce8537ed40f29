"""Faults, and how a Cortex-M4 takes exceptions and returns from them (Armv7-M manual, B1.5.6 to B1.5.8).

The CPU emulator leaves this to us: it stops, we stack the frame, fetch the vector and let it go on.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.boards.virtual.core import scs
from harness.boards.virtual.core.cpu import CONTROL_FPCA, CONTROL_SPSEL, IPSR, IT_STATE, THUMB
from harness.boards.virtual.core.nvic import BUS_FAULT, FIRST_IRQ, HARD_FAULT, MEM_MANAGE, NAMES, SVCALL, USAGE_FAULT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.core.cores import Core
    from harness.boards.virtual.core.cpu import Cpu
    from harness.boards.virtual.core.scs import SystemControl

_BASIC_FRAME, _FP_FRAME = 0x20, 0x68
_MEM_MANAGE_BITS, _BUS_BITS = 0xFF, 0xFF00


@dataclass(frozen=True)
class Crash:
    """Why the firmware stopped: a fault of its own, or something that the virtual board can't do.

    Attributes:
        kind: "bus fault", "usage fault NOCP", ..., "hard fault", "lockup", "misuse" (of a peripheral), or
            "emulator limit".
        text: what happened, in one sentence.
        pc: address of the instruction that did it.
        registers: r0 to r12, sp, lr, pc, xpsr, and the fault status registers.
        address: the data address concerned, if there is one.
    """

    kind: str
    text: str
    pc: int
    registers: Mapping[str, int] = field(default_factory=dict)
    address: int | None = None


class LockupError(Exception):
    """The CPU can't take the exception that it must take, or return from it; on silicon the latter is a fault."""


@dataclass(frozen=True)
class Fault:
    """A synchronous fault, or a system call.

    Attributes:
        kind: its name in a crash record.
        text: a sentence on what happened.
        cfsr: bits to set in CFSR.
        hfsr: bits to set in HFSR.
        address: the data address concerned.
        is_call: True for SVC, which is no fault.
    """

    kind: str
    text: str
    cfsr: int = 0
    hfsr: int = 0
    address: int | None = None
    is_call: bool = False

    @property
    def exception(self) -> int:
        """The exception that it raises if that is enabled."""
        if self.is_call:
            return SVCALL
        if self.cfsr & _MEM_MANAGE_BITS:
            return MEM_MANAGE
        if self.cfsr & _BUS_BITS:
            return BUS_FAULT
        return USAGE_FAULT if self.cfsr else HARD_FAULT


class Exceptions:
    """Exception entry and return of one CPU."""

    def __init__(self, cpu: Cpu, memory: Memory, control: SystemControl, core: Core) -> None:
        self._armv6m = core.armv6m
        self._cpu = cpu
        self._memory = memory
        self._control = control

    def as_taken(self, fault: Fault) -> Fault:
        """Return a fault as this core takes it: Armv6-M has one kind only, and no register that tells why."""
        if not self._armv6m or fault.is_call:
            return fault
        return replace(fault, kind="hard fault", cfsr=0, hfsr=0)

    def raise_fault(self, fault: Fault) -> int:
        """Take a fault: set the status registers, stack, and continue at the handler.

        Returns:
            The exception that was taken, after escalation.

        Raises:
            LockupError: it can't be taken.
        """
        registers, nvic = self._control.registers, self._control.nvic
        registers[scs.CFSR] |= fault.cfsr
        registers[scs.HFSR] |= fault.hfsr
        if fault.address is not None and fault.cfsr & scs.PRECISERR:
            registers[scs.BFAR] = fault.address
            registers[scs.CFSR] |= scs.BFARVALID
        number = fault.exception
        running = nvic.running_priority(self._cpu)
        enabled = number not in scs.SHCSR_ENABLE or registers[scs.SHCSR] & scs.SHCSR_ENABLE[number]
        if number != HARD_FAULT and (not enabled or nvic.priority(number) >= running):
            number = HARD_FAULT
            registers[scs.HFSR] |= scs.HFSR_FORCED
        if number == HARD_FAULT and running <= -1:
            raise LockupError(f"{fault.text}, while in a handler of the highest priority")
        self.enter(number)
        return number

    def enter(self, number: int) -> None:
        """Stack the frame and continue at the handler of exception `number`.

        Raises:
            LockupError: the stack or the vector table is unusable even for a HardFault.
        """
        cpu, registers = self._cpu, self._control.registers
        if not self._push():
            if number == HARD_FAULT:
                raise LockupError(f"the stack pointer {cpu.read('sp'):#010x} leaves no room in RAM for HardFault")
            if not self._armv6m:
                registers[scs.CFSR] |= scs.STKERR
                registers[scs.HFSR] |= scs.HFSR_FORCED
            number = HARD_FAULT
        place = registers[scs.VTOR] + 4 * number
        vector = self._memory.read_word(place)
        if vector is None:
            raise LockupError(f"there is no memory at vector {place:#010x}")
        self._control.nvic.take(number)
        cpu.write("xpsr", cpu.read("xpsr") & ~IPSR | number)
        cpu.branch(vector)

    def _push(self) -> bool:
        """Stack the frame of the interrupted code and enter handler mode; False if that isn't RAM."""
        cpu = self._cpu
        xpsr, control, sp = cpu.read("xpsr"), cpu.read("control"), cpu.read("sp")
        handler = bool(xpsr & IPSR)
        with_fp = bool(control & CONTROL_FPCA) and bool(self._control.registers[scs.FPCCR] & scs.FPCCR_ASPEN)
        size = _FP_FRAME if with_fp else _BASIC_FRAME
        align = self._control.registers[scs.CCR] & scs.CCR_STKALIGN or with_fp
        frame = (sp - size) & (~4 if align else ~0)
        saved = xpsr & ~(1 << 9) | (bool(sp & 4) and bool(align)) << 9
        words = [cpu.read(name) for name in ("r0", "r1", "r2", "r3", "r12", "lr", "pc")] + [saved]
        if with_fp:
            words += [cpu.read(f"s{n}") for n in range(16)] + [cpu.read("fpscr"), 0]
        stacked = self._memory.write_ram(frame, struct.pack(f"<{len(words)}I", *words))
        if stacked:
            cpu.write("sp", frame)
        psp = not handler and control & CONTROL_SPSEL
        exc_return = 0xFFFFFFF1 if handler else 0xFFFFFFFD if psp else 0xFFFFFFF9
        cpu.write("lr", exc_return & ~0x10 if with_fp else exc_return)
        cpu.write("control", control & ~CONTROL_FPCA)
        # Any exception number switches to handler mode and MSP; `enter` sets the right one.
        cpu.write("xpsr", xpsr & ~(IPSR | IT_STATE) | HARD_FAULT)
        return stacked

    def leave(self, exc_return: int) -> None:
        """Return from the running handler, which branched to `exc_return`.

        Raises:
            LockupError: the frame can't be unstacked.
        """
        cpu, nvic = self._cpu, self._control.nvic
        number = cpu.read("xpsr") & IPSR
        if exc_return | 0x1F != 0xFFFFFFFF or exc_return & 0xF not in (0x1, 0x9, 0xD):
            raise LockupError(
                f"the handler of {NAMES.get(number, f'interrupt {number - FIRST_IRQ}')} returned to {exc_return:#010x}"
            )
        with_fp, psp, to_handler = not exc_return & 0x10, exc_return & 0xF == 0xD, exc_return & 0xF == 0x1
        frame = cpu.read("psp" if psp else "sp")
        size = _FP_FRAME if with_fp else _BASIC_FRAME
        data = self._memory.read(frame, size)
        if data is None:
            raise LockupError(f"no stack frame at {frame:#010x} to return to")
        words = struct.unpack(f"<{size // 4}I", data)
        nvic.leave(number)
        saved = words[7]
        if to_handler == (saved & IPSR == 0):
            raise LockupError(f"EXC_RETURN {exc_return:#010x} disagrees with the stacked xPSR {saved:#010x}")
        sp = frame + size | (saved >> 9 & 1) << 2
        if number != 2:
            cpu.write("faultmask", 0)
        cpu.write("psp" if psp else "sp", sp)
        cpu.write("xpsr", saved & ~(1 << 9))
        control = cpu.read("control") & ~(CONTROL_SPSEL | CONTROL_FPCA)
        cpu.write("control", control | (CONTROL_SPSEL if psp else 0) | (CONTROL_FPCA if with_fp else 0))
        for name, value in zip(("r0", "r1", "r2", "r3", "r12", "lr"), words, strict=False):
            cpu.write(name, value)
        if with_fp:
            for n in range(16):
                cpu.write(f"s{n}", words[8 + n])
            cpu.write("fpscr", words[24])
        cpu.write("xpsr", saved & ~(1 << 9) | THUMB * bool(saved & THUMB))
        cpu.write("pc", words[6])
