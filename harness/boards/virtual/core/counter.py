"""Counts the instructions that the CPU issues, exactly, and how often each block of code ran.

The emulator calls back at the start of every translated block. A block's instructions are decoded at its
first execution; afterwards a few native instructions add them to the total. The total of a block is added
when it starts, also if it is left early by a fault: then `uncount_after` takes the rest back.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from unicorn import unicorn_const as uc_const

from harness.boards.virtual.core import native, thumb
from harness.boards.virtual.core.binding import hook
from harness.boards.virtual.core.cpu import Cpu
from harness.boards.virtual.core.register_file import find_registers
from harness.errors import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable


NO_LIMIT = 2**64 - 1
_SIZE = _COUNT = 0xFFFF
_OUTDATED = 1 << 30  # in an entry's bytes: a block is here, but must be looked at again
_BLOCK_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)


@dataclass(frozen=True)
class BlockProfile:
    """How often each block of the code that is now in memory ran. One row per block.

    Attributes:
        address: of the block's first instruction, uint32.
        instructions: issued per execution, uint32.
        executions: uint64.
    """

    address: np.ndarray[Any, np.dtype[np.uint32]]
    instructions: np.ndarray[Any, np.dtype[np.uint32]]
    executions: np.ndarray[Any, np.dtype[np.uint64]]


class _Region:
    """Counting table of one memory: {u32 bytes, u16 instructions, u16 registers, u64 executions} per halfword."""

    def __init__(self, base: int, memory: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        self.base = base
        self.end = base + len(memory)
        self.memory = memory
        self.table = np.zeros(4 * (len(memory) // 2), np.uint32)
        self.words = memoryview(self.table.data)
        self.longs = self.words.cast("B").cast("Q")
        self._bytes = self.table[::4]

    @property
    def context(self) -> int:
        return (int(self.table.ctypes.data) - 8 * self.base) & NO_LIMIT

    def code(self, address: int, size: int) -> bytes:
        return self.memory[address - self.base : address - self.base + size].tobytes()

    def rows(self, begin: int, end: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
        return self.table.reshape(-1, 4)[self._places(begin, end)]

    def has_code(self, begin: int, end: int) -> bool:
        return bool(self._bytes[self._places(begin, end)].any())

    def _places(self, begin: int, end: int) -> slice:
        first, last = max(begin, self.base) - self.base, min(end, self.end) - self.base
        return slice(first // 2, max(first, last + 1) // 2)


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
        on_block: Callable[[int, bytes, thumb.CodeFacts], frozenset[int] | None],
        *,
        allow_native: bool = True,
    ) -> None:
        """Hook the CPU.

        Args:
            uc: the CPU emulator.
            memories: where code may run: first address and content of each.
            on_block: called in the emulator's thread before a block runs for the first time, with its address, code
                and facts. It returns up to four registers that must be multiples of four whenever the block starts,
                or None to stop the CPU before the block.
            allow_native: False forces the slower counter in Python, for comparison.
        """
        self._uc = uc
        self._regions = [_Region(base, memory) for base, memory in memories]
        self._on_block = on_block
        self._cpu = Cpu(uc)
        self.on_unaligned: Callable[[int, bytes], None] = lambda _address, _code: None
        self.on_forget: Callable[[int, int], None] = lambda _begin, _end: None
        self._header = np.zeros(native.HEADER_WORDS, np.uint64)
        self._header_view = memoryview(self._header.data)
        self._header_view[native.LIMIT] = NO_LIMIT
        self._last_size = 0
        self._unstable: dict[int, int] = {}
        self._retired: dict[tuple[int, int], int] = {}
        self.stopped_at: int | None = None
        self.failure: BaseException | None = None
        self._slow = _BLOCK_CALLBACK(self._slow_path)
        self._page: native.ExecutablePage | None = None
        self.description = self._hook(native.stubs_for_this_host() if allow_native else None)

    def _hook(self, stubs: native.Stubs | None) -> str:
        slow = ctypes.cast(self._slow, ctypes.c_void_p).value or 0
        self._header_view[native.SLOW] = slow
        callback, description = slow, "block counter in Python (slow)"
        registers = None if stubs is None else find_registers(self._uc)
        if stubs is not None and registers is None:
            description = "block counter in Python (slow: the registers of the CPU emulator weren't found)"
        elif stubs is not None and registers is not None:
            self._header_view[native.REGISTERS] = registers
            header = int(self._header.ctypes.data)
            self._page = native.executable([stubs.block(header), *(stubs.watch(mask, header) for mask in native.MASKS)])
            description = "block counter in Python (slow: the system allows no executable memory)"
            if self._page is not None:
                callback, description = self._page.addresses[0], f"native block counter ({stubs.name})"
        for region in self._regions:
            hook(self._uc, uc_const.UC_HOOK_BLOCK, callback, region.context, region.base, region.end - 1)
        self._uc.hook_add(uc_const.UC_HOOK_EDGE_GENERATED, self._on_translation)
        return description

    def _on_translation(self, _uc: Any, block: Any, _previous: Any, _data: Any) -> None:
        """Decode a block again once it was translated again: firmware may have written other code there."""
        try:
            for region in self._regions:
                if region.base <= block.pc < region.end:
                    self._retire(region, 2 * (block.pc - region.base))
        except BaseException as error:  # noqa: BLE001 - nothing may cross the C code; the run loop raises it
            self.failure = error
            self.stop_soon()

    def watch(self, address: int, register: int, mask: int, slow: int) -> int:
        """Call back before the instruction at `address` runs if its register isn't as it should be.

        Args:
            address: of the instruction.
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
        """Instructions issued so far. Inside a block this includes the whole block."""
        return self._header_view[native.TOTAL]

    def stop_soon(self) -> None:
        """Make the CPU stop before its next block. May be called from any thread."""
        self._header_view[native.LIMIT] = 0

    def set_limit(self, limit: int) -> None:
        """Let the CPU run until the total reaches `limit`, at the granularity of blocks."""
        self._header_view[native.LIMIT] = min(limit, NO_LIMIT)

    def _region_of(self, address: int) -> _Region:
        for region in self._regions:
            if region.base <= address < region.end:
                return region
        raise EmulatorError(f"a block at {address:#010x} is outside every memory that holds code")

    def _slow_path(self, _uc: int, address: int, size: int, _context: int) -> None:
        try:
            self._enter(address, size)
        except BaseException as error:  # noqa: BLE001 - nothing may cross the C code; the run loop raises it
            self.failure = error
            self._stop_here(address)

    def _stop_here(self, address: int) -> None:
        self.stopped_at = address
        self._uc.emu_stop()  # called in a block's callback, it takes effect before the block's first instruction

    def _enter(self, address: int, size: int) -> None:
        header = self._header_view
        if header[native.TOTAL] >= header[native.LIMIT]:
            self._stop_here(address)
            return
        region = self._region_of(address)
        words, row = region.words, 2 * (address - region.base)
        if words[row] & ~native.CHECKED != size and not self._admit(region, address, size):
            return
        if words[row] & native.CHECKED and not self._aligned(words[row + 1]):
            self._retire(region, row)
            self.on_unaligned(address, region.code(address, size))
            self._stop_here(address)
            return
        header[native.TOTAL] += words[row + 1] & _COUNT
        header[native.LAST] = address
        region.longs[row // 2 + 1] += 1

    def _admit(self, region: _Region, address: int, size: int) -> bool:
        """Look at a block that is new here; False if nothing is left to do for this execution of it."""
        code = region.code(address, size)
        facts = thumb.scan(code)
        registers = self._on_block(address, code, facts)
        if registers is None:
            self._stop_here(address)
            return False
        row = 2 * (address - region.base)
        self._retire(region, row)
        packed = _pack(registers)
        if facts.unmasks:  # stays unknown, so that each execution comes here
            if registers and not self._aligned(packed):
                self.on_unaligned(address, code)
                self._stop_here(address)
                return False
            header = self._header_view
            self._unstable[address] = size
            header[native.TOTAL] += facts.instructions
            header[native.LAST] = address
            key = (address, facts.instructions)
            self._retired[key] = self._retired.get(key, 0) + 1
            return False
        region.words[row] = size | native.CHECKED * bool(registers)
        region.words[row + 1] = facts.instructions | packed
        return True

    def _aligned(self, packed: int) -> bool:
        return not any(self._cpu.number(packed >> shift & 0xF) & 3 for shift in (16, 20, 24, 28))

    def _retire(self, region: _Region, row: int) -> None:
        """Move an entry's executions aside, for its block is about to be cut differently."""
        executions = region.longs[row // 2 + 1]
        if executions:
            key = (region.base + row // 2, region.words[row + 1] & _COUNT)
            self._retired[key] = self._retired.get(key, 0) + executions
        region.words[row] = 0
        region.longs[row // 2 + 1] = 0

    def last_block(self) -> tuple[int, int]:
        """Return address and bytes of the block that was entered last; bytes is 0 before the first."""
        address = self._header_view[native.LAST]
        for region in self._regions:
            if region.base <= address < region.end:
                size = region.words[2 * (address - region.base)] & _SIZE
                return address, size or self._unstable.get(address, 0)
        return address, 0

    def uncount_after(self, pc: int) -> None:
        """Take back what the last block holds behind the instruction at `pc`, where it was left."""
        address, size = self.last_block()
        if not address <= pc < address + size:
            return
        region = self._region_of(address)
        self._header_view[native.TOTAL] -= max(thumb.count(region.code(pc, address + size - pc)) - 1, 0)

    def uncount_from(self, pc: int) -> None:
        """Take back the instruction at `pc`, before which the last block was left, and what is behind it."""
        self.uncount_after(pc)
        self._header_view[native.TOTAL] -= 1

    def set_total(self, total: int) -> None:
        """Correct the total, after a debugger's step, whose length is known better elsewhere."""
        self._header_view[native.TOTAL] = total

    def add(self, instructions: int) -> None:
        """Count instructions that were issued outside the emulator."""
        self._header_view[native.TOTAL] += instructions

    def has_code(self, begin: int, end: int) -> bool:
        """Tell whether code in [begin, end) was executed since it was last changed."""
        reach = 1024  # a block may begin before the range; it never spans more than a page
        for region in self._regions:
            if begin < region.end and end > region.base and region.has_code(begin - reach, end):
                return True
        return any(begin - reach <= address < end for address in self._unstable)

    def forget(self, begin: int, end: int) -> None:
        """Drop what is known about code in [begin, end): it was changed. The total stays."""
        reach = 1024
        for region in self._regions:
            if begin < region.end and end > region.base:
                region.rows(begin - reach, end)[:] = 0
        self.on_forget(begin - reach, end)
        self._unstable = {at: size for at, size in self._unstable.items() if not begin - reach <= at < end}
        self._retired = {key: n for key, n in self._retired.items() if not begin - reach <= key[0] < end}

    def rescan(self) -> None:
        """Look at every block again before it runs next, because the rules changed. Counts stay."""
        for region in self._regions:
            for index in np.flatnonzero(region.table.reshape(-1, 4)[:, 0]):
                self._retire(region, 4 * int(index))
                region.words[4 * int(index)] = _OUTDATED  # so that `has_code` knows of it

    def clear_profile(self) -> None:
        """Start the execution profile anew. The total stays."""
        self._retired.clear()
        for region in self._regions:
            region.table.reshape(-1, 4).view(np.uint64)[:, 1] = 0

    def profile(self) -> BlockProfile:
        """Return the executions of each block since power-on, `clear_profile`, or since its code changed."""
        rows = dict(self._retired)
        for region in self._regions:
            table = region.table.reshape(-1, 4)
            for index in np.flatnonzero(table.view(np.uint64)[:, 1]):
                key = (region.base + 2 * int(index), int(table[index, 1]) & _COUNT)
                rows[key] = rows.get(key, 0) + int(table.view(np.uint64)[index, 1])
        keys = sorted(rows)
        return BlockProfile(
            np.array([key[0] for key in keys], np.uint32),
            np.array([key[1] for key in keys], np.uint32),
            np.array([rows[key] for key in keys], np.uint64),
        )
