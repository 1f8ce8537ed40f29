"""The cores that can be emulated, and in what they differ from a Cortex-M4 (Armv6-M and Armv7-M manuals)."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from unicorn import arm_const as arm

from harness.config.chip import CORE_TITLES

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_CYCLE_COUNTER = 1 << 25  # DWT_CTRL.NOCYCCNT


#: Cortex-M7 manual, chapter System control: ID_MMFR0 to 3, CLIDR, CTR, MVFR0 to 2 with double precision.
_CORTEX_M7 = {
    0xD50: 0x100030,
    0xD54: 0,
    0xD58: 0x1000000,
    0xD5C: 0,
    0xD78: 0x09000003,
    0xD7C: 0x8303C003,
    0xF40: 0x10110221,
    0xF44: 0x12000011,
    0xF48: 0x40,
}


@dataclass(frozen=True, slots=True)
class Core:
    """One core.

    Attributes:
        title: how Arm calls it.
        model: which of the emulator's cores it is.
        components: part numbers of system control space, DWT and breakpoint unit.
        breakpoints: comparators of the breakpoint unit.
        armv6m: whether it has Armv6-M's instructions, faults and registers; else Armv7-M's.
        fpb_revision: of the breakpoint unit.
        dwt_lock: whether the core itself can't write its DWT until it has written a key.
        mpu_regions: of its MPU; 0 if that isn't modelled.
        caches: what CCSIDR says of its data and its instruction cache, which are registers only; none if it has none.
        identity: its ID registers where they differ from a Cortex-M4's, by offset from 0xE000E000.
    """

    title: str
    model: int
    components: tuple[int, int, int]
    breakpoints: int
    armv6m: bool = False
    fpb_revision: int = 1
    dwt_lock: bool = False
    mpu_regions: int = 0
    caches: tuple[int, ...] = ()
    identity: Mapping[int, int] = field(default_factory=dict)

    @property
    def dwt_control(self) -> int:
        """What DWT_CTRL reads while nothing is switched on."""
        return _NO_CYCLE_COUNTER if self.armv6m else 0


#: By the names that `cpu` of a chip may have. The emulator's M0 executes the instructions of an M0+, too.
CORES: Mapping[str, Core] = MappingProxyType(
    {
        "cortex-m4": Core(CORE_TITLES["cortex-m4"], arm.UC_CPU_ARM_CORTEX_M4, (0x00C, 0x002, 0x003), 6),
        "cortex-m0plus": Core(
            CORE_TITLES["cortex-m0plus"], arm.UC_CPU_ARM_CORTEX_M0, (0x008, 0x00A, 0x00B), 4, armv6m=True
        ),
        "cortex-m7": Core(
            CORE_TITLES["cortex-m7"],
            arm.UC_CPU_ARM_CORTEX_M7,
            components=(0x00C, 0x002, 0x00E),
            breakpoints=8,
            fpb_revision=2,
            dwt_lock=True,
            mpu_regions=16,
            caches=(0xF00FE019, 0xF01FE009),  # 16 KB each, 4 and 2 ways
            identity=_CORTEX_M7,
        ),
    }
)
