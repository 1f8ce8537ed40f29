"""Plans how the alignment of a block's accesses is checked, so that nearly all of it costs nothing.

Most addresses are a register's value at the start of the block, plus multiples of four. For them it is enough that
those registers are multiples of four when the block starts, which a few native instructions test. Where that says
nothing, the instruction itself is watched.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from harness.boards.virtual.core import accesses, registers, thumb
from harness.boards.virtual.core.accesses import PC, SP
from harness.boards.virtual.core.registers import ALIGNED, Known, both

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

    entry: frozenset[int] = frozenset()
    watches: tuple[Watch, ...] = ()


NOTHING = Plan()


@lru_cache(maxsize=1 << 16)
def plan(code: bytes, it_state: int, *, trap_unaligned: bool, trap_zero: bool, use_entry: bool) -> Plan:
    """Plan the checks of one block.

    Args:
        code: the block, a whole number of instructions.
        it_state: ITSTATE at its start.
        trap_unaligned: whether CCR.UNALIGN_TRP is set.
        trap_zero: whether CCR.DIV_0_TRP is set.
        use_entry: False watches every instruction, for a block whose registers aren't aligned.
    """
    return _Planner(it_state, trap_unaligned=trap_unaligned, trap_zero=trap_zero, use_entry=use_entry).plan(code)


class _Planner:
    def __init__(self, it_state: int, *, trap_unaligned: bool, trap_zero: bool, use_entry: bool) -> None:
        self._trap_unaligned = trap_unaligned
        self._trap_zero = trap_zero
        self._use_entry = use_entry
        self._known = list(registers.AT_ENTRY)
        self._entry: frozenset[int] = frozenset()
        self._watches: list[Watch] = []
        self._in_it = thumb.instructions_in_it(it_state)
        self._it_at: int | None = None  # where its IT instruction is; None before the block
        self._written_in_it: set[int] = set()

    def plan(self, code: bytes) -> Plan:
        offset = 0
        while offset + 2 <= len(code):
            instruction, length = thumb.fetch(code, offset)
            self._check(instruction, length, offset)
            if length == 2 and thumb.is_it(instruction):
                self._in_it, self._it_at = thumb.instructions_in_it(instruction), offset
                self._written_in_it.clear()
            else:
                self._follow(instruction, length)
                self._in_it = max(self._in_it - 1, 0)
            offset += length
        return Plan(self._entry, tuple(self._watches)) if self._entry or self._watches else NOTHING

    def _check(self, instruction: int, length: int, offset: int) -> None:
        if self._trap_zero and (divisor := accesses.divisor_of(instruction, length)) is not None:
            self._watch(offset, [divisor], 0)
        for register in registers.stack_pointer_sources(instruction, length):
            self._need(offset, [register], 3)
        access = accesses.access_of(instruction, length)
        if access is None or not (access.always or self._trap_unaligned):
            return
        needed: list[int | None] = [] if access.base in (PC, SP) else [access.base]
        if access.index is not None and 1 << access.shift < access.align:
            needed.append(access.index)
        self._need(offset, [None] if access.offset % access.align else needed, access.align - 1)

    def _need(self, offset: int, needed: list[int | None], mask: int) -> None:
        """Make sure that these registers are aligned at the instruction at `offset`; None: nobody knows which."""
        at_entry: Known = ALIGNED
        for register in needed:
            at_entry = both(at_entry, None if register is None else self._known[register])
        known = at_entry is not None and (self._use_entry or not at_entry)
        if known and len(self._entry | (at_entry or ALIGNED)) <= MAX_ENTRY_REGISTERS:
            self._entry |= at_entry or ALIGNED
            return
        self._watch(offset, needed, mask)

    def _watch(self, offset: int, needed: list[int | None], mask: int) -> None:
        at = self._it_at if self._in_it else offset  # the emulator can't be stopped inside an IT block
        for register in needed:
            if at is None or register is None or (self._in_it and register in self._written_in_it):
                self._watches.append(Watch(offset, offset, None, 0))
            else:
                self._watches.append(Watch(at, offset, register, mask))

    def _follow(self, instruction: int, length: int) -> None:
        """Note what the instruction makes of the registers."""
        for register, value in registers.written(instruction, length, self._known).items():
            self._known[register] = both(value, self._known[register]) if self._in_it else value
            self._written_in_it.add(register)
