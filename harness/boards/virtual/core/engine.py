"""Runs the CPU emulator in pieces, and says why each piece ended."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unicorn import unicorn_const as uc_const

from harness.boards.virtual.chips.memory import CODE_RAM_BASE, FICR_BASE, RAM_BASE, RAM_BYTES, UICR_BASE
from harness.boards.virtual.core import thumb
from harness.boards.virtual.core.binding import UcError, cortex_m4
from harness.boards.virtual.core.counter import NO_LIMIT, BlockCounter
from harness.boards.virtual.core.cpu import THUMB, Cpu
from harness.boards.virtual.core.private_bus import PPB, PPB_BYTES
from harness.boards.virtual.core.ram_pages import RamPages
from harness.boards.virtual.core.suspects import Suspects
from harness.boards.virtual.core.watch import WriteWatch
from harness.errors import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.bus import Bus
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.core.private_bus import PrivateBus

_NEVER = 1  # where no instruction is: they are at even addresses
_INTR_SVC, _INTR_PREFETCH, _INTR_BKPT, _INTR_EXC_RETURN = 2, 3, 7, 8


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
    SUSPECT = "before an instruction that may be refused"


@dataclass(frozen=True)
class Access:
    """An access that failed, and the registers at that moment."""

    write: bool
    address: int
    size: int
    registers: dict[str, int]


class Engine:
    """The emulated core with its memories, counter and traps. Used by one thread at a time."""

    def __init__(
        self,
        memory: Memory,
        bus: Bus,
        program: Callable[[int, bytes], bool],
        *,
        allow_native: bool,
    ) -> None:
        """Map the memories.

        Args:
            memory: flash, RAM and information registers, which the CPU sees.
            bus: the peripherals, by address.
            program: writes to flash or UICR; False if that is not possible.
            allow_native: False forces the instruction counter in Python.
        """
        self._memory = memory
        self._program = program
        self.uc = cortex_m4()
        for base, content in memory.regions:
            protection = {
                0: uc_const.UC_PROT_READ | uc_const.UC_PROT_EXEC,
                RAM_BASE: uc_const.UC_PROT_ALL,
                FICR_BASE: uc_const.UC_PROT_READ,
                UICR_BASE: uc_const.UC_PROT_READ,
            }[base]
            self.uc.mem_map_ptr(base, len(content), protection, content.ctypes.data)
        for base, size in bus.spans():
            self._map(base, size, bus.read, lambda address, value, _size: bus.write(address, value))
        self.uc.hook_add(uc_const.UC_HOOK_INTR, self._on_interrupt)
        # Not over RAM: there nothing is invalid, and a hook alone makes each access slower.
        for begin, end in ((0, RAM_BASE - 1), (RAM_BASE + RAM_BYTES, 0xFFFFFFFF)):
            self.uc.hook_add(uc_const.UC_HOOK_MEM_INVALID, self._on_invalid_access, None, begin, end)
        self.cpu = Cpu(self.uc)
        self._ram_pages = RamPages(self.cpu)
        self.counter = BlockCounter(
            self.uc,
            [(0, memory.flash), (RAM_BASE, memory.ram), (CODE_RAM_BASE, memory.ram)],
            self._on_block,
            allow_native=allow_native,
        )
        self.suspects = Suspects(self.cpu, self.counter, memory)
        self.watch = WriteWatch(self.cpu)
        self.breakpoints: frozenset[int] = frozenset()
        self.fp_traps: set[int] = set()
        self.trap_fp = True
        self._exits: frozenset[int] = frozenset()
        self.flush_wanted = False
        self.on_unmask: Callable[[], None] = lambda: None
        self.access: Access | None = None
        self._interrupt: int | None = None
        self.failure: BaseException | None = None

    def map_private_bus(self, private: PrivateBus) -> None:
        """Map the core's own registers."""
        self._map(
            PPB,
            PPB_BYTES,
            lambda address, size: private.read(address, size, debugger=False),
            lambda address, value, size: private.write(address, value, size, debugger=False),
        )

    def _map(
        self,
        base: int,
        size: int,
        read: Callable[[int, int], int | None],
        write: Callable[[int, int, int], object],
    ) -> None:
        def on_read(_uc: Any, offset: int, width: int, _data: Any) -> int:
            try:
                return read(base + offset, width) or 0
            except BaseException as error:  # noqa: BLE001 - nothing may cross the C code; `run` raises it
                self._fail(error)
                return 0

        def on_write(_uc: Any, offset: int, width: int, value: int, _data: Any) -> None:
            try:
                write(base + offset, value, width)
            except BaseException as error:  # noqa: BLE001 - as above
                self._fail(error)

        self.uc.mmio_map(base, size, on_read, None, on_write, None)

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self.counter.stop_soon()

    def _on_interrupt(self, uc: Any, number: int, _data: Any) -> None:
        self._interrupt = number
        uc.emu_stop()

    def _on_invalid_access(self, _uc: Any, kind: int, address: int, size: int, value: int, _data: Any) -> bool:
        try:
            if kind == uc_const.UC_MEM_WRITE_PROT:
                data = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
                if self._program(address, data):
                    self.cpu.mend_it_state()
                    return True  # the emulator itself discards writes to read-only memory
            if self.access is None and kind not in (uc_const.UC_MEM_FETCH_UNMAPPED, uc_const.UC_MEM_FETCH_PROT):
                write = kind in (uc_const.UC_MEM_WRITE_PROT, uc_const.UC_MEM_WRITE_UNMAPPED)
                self.access = Access(write, address, size, self.cpu.core())
        except BaseException as error:  # noqa: BLE001 - as above
            self._fail(error)
        return False

    def _on_block(self, address: int, code: bytes, scan: thumb.CodeScan) -> frozenset[int] | None:
        """Look at a block before it first runs: see `BlockCounter`."""
        if scan.first_fp is not None and self.trap_fp and address + scan.first_fp not in self.fp_traps:
            self.fp_traps.add(address + scan.first_fp)
            return None
        if scan.unmasks:
            self.on_unmask()
        return self.suspects.admit(address, code)

    @property
    def traps(self) -> set[int]:
        """Addresses of instructions that must be decided on one by one."""
        return self.fp_traps | self.suspects.all_traps

    def traps_changed(self, *, unaligned: bool, zero: bool) -> None:
        """Refuse any unaligned access, and division by zero, from now on, or let them run."""
        if self.suspects.set_traps(unaligned=unaligned, zero=zero):
            self.counter.rescan()
            self.flush_wanted = True
            self.counter.stop_soon()

    def fpu_access_changed(self, *, enabled: bool) -> None:
        """Trap FP instructions from now on, or let them run."""
        if self.trap_fp == (not enabled):
            return
        self.trap_fp = not enabled
        self.fp_traps.clear()
        if self.trap_fp:
            self.counter.rescan()
        self.counter.stop_soon()

    def _apply_traps(self, skip: int | None) -> None:
        wanted = (self.breakpoints | self.traps) - {skip}
        if wanted != self._exits:
            self._exits = wanted
            self.uc.ctl_exits_enabled(enable=True)
            self.uc.ctl_set_exits(sorted(wanted) or [_NEVER])
            self.flush_wanted = True

    def prepare(self, skip: int | None = None) -> None:
        """Bring traps and translations up to date; `skip` is an address that must not trap now."""
        self._apply_traps(skip)
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
        self.access = self._interrupt = self.counter.stopped_at = self.suspects.stopped_at = None
        xpsr = self.cpu.read("xpsr")
        begin = self.cpu.read("pc") | bool(xpsr & THUMB)
        error: int | None = None
        try:
            self.uc.emu_start(begin, _NEVER, count=count)
        except UcError as raised:
            error = raised.errno
        failure = self.failure or self.counter.failure or self._ram_pages.failure or self.suspects.failure
        if failure is not None:
            raise EmulatorError(f"the virtual board failed inside: {failure!r}") from failure
        return self._reason(error, count)

    def _reason(self, error: int | None, count: int) -> Stop:
        pc = self.cpu.read("pc")
        if self.access is not None:
            self.cpu.restore(self.access.registers)
            self.counter.uncount_after(self.access.registers["pc"])
            return Stop.ACCESS
        if self._interrupt is not None:
            return self._interrupt_reason(self._interrupt, pc)
        if self.counter.stopped_at is not None:
            return Stop.BOUNDARY
        if self.suspects.stopped_at is not None:
            if self.suspects.stopped_at != pc:
                raise EmulatorError(f"the CPU emulator went on to {pc:#010x} from {self.suspects.stopped_at:#010x}")
            self.counter.uncount_from(pc)
            return Stop.SUSPECT
        return self._quiet_reason(pc, count) if error is None else self._error_reason(error, pc)

    def _error_reason(self, error: int, pc: int) -> Stop:
        if not self.cpu.read("xpsr") & THUMB:
            return Stop.STATE
        if error == uc_const.UC_ERR_INSN_INVALID:
            return self._invalid_reason(pc)
        if error == uc_const.UC_ERR_EXCEPTION and self._ram_pages.allow_code(pc):
            return Stop.BOUNDARY
        if error in (uc_const.UC_ERR_FETCH_UNMAPPED, uc_const.UC_ERR_FETCH_PROT, uc_const.UC_ERR_EXCEPTION):
            return Stop.EXCEPTION_RETURN if pc >= 0xFFFFFFE0 and self.cpu.read("xpsr") & 0x1FF else Stop.FETCH
        raise EmulatorError(f"the CPU emulator stopped with error {error} at {pc:#010x}")

    def _interrupt_reason(self, number: int, pc: int) -> Stop:
        if number == _INTR_PREFETCH:
            return Stop.FETCH
        reasons = {_INTR_SVC: Stop.SVC, _INTR_BKPT: Stop.BKPT, _INTR_EXC_RETURN: Stop.EXCEPTION_RETURN}
        if number in reasons:
            return reasons[number]
        raise EmulatorError(f"the CPU emulator raised its exception {number} at {pc:#010x}, which is not handled")

    def _quiet_reason(self, pc: int, count: int) -> Stop:
        address, size = self.counter.last_block()
        if size and address + size == pc and self._instruction_before(pc) in (thumb.WFI, thumb.WFI_WIDE):
            return Stop.WFI
        if pc in self._exits:
            return Stop.TRAP
        if count:
            return Stop.BOUNDARY
        raise EmulatorError(f"the CPU emulator stopped at {pc:#010x} without saying why")

    def _invalid_reason(self, pc: int) -> Stop:
        for start, width, hints in (
            (pc, 2, (thumb.WFE, thumb.YIELD)),
            (pc, 4, (thumb.WFE_WIDE, thumb.YIELD_WIDE)),
        ):
            code = self._memory.read(start, width)
            if code is not None and thumb.fetch(code, 0)[0] in hints:
                self.cpu.write("pc", start + width)
                return Stop.WFE
        if self._instruction_before(pc) in (thumb.WFE, thumb.WFE_WIDE, thumb.YIELD, thumb.YIELD_WIDE):
            return Stop.WFE
        return Stop.UNDEFINED

    def _instruction_before(self, pc: int) -> int | None:
        """Return the last instruction of the last block, which ends at `pc`."""
        address, size = self.counter.last_block()
        code = self._memory.read(address, size)
        if code is None or address + size != pc:
            return None
        offset, last = 0, None
        while offset + 2 <= len(code):
            last, length = thumb.fetch(code, offset)
            offset += length
        return last

    def reset(self) -> None:
        """Drop translations, and with them the memory of where in RAM there was code."""
        self._ram_pages.reset()
        self.flush_wanted = True

    def step(self) -> tuple[Stop, int]:
        """Execute one instruction, or from an IT instruction on the IT block, which can't be left in between.

        Returns:
            Why it stopped, and how many instructions were issued: 0 if a trap was found before the first.
        """
        pc, xpsr = self.cpu.read("pc"), self.cpu.read("xpsr")
        code = self._memory.read(pc, 4) or self._memory.read(pc, 2) or bytes(2)
        instruction, length = thumb.fetch(code, 0)
        if not thumb.condition_holds(xpsr):
            self.cpu.write("xpsr", thumb.after_skipping(xpsr))
            self.cpu.write("pc", pc + length)
            self.counter.add(1)
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
        if stop is Stop.ACCESS and self.access is not None:
            ran = self._memory.read(pc, max(self.access.registers["pc"] - pc, 0)) or b""
            issued = thumb.count(ran) + 1
        elif self.counter.stopped_at == pc and stop is Stop.BOUNDARY:
            issued = 0
        elif stop is Stop.TRAP:
            issued = thumb.count(self._memory.read(pc, max(self.cpu.read("pc") - pc, 0)) or b"")
        self.counter.set_total(before + issued)
        return stop, issued

    def watch_writes(self, bottom: int, top: int) -> None:
        """Watch for the lowest address written in [bottom, top)."""
        self.watch.start(bottom, top)
        self.flush_wanted = True

    def unwatch_writes(self) -> None:
        """Stop watching."""
        self.watch.stop()
        self.flush_wanted = True

    def lowest_write(self) -> int | None:
        """Return the lowest address written while watching, or None."""
        return self.watch.lowest()
