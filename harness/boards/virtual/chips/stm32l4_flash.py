"""FLASH of the STM32L4: erases pages and banks, programs double words (reference manual RM0351, chapter FLASH)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.boards.virtual.chips.device import Device

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.memory import Memory
    from harness.config.chip import ChipData

ACR, _KEYR, _SR, _CR, _OPTR = 0x00, 0x08, 0x10, 0x14, 0x20
_KEYS = [0x45670123, 0xCDEF89AB]
_EOP, _PROGERR, _PGSERR = 1 << 0, 1 << 3, 1 << 7
_PG, _PER, _MER1, _MER2, _START, _LOCK = 1 << 0, 1 << 1, 1 << 2, 1 << 15, 1 << 16, 1 << 31
_PAGE_NUMBER = 0x1FF  # PNB, and BKER above it
_DUALBANK, _IWDG_BY_SOFTWARE = 1 << 21, 1 << 16
_RESETS = {ACR: 0x600, _CR: 0xC0000000, _OPTR: 0xFFCFF8AA | _DUALBANK | _IWDG_BY_SOFTWARE}
_ERASED = b"\xff" * 8


class FlashInterface(Device):
    """The controller. Every operation is finished at once, so that BSY always reads 0.

    Flash takes pairs of words, the lower one first, into 64 bits that are erased, or all zeros into any; else PROGERR
    or PGSERR is set and nothing is written. The emulator stores each word that the CPU writes as it is, so the true
    content is put there when the controller is next used.
    """

    how = "FLASH_CR.PG, unlocked, pairs of words"

    def __init__(self, host: Host, base: int, memory: Memory, chip: ChipData) -> None:
        self._memory = memory
        self._begin, self._page_bytes = chip.flash.start, chip.flash.page
        self.resists: Callable[[int], bool] | None = None
        self._first: tuple[int, bytes, bytes] | None = None  # place, lower word, what the 64 bits were
        self._late: tuple[int, bytes] | None = None  # place and content of what was programmed last
        super().__init__(host, base)

    def reset(self) -> None:
        """Lock the controller."""
        self._settle()
        self.registers = dict(_RESETS)
        self._keys: list[int] = []

    def read(self, offset: int) -> int:
        """Return a register."""
        self._settle()
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register. A locked CR ignores it."""
        self._settle()
        if offset == _KEYR:
            self._keys = [*self._keys, value][-2:]
            if self._keys == _KEYS:
                self.registers[_CR] &= ~_LOCK
        elif offset == _SR:
            self.registers[_SR] = self.get(_SR) & ~value
        elif offset == _CR:
            self._control(value)
        else:
            super().write(offset, value)

    def _control(self, value: int) -> None:
        if self.get(_CR) & _LOCK:
            return
        self.registers[_CR] = value & ~_START
        if not value & _START:
            return
        half = len(self._memory.flash) // 2
        if value & _PER:
            place = (value >> 3 & _PAGE_NUMBER) * self._page_bytes
            self._erase(place, place + self._page_bytes)
        if value & _MER1:
            self._erase(0, half)
        if value & _MER2:
            self._erase(half, 2 * half)

    def erase_all(self) -> None:
        """Erase both banks."""
        self._erase(0, len(self._memory.flash))

    def _erase(self, begin: int, end: int) -> None:
        self._memory.flash[begin:end] = 0xFF
        self.registers[_SR] = self.get(_SR) | _EOP
        self.host.code_changed(self._begin + begin, self._begin + end)

    def _settle(self) -> None:
        if self._late is not None:
            (place, content), self._late = self._late, None
            self._put(place, content)

    def _put(self, place: int, content: bytes) -> None:
        offset = place - self._begin
        self._memory.flash[offset : offset + 8] = np.frombuffer(content, np.uint8)
        self.host.code_changed(place, place + 8)

    def program(self, address: int, data: bytes) -> bool:
        """Program words; False if this isn't possible now or there."""
        place = self._memory.data_address(address)
        offset = place - self._begin
        inside = offset >= 0 and offset + len(data) <= len(self._memory.flash)
        if not inside or not self.get(_CR) & _PG or place % 4 or len(data) % 4:
            return False
        for index in range(0, len(data), 4):
            self._word(place + index, data[index : index + 4])
        return True

    def _word(self, place: int, word: bytes) -> None:
        if place % 8 == 0:
            self._settle()
            self._first = place, word, self._memory.read(place, 8) or _ERASED
            return
        first, self._first = self._first, None
        if first is None or first[0] != place - 4:
            self.registers[_SR] = self.get(_SR) | _PGSERR
            self._late = place - 4, self._memory.read(place - 4, 8) or _ERASED
            return
        begin, lower, before = first
        content = lower + word
        refused = before != _ERASED and any(content)
        self.registers[_SR] = self.get(_SR) | (_PROGERR if refused else _EOP)
        if not refused and self.resists is not None:
            halves = [before[at : at + 4] if self.resists(begin + at) else content[at : at + 4] for at in (0, 4)]
            content = b"".join(halves)
        self._late = begin, before if refused else content
        self._put(*self._late)
