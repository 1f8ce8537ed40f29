"""What the emulated CPU finds at which address: memories, peripherals, its private bus, and nothing.

The emulator checks every store to a page that may hold code for self-modifying code, which makes it five times
slower; where it translates addresses itself, that is every page. Here it asks for each page once, and learns that RAM
is data. On the chip all RAM is executable; so when code is about to run in a page of RAM, that page becomes so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unicorn import unicorn_const as uc_const

from harness.boards.virtual.core.scs import PPB, PPB_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.bus import Bus
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.core.counter import BlockCounter
    from harness.boards.virtual.core.cpu import Cpu
    from harness.boards.virtual.core.scs import PrivateBus

_PAGE_BYTES = 1024  # of the emulator, for this core
_DATA, _CODE = 3, 7  # read and write; and execute
_FETCHES = (uc_const.UC_MEM_FETCH_UNMAPPED, uc_const.UC_MEM_FETCH_PROT)
_WRITES = (uc_const.UC_MEM_WRITE_PROT, uc_const.UC_MEM_WRITE_UNMAPPED)


@dataclass(frozen=True)
class Access:
    """An access that failed, and the registers at that moment."""

    write: bool
    address: int
    registers: dict[str, int]


class AddressSpace:
    """The addresses of one CPU.

    Attributes:
        access: the access that failed since this was last None.
        lowest_write: the lowest address written since `watch_writes`; None if there was no write.
    """

    def __init__(self, cpu: Cpu, counter: BlockCounter, memory: Memory, bus: Bus, private: PrivateBus) -> None:
        """Map the memories and registers, and take over the emulator's address translation."""
        self._cpu = cpu
        self._counter = counter
        self._program = bus.flash.program
        self._memory = memory
        self._fixed = [
            range(region.base, region.end) for region in memory.regions if region.executable and not region.writable
        ]
        self._code_pages: set[int] = set()  # pages of RAM that hold code that ran
        self._write_watch: int | None = None
        self.access: Access | None = None
        self.lowest_write: int | None = None
        uc = cpu.uc
        for region in memory.regions:
            protection = uc_const.UC_PROT_READ | (uc_const.UC_PROT_EXEC if region.executable else 0)
            protection |= uc_const.UC_PROT_WRITE if region.writable else 0
            uc.mem_map_ptr(region.base, len(region.content), protection, region.content.ctypes.data)
        for base, size in bus.spans():
            self._map_registers(base, size, bus.read, lambda address, value, _size: bus.write(address, value))
        self._map_registers(PPB, PPB_BYTES, private.read, private.write)
        # Not over RAM: there nothing is invalid, and a hook alone makes each access slower.
        begin = 0
        invalid = counter.guarded(self._on_invalid_access, otherwise=False)
        for bank in sorted(memory.banks, key=lambda bank: bank.base):
            if bank.base > begin:
                uc.hook_add(uc_const.UC_HOOK_MEM_INVALID, invalid, None, begin, bank.base - 1)
            begin = bank.end
        uc.hook_add(uc_const.UC_HOOK_MEM_INVALID, invalid, None, begin, 0xFFFFFFFF)
        uc.ctl_set_tlb_mode(uc_const.UC_TLB_VIRTUAL)
        uc.hook_add(uc_const.UC_HOOK_TLB_FILL, counter.guarded(self._translate, otherwise=False))

    def _map_registers(
        self,
        base: int,
        size: int,
        read: Callable[[int, int], int | None],
        write: Callable[[int, int, int], object],
    ) -> None:
        def on_read(_uc: Any, offset: int, width: int, _data: Any) -> int:
            return read(base + offset, width) or 0

        def on_write(_uc: Any, offset: int, width: int, value: int, _data: Any) -> None:
            write(base + offset, value, width)

        guarded = self._counter.guarded
        self._cpu.uc.mmio_map(base, size, guarded(on_read, otherwise=0), None, guarded(on_write), None)

    def _on_invalid_access(self, _uc: Any, kind: int, address: int, size: int, value: int, _data: Any) -> bool:
        if kind == uc_const.UC_MEM_WRITE_PROT:
            data = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
            if self._program(address, data):
                self._cpu.mend_it_state()
                return True  # the emulator itself discards writes to read-only memory
        if self.access is None and kind not in _FETCHES:
            self.access = Access(kind in _WRITES, address, self._cpu.core())
        return False

    # ------------------------------------------------------------------ code in RAM

    def _translate(self, _uc: Any, address: int, kind: int, entry: Any, _data: Any) -> bool:
        address = self._memory.data_address(address)
        entry.paddr = address
        code = any(address in code for code in self._fixed) or address // _PAGE_BYTES in self._code_pages
        entry.perms = _CODE if code else _DATA
        if kind != uc_const.UC_MEM_FETCH:  # a fetch needs the IT state that it finds
            self._cpu.mend_it_state()
        return True

    def allow_code(self, pc: int) -> bool:
        """Make the page at `pc` executable, or the next if that one is; False if there is nothing to do."""
        page = self._memory.data_address(pc) // _PAGE_BYTES
        for candidate in (page, page + 1):
            ram = self._memory.in_ram(candidate * _PAGE_BYTES, _PAGE_BYTES)
            if ram and candidate not in self._code_pages:
                self._code_pages.add(candidate)
                self._flush()
                return True
        return False

    def forget_code(self) -> None:
        """Make all of RAM data again. The caller flushes all translations."""
        if self._code_pages:
            self._code_pages.clear()
            self._flush()

    def _flush(self) -> None:
        self._cpu.uc.ctl(uc_const.UC_CTL_TLB_FLUSH, uc_const.UC_CTL_IO_WRITE)

    # ------------------------------------------------------------------ an independent check of the stack's depth

    def watch_writes(self, bottom: int, top: int) -> None:
        """Watch for the lowest address that the CPU writes in [bottom, top), and no longer what was watched before.

        Slow: each write comes to Python. The caller flushes translations.
        """
        if self._write_watch is not None:
            self._cpu.uc.hook_del(self._write_watch)
        self.lowest_write = None
        self._write_watch = self._cpu.uc.hook_add(uc_const.UC_HOOK_MEM_WRITE, self._on_write, None, bottom, top - 1)

    def _on_write(self, _uc: Any, _kind: int, address: int, _size: int, _value: int, _data: Any) -> None:
        self.lowest_write = address if self.lowest_write is None else min(self.lowest_write, address)
        self._cpu.mend_it_state()
