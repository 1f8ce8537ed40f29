"""What the instruction counter knows of each block of code in one memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

NO_LIMIT = 2**64 - 1
REACH = 1024  # a block may begin so far before the code that it reaches; it never spans more than a page
ENTRY_WORDS = 6
Counts = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True)
class BlockProfile:
    """How often each block of the code that is now in memory ran. One row per block.

    Attributes:
        address: of the block's first instruction, uint32.
        size: its bytes, uint32.
        instructions: issued per execution, uint32.
        executions: how often it was executed, uint64.
        fall_throughs: how often the block in front of it ran into it, uint64; otherwise it was jumped to.
    """

    address: np.ndarray[Any, np.dtype[np.uint32]]
    size: np.ndarray[Any, np.dtype[np.uint32]]
    instructions: np.ndarray[Any, np.dtype[np.uint32]]
    executions: Counts
    fall_throughs: Counts


class BlockTable:
    """Counting table of one memory.

    It has {u32 bytes, u16 instructions, u16 registers, u64 executions, u64 fall-throughs} per halfword.
    """

    def __init__(self, base: int, memory: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        self.base = base
        self.end = base + len(memory)
        self.memory = memory
        self.table = np.zeros(ENTRY_WORDS * (len(memory) // 2), np.uint32)
        self.words = memoryview(self.table.data)
        self.longs = self.words.cast("B").cast("Q")
        self.bytes = self.table[::ENTRY_WORDS]
        self.executions = self.table.view(np.uint64)[1 :: ENTRY_WORDS // 2]
        self.fall_throughs = self.table.view(np.uint64)[2 :: ENTRY_WORDS // 2]
        self._coded: set[int] = set()  # stretches of REACH bytes that blocks begin in

    def note_block(self, address: int) -> None:
        """Note that the block at `address` has an entry."""
        self._coded.add(address // REACH)

    def clear(self, begin: int, end: int) -> None:
        """Drop the entries in [begin, end)."""
        self.rows(begin, end)[:] = 0
        self._coded.difference_update(range(-(-begin // REACH), end // REACH))

    def has_blocks(self, begin: int, end: int) -> bool:
        """Tell whether a block in [begin, end) has an entry: quick, as it is asked for every word written to flash."""
        stretches = range(begin // REACH, (end - 1) // REACH + 1)
        return not self._coded.isdisjoint(stretches) and bool(self.rows(begin, end)[:, 0].any())

    @property
    def context(self) -> int:
        """Where the entry of address 0 would lie, for the native callback: it has 12 bytes for each of code."""
        return (int(self.table.ctypes.data) - 12 * self.base) & NO_LIMIT

    def blocks(self, places: np.ndarray[Any, np.dtype[np.intp]]) -> np.ndarray[Any, np.dtype[np.uint32]]:
        """Return address, bytes and instructions of the entries at these places, counted in halfwords, shape [N, 3]."""
        entries = self.table.reshape(-1, ENTRY_WORDS)[places, :2] & 0xFFFF
        return np.column_stack([(self.base + 2 * places).astype(np.uint32), entries])

    def row(self, address: int) -> int:
        """Return the place in `words` of the entry for `address`; `longs` has it at half of that."""
        return ENTRY_WORDS // 2 * (address - self.base)

    def code(self, address: int, size: int) -> bytes:
        """Return the code in [address, address + size)."""
        return self.memory[address - self.base : address - self.base + size].tobytes()

    def rows(self, begin: int, end: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
        """Return the entries in [begin, end), of which the memory may have none."""
        first, last = max(begin, self.base) - self.base, min(end, self.end) - self.base
        return self.table.reshape(-1, ENTRY_WORDS)[first // 2 : max(first, last + 1) // 2]
