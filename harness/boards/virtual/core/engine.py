"""Runs the CPU emulator in pieces, and says why each piece ended."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from unicorn import unicorn_const as uc_const

from harness.boards.virtual.core import thumb
from harness.boards.virtual.core.address_space import AddressSpace
from harness.boards.virtual.core.binding import UcError, emulate
from harness.boards.virtual.core.block_table import NO_LIMIT
from harness.boards.virtual.core.counter import BlockCounter
from harness.boards.virtual.core.cpu import THUMB, Cpu
from harness.boards.virtual.core.suspects import Suspects
from harness.errors import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.bus import Bus
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.core.alignment import Traps
    from harness.boards.virtual.core.cores import Core
    from harness.boards.virtual.core.scs import PrivateBus

_NEVER = 1  # where no instruction is: they are at even addresses
_WAITS_FOR_INTERRUPT = (thumb.WFI, thumb.WFI_WIDE)
_HINTS = (thumb.WFE, thumb.WFE_WIDE, thumb.YIELD, thumb.YIELD_WIDE)


class Stop(enum.Enum):
    """Why the CPU stopped."""

    BOUNDARY = "before a block, on request"
    TRAP = "at an address of `traps`"
    WFI = "after WFI"
    WFE = "after WFE or YIELD"
    SVC = "after SVC"
    BKPT = "at BKPT"
    EXCEPTION_RETURN = "branch to an EXC_RETURN value"
    ACCESS = "at an access where there is no memory"
    FETCH = "at an address that holds no code"
    UNDEFINED = "at an undefined instruction"
    STATE = "not in Thumb state"
    UNALIGNED = "at an access to an address that isn't a multiple of its size"
    SUSPECT = "before an instruction that may be refused"


_INTERRUPTS = {
    2: Stop.SVC,
    3: Stop.FETCH,
    4: Stop.UNALIGNED,
    7: Stop.BKPT,
    8: Stop.EXCEPTION_RETURN,
}  # by the emulator's numbers


class Engine:
    """The emulated core with its addresses, counter and traps. Used by one thread at a time."""

    def __init__(self, core: Core, memory: Memory, bus: Bus, private: PrivateBus, *, allow_native: bool) -> None:
        """Build the core.

        Args:
            core: which one.
            memory: flash, RAM and information registers, which the CPU sees.
            bus: the peripherals, by address.
            private: the core's own registers.
            allow_native: False forces the instruction counter in Python.
        """
        self._memory = memory
        self._armv6m = core.armv6m
        self.uc = emulate(core)
        self.cpu = Cpu(self.uc)
        code = [(region.base, region.content) for region in memory.code_regions]
        self.counter = BlockCounter(self.uc, code, self._on_block, allow_native=allow_native)
        self.space = AddressSpace(self.cpu, self.counter, memory, bus, private)
        self.suspects = Suspects(self.cpu, self.counter, memory)
        self.uc.hook_add(uc_const.UC_HOOK_INTR, self._on_interrupt)
        self._debug = private.debug
        self.fp_traps: set[int] = set()
        self._foreign: set[int] = set()  # where there was an instruction that Armv6-M lacks
        self.trap_fp = True
        self._exits: frozenset[int] = frozenset()
        self.flush_wanted = False
        self.on_unmask: Callable[[], None] = lambda: None
        self._interrupt: int | None = None

    def _on_interrupt(self, uc: Any, number: int, _data: Any) -> None:
        self._interrupt = number
        uc.emu_stop()

    def _on_block(self, address: int, code: bytes, scan: thumb.CodeScan) -> frozenset[int] | None:
        """Look at a block before it first runs: see `BlockCounter`."""
        if self._armv6m:
            return self._on_armv6m_block(address, code, scan)
        if scan.first_fp is not None and self.trap_fp and address + scan.first_fp not in self.fp_traps:
            self.fp_traps.add(address + scan.first_fp)
            return None
        if scan.unmasks:
            self.on_unmask()
        return self.suspects.admit(address, code)

    def _on_armv6m_block(self, address: int, code: bytes, scan: thumb.CodeScan) -> frozenset[int] | None:
        """Trap what the emulator's Cortex-M0 executes and Armv6-M lacks; unaligned accesses it refuses by itself."""
        foreign = thumb.first_foreign(code)
        if foreign is not None and address + foreign not in self._foreign:
            self._foreign.add(address + foreign)
            return None
        if scan.unmasks:
            self.on_unmask()
        return frozenset()

    def lacks(self, pc: int) -> bool:
        """Tell whether the core lacks the instruction at `pc`, which the emulator may execute all the same."""
        return self._armv6m and not thumb.is_armv6m(*thumb.fetch(self._memory, pc))

    @property
    def breakpoints(self) -> frozenset[int]:
        """Addresses where a debugger wants the core halted."""
        return self._debug.breakpoints

    @property
    def traps(self) -> set[int]:
        """Addresses of instructions that must be decided on one by one."""
        return self.fp_traps | self._foreign | self.suspects.all_traps

    def refuse(self, refused: Traps, *, fp: bool) -> None:
        """Refuse these unaligned accesses and divisions, and FP instructions, from now on, or let them run."""
        if self.suspects.refuse(refused):
            self.counter.rescan()
            self.flush_wanted = True
            self.counter.stop_soon()
        if self.trap_fp != fp:
            self.trap_fp = fp
            self.fp_traps.clear()
            if fp:
                self.counter.rescan()
            self.counter.stop_soon()

    def prepare(self, skip: int | None = None) -> None:
        """Bring traps and translations up to date; `skip` is an address that must not trap now."""
        wanted = (self.breakpoints | self.traps) - {skip}
        if wanted != self._exits:
            self._exits = wanted
            self.uc.ctl_exits_enabled(enable=True)
            self.uc.ctl_set_exits(sorted(wanted) or [_NEVER])
            self.flush_wanted = True
        self.suspects.prepare()
        if self.flush_wanted:
            self.flush_wanted = False
            self.uc.ctl_flush_tb()

    def run(self, count: int = 0) -> Stop:
        """Let the CPU run until something stops it. `prepare` comes first.

        Args:
            count: stop after that many instructions; 0 for no bound.

        Raises:
            EmulatorError: the emulator stopped for a reason that isn't the firmware's.
        """
        self.space.access = self._interrupt = self.counter.stopped_at = self.suspects.stopped_at = None
        begin = self.cpu.read("pc") | bool(self.cpu.read("xpsr") & THUMB)
        error: int | None = None
        before = self.counter.total
        try:
            self.uc.emu_start(begin, _NEVER, count=count)
        except UcError as raised:
            error = raised.errno
        if failure := self.counter.failure:
            raise EmulatorError(f"the virtual board failed inside: {failure!r}") from failure
        if error == uc_const.UC_ERR_EXCEPTION and self.counter.total != before:
            error = self._behind_stale(error)
        return self._reason(error, count)

    def _behind_stale(self, error: int) -> int | None:
        """Return the emulator's error after blocks have run: it may have kept one from before its first block.

        When it drops what an earlier single step has translated, it asks for pages of code that are data now; the error
        of that is what it returns at the end, if the CPU then stops of itself.
        """
        pc = self.cpu.read("pc")
        before = self._instruction_before(pc)
        if before in _WAITS_FOR_INTERRUPT or pc in self._exits:
            return None
        address, size = self.counter.last_block()
        # No fetch fails in a block that runs: what stopped there is an instruction that the emulator refuses.
        return uc_const.UC_ERR_INSN_INVALID if before in _HINTS or address <= pc < address + size else error

    def _reason(self, error: int | None, count: int) -> Stop:
        pc = self.cpu.read("pc")
        if (access := self.space.access) is not None:
            self.cpu.restore(access.registers)
            self.counter.uncount_after(access.registers["pc"])
            return Stop.ACCESS
        if (number := self._interrupt) is not None:
            if number not in _INTERRUPTS:
                raise EmulatorError(
                    f"the CPU emulator raised its exception {number} at {pc:#010x}, which isn't handled"
                )
            if _INTERRUPTS[number] is Stop.UNALIGNED:
                self.counter.uncount_after(pc)
            return _INTERRUPTS[number]
        if self.counter.stopped_at is not None:
            return Stop.BOUNDARY
        if (suspect := self.suspects.stopped_at) is not None:
            if suspect != pc:
                raise EmulatorError(f"the CPU emulator went on to {pc:#010x} from {suspect:#010x}")
            self.counter.uncount_after(pc)
            self.counter.total -= 1  # nor has the suspect itself been issued
            return Stop.SUSPECT
        return self._quiet_reason(pc, count) if error is None else self._error_reason(error, pc)

    def _error_reason(self, error: int, pc: int) -> Stop:
        if not self.cpu.read("xpsr") & THUMB:
            return Stop.STATE
        if error == uc_const.UC_ERR_INSN_INVALID:
            return self._invalid_reason(pc)
        if error == uc_const.UC_ERR_EXCEPTION and self.space.allow_code(pc):
            return Stop.BOUNDARY
        if error in (uc_const.UC_ERR_FETCH_UNMAPPED, uc_const.UC_ERR_FETCH_PROT, uc_const.UC_ERR_EXCEPTION):
            return Stop.EXCEPTION_RETURN if pc >= 0xFFFFFFE0 and self.cpu.read("xpsr") & 0x1FF else Stop.FETCH
        raise EmulatorError(f"the CPU emulator stopped with error {error} at {pc:#010x}")

    def _quiet_reason(self, pc: int, count: int) -> Stop:
        if self._instruction_before(pc) in _WAITS_FOR_INTERRUPT:
            return Stop.WFI
        if pc in self._exits:
            return Stop.TRAP
        if count:
            return Stop.BOUNDARY
        raise EmulatorError(f"the CPU emulator stopped at {pc:#010x} without saying why")

    def _invalid_reason(self, pc: int) -> Stop:
        instruction, length = thumb.fetch(self._memory, pc)
        if instruction in _HINTS:  # the emulator has none of them
            self.cpu.write("pc", pc + length)
            return Stop.WFE
        return Stop.WFE if self._instruction_before(pc) in _HINTS else Stop.UNDEFINED

    def _instruction_before(self, pc: int) -> int | None:
        """Return the last instruction of the last block, if that ends at `pc`."""
        address, size = self.counter.last_block()
        code = self._memory.read(address, size)
        if not code or address + size != pc:
            return None
        return [instruction for _, instruction, _ in thumb.instructions(code)][-1]

    def _issued_from(self, pc: int, end: int) -> int:
        return thumb.scan(self._memory.read(pc, max(end - pc, 0)) or b"").instructions

    def reset(self) -> None:
        """Drop translations, and with them the memory of where in RAM there was code."""
        self.space.forget_code()
        self.flush_wanted = True

    def step(self) -> tuple[Stop, int]:
        """Execute one instruction, or from an IT instruction on the IT block, which can't be left in between.

        Returns:
            Why it stopped, and how many instructions were issued: 0 if a trap was found before the first.
        """
        pc, xpsr = self.cpu.read("pc"), self.cpu.read("xpsr")
        instruction, length = thumb.fetch(self._memory, pc)
        if not thumb.condition_holds(xpsr):
            self.cpu.write("xpsr", thumb.after_skipping(xpsr))
            self.cpu.write("pc", pc + length)
            self.counter.total += 1
            return Stop.BOUNDARY, 1
        if thumb.it_state(xpsr) & 0xF:
            issued = thumb.instructions_in_it(thumb.it_state(xpsr))
        else:
            issued = 1 + (thumb.instructions_in_it(instruction) if thumb.is_it(instruction) else 0)
        self.suspects.skip = pc
        self.flush_wanted = True  # the emulator doesn't count in code that it translated without a count
        self.prepare(skip=pc)
        before = self.counter.total
        self.counter.set_limit(NO_LIMIT)
        stop = self.run(count=1)
        if stop is Stop.ACCESS and self.space.access is not None:
            issued = self._issued_from(pc, self.space.access.registers["pc"]) + 1
        elif stop is Stop.UNALIGNED:
            issued = self._issued_from(pc, self.cpu.read("pc")) + 1
        elif stop is Stop.BOUNDARY and (self.counter.stopped_at == pc or self.counter.total == before):
            issued = 0  # the latter if its page of RAM was data so far
        elif stop is Stop.TRAP:
            issued = self._issued_from(pc, self.cpu.read("pc"))
        self.counter.total = before + issued
        return stop, issued
