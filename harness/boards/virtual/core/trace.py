"""Writes down which blocks run and what is read from flash, in their order, for a simulation of caches."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
from unicorn import unicorn_const as uc_const

from harness.boards.virtual.core import native
from harness.boards.virtual.core.binding import hook, unhook

if TYPE_CHECKING:
    from harness.boards.virtual.core.block_table import Counts

_LAST_ADDRESS = 0xFFFFFFFF
_BLOCK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)
_READ = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
)


class Trace:
    """A trace from its making until `close`. The caller has the code translated anew after both."""

    def __init__(self, uc: Any, flash: tuple[int, int], entries: int, *, allow_native: bool = True) -> None:
        """Begin.

        Args:
            uc: Unicorn's CPU emulator.
            flash: first address and end of the memory whose reads are noted.
            entries: how many there is room for.
            allow_native: False forces the slower way in Python, for comparison.
        """
        self._uc = uc
        self._content: Counts = np.empty(entries, np.uint64)
        begin = int(self._content.ctypes.data)
        self._bounds = np.array([begin, begin + 8 * entries], np.uint64)
        self._begin = begin
        stubs = native.stubs_for_this_host() if allow_native else None
        self._page = None if stubs is None else native.executable([stubs.trace_block, stubs.trace_read])
        self._slow = _BLOCK(self._on_block), _READ(self._on_read)
        callbacks = [ctypes.cast(each, ctypes.c_void_p).value or 0 for each in self._slow]
        if self._page is not None:
            callbacks = self._page.addresses
        context = int(self._bounds.ctypes.data)
        self._hooks = [
            hook(uc, uc_const.UC_HOOK_BLOCK, callbacks[0], context, 0, _LAST_ADDRESS),
            hook(uc, uc_const.UC_HOOK_MEM_READ, callbacks[1], context, flash[0], flash[1] - 1),
        ]

    def _note(self, entry: int) -> None:
        if not self.full:
            self._content[self.length] = entry
            self._bounds[0] += np.uint64(8)

    def _on_block(self, _uc: int, address: int, size: int, _context: int) -> None:
        self._note(size << 32 | address)

    def _on_read(self, _uc: int, _kind: int, address: int, _size: int, _value: int, _context: int) -> None:
        self._note(native.READ | address)

    @property
    def length(self) -> int:
        """How many entries there are."""
        return (int(self._bounds[0]) - self._begin) // 8

    @property
    def full(self) -> bool:
        """Whether there is no more room, so that entries are missing."""
        return self.length == len(self._content)

    def entries(self, begin: int, end: int) -> Counts:
        """Return the entries [begin, end): READ | address of a read, or bytes << 32 | address of a block."""
        return self._content[begin:end]

    def close(self) -> None:
        """End the trace; what it holds stays."""
        for handle in self._hooks:
            unhook(self._uc, handle)
        self._hooks.clear()
