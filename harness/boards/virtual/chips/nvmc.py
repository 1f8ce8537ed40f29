"""NVMC: erases and programs the flash. Writes only clear bits; an erased bit is 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.chips.peripheral import Peripheral

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.chips.nrf52840 import Page
    from harness.config.chip import ChipData

READ_ONLY, WRITE, ERASE = 0, 1, 2
_UICR = 0x10001000
_READY, _READYNEXT, _CONFIG = 0x400, 0x408, 0x504
_ERASEPAGE, _ERASEALL, _ERASEUICR, _ERASEPAGEPARTIAL = 0x508, 0x50C, 0x514, 0x518
_ACL, _ACL_END, _ACL_REGION = 0x800, 0x880, 0x10  # each: ADDR, SIZE, PERM
_PERM = 8
_NO_WRITE, _NO_READ = 2, 4  # bits of PERM


class Nvmc(Peripheral):
    """The controller, and the ACL beside it. Every operation is finished at once, so that READY always reads 1.

    A write to flash or UICR while writing isn't enabled, and one that isn't an aligned word, is a bus fault. What
    the chip does on a violation of the ACL isn't modelled: it stops the board.
    """

    how = "NVMC CONFIG, aligned words only"

    def __init__(self, host: Host, page: Page, memory: Memory, chip: ChipData) -> None:
        self._memory = memory
        self._flash_bytes, self._page_bytes = chip.flash.size, chip.flash.page
        self._uicr = memory.information[_UICR]
        self.resists: Callable[[int], bool] | None = None  # tells whether the word at an address stays as it is
        self._settled: dict[int, int] = {}
        super().__init__(host, page)

    def reset(self) -> None:
        """Return to the state after reset; nothing is protected."""
        super().reset()
        self._protected: list[tuple[int, int, int]] = []  # begin, end, the region's first register

    @property
    def mode(self) -> int:
        """READ_ONLY, WRITE or ERASE."""
        return self.registers.get(_CONFIG, 0) & 3

    def read(self, offset: int) -> int:
        return 1 if offset in (_READY, _READYNEXT) else super().read(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register. Once a region of the ACL has its PERM, it stays until the next reset."""
        if _ACL <= offset < _ACL_END:
            permissions = (offset & -_ACL_REGION) + _PERM
            if self.get(permissions):
                return
            if offset == permissions and value & _NO_READ:
                self.host.limit(f"the firmware forbids reading flash by {self.name(offset)}, which isn't modelled")
        super().write(offset, value)

    def _allowed(self, begin: int, end: int) -> bool:
        """Tell whether the ACL lets [begin, end) be changed; stop the board if not."""
        for first, last, region in self._protected:
            if begin < last and end > first:
                text = f"the firmware changes flash at {begin:#x}, which {self.name(region)} protects"
                self.host.limit(f"{text}; what the chip does then isn't modelled")
                return False
        return True

    def written(self, offset: int, value: int) -> None:
        if offset == _CONFIG:
            self._settle()
        if _ACL <= offset < _ACL_END and offset % _ACL_REGION == _PERM and value & _NO_WRITE:
            region = offset - _PERM
            first, size = self.get(region), self.get(region + 4)
            self._protected.append((first, first + size, region))
        if self.mode != ERASE:
            return
        if offset in (_ERASEPAGE, _ERASEPAGEPARTIAL) and value < self._flash_bytes:
            begin = value & -self._page_bytes
            if self._allowed(begin, begin + self._page_bytes):
                self._erase(begin, begin + self._page_bytes)
        elif offset == _ERASEALL and value & 1 and self._allowed(0, self._flash_bytes):
            self.erase_all()
        elif offset == _ERASEUICR and value & 1:
            self._uicr[:] = 0xFF

    def _settle(self) -> None:
        """Give every programmed word the value that it has: the emulator stores what the CPU wrote as it is."""
        for place, value in self._settled.items():
            found = self._memory.find(place, 4)
            if found is not None:
                content, offset = found
                content[offset : offset + 4].view("<u4")[0] = value
        if self._settled:
            self.host.code_changed(min(self._settled), max(self._settled) + 4)
        self._settled.clear()

    def erase_all(self) -> None:
        """Erase flash and UICR."""
        self._erase(0, self._flash_bytes)
        self._uicr[:] = 0xFF

    def _erase(self, begin: int, end: int) -> None:
        self._memory.flash[begin:end] = 0xFF
        self.host.code_changed(begin, end)

    def program(self, address: int, data: bytes) -> bool:
        """Program words into flash or UICR; False if this isn't possible now or there."""
        found = self._memory.find(address, len(data))
        if self.mode != WRITE or address % 4 or len(data) % 4 or found is None:
            return False
        content, offset = found
        if content is not self._memory.flash and content is not self._uicr:
            return False
        if not self._allowed(address, address + len(data)):
            return False
        words = memoryview(content.data)[offset : offset + len(data)].cast(
            "I"
        )  # numpy takes ten times as long for a word
        for index, word in enumerate(memoryview(data).cast("I")):
            place = address + 4 * index
            before = self._settled.get(place, words[index])
            resists = self.resists is not None and self.resists(place)
            words[index] = self._settled[place] = before if resists else before & word
        if content is self._memory.flash:
            self.host.code_changed(address, address + len(data))
        return True
