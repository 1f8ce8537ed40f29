"""Finds where the emulator keeps r0 to r15, so that callbacks in machine code can look at them.

The emulator has no function that tells. So: write numbers that occur nowhere else, follow the pointers in the
emulator's structure, and look for them; the kernel copies the memory, so that a wrong pointer is no crash.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from unicorn import arm_const as arm

from harness.boards.virtual.core.binding import pointer_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_STRUCTURE_BYTES, _CPU_BYTES = 0x2000, 0x20000
_PIECE = 4096  # of a pipe, and of a page


class _Memory:
    """Reads this process's own memory."""

    def __init__(self) -> None:
        self._source, self._sink = os.pipe()
        self._write = ctypes.CDLL(None, use_errno=True).write
        self._write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
        self._write.restype = ctypes.c_ssize_t

    def close(self) -> None:
        os.close(self._source)
        os.close(self._sink)

    def read(self, address: int, size: int) -> bytes:
        """Return up to `size` bytes: as many as there are."""
        data, end = b"", address + size
        while address < end:
            written = self._write(self._sink, address, min(end - address, _PIECE - address % _PIECE))
            if written <= 0:  # EFAULT
                break
            data += os.read(self._source, written)
            address += written
        return data


@contextmanager
def _memory() -> Iterator[_Memory]:
    memory = _Memory()
    try:
        yield memory
    finally:
        memory.close()


def _fill(uc: Any) -> bytes:
    values = [secrets.randbits(32) for _ in range(13)]
    for number, value in enumerate(values):
        uc.reg_write(arm.UC_ARM_REG_R0 + number, value)
    return struct.pack("=13I", *values)


def find_registers(uc: Any) -> int | None:
    """Return the address of the emulated r0, which r1 to r15 follow as u32; None if it isn't certain.

    r0 to r12 of the emulator lose their values.
    """
    with _memory() as memory:
        pattern = _fill(uc)
        structure = memory.read(pointer_of(uc), _STRUCTURE_BYTES)
        found = set()
        for (pointer,) in struct.iter_unpack("=Q", structure[: len(structure) // 8 * 8]):
            if pointer % 8 == 0 and _PIECE <= pointer < 1 << 56:
                offset = memory.read(pointer, _CPU_BYTES).find(pattern)
                if offset >= 0:
                    found.add(pointer + offset)
        pattern = _fill(uc)
        found = {address for address in found if memory.read(address, len(pattern)) == pattern}
        for number in range(13):
            uc.reg_write(arm.UC_ARM_REG_R0 + number, 0)
    return found.pop() if len(found) == 1 else None
