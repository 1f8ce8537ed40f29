"""Reads Thumb-2 machine code as far as counting and checking need (Armv7-M manual, A3.2.1, A5 and A7.7).

LDM, STM, LDRD, STRD, LDREX, STREX, VLDR, VSTR, VLDM, VSTM and their like need addresses that are a multiple of their
size; others only while CCR.UNALIGN_TRP is set. SDIV and UDIV by zero trap while CCR.DIV_0_TRP is set.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.boards.virtual.chips.memory import Memory

SP, PC = 13, 15
WFI = 0xBF30
WFI_WIDE = 0xF3AF8003
WFE = 0xBF20
WFE_WIDE = 0xF3AF8002
YIELD = 0xBF10
YIELD_WIDE = 0xF3AF8001

_MASK_REGISTERS = range(16, 20)  # SYSm of PRIMASK, BASEPRI, BASEPRI_MAX, FAULTMASK


@dataclass(frozen=True, slots=True)
class CodeScan:
    """What one stretch of code contains."""

    instructions: int
    first_fp: int | None  # byte offset of the first instruction of the FPU
    unmasks: bool  # may lift PRIMASK, BASEPRI or FAULTMASK


def instructions(code: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield offset, instruction and length in bytes of each; a cut-off one reads as its first half."""
    offset = 0
    while offset + 2 <= len(code):
        (instruction,) = struct.unpack_from("<H", code, offset)
        length = 2
        if instruction >= 0xE800 and offset + 4 <= len(code):  # the first half of a wide one (A5.1)
            (second,) = struct.unpack_from("<H", code, offset + 2)
            instruction, length = instruction << 16 | second, 4
        yield offset, instruction, length
        offset += length


def fetch(memory: Memory, address: int) -> tuple[int, int]:
    """Return the instruction at `address` and its length in bytes; 0 where there is no memory."""
    code = memory.read(address, 4) or memory.read(address, 2) or bytes(2)
    _, instruction, length = next(instructions(code))
    return instruction, length


def is_fp(instruction: int, length: int) -> bool:
    """Tell whether this is an instruction of coprocessors 10 and 11, the FPU."""
    if length == 2:
        return False
    return instruction >> 16 & 0xEC00 == 0xEC00 and instruction >> 8 & 0xF in (10, 11)


def may_unmask(instruction: int, length: int) -> bool:
    """Tell whether this is CPSIE, or MSR to a register that masks exceptions."""
    if length == 2:
        return instruction & 0xFFF0 == 0xB660
    is_msr = instruction & 0xFFF0D000 == 0xF3808000
    return is_msr and instruction & 0xFF in _MASK_REGISTERS


def is_armv6m(instruction: int, length: int) -> bool:
    """Tell whether Armv6-M may have this instruction: not if it is a wide one of others, CBZ, CBNZ or IT.

    Source: Armv6-M manual, A5.2 and A5.3. What neither architecture has is left to the emulator.
    """
    if length == 2:
        return not is_it(instruction) and instruction & 0xF500 != 0xB100
    first, second = instruction >> 16, instruction & 0xFFFF
    if first & 0xF800 != 0xF000 or not second & 0x8000:
        return False
    if second & 0x5000 == 0x5000:  # BL
        return True
    if first & 0xFFE0 == 0xF380 and not second & 0x5000:  # MSR
        return first & 0x10 == 0
    barriers = first == 0xF3BF and second >> 4 in (0x8F4, 0x8F5, 0x8F6)  # DSB, DMB, ISB
    return barriers or (first == 0xF3EF and second & 0xF000 == 0x8000)  # MRS


def first_foreign(code: bytes) -> int | None:
    """Return the offset of the first instruction that Armv6-M lacks; None if there is none."""
    return next((offset for offset, *instruction in instructions(code) if not is_armv6m(*instruction)), None)


@lru_cache(maxsize=1 << 12)
def scan(code: bytes) -> CodeScan:
    """Return what `code`, a whole number of instructions, contains."""
    found = list(instructions(code))
    return CodeScan(
        instructions=len(found),
        first_fp=next((offset for offset, *instruction in found if is_fp(*instruction)), None),
        unmasks=any(may_unmask(*instruction) for _, *instruction in found),
    )


def it_state(xpsr: int) -> int:
    """Return ITSTATE, which xPSR holds in two pieces."""
    return xpsr >> 8 & 0xFC | xpsr >> 25 & 3


def instructions_in_it(state: int) -> int:
    """Return how many instructions of an IT block are left, from ITSTATE or an IT instruction's low byte."""
    mask = state & 0xF
    return 4 - ((mask & -mask).bit_length() - 1) if mask else 0


def is_it(instruction: int) -> bool:
    """Tell whether this is an IT instruction."""
    return instruction & 0xFF00 == 0xBF00 and instruction & 0xF != 0


def after_skipping(xpsr: int) -> int:
    """Return xPSR after an instruction whose condition failed: the IT block advances."""
    state = it_state(xpsr)
    state = 0 if not state & 7 else state & 0xE0 | state << 1 & 0x1F
    return xpsr & ~0x0600FC00 | (state & 3) << 25 | (state & 0xFC) << 8


def condition_holds(xpsr: int) -> bool:
    """Tell whether the instruction at hand would execute, from the IT state and flags in xPSR."""
    state = it_state(xpsr)
    if not state & 0xF:
        return True
    n, z, c, v = (bool(xpsr >> bit & 1) for bit in (31, 30, 29, 28))
    condition = state >> 4
    holds = (z, c, n, v, c and not z, n == v, not z and n == v, True)[condition >> 1]
    return holds if condition == 0xF else holds != bool(condition & 1)


@dataclass(frozen=True, slots=True)
class Access:
    """An access to memory whose address may have to be aligned.

    Attributes:
        name: the mnemonic, for messages.
        base: number of the base register.
        align: bytes of which the address must be a multiple: 2 or 4.
        always: True if that holds whatever CCR says.
        offset: added to the base before the access.
        index: number of a register that is added, shifted left by `shift`; None for none.
        shift: how many bits the index is shifted to the left.
    """

    name: str
    base: int
    align: int
    always: bool
    offset: int = 0
    index: int | None = None
    shift: int = 0

    def address(self, registers: Sequence[int], pc: int) -> int:
        """Return the address, from the values of r0 to r14 and the instruction's own address."""
        base = (pc + 4 & ~3) if self.base == PC else registers[self.base]
        index = 0 if self.index is None else registers[self.index] << self.shift
        return base + self.offset + index & 0xFFFFFFFF


def access_of(instruction: int, length: int) -> Access | None:
    """Return the access of an instruction; None if it has none, or one of single bytes."""
    if length == 2:
        return _narrow(instruction)
    group = instruction >> 25
    if group == 0x74:  # 1110 100
        return _several(instruction)
    if group == 0x7C:  # 1111 100
        return _single(instruction)
    if group == 0x76 and instruction >> 8 & 0xF in (10, 11):  # 1110 110, coprocessors 10 and 11
        return _fp(instruction)
    return None


def divisor_of(instruction: int, length: int) -> int | None:
    """Return the number of the register that SDIV or UDIV divides by; None for other instructions."""
    return instruction & 0xF if length == 4 and instruction & 0xFFD0F0F0 == 0xFB90F0F0 else None


def _narrow(code: int) -> Access | None:  # noqa: PLR0911 - a decoder
    top, base = code >> 12, code >> 3 & 7
    load = "LDR" if code & 0x800 else "STR"
    if top == 0x5:
        name = ("STR", "STRH", "", "", "LDR", "LDRH", "", "LDRSH")[code >> 9 & 7]
        return Access(name, base, 2 if "H" in name else 4, always=False, index=code >> 6 & 7) if name else None
    if top == 0x6:
        return Access(load, base, 4, always=False, offset=(code >> 6 & 31) * 4)
    if top == 0x8:
        return Access(load + "H", base, 2, always=False, offset=(code >> 6 & 31) * 2)
    if top == 0x9:
        return Access(load, SP, 4, always=False, offset=(code & 0xFF) * 4)
    if top == 0xC:
        return Access("LDM" if code & 0x800 else "STM", code >> 8 & 7, 4, always=True)
    if code & 0xF600 == 0xB400:
        return Access("POP" if code & 0x800 else "PUSH", SP, 4, always=True)
    return None


def _several(code: int) -> Access | None:
    """Decode load and store multiple, dual and exclusive, and table branches (A5.3.5 and A5.3.6)."""
    base, load = code >> 16 & 0xF, bool(code >> 20 & 1)
    if not code >> 22 & 1:
        return Access("LDM" if load else "STM", base, 4, always=True)
    if code >> 24 & 1 or code >> 21 & 1:  # P or W
        sign = 1 if code >> 23 & 1 else -1
        offset = sign * (code & 0xFF) * 4 if code >> 24 & 1 else 0
        return Access("LDRD" if load else "STRD", base, 4, always=True, offset=offset)
    if not code >> 23 & 1:
        return Access("LDREX" if load else "STREX", base, 4, always=True, offset=(code & 0xFF) * 4)
    kind = code >> 4 & 0xF
    if kind == 1 and load:
        return Access("TBH", base, 2, always=False, index=code & 0xF, shift=1)
    if kind == 5:
        return Access("LDREXH" if load else "STREXH", base, 2, always=True)
    return None


def _single(code: int) -> Access | None:
    """Decode loads and stores of one halfword or word (A5.3.7, A5.3.8 and A5.3.10)."""
    base, size, load = code >> 16 & 0xF, code >> 21 & 3, bool(code >> 20 & 1)
    if size not in (1, 2) or (load and size == 1 and code >> 12 & 0xF == PC):  # the last is a hint
        return None
    name, align = ("LDR" if load else "STR") + ("S" if code >> 24 & 1 else "") + ("H" if size == 1 else ""), 2 * size
    upwards = 1 if code >> 23 & 1 else -1
    if base == PC:
        return Access(name, PC, align, always=False, offset=upwards * (code & 0xFFF))
    if code >> 23 & 1:
        return Access(name, base, align, always=False, offset=code & 0xFFF)
    if code >> 11 & 1:
        sign = 1 if code >> 9 & 1 else -1
        return Access(name, base, align, always=False, offset=sign * (code & 0xFF) if code >> 10 & 1 else 0)
    return Access(name, base, align, always=False, index=code & 0xF, shift=code >> 4 & 3)


def _fp(code: int) -> Access | None:
    """Decode loads and stores of the FPU (A6.5)."""
    base, load = code >> 16 & 0xF, bool(code >> 20 & 1)
    before, up, writeback = code >> 24 & 1, code >> 23 & 1, code >> 21 & 1
    if before and not writeback:
        offset = (code & 0xFF) * (4 if up else -4)
        return Access("VLDR" if load else "VSTR", base, 4, always=True, offset=offset)
    if not before and not up:
        return None  # moves between registers
    return Access("VLDM" if load else "VSTM", base, 4, always=True)
