"""Finds the instructions that a Cortex-M4 refuses for an unaligned address or a zero divisor, which the emulator runs.

Where `alignment.plan` says that a block's start tells nothing, a callback looks at the instruction's registers, in
machine code if it can. What it suspects is then decided exactly, before the instruction runs. An instruction in an IT
block is looked at from the IT instruction on, for the emulator can't stop in between on a callback's request; where
even that tells nothing, there is a trap at the instruction.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from harness.boards.virtual.core import accesses, alignment, registers, thumb
from harness.boards.virtual.core.binding import unhook
from harness.boards.virtual.core.scs import DIVBYZERO, UNALIGNED

if TYPE_CHECKING:
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.core.counter import BlockCounter
    from harness.boards.virtual.core.cpu import Cpu

_CODE_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)


class Suspects:
    """What is watched in the code of one CPU."""

    def __init__(self, cpu: Cpu, counter: BlockCounter, memory: Memory) -> None:
        """Watch nothing yet."""
        self._cpu = cpu
        self._counter = counter
        self._memory = memory
        self.traps: set[int] = set()  # instructions to be decided on at each execution
        self.stopped_at: int | None = None
        self.failure: BaseException | None = None
        self.skip: int | None = None  # an address whose watches are silent, for it was decided on
        self._armed: set[int] = set()  # traps in the IT block at `_armed_at`, for its next execution
        self._armed_at: int | None = None
        self._trap_unaligned = self._trap_zero = False
        self._watched: dict[int, dict[tuple[int, int], int]] = {}  # by address: handle by register and mask
        self._wanted: dict[tuple[int, int, int], None] = {}  # address, register, mask: to be watched from now on
        self._ready: set[tuple[int, bytes]] = set()  # blocks whose watches are there
        self._unaligned: set[tuple[int, bytes]] = set()  # blocks whose start tells nothing
        self._stale: list[tuple[int, int]] = []  # code to be translated anew
        self._dropped: list[int] = []  # handles of callbacks that are no longer wanted
        self._callback = _CODE_CALLBACK(self._on_instruction)
        self._callback_address = ctypes.cast(self._callback, ctypes.c_void_p).value or 0
        counter.on_unaligned = self._on_unaligned
        counter.on_forget = self._forget

    def set_traps(self, *, unaligned: bool, zero: bool) -> bool:
        """Take over what CCR says of unaligned accesses and divisions by zero; True if that is new."""
        if (unaligned, zero) == (self._trap_unaligned, self._trap_zero):
            return False
        self._trap_unaligned, self._trap_zero = unaligned, zero
        self._forget(0, 1 << 32)
        return True

    def admit(self, address: int, code: bytes) -> frozenset[int] | None:
        """Return the registers that a block needs to be multiples of four; None if its watches must come first."""
        plan = alignment.plan(
            code,
            thumb.it_state(self._cpu.read("xpsr")),
            trap_unaligned=self._trap_unaligned,
            trap_zero=self._trap_zero,
            use_entry=(address, code) not in self._unaligned,
        )
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
        self._wanted.clear()
        for begin, end in self._stale:
            self._cpu.uc.ctl_remove_cache(begin, end)
        self._stale.clear()
        for handle in self._dropped:
            unhook(self._cpu.uc, handle)
        self._dropped.clear()

    def _on_instruction(self, _uc: int, address: int, _size: int, _context: int) -> None:
        try:
            if address != self.skip and any(self._suspicious(*key) for key in self._watched.get(address, ())):
                self.stopped_at = address
                self._cpu.uc.emu_stop()  # it takes effect before the instruction
        except BaseException as error:  # noqa: BLE001 - nothing may cross the C code; the run loop raises it
            self.failure = error
            self._counter.stop_soon()

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

    def _fetch(self, address: int) -> tuple[int, int]:
        code = self._memory.read(address, 4) or self._memory.read(address, 2) or bytes(2)
        return thumb.fetch(code, 0)

    def fault_at(self, pc: int) -> tuple[str, int, int | None] | None:
        """Decide on the instruction at `pc`, which is about to run and whose condition holds.

        Returns:
            What is wrong, its bit in CFSR, and the data address concerned; None if it may run.
        """
        instruction, length = self._fetch(pc)
        divisor = accesses.divisor_of(instruction, length)
        if self._trap_zero and divisor is not None and self._cpu.number(divisor) == 0:
            return "division by zero while CCR.DIV_0_TRP is set", DIVBYZERO, None
        access = accesses.access_of(instruction, length)
        if access is None or not (access.always or self._trap_unaligned):
            return None
        address = access.address([self._cpu.number(n) for n in range(15)], pc)
        if address % access.align == 0:
            return None
        why = "" if access.always else " while CCR.UNALIGN_TRP is set"
        return f"unaligned {access.name} at {address:#010x}, not a multiple of {access.align}{why}", UNALIGNED, address

    def begins_it_block(self, pc: int) -> bool:
        """Tell whether an IT instruction is at `pc`."""
        instruction, length = self._fetch(pc)
        return length == 2 and thumb.is_it(instruction)

    def arm(self, pc: int) -> None:
        """Trap, once, at those instructions of the IT block at `pc` behind the first that may have to be decided on."""
        instruction, length = self._fetch(pc)
        left = thumb.instructions_in_it(thumb.it_state(self._cpu.read("xpsr"))) - 1
        if left < 0:
            left = thumb.instructions_in_it(instruction) if self.begins_it_block(pc) else 0
        self._armed_at = pc
        for _ in range(left):
            pc += length
            instruction, length = self._fetch(pc)
            access = accesses.access_of(instruction, length)
            if (
                (access is not None and (access.always or self._trap_unaligned))
                or (self._trap_zero and accesses.divisor_of(instruction, length) is not None)
                or registers.stack_pointer_sources(instruction, length)
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
