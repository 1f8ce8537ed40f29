"""How long the CPU waits for flash: caches simulated on a trace of one inference.

The wait of a block is the mean over its executions in the trace; it then holds for every execution of the same image.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.boards.virtual.core.native import READ

if TYPE_CHECKING:
    from harness.boards.virtual.core.block_table import Counts
    from harness.config.chip import Cache, FlashTiming

_PIECE = 1 << 18  # blocks at once, which bounds the memory that it takes
_SYSTEM_BUS = 0x20000000
_Places = np.ndarray[Any, np.dtype[np.int64]]


class _Lru:
    """A set-associative cache that replaces the line used least recently; of a line, what was read is valid."""

    def __init__(self, cache: Cache, read_bytes: int) -> None:
        self._ways = cache.ways or cache.bytes // cache.line_bytes
        self._sets: list[OrderedDict[int, set[int]]] = [
            OrderedDict() for _ in range(cache.bytes // (cache.line_bytes * self._ways))
        ]
        self._reads_a_line = cache.line_bytes // read_bytes

    def misses(self, reads: _Places) -> _Places:
        """Return the places in a sequence of flash reads, each by its number in memory, that miss."""
        found = []
        for place, read in enumerate(reads.tolist()):
            line = read // self._reads_a_line
            lines = self._sets[line % len(self._sets)]
            valid = lines.get(line)
            if valid is None:
                if len(lines) == self._ways:
                    lines.popitem(last=False)
                lines[line] = {read}
                found.append(place)
            else:
                lines.move_to_end(line)
                if read not in valid:
                    valid.add(read)
                    found.append(place)
        return np.array(found, np.int64)


class _TwoWays:
    """The same for at most two ways and lines of one read, all at once: a hit is one of the last two lines of its set.

    Lines of a set are never equal to those before them once repetitions are left out, so a line that is two places back
    is there still, and none from farther back.
    """

    def __init__(self, cache: Cache) -> None:
        self._ways = cache.ways
        self._sets = cache.bytes // (cache.line_bytes * (cache.ways or 1))
        self._held = np.zeros(0, np.int64)

    def misses(self, reads: _Places) -> _Places:
        """Return the places of reads that miss, as `_Lru` does."""
        lines = np.concatenate([self._held, reads])
        order = np.argsort(lines % self._sets, kind="stable")
        fresh = np.flatnonzero(np.diff(lines[order], prepend=-1))
        order = order[fresh]
        found = lines[order]
        missed = np.ones(len(found), bool)
        if self._ways == 2:
            missed[2:] = found[2:] != found[:-2]
        ends = np.flatnonzero(np.diff(found % self._sets, append=-1))
        starts = np.concatenate([[0], ends[:-1] + 1])
        before = np.maximum(ends - 1, starts)
        places = np.sort(order[missed]) - len(self._held)
        self._held = found[np.unique(np.concatenate([before, ends]))]
        return places[places >= 0]


def _simulation(cache: Cache, read_bytes: int) -> _Lru | _TwoWays:
    quick = cache.line_bytes == read_bytes and cache.ways in (1, 2)
    return _TwoWays(cache) if quick else _Lru(cache, read_bytes)


class FlashWaits:
    """The waits for flash in a trace, which is given in pieces.

    Caches are empty in the beginning. The CPU waits for each read that misses, of instructions and of data alike; what
    a prefetch would hide is not taken off.

    Args:
        flash: how the chip reads its flash.
    """

    def __init__(self, flash: FlashTiming) -> None:
        self._flash = flash
        self._caches = [
            None if cache is None else _simulation(cache, flash.read_bytes)
            for cache in (flash.instruction_cache, flash.data_cache)
        ]
        self._waits: Counter[int] = Counter()
        self._executions: Counter[int] = Counter()

    def add(self, entries: Counts) -> None:
        """Simulate a piece of a trace that begins with a block."""
        flash = self._flash
        is_read = (entries & np.uint64(READ)) != 0
        address = (entries & np.uint64(0xFFFFFFFF)).astype(np.int64)
        size = np.where(is_read, 1, (entries & np.uint64(READ - 1)) >> np.uint64(32)).astype(np.int64)
        block = np.maximum.accumulate(np.where(is_read, 0, np.arange(len(entries))))  # in which each entry lies
        in_flash = (address >= flash.start) & (address < flash.end)
        for chosen, cache, wait in (
            (in_flash & ~is_read, self._caches[0], flash.instruction_wait),
            (in_flash & is_read, self._caches[1], flash.data_wait),
        ):
            at, reads = _flash_reads(np.flatnonzero(chosen), address, size, flash.read_bytes)
            if cache is not None and len(reads):
                fresh = np.flatnonzero(np.diff(reads, prepend=-1))  # the same again is a hit
                at = at[fresh][cache.misses(reads[fresh])]
            for start, times in zip(*np.unique(address[block[at]], return_counts=True), strict=True):
                self._waits[int(start)] += int(times) * wait
        for start, times in zip(*np.unique(address[~is_read], return_counts=True), strict=True):
            self._executions[int(start)] += int(times)

    def mean(self) -> dict[int, float]:
        """Return the mean wait of each block that waits, in cycles, by its address."""
        return {start: waits / self._executions[start] for start, waits in self._waits.items()}


def shares_of_code(entries: Counts, flash: FlashTiming) -> tuple[float, float]:
    """Return the shares of the code in a trace, by its bytes, that are in flash, and fetched over the system bus.

    The second is all from 0x20000000 on: Cortex-M4 Technical Reference Manual, Arm 100166, chapter 2, bus interfaces.
    There a fetch takes longer than over the ICode bus, and meets data on its way.

    Args:
        entries: of a trace.
        flash: of the chip.
    """
    blocks = entries[(entries & np.uint64(READ)) == 0]
    sizes = (blocks >> np.uint64(32)).astype(np.float64)
    address = blocks & np.uint64(0xFFFFFFFF)
    whole = max(sizes.sum(), 1.0)
    in_flash = (address >= flash.start) & (address < flash.end)
    return float(sizes[in_flash].sum() / whole), float(sizes[address >= _SYSTEM_BUS].sum() / whole)


def mean_stalls(entries: Counts, flash: FlashTiming) -> dict[int, float]:
    """Return the mean wait for flash of each block in a trace, in cycles, by the block's address.

    Args:
        entries: of a trace, in order; what was read before the first block is left out.
        flash: how the chip reads its flash.
    """
    waits = FlashWaits(flash)
    blocks = np.flatnonzero((entries & np.uint64(READ)) == 0)
    cuts = [*blocks[::_PIECE].tolist(), len(entries)]
    for begin, end in pairwise(cuts):
        waits.add(entries[begin:end])
    return waits.mean()


def _flash_reads(at: _Places, address: _Places, size: _Places, read_bytes: int) -> tuple[_Places, _Places]:
    """Return the reads of flash that entries need: the place of the entry, and the number of the read in memory."""
    first = address[at] // read_bytes
    count = (address[at] + size[at] - 1) // read_bytes - first + 1
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(at, count), np.repeat(first, count) + within
