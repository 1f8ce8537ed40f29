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

# The counter's header, in u64: instructions so far, where to stop, last block, address of the slow path, address of
# the emulated r0 to r15, address of the slow path for a watched instruction, where the last block ended.
TOTAL, LIMIT, LAST, SLOW, REGISTERS, WATCHED, END = range(7)
HEADER_WORDS = 7
MASKS = (3, 1, 0)  # of `Stubs.watch`
READ = 1 << 63  # in a trace
CHECKED = 1 << 31  # in an entry's bytes: its four registers must be multiples of four


@dataclass(frozen=True, slots=True)
class Stubs:
    """The callbacks of one processor and calling convention.

    `block` counts: its table holds {u32 bytes, u16 instructions, u16 registers, u64 executions, u64 fall-throughs} per
    halfword and its context is the table's address less 12 x the first address, so that 12 x address leads to the
    entry. A fall-through is an execution right after the block in front of it, without a jump. A block of
    another size than the entry's, or a total at the limit, goes to the slow path with unchanged arguments. So does an
    entry that is CHECKED and one of whose four registers, a number in each four bits, isn't a multiple of four.

    The others look at one instruction: their context is the address of an emulated register, which goes to the slow
    path where it is not a multiple of four (`word`) or of two (`half`), or is 0 (`zero`).

    `trace_block` and `trace_read`, the latter a callback for reads from memory, write down what they see: their context
    is {u64 address of the next entry, u64 address behind the last}. An entry is the block's bytes << 32 | address, or
    READ | address. What finds no room is dropped.
    """

    name: str
    block_before: bytes  # the header's address follows
    block_after: bytes
    word: tuple[bytes, bytes]  # what stands before and behind the header's address
    half: tuple[bytes, bytes]
    zero: tuple[bytes, bytes]
    trace_block: bytes
    trace_read: bytes

    def block(self, header: int) -> bytes:
        """Return the counting callback for a header at that address."""
        return self.block_before + struct.pack("<Q", header) + self.block_after

    def watch(self, mask: int, header: int) -> bytes:
        """Return the callback for one instruction: `mask` of its register must be 0, or the register not, if 0."""
        before, after = {3: self.word, 1: self.half, 0: self.zero}[mask]
        return before + struct.pack("<Q", header) + after


_X86_64_WATCHED = (
    "7501"  # jne slow
    "c3"  # ret
    "49b8"  # slow: mov r8, header
)
_X86_64_JUMP = bytes.fromhex("41ff6028")  # jmp [r8+40]

X86_64_SYSTEM_V = Stubs(
    name="x86-64",
    block_before=bytes.fromhex("49b8"),  # mov r8, header
    block_after=bytes.fromhex(
        "4c8d1476"  # lea r10, [rsi+rsi*2]
        "42391491"  # cmp [rcx+r10*4], edx
        "7539"  # jne other
        "468b4c9104"  # mov r9d, [rcx+r10*4+4]
        "498b00"  # count: mov rax, [r8]
        "493b4008"  # cmp rax, [r8+8]
        "0f8387000000"  # jae slow
        "4c01c8"  # add rax, r9
        "498900"  # mov [r8], rax
        "4aff449108"  # inc qword [rcx+r10*4+8]
        "31c0"  # xor eax, eax
        "49397030"  # cmp [r8+48], rsi
        "0f94c0"  # sete al
        "4a01449110"  # add [rcx+r10*4+16], rax
        "49897010"  # mov [r8+16], rsi
        "89d0"  # mov eax, edx
        "4801f0"  # add rax, rsi
        "49894030"  # mov [r8+48], rax
        "c3"  # ret
        "428b0491"  # other: mov eax, [rcx+r10*4]
        "31d0"  # xor eax, edx
        "3d00000080"  # cmp eax, CHECKED
        "7553"  # jne slow
        "428b449104"  # mov eax, [rcx+r10*4+4]
        "4d8b5020"  # mov r10, [r8+32]
        "4189c3"  # mov r11d, eax
        "41c1eb1c"  # shr r11d, 28
        "478b0c9a"  # mov r9d, [r10+r11*4]
        "4189c3"  # mov r11d, eax
        "41c1eb18"  # shr r11d, 24
        "4183e30f"  # and r11d, 15
        "470b0c9a"  # or r9d, [r10+r11*4]
        "4189c3"  # mov r11d, eax
        "41c1eb14"  # shr r11d, 20
        "4183e30f"  # and r11d, 15
        "470b0c9a"  # or r9d, [r10+r11*4]
        "4189c3"  # mov r11d, eax
        "41c1eb10"  # shr r11d, 16
        "4183e30f"  # and r11d, 15
        "470b0c9a"  # or r9d, [r10+r11*4]
        "4c8d1476"  # lea r10, [rsi+rsi*2]
        "41f6c103"  # test r9b, 3
        "440fb7c8"  # movzx r9d, ax
        "0f846cffffff"  # je count
        "41ff6018"  # slow: jmp [r8+24]
    ),
    word=(bytes.fromhex("f60103" + _X86_64_WATCHED), _X86_64_JUMP),  # test byte [rcx], 3
    half=(bytes.fromhex("f60101" + _X86_64_WATCHED), _X86_64_JUMP),  # test byte [rcx], 1
    zero=(
        bytes.fromhex(
            "833900"  # cmp dword [rcx], 0
            "7401"  # je slow
            "c3"  # ret
            "49b8"  # slow: mov r8, header
        ),
        _X86_64_JUMP,
    ),
    trace_block=bytes.fromhex(
        "488b01"  # mov rax, [rcx]
        "483b4108"  # cmp rax, [rcx+8]
        "7311"  # jae done
        "48c1e220"  # shl rdx, 32
        "4809f2"  # or rdx, rsi
        "488910"  # mov [rax], rdx
        "4883c008"  # add rax, 8
        "488901"  # mov [rcx], rax
        "c3"  # done: ret
    ),
    trace_read=bytes.fromhex(
        "498b01"  # mov rax, [r9]
        "493b4108"  # cmp rax, [r9+8]
        "730f"  # jae done
        "480fbaea3f"  # bts rdx, 63
        "488910"  # mov [rax], rdx
        "4883c008"  # add rax, 8
        "498901"  # mov [r9], rax
        "c3"  # done: ret
    ),
)

_AARCH64_WATCHED = (
    "41000054"  # b.ne slow
    "c0035fd6"  # ret
    "8a000058"  # slow: ldr x10, header
    "491540f9"  # ldr x9, [x10, #40]
    "20011fd6"  # br x9
    "1f2003d5"  # nop, so that the header's address is aligned
)

AARCH64 = Stubs(
    name="aarch64",
    block_before=bytes.fromhex(
        "2904018b"  # add x9, x1, x1, lsl #1
        "2a050058"  # ldr x10, header
        "6908098b"  # add x9, x3, x9, lsl #2
        "2b314029"  # ldp w11, w12, [x9]
        "7f01026b"  # cmp w11, w2
        "01020054"  # b.ne other
        "4d3940a9"  # count: ldp x13, x14, [x10]
        "bf010eeb"  # cmp x13, x14
        "02040054"  # b.hs slow
        "ad010c8b"  # add x13, x13, x12
        "4d0100f9"  # str x13, [x10]
        "2ebd40a9"  # ldp x14, x15, [x9, #8]
        "4d1940f9"  # ldr x13, [x10, #48]
        "ce050091"  # add x14, x14, #1
        "bf0101eb"  # cmp x13, x1
        "ef158f9a"  # cinc x15, x15, eq
        "2ebd00a9"  # stp x14, x15, [x9, #8]
        "410900f9"  # str x1, [x10, #16]
        "2d40228b"  # add x13, x1, w2, uxtw
        "4d1900f9"  # str x13, [x10, #48]
        "c0035fd6"  # ret
        "6b01024a"  # other: eor w11, w11, w2
        "0d00b052"  # mov w13, CHECKED
        "7f010d6b"  # cmp w11, w13
        "01020054"  # b.ne slow
        "4b1140f9"  # ldr x11, [x10, #32]
        "8d7d1c53"  # lsr w13, w12, #28
        "6e796db8"  # ldr w14, [x11, x13, lsl #2]
        "8d6d1853"  # ubfx w13, w12, #24, #4
        "6f796db8"  # ldr w15, [x11, x13, lsl #2]
        "ce010f2a"  # orr w14, w14, w15
        "8d5d1453"  # ubfx w13, w12, #20, #4
        "6f796db8"  # ldr w15, [x11, x13, lsl #2]
        "ce010f2a"  # orr w14, w14, w15
        "8d4d1053"  # ubfx w13, w12, #16, #4
        "6f796db8"  # ldr w15, [x11, x13, lsl #2]
        "ce010f2a"  # orr w14, w14, w15
        "8c3d0012"  # and w12, w12, #0xffff
        "df050072"  # tst w14, #3
        "e0fbff54"  # b.eq count
        "490d40f9"  # slow: ldr x9, [x10, #24]
        "20011fd6"  # br x9
    ),
    block_after=b"",
    word=(bytes.fromhex("690040b93f050072" + _AARCH64_WATCHED), b""),  # ldr w9, [x3]; tst w9, #3
    half=(bytes.fromhex("690040b93f010072" + _AARCH64_WATCHED), b""),  # ldr w9, [x3]; tst w9, #1
    zero=(
        bytes.fromhex(
            "690040b9"  # ldr w9, [x3]
            "49000034"  # cbz w9, slow
            "c0035fd6"  # ret
            "6a000058"  # slow: ldr x10, header
            "491540f9"  # ldr x9, [x10, #40]
            "20011fd6"  # br x9
        ),
        b"",
    ),
    trace_block=bytes.fromhex(
        "692840a9"  # ldp x9, x10, [x3]
        "3f010aeb"  # cmp x9, x10
        "82000054"  # b.hs done
        "2b8002aa"  # orr x11, x1, x2, lsl #32
        "2b8500f8"  # str x11, [x9], #8
        "690000f9"  # str x9, [x3]
        "c0035fd6"  # done: ret
    ),
    trace_read=bytes.fromhex(
        "a92840a9"  # ldp x9, x10, [x5]
        "3f010aeb"  # cmp x9, x10
        "82000054"  # b.hs done
        "4b0041b2"  # orr x11, x2, #READ
        "2b8500f8"  # str x11, [x9], #8
        "a90000f9"  # str x9, [x5]
        "c0035fd6"  # done: ret
    ),
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
