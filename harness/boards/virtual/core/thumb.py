"""Reads Thumb-2 machine code as far as counting and checking need: lengths, FP, and interrupt unmasking."""

from __future__ import annotations

import struct
from dataclasses import dataclass

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


def is_wide(halfword: int) -> bool:
    """Tell whether this halfword starts a 32-bit instruction (Armv7-M manual, A5.1)."""
    return halfword >= 0xE800


def fetch(code: bytes, offset: int) -> tuple[int, int]:
    """Return the instruction at `offset` and its length in bytes; a cut-off one reads as its first half."""
    (first,) = struct.unpack_from("<H", code, offset)
    if is_wide(first) and offset + 4 <= len(code):
        (second,) = struct.unpack_from("<H", code, offset + 2)
        return first << 16 | second, 4
    return first, 2


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


def count(code: bytes) -> int:
    """Return how many instructions `code` holds."""
    halfwords = memoryview(code).cast("H")
    index = instructions = 0
    while index < len(halfwords):
        index += 2 if halfwords[index] >= 0xE800 else 1
        instructions += 1
    return instructions


def scan(code: bytes) -> CodeScan:
    """Return what `code`, a whole number of instructions, contains."""
    offset = instructions = 0
    first_fp: int | None = None
    unmasks = False
    while offset + 2 <= len(code):
        instruction, length = fetch(code, offset)
        if first_fp is None and is_fp(instruction, length):
            first_fp = offset
        unmasks = unmasks or may_unmask(instruction, length)
        offset += length
        instructions += 1
    return CodeScan(instructions, first_fp, unmasks)


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
