"""Keeps stores to RAM fast: a page of RAM is executable for the emulator only once code ran there.

The emulator checks every store to a page that may hold code for self-modifying code, which makes it five times
slower; where it translates addresses itself, that is every page. Here it asks for each page once, and learns that RAM
is data. On the chip all RAM is executable; so when code is about to run in a page of RAM, that page becomes so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unicorn import unicorn_const as uc_const

from harness.boards.virtual.chips.memory import RAM_BASE, RAM_BYTES, data_address

if TYPE_CHECKING:
    from harness.boards.virtual.core.cpu import Cpu

PAGE_BYTES = 1024  # of the emulator, for this core
_DATA, _CODE = 3, 7  # read and write; and execute
_CODE_END = 0x00800000  # above flash, nothing but RAM holds code


class RamPages:
    """Which pages of RAM hold code that ran."""

    def __init__(self, cpu: Cpu) -> None:
        """Take over the emulator's address translation, one to one but for code RAM."""
        self._cpu = cpu
        self._code: set[int] = set()
        self.failure: BaseException | None = None
        cpu.uc.ctl_set_tlb_mode(uc_const.UC_TLB_VIRTUAL)
        cpu.uc.hook_add(uc_const.UC_HOOK_TLB_FILL, self._fill)

    def _fill(self, _uc: Any, address: int, kind: int, entry: Any, _data: Any) -> bool:
        try:
            address = data_address(address)
            entry.paddr = address
            code = address < _CODE_END or (address - RAM_BASE) // PAGE_BYTES in self._code
            entry.perms = _CODE if code else _DATA
            if kind != uc_const.UC_MEM_FETCH:  # a fetch needs the IT state that it finds
                self._cpu.mend_it_state()
        except BaseException as error:  # noqa: BLE001 - nothing may cross the C code; the run loop raises it
            self.failure = error
            return False
        return True

    def allow_code(self, pc: int) -> bool:
        """Make the page at `pc` executable, or the next if that one is; False if there is nothing to do."""
        page = (data_address(pc) - RAM_BASE) // PAGE_BYTES
        for candidate in (page, page + 1):
            if 0 <= candidate < RAM_BYTES // PAGE_BYTES and candidate not in self._code:
                self._code.add(candidate)
                self._flush()
                return True
        return False

    def reset(self) -> None:
        """Make all of RAM data again. The caller flushes all translations."""
        if self._code:
            self._code.clear()
            self._flush()

    def _flush(self) -> None:
        self._cpu.uc.ctl(uc_const.UC_CTL_TLB_FLUSH, uc_const.UC_CTL_IO_WRITE)
