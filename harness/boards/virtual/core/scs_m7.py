"""What the system control space of a Cortex-M7 has beyond a Cortex-M4's: an MPU, and the registers of its caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.core import mpu
from harness.boards.virtual.core.scs import CCR, CCR_STKALIGN, SystemControl

if TYPE_CHECKING:
    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.core.cores import Core
    from harness.boards.virtual.core.nvic import Nvic

_CCSIDR, _CSSELR = 0xD80, 0xD84
_CCR_DC, _CCR_BP = 1 << 16, 1 << 18
_MPU = range(mpu.TYPE, mpu.RASR + 4)
_HARD_FAULT_AND_ABOVE = (2, 3)


class CachedControl(SystemControl):
    """System control with caches that are switched on and off, and hold nothing: the emulated core has none."""

    def __init__(self, host: Host, nvic: Nvic, cpuid: int, core: Core) -> None:
        self._mpu = mpu.Mpu(core.mpu_regions)
        self._caches = core.caches
        super().__init__(host, nvic, cpuid, core)

    def reset(self) -> None:
        """Return to the state after reset."""
        super().reset()
        self._mpu.reset()
        self.registers[CCR] = CCR_STKALIGN | _CCR_BP

    def read(self, offset: int) -> int:
        """Return a register."""
        if offset in _MPU:
            return self._mpu.read(offset)
        if offset == _CCSIDR:
            return self._caches[self.registers.get(_CSSELR, 0) & 1]
        return super().read(offset)

    def write(self, offset: int, value: int, size: int = 4) -> None:
        """Write a register."""
        if offset not in _MPU:
            super().write(offset, value | (_CCR_BP if offset == CCR else 0), size)
            return
        problem = self._mpu.write(offset, value)
        if problem is not None:
            self._host.limit(problem)

    def cached(self, address: int, size: int) -> bool:
        """Tell whether the data cache, if it is on, may hold any of these bytes."""
        handler = self.nvic.active[-1] if self.nvic.active else 0
        return bool(self.registers[CCR] & _CCR_DC) and self._mpu.cacheable(
            address, size, in_hardfault=handler in _HARD_FAULT_AND_ABOVE
        )
