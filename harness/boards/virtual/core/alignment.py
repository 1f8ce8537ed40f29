"""Plans how the alignment of a block's accesses is checked, so that nearly all of it costs nothing.

Most addresses are a register's value at the start of the block, plus multiples of four. For them it is enough that
those registers are multiples of four when the block starts, which a few native instructions test. Where that says
nothing, the instruction itself is watched. So instructions are followed for what they make of multiples of four
(Armv7-M manual, A5 and A7.7).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.boards.virtual.core import thumb
from harness.boards.virtual.core.thumb import PC, SP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: A register is a multiple of four if these registers were so at the start of the block; None: nothing is known.
Known = frozenset[int] | None
_ALIGNED: frozenset[int] = frozenset()
_LR = 14
#: What is known of r0 to r15 at the start of a block.
_AT_ENTRY: tuple[Known, ...] = (*(frozenset({n}) for n in range(SP)), _ALIGNED, frozenset({_LR}), None)
MAX_ENTRY_REGISTERS = 4  # as many as the native callback tests


@dataclass(frozen=True, slots=True)
class Watch:
    """An instruction that must be looked at when it is about to run.

    Attributes:
        at: byte offset in the block of where to look: the instruction, or the IT instruction before it.
        instruction: byte offset of the instruction.
        register: number of the register to look at; None if only an exact look can tell.
        mask: bits of it that should be 0; 0 if the register itself should not be 0.
    """

    at: int
    instruction: int
    register: int | None
    mask: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How a block is checked: registers that must be multiples of four at its start, and what to watch."""

    entry: frozenset[int]
    watches: tuple[Watch, ...]


@dataclass(frozen=True, slots=True)
class Traps:
    """What CCR says is refused: all unaligned accesses (UNALIGN_TRP), and division by zero (DIV_0_TRP)."""

    unaligned: bool = False
    zero: bool = False

    def refusable(self, instruction: int, length: int) -> thumb.Access | None:
        """Return the access of an instruction if it may be refused for its address."""
        access = thumb.access_of(instruction, length)
        return access if access is not None and (access.always or self.unaligned) else None

    def divisor(self, instruction: int, length: int) -> int | None:
        """Return the register by which an instruction divides, if that may be refused."""
        return thumb.divisor_of(instruction, length) if self.zero else None


@lru_cache(maxsize=1 << 16)
def plan(code: bytes, it_state: int, traps: Traps, *, use_entry: bool) -> Plan:
    """Plan the checks of one block.

    Args:
        code: the block, a whole number of instructions.
        it_state: ITSTATE at its start.
        traps: what is refused.
        use_entry: False watches every instruction, for a block whose registers aren't aligned.
    """
    return _Planner(it_state, traps, use_entry=use_entry).plan(code)


class _Planner:
    def __init__(self, it_state: int, traps: Traps, *, use_entry: bool) -> None:
        self._traps = traps
        self._use_entry = use_entry
        self._known = list(_AT_ENTRY)
        self._entry: frozenset[int] = frozenset()
        self._watches: list[Watch] = []
        self._in_it = thumb.instructions_in_it(it_state)
        self._it_at: int | None = None  # where its IT instruction is; None before the block
        self._written_in_it: set[int] = set()

    def plan(self, code: bytes) -> Plan:
        for offset, instruction, length in thumb.instructions(code):
            self._check(instruction, length, offset)
            if length == 2 and thumb.is_it(instruction):
                self._in_it, self._it_at = thumb.instructions_in_it(instruction), offset
                self._written_in_it.clear()
                continue
            for register, value in _written(instruction, length, self._known).items():
                self._known[register] = _both(value, self._known[register]) if self._in_it else value
                self._written_in_it.add(register)
            self._in_it = max(self._in_it - 1, 0)
        return Plan(self._entry, tuple(self._watches))

    def _check(self, instruction: int, length: int, offset: int) -> None:
        if (divisor := self._traps.divisor(instruction, length)) is not None:
            self._watch(offset, [divisor], 0)
        for register in stack_pointer_sources(instruction, length):
            self._need(offset, [register], 3)
        access = self._traps.refusable(instruction, length)
        if access is None:
            return
        needed: list[int | None] = [] if access.base in (PC, SP) else [access.base]
        if access.index is not None and 1 << access.shift < access.align:
            needed.append(access.index)
        self._need(offset, [None] if access.offset % access.align else needed, access.align - 1)

    def _need(self, offset: int, needed: list[int | None], mask: int) -> None:
        """Make sure that these registers are aligned at the instruction at `offset`; None: nobody knows which."""
        at_entry: Known = _ALIGNED
        for register in needed:
            at_entry = _both(at_entry, None if register is None else self._known[register])
        known = at_entry is not None and (self._use_entry or not at_entry)
        if known and len(self._entry | (at_entry or _ALIGNED)) <= MAX_ENTRY_REGISTERS:
            self._entry |= at_entry or _ALIGNED
        else:
            self._watch(offset, needed, mask)

    def _watch(self, offset: int, needed: list[int | None], mask: int) -> None:
        at = self._it_at if self._in_it else offset  # the emulator can't be stopped inside an IT block
        for register in needed:
            if at is None or register is None or (self._in_it and register in self._written_in_it):
                self._watches.append(Watch(offset, offset, None, 0))
            else:
                self._watches.append(Watch(at, offset, register, mask))


def _both(one: Known, other: Known) -> Known:
    """Return what is known of a value that is a multiple of four if both of these are."""
    return None if one is None or other is None else one | other


def _written(instruction: int, length: int, known: Sequence[Known]) -> dict[int, Known]:
    """Return the registers that an instruction may write, with what is known of each afterwards."""
    result = _narrow(instruction, known) if length == 2 else _wide(instruction, known)
    result.pop(PC, None)
    if SP in result:
        result[SP] = _ALIGNED  # bits 0 and 1 of SP can't be written
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
        kept = _shifted(first, second, _AT_ENTRY)
    elif first & 0xF800 == 0xF000 and not second & 0x8000:
        kept = _immediate(first, second, _AT_ENTRY)
    else:
        return []
    return [None] if kept is None else list(kept)


def _narrow(code: int, known: Sequence[Known]) -> dict[int, Known]:
    return next((effect(code, known) for mask, value, effect in _NARROW if code & mask == value), {})


def _low(code: int, _known: Sequence[Known]) -> dict[int, Known]:
    return {code & 7: None}


def _listed(code: int) -> dict[int, Known]:
    return {n: None for n in range(8) if code >> n & 1}


#: What narrow instructions do (A5.2): mask, value, and the registers that are written. The first that fits counts.
_NARROW: tuple[tuple[int, int, Callable[[int, Sequence[Known]], dict[int, Known]]], ...] = (
    (0xFFC0, 0x0000, lambda c, k: {c & 7: k[c >> 3 & 7]}),  # MOVS
    (0xFFC0, 0x0040, _low),  # LSLS by 1
    (0xF800, 0x0000, lambda c, _: {c & 7: _ALIGNED}),  # LSLS by more
    (0xF000, 0x0000, _low),  # LSRS
    (0xF800, 0x1000, _low),  # ASRS
    (0xFC00, 0x1800, lambda c, k: {c & 7: _both(k[c >> 3 & 7], k[c >> 6 & 7])}),  # ADDS, SUBS of registers
    (0xFC00, 0x1C00, lambda c, k: {c & 7: None if c >> 6 & 3 else k[c >> 3 & 7]}),  # and of three bits
    (0xF800, 0x2000, lambda c, _: {c >> 8 & 7: None if c & 3 else _ALIGNED}),  # MOVS of a constant
    (0xF000, 0x3000, lambda c, k: {c >> 8 & 7: None if c & 3 else k[c >> 8 & 7]}),  # ADDS, SUBS of eight bits
    (0xFFC0, 0x4200, lambda _c, _k: {}),  # TST
    (0xFF80, 0x4280, lambda _c, _k: {}),  # CMP, CMN
    (0xFC00, 0x4000, _low),  # data processing
    (0xFF00, 0x4400, lambda c, k: {c & 7 | c >> 4 & 8: _both(k[c & 7 | c >> 4 & 8], k[c >> 3 & 15])}),  # ADD
    (0xFF00, 0x4600, lambda c, k: {c & 7 | c >> 4 & 8: k[c >> 3 & 15]}),  # MOV
    (0xFF00, 0x4700, lambda _c, _k: {_LR: None}),  # BX, BLX
    (0xF800, 0x4800, lambda c, _: {c >> 8 & 7: None}),  # LDR of a literal
    (0xFE00, 0x5600, _low),  # LDRSB
    (0xF800, 0x5800, _low),  # LDR, LDRH, LDRB and LDRSH with an index
    (0xE800, 0x6800, _low),  # LDR, LDRB
    (0xF800, 0x8800, _low),  # LDRH
    (0xF800, 0x9800, lambda c, _: {c >> 8 & 7: None}),  # LDR from the stack
    (0xF000, 0xA000, lambda c, _: {c >> 8 & 7: _ALIGNED}),  # the word-aligned PC, or SP, plus words
    (0xF700, 0xB200, _low),  # extend, reverse
    (0xFE00, 0xBC00, lambda c, _: {SP: _ALIGNED, **_listed(c)}),  # POP
    (0xF800, 0xC000, lambda c, k: {c >> 8 & 7: k[c >> 8 & 7]}),  # STM
    (0xF800, 0xC800, lambda c, k: {c >> 8 & 7: k[c >> 8 & 7], **_listed(c)}),  # LDM
)


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
    operand = known[source] if shift == 0 else _ALIGNED if shift >= 2 else None
    return operand if operation == 2 else _both(known[base], operand)


def _immediate(first: int, second: int, known: Sequence[Known]) -> Known:  # noqa: PLR0911 - a decoder
    """Follow AND, BIC, MOV, ADD and SUB with an immediate (A5.3.1 and A5.3.3)."""
    base, operation = first & 0xF, first >> 5 & 0xF
    value = (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF
    if first & 0x200:
        if first & 0xFBF0 == 0xF240:  # MOVW
            return None if value & 3 else _ALIGNED
        if first & 0xFBF0 not in (0xF200, 0xF2A0) or value & 3:  # ADDW, SUBW
            return None
        return _ALIGNED if base == PC else known[base]
    bits = _expanded(value)
    if operation == 0:  # AND
        return known[base] if bits & 3 else _ALIGNED
    if operation == 1:  # BIC
        return _ALIGNED if bits & 3 == 3 else known[base]
    if operation == 2 and base == PC:  # MOV
        return None if bits & 3 else _ALIGNED
    return known[base] if operation in (8, 13) and not bits & 3 else None  # ADD, SUB


def _expanded(value: int) -> int:
    """Return the constant that an immediate of 12 bits stands for (ThumbExpandImm, A5.3.2)."""
    byte, kind = value & 0xFF, value >> 8
    if kind < 4:
        return (byte, byte << 16 | byte, byte << 24 | byte << 8, byte * 0x01010101)[kind]
    turn = value >> 7
    rotated = 0x80 | value & 0x7F
    return (rotated >> turn | rotated << 32 - turn) & 0xFFFFFFFF
