"""Counts the instructions that the CPU issues, exactly, and how often each block of code ran.

The emulator calls back at the start of every translated block. A block's instructions are decoded at its
first execution; afterwards a few native instructions add them to the total. The total of a block is added
when it starts, also if it is left early by a fault: then `uncount_after` takes the rest back.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
from unicorn import unicorn_const as uc_const

from harness.boards.virtual.core import native, thumb
from harness.boards.virtual.core.binding import find_registers, hook
from harness.boards.virtual.core.block_table import ENTRY_WORDS, NO_LIMIT, REACH, BlockProfile, BlockTable
from harness.boards.virtual.core.cpu import Cpu
from harness.errors import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.core.block_table import Counts

_SIZE = _COUNT = 0xFFFF
_OUTDATED = 1 << 30  # in an entry's bytes: a block is here, but must be looked at again
_Aside = dict[tuple[int, int, int], tuple[int, int]]  # by address, bytes and instructions of a block
_BLOCK_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)


def _pack(registers: frozenset[int]) -> int:
    """Return up to four register numbers as they stand in the table."""
    numbers = [*registers, *[next(iter(registers), 0)] * 4]
    return sum(number << shift for number, shift in zip(numbers, (16, 20, 24, 28), strict=False))


class BlockCounter:
    """The instruction counter of one CPU."""

    def __init__(
        self,
        uc: Any,
        memories: list[tuple[int, np.ndarray[Any, np.dtype[np.uint8]]]],
        on_block: Callable[[int, bytes, thumb.CodeScan], frozenset[int] | None],
        *,
        allow_native: bool = True,
    ) -> None:
        """Hook the CPU.

        Args:
            uc: Unicorn's CPU emulator.
            memories: where code may run: first address and content of each.
            on_block: called in the emulator's thread before a block runs for the first time, with its address, code
                and scan. It returns up to four registers that must be multiples of four whenever the block starts,
                or None to stop the CPU before the block.
            allow_native: False forces the slower counter in Python, for comparison.
        """
        self._uc = uc
        self._regions = [BlockTable(base, memory) for base, memory in memories]
        self._on_block = on_block
        self._cpu = Cpu(uc)
        self.on_unaligned: Callable[[int, bytes], None] = lambda _address, _code: None
        self.on_forget: Callable[[int, int], None] = lambda _begin, _end: None
        self._header = np.zeros(native.HEADER_WORDS, np.uint64)
        self._header_view = memoryview(self._header.data)
        self._header_view[native.LIMIT] = NO_LIMIT
        self._unstable: dict[int, int] = {}
        self._retired: _Aside = {}
        self._unmasking: _Aside = {}  # they come here at each execution
        self.version, self._tallied = 0, -1
        self.changes = 0  # how often code may have changed that had run
        self.blocks = np.zeros((0, 3), np.uint32)
        self._places: list[np.ndarray[Any, np.dtype[np.intp]]] = []
        self._past = np.zeros((0, 2), np.uint64)
        self.stopped_at: int | None = None
        self.failure: BaseException | None = None
        self._slow = _BLOCK_CALLBACK(self.guarded(self._enter))
        self._page: native.ExecutablePage | None = None
        self.description = self._hook(native.stubs_for_this_host() if allow_native else None)

    def _hook(self, stubs: native.Stubs | None) -> str:
        callback = self._header_view[native.SLOW] = ctypes.cast(self._slow, ctypes.c_void_p).value or 0
        description = "block counter in Python (slow)"
        registers = None if stubs is None else find_registers(self._uc)
        if stubs is not None and registers is not None:
            self._header_view[native.REGISTERS] = registers
            header = int(self._header.ctypes.data)
            self._page = native.executable([stubs.block(header), *(stubs.watch(mask, header) for mask in native.MASKS)])
            description = "block counter in Python (slow: the system allows no executable memory)"
            if self._page is not None:
                callback, description = self._page.addresses[0], f"native block counter ({stubs.name})"
        elif stubs is not None:
            description = "block counter in Python (slow: the registers of the CPU emulator weren't found)"
        for region in self._regions:
            hook(self._uc, uc_const.UC_HOOK_BLOCK, callback, region.context, region.base, region.end - 1)
        self._uc.hook_add(uc_const.UC_HOOK_EDGE_GENERATED, self.guarded(self._on_translation))
        return description

    def guarded(self, callback: Callable[..., Any], otherwise: Any = None) -> Callable[..., Any]:
        """Return a callback from which no error crosses the C code: it stops the CPU, and `failure` keeps the first.

        Args:
            callback: what is called.
            otherwise: what is returned when it fails.
        """

        def call(*arguments: Any) -> Any:
            try:
                return callback(*arguments)
            except BaseException as error:  # noqa: BLE001 - see above; the run loop raises it
                self.failure = self.failure or error
                self.stop_soon()
                return otherwise

        return call

    def _on_translation(self, _uc: Any, block: Any, _previous: Any, _data: Any) -> None:
        """Decode a block again once it was translated again: firmware may have written other code there."""
        region = self._find(block.pc)
        if region is not None:
            self.changes += region.words[region.row(block.pc)] != 0
            self._retire(region, region.row(block.pc))

    def watch(self, address: int, register: int, mask: int, slow: int) -> int:
        """Call back before the instruction at `address` runs if its register isn't as it should be.

        Args:
            address: where the instruction is.
            register: number of the core register.
            mask: of its bits, which should be 0; or 0, if the register itself should not be.
            slow: address of the C function to call. Without machine code, it is called at each execution.

        Returns:
            The handle of the callback.
        """
        callback, context = slow, 0
        if self._page is not None:
            self._header_view[native.WATCHED] = slow
            callback = self._page.addresses[1 + native.MASKS.index(mask)]
            context = self._header_view[native.REGISTERS] + 4 * register
        return hook(self._uc, uc_const.UC_HOOK_CODE, callback, context, address, address)

    @property
    def total(self) -> int:
        """Instructions issued so far. Inside a block this includes the whole block. Setting it corrects the count."""
        return self._header_view[native.TOTAL]

    @total.setter
    def total(self, total: int) -> None:
        self._header_view[native.TOTAL] = total

    def stop_soon(self) -> None:
        """Make the CPU stop before its next block. May be called from any thread."""
        self._header_view[native.LIMIT] = 0

    def set_limit(self, limit: int) -> None:
        """Let the CPU run until the total reaches `limit`, at the granularity of blocks."""
        self._header_view[native.LIMIT] = min(limit, NO_LIMIT)

    def _find(self, address: int) -> BlockTable | None:
        for region in self._regions:  # quicker than a generator, which the counter in Python feels
            if region.base <= address < region.end:
                return region
        return None

    def _stop_here(self, address: int) -> None:
        self.stopped_at = address
        self._uc.emu_stop()  # called in a block's callback, it takes effect before the block's first instruction

    def _enter(self, _uc: int, address: int, size: int, _context: int) -> None:
        header = self._header_view
        if header[native.TOTAL] >= header[native.LIMIT]:
            self._stop_here(address)
            return
        region = self._find(address)
        if region is None:
            raise EmulatorError(f"a block at {address:#010x} is outside every memory that holds code")
        words, row = region.words, 3 * (address - region.base)
        if words[row] & ~native.CHECKED != size and not self._admit(region, address, size):
            return
        if words[row] & native.CHECKED and not self._aligned(words[row + 1]):
            self._retire(region, row)
            self.on_unaligned(address, region.code(address, size))
            self._stop_here(address)
            return
        header[native.TOTAL] += words[row + 1] & _COUNT
        region.longs[row // 2 + 1] += 1
        region.longs[row // 2 + 2] += header[native.END] == address
        header[native.LAST], header[native.END] = address, address + size

    def _admit(self, region: BlockTable, address: int, size: int) -> bool:
        """Look at a block that is new here; False if nothing is left to do for this execution of it."""
        code = region.code(address, size)
        scan = thumb.scan(code)
        registers = self._on_block(address, code, scan)
        if registers is None:
            self._stop_here(address)
            return False
        row = region.row(address)
        self._retire(region, row)
        packed = _pack(registers)
        if scan.unmasks:  # stays unknown, so that each execution comes here
            if registers and not self._aligned(packed):
                self.on_unaligned(address, code)
                self._stop_here(address)
                return False
            self._unstable[address] = size
            self.total += scan.instructions
            block, fell = (address, size, scan.instructions), int(self._header_view[native.END] == address)
            self._count_aside(self._unmasking, block, 1, fell)
            self._header_view[native.LAST], self._header_view[native.END] = address, address + size
            return False
        region.words[row] = size | native.CHECKED * bool(registers)
        region.words[row + 1] = scan.instructions | packed
        region.note_block(address)
        self.version += 1
        return True

    def _aligned(self, packed: int) -> bool:
        return not any(self._cpu.number(packed >> shift & 0xF) & 3 for shift in (16, 20, 24, 28))

    def _retire(self, region: BlockTable, row: int) -> None:
        """Move an entry's executions aside, for its block is about to be cut differently."""
        executions, fall_throughs = region.longs[row // 2 + 1], region.longs[row // 2 + 2]
        if executions:
            size, instructions = region.words[row] & _SIZE, region.words[row + 1] & _COUNT
            block = region.base + row // 3, size, instructions
            self._count_aside(self._retired, block, executions, fall_throughs)
            self.version += 1
        self.version += region.words[row] != 0
        region.words[row] = 0
        region.longs[row // 2 + 1] = region.longs[row // 2 + 2] = 0

    def _count_aside(self, where: _Aside, block: tuple[int, int, int], executions: int, fall_throughs: int) -> None:
        self.version += block not in where
        before = where.get(block, (0, 0))
        where[block] = before[0] + executions, before[1] + fall_throughs

    def last_block(self) -> tuple[int, int]:
        """Return address and bytes of the block that was entered last; bytes is 0 before the first."""
        address = self._header_view[native.LAST]
        region = self._find(address)
        if region is None:
            return address, 0
        size = region.words[region.row(address)] & _SIZE
        return address, size or self._unstable.get(address, 0)

    def uncount_after(self, pc: int) -> None:
        """Take back what the last block holds behind the instruction at `pc`, where it was left."""
        address, size = self.last_block()
        region = self._find(address)
        if region is not None and address <= pc < address + size:
            self.total -= max(thumb.scan(region.code(pc, address + size - pc)).instructions - 1, 0)

    def has_code(self, begin: int, end: int) -> bool:
        """Tell whether code in [begin, end) was executed since it was last changed."""
        begin -= REACH
        return any(region.has_blocks(begin, end) for region in self._regions) or any(
            begin <= address < end for address in self._unstable
        )

    def forget(self, begin: int, end: int) -> None:
        """Drop what is known about code in [begin, end): it was changed. The total stays."""
        self.version += 1
        self.changes += 1
        begin -= REACH
        for region in self._regions:
            region.clear(begin, end)
        self.on_forget(begin, end)
        self._unstable = {at: size for at, size in self._unstable.items() if not begin <= at < end}
        for where in (self._retired, self._unmasking):
            for block in [block for block in where if begin <= block[0] < end]:
                del where[block]

    def rescan(self) -> None:
        """Look at every block again before it runs next, because the rules changed. Counts stay."""
        for region in self._regions:
            for index in np.flatnonzero(region.bytes):
                self._retire(region, ENTRY_WORDS * int(index))
                region.words[ENTRY_WORDS * int(index)] = _OUTDATED  # so that `has_code` knows of it

    def clear_profile(self) -> None:
        """Start the execution profile anew. The total stays."""
        self.version += 1
        self._retired.clear()
        self._unmasking.clear()
        for region in self._regions:
            region.executions[:] = 0
            region.fall_throughs[:] = 0

    def profile(self) -> BlockProfile:
        """Return the executions of each block since power-on, `clear_profile`, or since its code changed."""
        executions, fall_throughs = self.tally()
        ran = executions > 0
        blocks, which = np.unique(self.blocks[ran], axis=0, return_inverse=True)
        sums = np.zeros((len(blocks), 2), np.uint64)
        np.add.at(sums, which.ravel(), np.column_stack([executions[ran], fall_throughs[ran]]))
        return BlockProfile(*blocks.T, *sums.T)

    def tally(self) -> tuple[Counts, Counts]:
        """Return executions and fall-throughs of each row of `blocks`; quick, as long as no block is new.

        `blocks` has address, bytes and instructions, shape [N, 3]; one that was cut anew has several rows. It is
        another array once `version` has changed.
        """
        if self._tallied != self.version:
            self._tallied = self.version
            self._places = [np.flatnonzero(region.bytes & _SIZE) for region in self._regions]
            known = [region.blocks(at) for region, at in zip(self._regions, self._places, strict=True)]
            aside = [np.array(list(where), np.uint32).reshape(-1, 3) for where in (self._retired, self._unmasking)]
            self.blocks = np.concatenate([*known, *aside])
            self._past = np.array(list(self._retired.values()), np.uint64).reshape(-1, 2)
        tables = zip(self._regions, self._places, strict=True)
        rows = [(region.executions[at], region.fall_throughs[at]) for region, at in tables if len(at)]
        others = np.array(list(self._unmasking.values()), np.uint64).reshape(-1, 2)
        columns = zip(*rows, self._past.T, others.T, strict=True)
        executions, fall_throughs = (np.concatenate(each) for each in columns)
        return executions, fall_throughs
