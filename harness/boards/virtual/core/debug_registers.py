"""The core's debug registers: halting, stepping, register transfer, breakpoints, cycle counter, ROM table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from harness.boards.virtual.chips.rom_tables import core_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.core.cores import Core
    from harness.boards.virtual.core.cpu import Cpu
    from harness.config.chip import ChipData

DHCSR, DCRSR, DCRDR, DEMCR, DFSR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC, 0xE000ED30
DWT_CTRL, DWT_CYCCNT, FP_CTRL, FP_COMP0 = 0xE0001000, 0xE0001004, 0xE0002000, 0xE0002008
_DWT_LAR, _LAR_KEY = 0xE0001FB0, 0xC5ACCE55
C_DEBUGEN, C_HALT, C_STEP, C_MASKINTS = 1, 2, 4, 8
_CONTROL_BITS = C_DEBUGEN | C_HALT | C_STEP | C_MASKINTS
S_REGRDY, S_HALT, S_SLEEP, S_LOCKUP, S_RETIRE_ST, S_RESET_ST = (1 << bit for bit in (16, 17, 18, 19, 24, 25))
DFSR_HALTED, DFSR_BKPT, DFSR_VCATCH = 1 << 0, 1 << 1, 1 << 3
VC_CORERESET, VC_HARDERR, TRCENA = 1 << 0, 1 << 10, 1 << 24
_DBGKEY = 0xA05F
_POLL_SECONDS = 0.005
_REGISTER_NAMES = {
    **{n: f"r{n}" for n in range(13)},
    13: "sp",
    14: "lr",
    15: "pc",
    16: "xpsr",
    17: "msp",
    18: "psp",
    33: "fpscr",
    **{64 + n: f"s{n}" for n in range(32)},
}
_SPECIAL = ("primask", "basepri", "faultmask", "control")  # DCRSR 20, lowest byte first


class DebugHost(Protocol):
    """What the debug registers control."""

    cpu: Cpu
    halted: bool
    sleeping: bool
    locked_up: bool

    def wait_while_running(self, seconds: float) -> None:
        """Wait until the core has halted or sleeps, so many seconds at most."""

    def halt(self, reason: int) -> None:
        """Halt the core; `reason` goes to DFSR."""

    def resume(self, *, step: bool) -> None:
        """Let the core run, or execute one instruction."""

    def pc_written(self) -> None:
        """Learn that the debugger set the program counter."""

    def instructions(self) -> int:
        """Return the instructions issued since power-on."""


class DebugRegisters:
    """DHCSR, DCRSR, DCRDR, DEMCR, DFSR, DWT and FPB. A reset of the core leaves them alone.

    Attributes:
        words: what can only be read, by address.
    """

    def __init__(self, host: DebugHost, chip: ChipData, core: Core) -> None:
        self._host = host
        more = {row.at + 4 * index: word for row in chip.words for index, word in enumerate(row.are)}
        self.words = {**core_table(chip.rom_table, core.components), **more}
        self.control = 0  # the C_ bits of DHCSR
        self.reset_seen = True
        self.dfsr = 0
        self.demcr = 0
        self.breakpoints: frozenset[int] = frozenset()
        self._dcrdr = 0
        self._comparators = [0] * core.breakpoints
        self._fpb_revision = core.fpb_revision
        self._dwt_locked = core.dwt_lock  # for the core itself; a debugger is free
        self._has_cycles = not core.armv6m
        self._fpb_enabled = False
        self._dwt_control = core.dwt_control
        self._cycles_at_zero = 0
        self._cycles_stopped = 0
        #: Called whenever the firmware reads the cycle counter; on the CPU's thread.
        self.on_cycle_count: Callable[[], None] | None = None

    @property
    def enabled(self) -> bool:
        """True while a debugger holds C_DEBUGEN."""
        return bool(self.control & C_DEBUGEN)

    def catches(self, bits: int) -> bool:
        """Tell whether the core must halt at these events of DEMCR."""
        return self.enabled and bool(self.demcr & bits)

    @property
    def _counting(self) -> bool:
        return bool(self._dwt_control & 1 and self.demcr & TRCENA)

    @property
    def cycle_count(self) -> int:
        """CYCCNT."""
        if not self._counting:
            return self._cycles_stopped
        return self._host.instructions() - self._cycles_at_zero & 0xFFFFFFFF

    @cycle_count.setter
    def cycle_count(self, value: int) -> None:
        self._cycles_stopped = value
        self._cycles_at_zero = self._host.instructions() - value

    def read(self, address: int, *, debugger: bool) -> int | None:
        """Return a register, or None if it isn't one of these."""
        if address == DWT_CYCCNT and self._has_cycles:
            if self.on_cycle_count is not None and not debugger:
                self.on_cycle_count()
            return self.cycle_count
        if address == DHCSR:
            if debugger:
                # A debugger that polls a running CPU without a pause would keep Python's lock from the CPU's thread.
                self._host.wait_while_running(_POLL_SECONDS)
            return self._read_dhcsr(clear=debugger)
        if FP_COMP0 <= address < FP_COMP0 + 4 * len(self._comparators):
            return self._comparators[(address - FP_COMP0) // 4]
        if address in (DCRDR, DEMCR, DFSR, DWT_CTRL, FP_CTRL):
            return {
                DCRDR: self._dcrdr,
                DEMCR: self.demcr,
                DFSR: self.dfsr,
                DWT_CTRL: self._dwt_control,  # no watchpoint comparators
                FP_CTRL: self._fpb_revision - 1 << 28 | len(self._comparators) << 4 | self._fpb_enabled,
            }[address]
        return self.words.get(address)

    def _read_dhcsr(self, *, clear: bool) -> int:
        host = self._host
        value = self.control | S_REGRDY
        value |= S_HALT if host.halted else S_RETIRE_ST
        value |= S_SLEEP if host.sleeping and not host.halted else 0
        value |= S_LOCKUP if host.locked_up and not host.halted else 0
        if self.reset_seen:
            value |= S_RESET_ST
            self.reset_seen = not clear
        return value

    def write(self, address: int, value: int, *, debugger: bool) -> bool:
        """Write a register; False if it isn't one of these."""
        if address == DHCSR:
            if debugger and value >> 16 == _DBGKEY:
                self._write_dhcsr(value)
        elif address == DCRSR:
            if debugger and self._host.halted:
                self._transfer(value)
        elif address == DCRDR:
            self._dcrdr = value
        elif address == DEMCR or (self._has_cycles and address in (DWT_CTRL, DWT_CYCCNT, _DWT_LAR)):
            self._write_counting(address, value, debugger=debugger)
        elif address == DFSR:
            self.dfsr &= ~value
        elif address == FP_CTRL or FP_COMP0 <= address < FP_COMP0 + 4 * len(self._comparators):
            self._write_breakpoints(address, value)
        else:
            return address in self.words
        return True

    def _write_counting(self, address: int, value: int, *, debugger: bool) -> None:
        """Start, stop or set the cycle counter, if its lock is open; it keeps its value while it stands."""
        if address == _DWT_LAR:
            self._dwt_locked = self._dwt_locked and (debugger or value != _LAR_KEY)
        if address != DEMCR and self._dwt_locked and not debugger:
            return
        count = value if address == DWT_CYCCNT else self.cycle_count
        if address == DEMCR:
            self.demcr = value
        elif address == DWT_CTRL:
            self._dwt_control = value & 1
        self.cycle_count = count

    def _write_breakpoints(self, address: int, value: int) -> None:
        if address != FP_CTRL:
            self._comparators[(address - FP_COMP0) // 4] = value
        elif value & 2:  # KEY
            self._fpb_enabled = bool(value & 1)
        self._update_breakpoints()

    def _write_dhcsr(self, value: int) -> None:
        host = self._host
        self.control = value & _CONTROL_BITS
        if not value & C_DEBUGEN:
            self.control = 0
            if host.halted:
                host.resume(step=False)
        elif value & C_HALT:
            if not host.halted:
                host.halt(DFSR_HALTED)
        elif host.halted:
            host.resume(step=bool(value & C_STEP))

    def _transfer(self, selector: int) -> None:
        """Move one core register to or from DCRDR."""
        cpu, number, write = self._host.cpu, selector & 0x7F, selector >> 16 & 1
        if number == 20:
            if write:
                for index, name in enumerate(_SPECIAL):
                    cpu.write(name, self._dcrdr >> 8 * index & 0xFF)
            else:
                self._dcrdr = sum((cpu.read(name) & 0xFF) << 8 * index for index, name in enumerate(_SPECIAL))
            return
        register = _REGISTER_NAMES.get(number)
        if register is None:
            return
        if not write:
            self._dcrdr = cpu.read(register)
            return
        cpu.write(register, self._dcrdr)
        if register == "pc":
            self._host.pc_written()

    def _update_breakpoints(self) -> None:
        """Collect the addresses of the enabled comparators, which hold them as the FPB's revision has it."""
        if self._fpb_revision > 1:
            self.breakpoints = frozenset(value & ~1 for value in self._comparators if self._fpb_enabled and value & 1)
            return
        self.breakpoints = frozenset(
            (value & 0x1FFFFFFC) + offset
            for value in self._comparators
            for bit, offset in ((30, 0), (31, 2))
            if self._fpb_enabled and value & 1 and value >> bit & 1
        )
