"""The memories of the nRF52840: flash, RAM, and the two information pages."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

FLASH_BYTES = 0x100000
PAGE_BYTES = 0x1000
RAM_BASE = 0x20000000
RAM_BYTES = 0x40000
FICR_BASE = 0x10000000
UICR_BASE = 0x10001000

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Memory:
    """Contents of all memories, as the bus and the debugger see them."""

    def __init__(self, chip_id: int) -> None:
        """Make a part as it leaves the factory: erased, its identity in FICR.

        Args:
            chip_id: FICR DEVICEID, 64 bits.
        """
        self.flash: Bytes = np.full(FLASH_BYTES, 0xFF, np.uint8)
        self.ram: Bytes = np.zeros(RAM_BYTES, np.uint8)
        self.ficr: Bytes = np.full(PAGE_BYTES, 0xFF, np.uint8)
        self.uicr: Bytes = np.full(PAGE_BYTES, 0xFF, np.uint8)
        self.regions = ((0, self.flash), (RAM_BASE, self.ram), (FICR_BASE, self.ficr), (UICR_BASE, self.uicr))
        info = {
            0x010: (PAGE_BYTES, FLASH_BYTES // PAGE_BYTES),  # CODEPAGESIZE, CODESIZE
            0x060: (chip_id & 0xFFFFFFFF, chip_id >> 32),  # DEVICEID
            0x100: (0x52840, 0x41414430, 0x2004, 256, 1024),  # PART, VARIANT "AAD0", PACKAGE, RAM, FLASH in KB
        }
        for offset, words in info.items():
            data = struct.pack(f"<{len(words)}I", *words)
            self.ficr[offset : offset + len(data)] = np.frombuffer(data, np.uint8)

    def find(self, address: int, size: int) -> tuple[Bytes, int] | None:
        """Return the memory that holds all of [address, address + size) and the offset in it, or None."""
        for base, content in self.regions:
            if base <= address and address + size <= base + len(content):
                return content, address - base
        return None

    def read(self, address: int, size: int) -> bytes | None:
        """Return `size` bytes of memory, or None where there is none."""
        found = self.find(address, size)
        return found[0][found[1] : found[1] + size].tobytes() if found else None

    def read_word(self, address: int) -> int | None:
        """Return the word at `address`, or None where there is no memory."""
        data = self.read(address, 4)
        return None if data is None else int.from_bytes(data, "little")

    def in_ram(self, address: int, size: int) -> bool:
        """Tell whether all of [address, address + size) is RAM."""
        return address >= RAM_BASE and address + size <= RAM_BASE + RAM_BYTES

    def write_ram(self, address: int, data: bytes) -> bool:
        """Write to RAM; False, and nothing written, if that isn't all RAM."""
        if not self.in_ram(address, len(data)):
            return False
        offset = address - RAM_BASE
        self.ram[offset : offset + len(data)] = np.frombuffer(data, np.uint8)
        return True
