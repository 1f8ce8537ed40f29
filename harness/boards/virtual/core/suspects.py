"""Finds the instructions that a Cortex-M4 refuses for an unaligned address or a zero divisor, which the emulator runs.

Where `alignment.plan` says that a block's start tells nothing, a callback looks at the instruction's registers, in
machine code if it can. What it suspects is then decided exactly, before the instruction runs. An instruction in an IT
block is looked at from the IT instruction on, for the emulator can't stop in between on a callback's request; where
even that tells nothing, there is a trap at the instruction.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from harness.boards.virtual.core import alignment, thumb
from harness.boards.virtual.core.alignment import Traps
from harness.boards.virtual.core.binding import unhook
from harness.boards.virtual.core.exceptions import Fault
from harness.boards.virtual.core.scs import DIVBYZERO, UNALIGNED

if TYPE_CHECKING:
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.core.counter import BlockCounter
    from harness.boards.virtual.core.cpu import Cpu

_CODE_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)


class Suspects:
    """What is watched in the code of one CPU."""

    def __init__(self, cpu: Cpu, counter: BlockCounter, memory: Memory) -> None:
        self._cpu = cpu
        self._counter = counter
        self._memory = memory
        self.traps: set[int] = set()  # instructions to be decided on at each execution
        self.stopped_at: int | None = None
        self.skip: int | None = None  # an address whose watches are silent, for it was decided on
        self._refused = Traps()
        self._armed: set[int] = set()  # traps in the IT block at `_armed_at`, for its next execution
        self._armed_at: int | None = None
        self._watched: dict[int, dict[tuple[int, int], int]] = {}  # by address: handle by register and mask
        self._wanted: dict[tuple[int, int, int], None] = {}  # address, register, mask: to be watched from now on
        self._ready: set[tuple[int, bytes]] = set()  # blocks whose watches are there
        self._unaligned: set[tuple[int, bytes]] = set()  # blocks whose start tells nothing
        self._stale: list[tuple[int, int]] = []  # code to be translated anew
        self._dropped: list[int] = []  # handles of callbacks that are no longer wanted
        self._callback = _CODE_CALLBACK(counter.guarded(self._on_instruction))
        self._callback_address = ctypes.cast(self._callback, ctypes.c_void_p).value or 0
        counter.on_unaligned = self._on_unaligned
        counter.on_forget = self._forget

    def refuse(self, refused: Traps) -> bool:
        """Take over what CCR says; True if that is new."""
        if refused == self._refused:
            return False
        self._refused = refused
        self._forget(0, 1 << 32)
        return True

    def admit(self, address: int, code: bytes) -> frozenset[int] | None:
        """Return the registers that a block needs to be multiples of four; None if its watches must come first."""
        it_state, use_entry = thumb.it_state(self._cpu.read("xpsr")), (address, code) not in self._unaligned
        plan = alignment.plan(code, it_state, self._refused, use_entry=use_entry)
        if not plan.watches or (address, code) in self._ready:
            return plan.entry
        for watch in plan.watches:
            if watch.register is None:
                self.traps.add(address + watch.instruction)
            else:
                self._wanted[address + watch.at, watch.register, watch.mask] = None
        self._stale.append((address, address + len(code)))
        self._ready.add((address, code))
        return None

    def prepare(self) -> None:
        """Watch what is to be watched. The CPU doesn't run."""
        for address, register, mask in self._wanted:
            watched = self._watched.setdefault(address, {})
            if (register, mask) not in watched:
                watched[register, mask] = self._counter.watch(address, register, mask, self._callback_address)
        for begin, end in self._stale:
            self._cpu.uc.ctl_remove_cache(begin, end)
        for handle in self._dropped:
            unhook(self._cpu.uc, handle)
        for done in (self._wanted, self._stale, self._dropped):
            done.clear()

    def _on_instruction(self, _uc: int, address: int, _size: int, _context: int) -> None:
        if address != self.skip and any(self._suspicious(*key) for key in self._watched.get(address, ())):
            self.stopped_at = address
            self._cpu.uc.emu_stop()  # it takes effect before the instruction

    def _suspicious(self, register: int, mask: int) -> bool:
        value = self._cpu.number(register)
        return bool(value & mask) if mask else value == 0

    def _on_unaligned(self, address: int, code: bytes) -> None:
        """Watch every instruction of a block whose registers weren't multiples of four at its start."""
        self._unaligned.add((address, code))
        self._ready.discard((address, code))

    def _forget(self, begin: int, end: int) -> None:
        """Stop watching [begin, end), whose code has changed."""
        for address in [at for at in self._watched if begin <= at < end]:
            self._dropped += self._watched.pop(address).values()
        self.traps = {at for at in self.traps if not begin <= at < end}
        self._wanted = {key: None for key in self._wanted if not begin <= key[0] < end}
        self._ready = {key for key in self._ready if not begin <= key[0] < end}
        self._unaligned = {key for key in self._unaligned if not begin <= key[0] < end}

    # ------------------------------------------------------------------ deciding on one instruction

    def fault_at(self, pc: int) -> Fault | None:
        """Return why the core refuses the instruction at `pc`, which is about to run and whose condition holds."""
        instruction = thumb.fetch(self._memory, pc)
        divisor = self._refused.divisor(*instruction)
        if divisor is not None and self._cpu.number(divisor) == 0:
            text = "division by zero while CCR.DIV_0_TRP is set"
            return Fault("usage fault DIVBYZERO", text, cfsr=DIVBYZERO)
        access = self._refused.refusable(*instruction)
        if access is None:
            return None
        address = access.address([self._cpu.number(n) for n in range(15)], pc)
        if address % access.align == 0:
            return None
        text = f"unaligned {access.name} at {address:#010x}, not a multiple of {access.align}"
        text += "" if access.always else " while CCR.UNALIGN_TRP is set"
        return Fault("usage fault UNALIGNED", text, cfsr=UNALIGNED, address=address)

    def begins_it_block(self, pc: int) -> bool:
        """Tell whether an IT instruction is at `pc`."""
        instruction, length = thumb.fetch(self._memory, pc)
        return length == 2 and thumb.is_it(instruction)

    def arm(self, pc: int) -> None:
        """Trap, once, at those instructions of the IT block at `pc` behind the first that may have to be decided on."""
        instruction, length = thumb.fetch(self._memory, pc)
        left = thumb.instructions_in_it(thumb.it_state(self._cpu.read("xpsr"))) - 1
        if left < 0:
            left = thumb.instructions_in_it(instruction) if self.begins_it_block(pc) else 0
        self._armed_at = pc
        for _ in range(left):
            pc += length
            instruction, length = thumb.fetch(self._memory, pc)
            if (
                self._refused.refusable(instruction, length) is not None
                or self._refused.divisor(instruction, length) is not None
                or alignment.stack_pointer_sources(instruction, length)
            ):
                self._armed.add(pc)

    def disarm(self, pc: int) -> None:
        """Lift the traps of `arm` unless the CPU is still there."""
        self.skip = self._armed_at if pc == self._armed_at else None
        if self._armed_at is not None and pc != self._armed_at and pc not in self._armed:
            self._armed.clear()
            self._armed_at = None

    @property
    def all_traps(self) -> set[int]:
        """Return every address where the CPU must be stopped."""
        return self.traps | self._armed
