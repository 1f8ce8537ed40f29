"""FLASH of the STM32H7: two banks of sectors, programmed 32 bytes at a time (reference manual RM0433, FLASH)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.boards.virtual.chips.device import Device

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.memory import Memory
    from harness.config.chip import ChipData

#: Registers, by offset; those of bank 2 are 0x100 above.
ACR, _KEYR, _OPTKEYR, _CR, _SR, _CCR = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14
_OPTCR, _OPTSR_CUR, _OPTSR_PRG = 0x18, 0x1C, 0x20
_BANK = 0x100
_KEYS = [0x45670123, 0xCDEF89AB]
_LOCK, _PG, _SER, _BER, _START = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 7
_WBNE, _EOP, _INCERR = 1 << 1, 1 << 16, 1 << 21
_OPTSTART = 1 << 1
_OPTIONS = 0x0BC6AAF0  # no read-out protection
_WORD = 32  # what is programmed at once, with its error correction code


class FlashInterface(Device):
    """The controller. Every operation is finished at once, so that BSY and QW always read 0.

    A bank collects the words of 32 bytes and programs them when it has all; one of other bytes in between is an
    INCERR. The emulator stores each word that the CPU writes as it is, so the true content is put there when the
    controller is next used.
    """

    how = "FLASH_CR.PG of its bank, unlocked, words of 32 bytes"

    def __init__(self, host: Host, base: int, memory: Memory, chip: ChipData) -> None:
        self._memory = memory
        self._begin, self._sector = chip.flash.start, chip.flash.page
        self._bank_bytes = chip.flash.size // 2
        self.resists: Callable[[int], bool] | None = None
        self._before = b""  # what the 32 bytes were that are being collected
        self._place = 0  # where they are
        self._words: dict[int, bytes] = {}
        self._late: tuple[int, bytes] | None = None  # place and content of what was programmed last
        super().__init__(host, base)

    def reset(self) -> None:
        """Lock the controller."""
        self._settle()
        self._words.clear()
        self._keys: list[list[int]] = [[], []]
        self.registers = {ACR: 0x37, _OPTCR: 1, _OPTSR_CUR: _OPTIONS, _OPTSR_PRG: _OPTIONS}
        for bank in (0, _BANK):
            self.registers[bank + _CR] = _LOCK | 3 << 4

    def read(self, offset: int) -> int:
        """Return a register; those that both banks have once are at either place."""
        self._settle()
        bank, register = divmod(offset, _BANK)
        if register in (_CR, _SR):
            collecting = bool(self._words) and self._bank_of(self._place) == bank
            return self.get(offset) | (_WBNE if register == _SR and collecting else 0)
        return super().read(register)

    def write(self, offset: int, value: int) -> None:
        """Write a register. A locked CR ignores it."""
        self._settle()
        bank, register = divmod(offset, _BANK)
        if bank > 1:
            return
        if register == _KEYR:
            self._keys[bank] = [*self._keys[bank], value][-2:]
            if self._keys[bank] == _KEYS:
                self.registers[offset - _KEYR + _CR] &= ~_LOCK
        elif register == _CR:
            self._control(bank, offset, value)
        elif register == _CCR:
            status = offset - _CCR + _SR
            self.registers[status] = self.get(status) & ~value
        elif register == _OPTCR and value & _OPTSTART:
            self.host.limit("the firmware changes option bytes of the flash, which isn't modelled")
        elif register not in (_SR, _OPTKEYR, _OPTSR_CUR):
            super().write(register, value)

    def _control(self, bank: int, offset: int, value: int) -> None:
        if self.get(offset) & _LOCK:
            return
        self.registers[offset] = value & ~_START
        if not value & _START:
            return
        first = bank * self._bank_bytes
        if value & _BER:
            self._erase(first, first + self._bank_bytes)
        elif value & _SER:
            begin = first + (value >> 8 & 7) * self._sector
            self._erase(begin, begin + self._sector)

    def erase_all(self) -> None:
        """Erase both banks."""
        self._erase(0, 2 * self._bank_bytes)

    def _erase(self, begin: int, end: int) -> None:
        self._memory.flash[begin:end] = 0xFF
        self._done(self._begin + begin, _EOP)
        self.host.code_changed(self._begin + begin, self._begin + end)

    def _bank_of(self, place: int) -> int:
        return (place - self._begin) // self._bank_bytes

    def _done(self, place: int, flag: int) -> None:
        status = self._bank_of(place) * _BANK + _SR
        self.registers[status] = self.get(status) | flag

    def _settle(self) -> None:
        if self._late is not None:
            (place, content), self._late = self._late, None
            self._put(place, content)
        if self._words:
            self._put(self._place, self._before)

    def _put(self, place: int, content: bytes) -> None:
        offset = place - self._begin
        self._memory.flash[offset : offset + len(content)] = np.frombuffer(content, np.uint8)
        self.host.code_changed(place, place + len(content))

    def program(self, address: int, data: bytes) -> bool:
        """Program words; False if this isn't possible now or there."""
        offset = address - self._begin
        if offset < 0 or offset + len(data) > len(self._memory.flash) or address % 4 or len(data) % 4:
            return False
        if not self.get(self._bank_of(address) * _BANK + _CR) & _PG:
            return False
        for index in range(0, len(data), 4):
            self._word(address + index, data[index : index + 4])
        return True

    def _word(self, address: int, word: bytes) -> None:
        place = address & -_WORD
        if self._words and place != self._place:
            self._settle()
            self._words.clear()
            self._done(place, _INCERR)
        if not self._words:
            self._settle()
            self._place, self._before = place, self._memory.read(place, _WORD) or b"\xff" * _WORD
        self._words[address] = word
        if len(self._words) * 4 == _WORD:
            self._program()

    def _program(self) -> None:
        place, before = self._place, self._before
        content = b"".join(self._words[place + at] for at in range(0, _WORD, 4))
        self._words.clear()
        if any(byte != 0xFF for byte in before):
            self.host.misuse(
                f"flash at {place:#010x} is programmed again without being erased: its error correction code then fails"
            )
            content = before
        elif self.resists is not None:
            kept = [self.resists(place + at) for at in range(0, _WORD, 4)]
            content = b"".join((before if keep else content)[4 * n : 4 * n + 4] for n, keep in enumerate(kept))
        self._done(place, _EOP)
        self._late = place, content
        self._put(place, content)
