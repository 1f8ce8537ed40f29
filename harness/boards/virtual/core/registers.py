"""Follows through instructions which core registers are multiples of four (Armv7-M manual, A5 and A7.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.core.accesses import PC, SP

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A register is a multiple of four if these registers were so at the start of the block; None: nothing is known.
Known = frozenset[int] | None
ALIGNED: frozenset[int] = frozenset()
_LR = 14
#: What is known of r0 to r15 at the start of a block.
AT_ENTRY: tuple[Known, ...] = (*(frozenset({n}) for n in range(SP)), ALIGNED, frozenset({_LR}), None)


def both(one: Known, other: Known) -> Known:
    """Return what is known of a value that is a multiple of four if both of these are."""
    return None if one is None or other is None else one | other


def written(instruction: int, length: int, known: Sequence[Known]) -> dict[int, Known]:
    """Return the registers that an instruction may write, with what is known of each afterwards.

    Args:
        instruction: as `thumb.fetch` returns it.
        length: how many bytes it has: 2 or 4.
        known: what is known of r0 to r15 before it.
    """
    result = _narrow(instruction, known) if length == 2 else _wide(instruction, known)
    result.pop(PC, None)
    if SP in result:
        result[SP] = ALIGNED  # bits 0 and 1 of SP can't be written
    return result


def stack_pointer_sources(instruction: int, length: int) -> list[int | None]:  # noqa: PLR0911 - a decoder
    """Return the registers that must be multiples of four so that an instruction leaves SP one.

    On the chip, bits 0 and 1 of SP are always 0; the emulator lets them be set. None in the list stands for a value
    that only the instruction itself brings.
    """
    if length == 2:
        if instruction & 0xFF87 in (0x4485, 0x4685):  # ADD SP, Rm and MOV SP, Rm
            source = instruction >> 3 & 0xF
            return [] if source == SP else [source]
        return []
    first, second = instruction >> 16, instruction & 0xFFFF
    base, target = first & 0xF, second >> 8 & 0xF
    if first & 0xFFE0 == 0xF380 and second & 0xF0FE == 0x8008:  # MSR MSP or PSP
        return [base]
    if first & 0xFE00 == 0xF800 and first & 0x10 and second >> 12 == SP:  # LDR SP
        return [None]
    if first & 0xFE00 == 0xF800 and _writes_back(first, second) and base == SP and second & 3:
        return [None]
    if target != SP:
        return []
    if first & 0xFE00 == 0xEA00:
        kept = _shifted(first, second, AT_ENTRY)
    elif first & 0xF800 == 0xF000 and not second & 0x8000:
        kept = _immediate(first, second, AT_ENTRY)
    else:
        return []
    return [None] if kept is None else list(kept)


def _narrow(code: int, known: Sequence[Known]) -> dict[int, Known]:  # noqa: PLR0911 - a decoder
    low, high, top = code & 7, code >> 8 & 7, code >> 12
    if top < 4:
        return _narrow_arithmetic(code, known)
    if top == 4:
        return _narrow_registers(code, known)
    if top in (5, 6, 7, 8):
        loads = code >= 0x5600 if top == 5 else bool(code & 0x800)
        return {low: None} if loads else {}
    if top == 9:
        return {high: None} if code & 0x800 else {}
    if top == 0xA:
        return {high: ALIGNED}  # the word-aligned PC, or SP, plus words
    if top == 0xB:
        return _narrow_miscellaneous(code)
    if top == 0xC:
        loaded = {n: None for n in range(8) if code >> n & 1} if code & 0x800 else {}
        return {high: known[high], **loaded}
    return {}


def _narrow_arithmetic(code: int, known: Sequence[Known]) -> dict[int, Known]:  # noqa: PLR0911 - a decoder
    """Follow the instructions of A5.2.1: shift, add, subtract, move, compare."""
    low, middle, high = code & 7, code >> 3 & 7, code >> 8 & 7
    if code < 0x0800:  # LSLS by an immediate
        shift = code >> 6 & 31
        return {low: known[middle] if shift == 0 else ALIGNED if shift >= 2 else None}
    if code < 0x1800:
        return {low: None}
    if code < 0x1C00:
        return {low: both(known[middle], known[code >> 6 & 7])}
    if code < 0x2000:
        return {low: None if code >> 6 & 3 else known[middle]}
    multiple = not code & 3
    if code < 0x2800:
        return {high: ALIGNED if multiple else None}
    if code < 0x3000:
        return {}
    return {high: known[high] if multiple else None}


def _narrow_registers(code: int, known: Sequence[Known]) -> dict[int, Known]:
    """Follow the instructions of A5.2.2 and A5.2.3, and loads of literals."""
    if code < 0x4400:
        compares = code >> 6 & 0xF in (8, 10, 11)  # TST, CMP, CMN
        return {} if compares else {code & 7: None}
    if code >= 0x4800:
        return {code >> 8 & 7: None}
    target, source = code & 7 | code >> 4 & 8, code >> 3 & 0xF
    kind = code >> 8 & 3
    if kind == 0:
        return {target: both(known[target], known[source])}
    if kind == 2:
        return {target: known[source]}
    return {_LR: None} if kind == 3 else {}


def _narrow_miscellaneous(code: int) -> dict[int, Known]:
    """Follow the instructions of A5.2.5."""
    if code & 0xFF00 in (0xB200, 0xBA00):  # extend, reverse
        return {code & 7: None}
    if code & 0xFE00 == 0xBC00:  # POP
        return {SP: ALIGNED, **{n: None for n in range(8) if code >> n & 1}}
    if code & 0xFE00 == 0xB400 or code & 0xFF00 == 0xB000:
        return {SP: ALIGNED}
    return {}


def _wide(code: int, known: Sequence[Known]) -> dict[int, Known]:  # noqa: PLR0911 - a decoder
    first, second = code >> 16, code & 0xFFFF
    base, high, target = first & 0xF, second >> 12, second >> 8 & 0xF
    kept: dict[int, Known] = {}
    if _writes_back(first, second) and base != PC:
        words = first & 0xFE00 != 0xF800 or not second & 3  # all others move by words
        kept = {base: known[base] if words else None}
    if first & 0xFE40 == 0xE800:  # LDM, STM
        return {**kept, **({n: None for n in range(16) if second >> n & 1} if first & 0x10 else {})}
    if first & 0xFE40 == 0xE840:
        if first & 0x120:  # LDRD, STRD
            return {**kept, **({high: None, target: None} if first & 0x10 else {})}
        return {high: None, target: None, second & 0xF: None}
    if first & 0xFE00 == 0xEA00:
        return {target: _shifted(first, second, known)}
    if first & 0xEC00 == 0xEC00:
        return {**kept, **dict.fromkeys(_from_coprocessor(first, second))}
    if first & 0xF800 == 0xF000:
        if second & 0x8000:  # branches, MRS
            return {target: None, _LR: None}
        return {target: _immediate(first, second, known)}
    if first & 0xFE00 == 0xF800:
        return {**kept, **({high: None} if first & 0x10 else {})}
    # Multiply, divide, extend, saturate (A5.3.12 to A5.3.17); those from 0xFB80 on may have two results.
    return {target: None, **({high: None} if first >= 0xFB80 else {})}


def _from_coprocessor(first: int, second: int) -> list[int]:
    """Return the core registers that an instruction of the FPU writes, other than its base (A6.4 to A6.7)."""
    base, high = first & 0xF, second >> 12
    if not first & 0x10:
        return []
    if first & 0xFFE0 == 0xEC40:  # VMOV of two registers
        return [high, base]
    return [high] if first & 0xEF00 == 0xEE00 and second & 0x10 else []


def _writes_back(first: int, second: int) -> bool:
    """Tell whether this is a load or store that changes its base register."""
    if first & 0xFE00 == 0xF800:
        return not first & 0x80 and second & 0x900 == 0x900
    if first & 0xFE40 == 0xE840:  # with P and W clear it is exclusive, or a table branch
        return bool(first & 0x20)
    return first & 0xFE00 in (0xE800, 0xEC00) and bool(first & 0x20)


def _shifted(first: int, second: int, known: Sequence[Known]) -> Known:
    """Follow ADD, SUB and MOV with a register that may be shifted (A5.3.11)."""
    base, source = first & 0xF, second & 0xF
    operation = first >> 5 & 0xF
    if operation not in (2, 8, 13) or source == PC or (base == PC) != (operation == 2) or second & 0x30:
        return None
    shift = second >> 10 & 0x1C | second >> 6 & 3
    operand = known[source] if shift == 0 else ALIGNED if shift >= 2 else None
    return operand if operation == 2 else both(known[base], operand)


def _immediate(first: int, second: int, known: Sequence[Known]) -> Known:  # noqa: PLR0911 - a decoder
    """Follow AND, BIC, MOV, ADD and SUB with an immediate (A5.3.1 and A5.3.3)."""
    base, operation = first & 0xF, first >> 5 & 0xF
    value = (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF
    if first & 0x200:
        if first & 0xFBF0 == 0xF240:  # MOVW
            return None if value & 3 else ALIGNED
        if first & 0xFBF0 not in (0xF200, 0xF2A0) or value & 3:  # ADDW, SUBW
            return None
        return ALIGNED if base == PC else known[base]
    bits = _expanded(value)
    if operation == 0:  # AND
        return known[base] if bits & 3 else ALIGNED
    if operation == 1:  # BIC
        return ALIGNED if bits & 3 == 3 else known[base]
    if operation == 2 and base == PC:  # MOV
        return None if bits & 3 else ALIGNED
    return known[base] if operation in (8, 13) and not bits & 3 else None  # ADD, SUB


def _expanded(value: int) -> int:
    """Return the constant that an immediate of 12 bits stands for (ThumbExpandImm, A5.3.2)."""
    byte, kind = value & 0xFF, value >> 8
    if kind < 4:
        return (byte, byte << 16 | byte, byte << 24 | byte << 8, byte * 0x01010101)[kind]
    turn = value >> 7
    rotated = 0x80 | value & 0x7F
    return (rotated >> turn | rotated << 32 - turn) & 0xFFFFFFFF
