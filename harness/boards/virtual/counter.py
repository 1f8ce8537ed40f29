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

from harness.boards.virtual import native, thumb
from harness.boards.virtual.binding import uclib
from harness.errors import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable


NO_LIMIT = 2**64 - 1
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
    """Counting table of one memory: {u32 bytes, u32 instructions, u64 executions} per halfword."""

    def __init__(self, base: int, memory: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        self.base = base
        self.end = base + len(memory)
        self.memory = memory
        self.table = np.zeros(4 * (len(memory) // 2), np.uint32)
        self.words = memoryview(self.table.data)
        self.longs = self.words.cast("B").cast("Q")

    @property
    def context(self) -> int:
        return (int(self.table.ctypes.data) - 8 * self.base) & NO_LIMIT

    def rows(self, begin: int, end: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
        first, last = max(begin, self.base) - self.base, min(end, self.end) - self.base
        return self.table.reshape(-1, 4)[first // 2 : max(first, last + 1) // 2]


class BlockCounter:
    """The instruction counter of one CPU."""

    def __init__(
        self,
        uc: Any,
        memories: list[tuple[int, np.ndarray[Any, np.dtype[np.uint8]]]],
        on_block: Callable[[int, int, thumb.CodeFacts], bool],
        *,
        allow_native: bool = True,
    ) -> None:
        """Hook the CPU.

        Args:
            uc: the CPU emulator.
            memories: where code may run: first address and content of each.
            on_block: called in the emulator's thread before a block that may need attention runs, with its
                address, bytes and facts; False stops the CPU before the block.
            allow_native: False forces the slower counter in Python, for comparison.
        """
        self._uc = uc
        self._regions = [_Region(base, memory) for base, memory in memories]
        self._on_block = on_block
        self._header = np.zeros(4, np.uint64)
        self._header_view = memoryview(self._header.data)
        self._header_view[native.LIMIT] = NO_LIMIT
        self._last_size = 0
        self._unstable: dict[int, int] = {}
        self._retired: dict[tuple[int, int], int] = {}
        self.stopped_at: int | None = None
        self.failure: BaseException | None = None
        self._slow = _BLOCK_CALLBACK(self._slow_path)
        self._handles = [ctypes.c_size_t() for _ in self._regions]
        self.description = self._hook(native.stubs_for_this_host() if allow_native else None)

    def _hook(self, stubs: native.Stubs | None) -> str:
        slow = ctypes.cast(self._slow, ctypes.c_void_p).value or 0
        self._header_view[native.SLOW] = slow
        callback, description = slow, "block counter in Python (slow)"
        if stubs is not None:
            self._page = native.executable([stubs.block(int(self._header.ctypes.data))])
            description = "block counter in Python (slow: the system allows no executable memory)"
            if self._page is not None:
                callback, description = self._page.addresses[0], f"native block counter ({stubs.name})"
        for region, handle in zip(self._regions, self._handles, strict=True):
            status = uclib.uc_hook_add(
                self._uc._uch,  # noqa: SLF001 - the binding has no public way to add a native callback
                ctypes.byref(handle),
                uc_const.UC_HOOK_BLOCK,
                ctypes.c_void_p(callback),
                ctypes.c_void_p(region.context),
                ctypes.c_uint64(region.base),
                ctypes.c_uint64(region.end - 1),
            )
            if status != uc_const.UC_ERR_OK:
                raise EmulatorError(f"the CPU emulator refused the instruction counter (error {status})")
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
        if words[row] != size:
            code = region.memory[address - region.base : address - region.base + size].tobytes()
            facts = thumb.scan(code)
            special = facts.first_fp is not None or facts.unmasks
            if special and not self._on_block(address, size, facts):
                self._stop_here(address)
                return
            self._retire(region, row)
            if facts.unmasks:  # stays unknown, so that each execution comes here
                self._unstable[address] = size
                header[native.TOTAL] += facts.instructions
                header[native.LAST] = address
                key = (address, facts.instructions)
                self._retired[key] = self._retired.get(key, 0) + 1
                return
            words[row] = size
            words[row + 1] = facts.instructions
        header[native.TOTAL] += words[row + 1]
        header[native.LAST] = address
        region.longs[row // 2 + 1] += 1

    def _retire(self, region: _Region, row: int) -> None:
        """Move an entry's executions aside, for its block is about to be cut differently."""
        executions = region.longs[row // 2 + 1]
        if executions:
            key = (region.base + row // 2, region.words[row + 1])
            self._retired[key] = self._retired.get(key, 0) + executions
        region.words[row] = 0
        region.longs[row // 2 + 1] = 0

    def last_block(self) -> tuple[int, int]:
        """Return address and bytes of the block that was entered last; bytes is 0 before the first."""
        address = self._header_view[native.LAST]
        for region in self._regions:
            if region.base <= address < region.end:
                size = region.words[2 * (address - region.base)] or self._unstable.get(address, 0)
                return address, size
        return address, 0

    def uncount_after(self, pc: int) -> None:
        """Take back what the last block holds behind the instruction at `pc`, where it was left."""
        address, size = self.last_block()
        if not address <= pc < address + size:
            return
        region = self._region_of(address)
        rest = region.memory[pc - region.base : address + size - region.base].tobytes()
        self._header_view[native.TOTAL] -= max(thumb.count(rest) - 1, 0)

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
            if begin < region.end and end > region.base and region.rows(begin - reach, end)[:, 0].any():
                return True
        return any(begin - reach <= address < end for address in self._unstable)

    def forget(self, begin: int, end: int) -> None:
        """Drop what is known about code in [begin, end): it was changed. The total stays."""
        reach = 1024
        for region in self._regions:
            if begin < region.end and end > region.base:
                region.rows(begin - reach, end)[:] = 0
        self._unstable = {at: size for at, size in self._unstable.items() if not begin - reach <= at < end}
        self._retired = {key: n for key, n in self._retired.items() if not begin - reach <= key[0] < end}

    def rescan(self) -> None:
        """Look at every block again before it runs next, because the rules changed. Counts stay."""
        for region in self._regions:
            for index in np.flatnonzero(region.table.reshape(-1, 4)[:, 0]):
                self._retire(region, 4 * int(index))

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
                key = (region.base + 2 * int(index), int(table[index, 1]))
                rows[key] = rows.get(key, 0) + int(table.view(np.uint64)[index, 1])
        keys = sorted(rows)
        return BlockProfile(
            np.array([key[0] for key in keys], np.uint32),
            np.array([key[1] for key in keys], np.uint32),
            np.array([rows[key] for key in keys], np.uint64),
        )
