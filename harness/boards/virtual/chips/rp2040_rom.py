"""A stand-in for the RP2040's boot ROM: start-up, and six functions for the flash.

It has what the datasheet (chapter Bootrom) promises: at 0x10 the mark `Mu`, then places of a table of functions and of
what looks a function up by two letters. Each function hands its arguments to `RomDoor`, which isn't on the chip.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from harness.boards.virtual.chips.device import Device

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.memory import Memory

DOOR = 0x4FFFC000  # a page where the chip has nothing
BOOT2_BYTES, _BOOT2_AT = 256, 0x20041F00
_NAMES = ("IF", "EX", "RE", "RP", "FC", "CX")
_CONNECT, _EXIT_XIP, _ERASE, _PROGRAM, _FLUSH_CACHE, _ENTER_XIP, _BOOT = range(7)
_OPERATION = 16  # the offset that starts one; its arguments come before
_TABLE, _LOOKUP, _START, _HANG, _FUNCTIONS = 0x100, 0x200, 0x280, 0x2C0, 0x300
_SECTOR, _PAGE = 0x1000, 0x100


def boot_rom() -> bytes:
    """Return what the ROM holds, as far as it isn't empty."""
    rom = bytearray(b"\xff" * 0x400)
    struct.pack_into("<16I", rom, 0, _BOOT2_AT, _START | 1, *[_HANG | 1] * 14)
    struct.pack_into("<4B3H", rom, 0x10, *b"Mu\x01", 2, _TABLE, 0, _LOOKUP | 1)
    for index, name in enumerate((*_NAMES, "\0\0")):
        place = _FUNCTIONS + 0x20 * index | 1 if index < len(_NAMES) else 0
        struct.pack_into("<2sH", rom, _TABLE + 4 * index, name.encode(), place)
    # 0: ldrh r2, [r0]; cmp r2, #0; beq 2; cmp r2, r1; beq 1; adds r0, #4; b 0; 1: ldrh r0, [r0, #2]; bx lr
    # 2: movs r0, #0; bx lr
    lookup = (0x8802, 0x2A00, 0xD005, 0x428A, 0xD001, 0x3004, 0xE7F8, 0x8840, 0x4770, 0x2000, 0x4770)
    struct.pack_into("<11H", rom, _LOOKUP, *lookup)
    # ldr r4, =DOOR; movs r0, #_BOOT; str r0, [r4, #16]; ldr r1, =_BOOT2_AT | 1; movs r0, #0; mov lr, r0; bx r1
    start = (0x4C04, 0x2000 | _BOOT, 0x6120, 0x4904, 0x2000, 0x4686, 0x4708, 0xE7FE)
    struct.pack_into("<8H4x2I", rom, _START, *start, DOOR, _BOOT2_AT | 1)
    struct.pack_into("<H", rom, _HANG, 0xE7FE)  # b .
    for index in range(len(_NAMES)):
        # push {r4, lr}; ldr r4, =DOOR; stmia r4!, {r0-r3}; movs r0, #index; str r0, [r4]; pop {r4, pc}
        code = (0xB510, 0x4C02, 0xC40F, 0x2000 | index, 0x6020, 0xBD10)
        struct.pack_into("<6HI", rom, _FUNCTIONS + 0x20 * index, *code, DOOR)
    return bytes(rom)


def boot2_crc(code: bytes) -> int:
    """Return the CRC-32 that the ROM expects behind `code`: 0x04C11DB7 from all ones, not reflected or inverted."""
    crc = 0xFFFFFFFF
    for byte in code:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc >> 31 else crc << 1) & 0xFFFFFFFF
    return crc


class RomDoor(Device):
    """What the stand-in's functions do, and the flash with them: it is erased by 4 KB and programmed by 256 bytes."""

    how = "by the boot ROM's functions alone"

    def __init__(self, host: Host, memory: Memory, base: int) -> None:
        self._memory, self._flash_at = memory, base
        self.resists: Callable[[int], bool] | None = None
        self._direct = False  # whether the flash takes commands, and isn't mapped
        memory.put(0, boot_rom())
        super().__init__(host, DOOR)

    def written(self, offset: int, value: int) -> None:
        """Do what a function stands for."""
        if offset != _OPERATION:
            return
        first, second, third, _ = (self.get(4 * index) for index in range(4))
        if value == _BOOT:
            self._boot()
        elif value in (_EXIT_XIP, _ENTER_XIP):
            self._direct = value == _EXIT_XIP
        elif value in (_ERASE, _PROGRAM):
            count, unit = (second, _SECTOR) if value == _ERASE else (third, _PAGE)
            if not self._direct or first % unit or count % unit or first + count > len(self._memory.flash):
                self.host.misuse(
                    f"the boot ROM's {_NAMES[value]} is called for {count} bytes at {first:#x} of the flash: it takes "
                    f"multiples of {unit}, behind {_NAMES[_EXIT_XIP]}"
                )
            elif value == _ERASE:
                self._put(first, b"\xff" * count)
            else:
                self._program(first, self._memory.read(second, count))

    def _program(self, offset: int, data: bytes | None) -> None:
        if data is None:
            self.host.misuse("the boot ROM's RP is given data where there is no memory")
            return
        before = self._memory.flash[offset : offset + len(data)]
        after = before & np.frombuffer(data, np.uint8)
        if self.resists is not None:
            for place in range(0, len(data), 4):
                if self.resists(self._flash_at + offset + place):
                    after[place : place + 4] = before[place : place + 4]
        self._put(offset, after.tobytes())

    def _put(self, offset: int, content: bytes) -> None:
        self._memory.flash[offset : offset + len(content)] = np.frombuffer(content, np.uint8)
        self.host.code_changed(self._flash_at + offset, self._flash_at + offset + len(content))

    def _boot(self) -> None:
        """Copy the flash's first 256 bytes to RAM if their checksum is right, as the ROM does to run them there."""
        content = self._memory.flash[:BOOT2_BYTES].tobytes()
        found, wanted = int.from_bytes(content[-4:], "little"), boot2_crc(content[:-4])
        if found != wanted:
            self.host.misuse(
                "the chip waits for a program over USB: the first 256 bytes of the flash must end in their checksum "
                f"{wanted:#010x}, and end in {found:#010x}"
            )
            return
        self._memory.write_ram(_BOOT2_AT, content)
        self.host.code_changed(_BOOT2_AT, _BOOT2_AT + BOOT2_BYTES)

    def program(self, _address: int, _data: bytes) -> bool:
        """Return False: nothing is programmed by writing to it."""
        return False

    def erase_all(self) -> None:
        """Erase the flash."""
        self._put(0, b"\xff" * len(self._memory.flash))
