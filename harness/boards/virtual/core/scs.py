"""System control space: SCB, SysTick and the door to the NVIC, as firmware and debugger see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.chips.device import RESET_SOFT
from harness.boards.virtual.core.nvic import BUS_FAULT, MEM_MANAGE, NMI, PENDSV, SYSTICK, USAGE_FAULT, Nvic

if TYPE_CHECKING:
    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.core.cores import Core
    from harness.boards.virtual.core.debug_registers import DebugRegisters

ICTR, SYST_CSR, SYST_RVR, SYST_CVR, SYST_CALIB = 0x004, 0x010, 0x014, 0x018, 0x01C
CPUID, ICSR, VTOR, AIRCR, CCR, SHPR1, SHCSR = 0xD00, 0xD04, 0xD08, 0xD0C, 0xD14, 0xD18, 0xD24
CFSR, HFSR, MMFAR, BFAR, CPACR, STIR = 0xD28, 0xD2C, 0xD34, 0xD38, 0xD88, 0xF00
MPU_TYPE, MPU_CTRL, MPU_CTRL_ENABLE = 0xD90, 0xD94, 1
FPCCR, MVFR0, MVFR1 = 0xF34, 0xF40, 0xF44

# CFSR: MemManage in bits 0 to 7, BusFault in 8 to 15, UsageFault in 16 to 31.
IBUSERR, PRECISERR, IMPRECISERR, STKERR, BFARVALID = (1 << bit for bit in (8, 9, 10, 12, 15))
UNDEFINSTR, INVSTATE, NOCP, UNALIGNED, DIVBYZERO = (1 << bit for bit in (16, 17, 19, 24, 25))
HFSR_FORCED, HFSR_DEBUGEVT = 1 << 30, 1 << 31
SHCSR_ENABLE = {MEM_MANAGE: 1 << 16, BUS_FAULT: 1 << 17, USAGE_FAULT: 1 << 18}
CCR_STKALIGN, CCR_DIV_0_TRP, CCR_UNALIGN_TRP = 1 << 9, 1 << 4, 1 << 3
FPCCR_ASPEN = 1 << 31
PPB, PPB_BYTES = 0xE0000000, 0x100000
_ROUNDING = 1e-3  # of cycles, which are whole ones apart from the sleep before them
_SCS = range(0xE000E000, 0xE000F000)
_VECTKEY = 0x05FA
_IDENTITY = {  # Cortex-M4 with FPU
    0xD40: 0x30,
    0xD44: 0x200,
    0xD48: 0x100000,
    0xD50: 0x100030,
    0xD60: 0x1101110,
    0xD64: 0x2112000,
    0xD68: 0x21232231,
    0xD6C: 0x01111131,
    0xD70: 0x01310132,
    **dict.fromkeys(range(MPU_TYPE, MPU_TYPE + 0x2C, 4), 0),  # an MPU of no regions; the chip's has eight
    MVFR0: 0x10110021,
    MVFR1: 0x11000011,
    SYST_CALIB: 1 << 31,
}
#: Armv6-M has neither of these: reserved, they read as 0.
_ARMV7M_ONLY = {ICTR, SHPR1, CFSR, HFSR, MMFAR, BFAR, CPACR, STIR, FPCCR, MVFR0, MVFR1, *range(0xD40, 0xD74, 4)}
_ARMV6M_RESET = {CCR: CCR_STKALIGN | CCR_UNALIGN_TRP}  # it can't be written
_RESET = {CCR: CCR_STKALIGN, FPCCR: 0xC0000000, **dict.fromkeys((VTOR, CPACR, CFSR, HFSR, MMFAR, BFAR, SHCSR), 0)}
#: What can be written of each register that only keeps state; of others, all.
_WRITABLE = {
    VTOR: 0x3FFFFF80,
    CPACR: 0x00F00000,
    SHCSR: 0x70000,
    **dict.fromkeys((*_IDENTITY, ICTR, CPUID), 0),
    MPU_CTRL: 7,
}
_CLEARED_BY_ONES = (CFSR, HFSR)


class SystemControl:
    """SCB and SysTick registers. Offsets are from 0xE000E000."""

    def __init__(self, host: Host, nvic: Nvic, cpuid: int, core: Core) -> None:
        self._host = host
        self.nvic = nvic
        self._fixed = {**_IDENTITY, **core.identity, ICTR: (nvic.lines - 1) // 32, CPUID: cpuid}
        self._armv6m = core.armv6m
        self._ticks = host.cycles_per_tick()
        self.reset()

    def reset(self) -> None:
        """Return to the state after reset."""
        self.nvic.reset()
        self.registers = {**self._fixed, **_RESET, **(_ARMV6M_RESET if self._armv6m else {})}
        self._prigroup = 0
        self._systick_csr = self._systick_reload = 0
        self._systick_from = 0.0  # when the count was last at its reload value
        self._systick_seen = 0

    @property
    def fpu_enabled(self) -> bool:
        """True if CPACR lets privileged code use the FPU."""
        return all(self.registers[CPACR] >> shift & 3 in (1, 3) for shift in (20, 22))

    def has(self, offset: int) -> bool:
        """Tell whether this core has a register there."""
        return not self._armv6m or offset not in _ARMV7M_ONLY

    def cached(self, _address: int, _size: int) -> bool:
        """Tell whether a data cache may hold any of these bytes: there is none."""
        return False

    def read(self, offset: int) -> int:
        """Return a register."""
        if 0x100 <= offset < 0x500:
            return self.nvic.read(offset - 0x100)
        if offset in (SYST_CSR, SYST_RVR, SYST_CVR):
            return self._read_systick(offset)
        if SHPR1 <= offset < SHPR1 + 12:
            first = 4 + offset - SHPR1
            return int.from_bytes(self.nvic.priorities[first : first + 4], "little")
        if offset == ICSR:
            return self._read_icsr()
        if offset == AIRCR:
            return 0xFA050000 | self._prigroup << 8
        return self.registers.get(offset, 0)

    def _read_icsr(self) -> int:
        waiting = self.nvic.candidates()
        active = self.nvic.active[-1] if self.nvic.active else 0
        first = (waiting & -waiting).bit_length() - 1 if waiting else 0
        pending = self.nvic.system_pending
        return (
            active
            | (len(self.nvic.active) < 2) << 11  # RETTOBASE
            | first << 12
            | bool(self.nvic.pending) << 22
            | (pending >> SYSTICK & 1) << 26
            | (pending >> PENDSV & 1) << 28
        )

    def write(self, offset: int, value: int, size: int = 4) -> None:
        """Write a register."""
        if 0x100 <= offset < 0x500:
            self.nvic.write(offset - 0x100, value, size)
            self._host.attention()
        elif offset in (SYST_CSR, SYST_RVR, SYST_CVR):
            self._write_systick(offset, value)
        elif SHPR1 <= offset < SHPR1 + 12:
            for index, byte in enumerate(value.to_bytes(4, "little")[:size]):
                self.nvic.set_priority(4 + offset - SHPR1 + index, byte)
            self._host.attention()
        elif offset == ICSR:
            self._write_icsr(value)
        elif offset == AIRCR:
            self._write_aircr(value)
        elif offset == STIR:
            self.nvic.pending |= 1 << (value & 0x1FF) & (1 << self.nvic.lines) - 1
            self._host.attention()
        else:
            self._write_state(offset, value)

    def _write_state(self, offset: int, value: int) -> None:
        """Write a register that only keeps state, or that the CPU emulator must follow."""
        if offset in _CLEARED_BY_ONES:
            self.registers[offset] &= ~value
        elif self._armv6m and offset == CCR:
            return
        elif mask := _WRITABLE.get(offset, 0xFFFFFFFF):
            self.registers[offset] = value & mask
        if offset in (CPACR, CCR):
            self._host.traps_changed()
        elif offset == MPU_CTRL and value & MPU_CTRL_ENABLE:
            self._host.limit(
                "the firmware switches on the MPU, which isn't modelled: MPU_TYPE says that it has no regions"
            )

    def _write_aircr(self, value: int) -> None:
        if value >> 16 != _VECTKEY:
            return
        self._prigroup = value >> 8 & 7
        self.nvic.group_mask = 0xFF & ~((2 << self._prigroup) - 1)
        if value & 5:  # SYSRESETREQ, VECTRESET
            self._host.request_reset(RESET_SOFT)

    def _write_icsr(self, value: int) -> None:
        pending = self.nvic.system_pending
        pending |= (value >> 31 & 1) << NMI | (value >> 28 & 1) << PENDSV | (value >> 26 & 1) << SYSTICK
        pending &= ~((value >> 27 & 1) << PENDSV | (value >> 25 & 1) << SYSTICK)
        self.nvic.system_pending = pending
        self._host.attention()

    def _read_systick(self, offset: int) -> int:
        self.advance()
        if offset == SYST_RVR:
            return self._systick_reload
        if offset == SYST_CSR:
            value = self._systick_csr
            self._systick_csr &= ~(1 << 16)
            return value
        if not self._systick_csr & 1 or not self._systick_reload:
            return 0
        elapsed = int(self._host.cycles() - self._systick_from + _ROUNDING)
        return self._systick_reload - elapsed % (self._systick_reload + 1)

    def _write_systick(self, offset: int, value: int) -> None:
        self.advance()
        if offset == SYST_RVR:
            self._systick_reload = value & 0xFFFFFF
        elif offset == SYST_CSR:
            if value & 1 and not value & 4:
                self._host.limit("the firmware clocks SysTick from outside the core, which is not modelled")
            if value & 1 and not self._systick_csr & 1:
                self._restart_systick()
            self._systick_csr = value & 7
        else:
            self._systick_csr &= ~(1 << 16)
            self._restart_systick()
        self._host.attention()

    def _restart_systick(self) -> None:
        self._systick_from = self._host.cycles()
        self._systick_seen = 0

    def deadline(self) -> float | None:
        """Return when SysTick's interrupt is next due, in ticks of 16 MHz; None if never."""
        if self._systick_csr & 3 != 3 or not self._systick_reload:
            return None
        return (self._systick_from + (self._systick_seen + 1) * (self._systick_reload + 1)) / self._ticks

    def advance(self) -> None:
        """Note the SysTick periods that have passed."""
        if not self._systick_csr & 1 or not self._systick_reload:
            return
        periods = int((self._host.cycles() - self._systick_from) / (self._systick_reload + 1) + 1e-9)
        if periods > self._systick_seen:
            self._systick_seen = periods
            self._systick_csr |= 1 << 16
            if self._systick_csr & 2:
                self.nvic.system_pending |= 1 << SYSTICK
                self._host.attention()


class PrivateBus:
    """What the core has for itself at `PPB`: system control and debug registers."""

    def __init__(self, scs: SystemControl, debug: DebugRegisters) -> None:
        self._scs = scs
        self.debug = debug

    def _has(self, address: int) -> bool:
        return address in _SCS and self._scs.has((address & ~3) - _SCS.start)

    def read(self, address: int, size: int, *, debugger: bool = False) -> int:
        """Read a register; 0 where there is none."""
        word = address & ~3
        value = self.debug.read(word, debugger=debugger)
        if value is None:
            value = self._scs.read(word - _SCS.start) if self._has(word) else 0
        return value >> 8 * (address & 3) & (1 << 8 * size) - 1

    def write(self, address: int, value: int, size: int, *, debugger: bool = False) -> None:
        """Write a register. Only priorities can be written in bytes."""
        if not self.debug.write(address, value, debugger=debugger) and self._has(address):
            self._scs.write(address - _SCS.start, value, size)
