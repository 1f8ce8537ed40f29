"""The CPU emulator's registers by name, and the few of its habits that must be known in one place."""

from __future__ import annotations

from typing import Any

from unicorn import arm_const as arm

REGISTERS: dict[str, int] = {
    **{f"r{n}": arm.UC_ARM_REG_R0 + n for n in range(13)},
    "sp": arm.UC_ARM_REG_SP,
    "lr": arm.UC_ARM_REG_LR,
    "pc": arm.UC_ARM_REG_PC,
    "xpsr": arm.UC_ARM_REG_XPSR,
    "msp": arm.UC_ARM_REG_MSP,
    "psp": arm.UC_ARM_REG_PSP,
    "primask": arm.UC_ARM_REG_PRIMASK,
    "basepri": arm.UC_ARM_REG_BASEPRI,
    "faultmask": arm.UC_ARM_REG_FAULTMASK,
    "control": arm.UC_ARM_REG_CONTROL,
    "fpscr": arm.UC_ARM_REG_FPSCR,
    **{f"s{n}": arm.UC_ARM_REG_S0 + n for n in range(32)},
}
CORE = [*(f"r{n}" for n in range(13)), "sp", "lr", "pc", "xpsr"]

STACK_POINTERS = ("sp", "msp", "psp")

THUMB = 1 << 24
IPSR = 0x1FF
IT_STATE = 0x0600FC00
CONTROL_SPSEL = 2
CONTROL_FPCA = 4


class Cpu:
    """Registers of the emulated core. Only while it doesn't run."""

    def __init__(self, uc: Any) -> None:
        self.uc = uc

    def read(self, name: str) -> int:
        """Return a register; the program counter without the Thumb bit."""
        value = int(self.uc.reg_read(REGISTERS[name])) & 0xFFFFFFFF
        return value & ~1 if name == "pc" else value

    def number(self, register: int) -> int:
        """Return one of r0 to r14 by its number."""
        return self.read(CORE[register])

    def write(self, name: str, value: int) -> None:
        """Set a register. Writing pc keeps the Thumb state that xPSR says."""
        if name == "pc":
            value = value & ~1 | bool(self.read("xpsr") & THUMB)
        elif name in STACK_POINTERS:
            value &= ~3
        register = arm.UC_ARM_REG_XPSR_NZCVQG if name == "xpsr" else REGISTERS[name]  # with the GE flags
        self.uc.reg_write(register, value & 0xFFFFFFFF)
        if name in ("xpsr", "control"):
            self._refresh()

    def _refresh(self) -> None:
        # The emulator caches handler mode and privilege; only a write of these flags renews the cache.
        self.uc.reg_write(arm.UC_ARM_REG_APSR_NZCV, self.uc.reg_read(arm.UC_ARM_REG_APSR_NZCV))

    def mend_it_state(self) -> None:
        """Clear the IT bits after a callback from a memory access that goes on.

        Unicorn 2.1.4 restores the CPU's state for such a callback, IT bits included. The translated code takes them
        for clear; left set, they would make the next block one that stands in an IT block, and drop instructions.
        """
        self.uc.reg_write(arm.UC_ARM_REG_EPSR, THUMB)

    def align_stack_pointers(self) -> None:
        """Clear bits 0 and 1 of the stack pointers: on the chip they are always 0, here an instruction sets them."""
        for name in STACK_POINTERS:
            if (value := self.read(name)) & 3:
                self.write(name, value)

    def branch(self, address: int) -> None:
        """Continue at `address`; bit 0 says whether in Thumb state, as in a vector."""
        xpsr = self.read("xpsr") & ~(THUMB | IT_STATE) | (THUMB if address & 1 else 0)
        self.write("xpsr", xpsr)
        self.write("pc", address)

    def core(self) -> dict[str, int]:
        """Return r0 to r12, sp, lr, pc and xPSR."""
        return {name: self.read(name) for name in CORE}

    def restore(self, registers: dict[str, int]) -> None:
        """Set the registers that `core` returned."""
        for name, value in registers.items():
            if name != "xpsr":
                self.write(name, value)
        self.write("xpsr", registers["xpsr"])
        self.write("pc", registers["pc"])

    def reset(self, sp: int, pc: int) -> None:
        """Put every register into its state after reset."""
        for name in ("faultmask", "basepri", "primask"):
            self.write(name, 0)
        self.write("xpsr", THUMB)
        self.write("control", 0)
        for n in range(13):
            self.write(f"r{n}", 0)
        self.write("fpscr", 0)
        self.write("psp", 0)
        self.write("msp", sp)
        self.write("sp", sp)
        self.write("lr", 0xFFFFFFFF)
        self.branch(pc)
