"""Callbacks for the CPU emulator in machine code: counting needs no compiler and hardly any time.

Each was written in assembler and is disassembled and run by the tests, on any host. Where none fits, or the
system refuses executable memory, the counter does the same in Python.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import struct
import sys
from dataclasses import dataclass

# The counter's header, in u64: instructions so far, where to stop, last block, address of the slow path.
TOTAL, LIMIT, LAST, SLOW = range(4)


@dataclass(frozen=True, slots=True)
class Stubs:
    """The callback of one processor and calling convention.

    `block` counts: its table holds {u32 bytes, u32 instructions, u64 executions} per halfword and its context
    is the table's address less 8 x the first address, so that 8 x address leads to the entry. A block of
    another size than the entry's, or a total at the limit, goes to the slow path with unchanged arguments.
    """

    name: str
    block_before: bytes  # the header's address follows
    block_after: bytes

    def block(self, header: int) -> bytes:
        """Return the counting callback for a header at that address."""
        return self.block_before + struct.pack("<Q", header) + self.block_after


X86_64_SYSTEM_V = Stubs(
    name="x86-64",
    block_before=bytes.fromhex("49b8"),  # mov r8, header
    block_after=bytes.fromhex(
        "3914f1"  # cmp [rcx+rsi*8], edx
        "751e"  # jne slow
        "498b00"  # mov rax, [r8]
        "493b4008"  # cmp rax, [r8+8]
        "7315"  # jae slow
        "448b4cf104"  # mov r9d, [rcx+rsi*8+4]
        "4c01c8"  # add rax, r9
        "498900"  # mov [r8], rax
        "48ff44f108"  # inc qword [rcx+rsi*8+8]
        "49897010"  # mov [r8+16], rsi
        "c3"  # ret
        "41ff6018"  # slow: jmp [r8+24]
    ),
)

AARCH64 = Stubs(
    name="aarch64",
    block_before=bytes.fromhex(
        "690c018b"  # add x9, x3, x1, lsl #3
        "2a020058"  # ldr x10, header
        "2b314029"  # ldp w11, w12, [x9]
        "7f01026b"  # cmp w11, w2
        "61010054"  # b.ne slow
        "4d3940a9"  # ldp x13, x14, [x10]
        "bf010eeb"  # cmp x13, x14
        "02010054"  # b.hs slow
        "ad010c8b"  # add x13, x13, x12
        "4d0100f9"  # str x13, [x10]
        "2e0540f9"  # ldr x14, [x9, #8]
        "ce050091"  # add x14, x14, #1
        "2e0500f9"  # str x14, [x9, #8]
        "410900f9"  # str x1, [x10, #16]
        "c0035fd6"  # ret
        "490d40f9"  # slow: ldr x9, [x10, #24]
        "20011fd6"  # br x9
        "1f2003d5"  # nop, so that the header's address is aligned
    ),
    block_after=b"",
)


def stubs_for_this_host() -> Stubs | None:
    """Return the callbacks that fit the running interpreter, or None."""
    if sys.maxsize < 2**32 or sys.platform not in ("linux", "darwin"):
        return None
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return X86_64_SYSTEM_V
    if machine in ("aarch64", "arm64") and sys.platform == "linux":
        return AARCH64  # macOS asks for MAP_JIT pages, which mmap can't give
    return None


class ExecutablePage:
    """One page of memory with machine code in it, written first and made executable then."""

    def __init__(self, codes: list[bytes]) -> None:
        """Place the codes one after the other.

        Raises:
            OSError: the system doesn't allow executable memory.
        """
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self.addresses: list[int] = []
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        for code in codes:
            offset = -(-self._page.tell() // 16) * 16
            self._page.seek(offset)
            self._page.write(code)
            self.addresses.append(base + offset)
        # mprotect also makes the kernel synchronize the instruction cache, where that is needed.
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        if protect(base, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC):
            raise OSError(ctypes.get_errno(), "the system doesn't allow executable memory")


def executable(codes: list[bytes]) -> ExecutablePage | None:
    """Return the codes placed in executable memory, or None if the system doesn't allow that."""
    try:
        return ExecutablePage(codes)
    except OSError:
        return None
