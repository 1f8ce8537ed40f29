"""The memories of the nRF52840: flash, RAM, and the two information pages."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.boards.virtual.chips.nrf52840 import PART, REVISION

FLASH_BYTES = 0x100000
PAGE_BYTES = 0x1000
RAM_BASE = 0x20000000
RAM_BYTES = 0x40000
CODE_RAM_BASE = 0x00800000  # the same RAM once more, on the bus that fetches code; DMA doesn't reach it here
FICR_BASE = 0x10000000
UICR_BASE = 0x10001000

# Of a typical part; each is calibrated in the factory (chapter FICR, TEMP.A0 to TEMP.T4).
TEMPERATURE_SLOPES = (0xFFFFF320, 0xFFFFF343, 0xFFFFF35D, 0xFFFFF400, 0xFFFFF452, 0xFFFFF37B)
TEMPERATURE_OFFSETS = (0xFFFF3FCC, 0xFFFF3F98, 0xFFFF3F98, 0xFFFF0012, 0xFFFF004D, 0xFFFF3E10)
TEMPERATURE_BREAKS = (0xFFFFFFE2, 0xFFFFFF00, 0xFFFFFF14, 0xFFFFFF19, 0xFFFFFF50)

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, eq=False)
class Region:
    """A memory: where the CPU sees it, and what it may do there without asking the NVMC."""

    base: int
    content: Bytes
    executable: bool = False
    writable: bool = False


def data_address(address: int) -> int:
    """Return the address at which data transfers reach what is at `address`, which may be code RAM."""
    in_code_ram = CODE_RAM_BASE <= address < CODE_RAM_BASE + RAM_BYTES
    return address - CODE_RAM_BASE + RAM_BASE if in_code_ram else address


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
        flash = Region(0, self.flash, executable=True)
        ram = Region(RAM_BASE, self.ram, executable=True, writable=True)
        self.regions = (flash, ram, Region(FICR_BASE, self.ficr), Region(UICR_BASE, self.uicr))
        #: Where code runs.
        self.code_regions = (flash, ram, Region(CODE_RAM_BASE, self.ram))
        low, high = chip_id & 0xFFFFFFFF, chip_id >> 32
        info = {
            0x010: (PAGE_BYTES, FLASH_BYTES // PAGE_BYTES),  # CODEPAGESIZE, CODESIZE
            0x060: (low, high),  # DEVICEID
            0x0A0: (0xFFFFFFFF, high ^ low, low >> 16),  # DEVICEADDRTYPE (random), DEVICEADDR
            0x100: (0x52840, 0x41414430, 0x2004, 256, 1024),  # INFO: PART, VARIANT "AAD0", PACKAGE, RAM, FLASH in KB
            0x130: (PART, REVISION),  # undocumented; Nordic's start-up code decides by them which errata apply
            0x404: (*TEMPERATURE_SLOPES, *TEMPERATURE_OFFSETS, *TEMPERATURE_BREAKS),  # TEMP.A, B and T
        }
        for offset, words in info.items():
            data = struct.pack(f"<{len(words)}I", *words)
            self.ficr[offset : offset + len(data)] = np.frombuffer(data, np.uint8)

    def find(self, address: int, size: int) -> tuple[Bytes, int] | None:
        """Return the memory that holds all of [address, address + size) and the offset in it, or None."""
        address = data_address(address)
        for region in self.regions:
            if region.base <= address and address + size <= region.base + len(region.content):
                return region.content, address - region.base
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
