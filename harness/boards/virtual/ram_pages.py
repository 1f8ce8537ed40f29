"""Keeps stores to RAM fast: a page of RAM is executable for the emulator only once code ran there.

The emulator checks every store to an executable page for self-modifying code, which makes it ten times slower.
On the chip all RAM is executable; so when code is about to run in a page of RAM, that page becomes so.

This is done by page protection and not by the emulator's own hook for address translation (UC_HOOK_TLB_FILL): with
that one, Unicorn 2.1.4 restores the CPU's state at every miss, and so sets the IT bits when the miss is an access
inside an IT block. The access then goes on, nothing clears them, and the next block is translated as if it stood in
that IT block: instructions are left out in silence. Hooks on memory accesses do the same.
"""

from __future__ import annotations

from typing import Any

from unicorn import unicorn_const as uc_const

from harness.boards.virtual.memory import RAM_BASE, RAM_BYTES

PAGE_BYTES = 1024  # of the emulator, for this core
DATA = uc_const.UC_PROT_READ | uc_const.UC_PROT_WRITE


class RamPages:
    """Which pages of RAM hold code that ran. RAM is mapped as data at first."""

    def __init__(self, uc: Any) -> None:
        """Begin with no code in RAM."""
        self._uc = uc
        self._code: set[int] = set()

    def allow_code(self, pc: int) -> bool:
        """Make the page at `pc` executable, or the next if that one is; False if there is nothing to do."""
        page = (pc - RAM_BASE) // PAGE_BYTES
        for candidate in (page, page + 1):
            if 0 <= candidate < RAM_BYTES // PAGE_BYTES and candidate not in self._code:
                self._code.add(candidate)
                self._protect(candidate, uc_const.UC_PROT_ALL)
                return True
        return False

    def reset(self) -> None:
        """Make all of RAM data again. The caller flushes all translations."""
        for page in sorted(self._code):
            self._protect(page, DATA)
        self._code.clear()

    def _protect(self, page: int, permissions: int) -> None:
        self._uc.mem_protect(RAM_BASE + page * PAGE_BYTES, PAGE_BYTES, permissions)
