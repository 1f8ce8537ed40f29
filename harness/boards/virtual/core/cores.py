"""The cores that can be emulated, and in what a Cortex-M0+ differs from a Cortex-M4 (Armv6-M and Armv7-M manuals)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from unicorn import arm_const as arm

from harness.config.chip import CORE_TITLES

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_CYCLE_COUNTER = 1 << 25  # DWT_CTRL.NOCYCCNT


@dataclass(frozen=True, slots=True)
class Core:
    """One core.

    Attributes:
        title: how Arm calls it.
        model: which of the emulator's cores it is.
        components: part numbers of system control space, DWT and breakpoint unit.
        breakpoints: comparators of the breakpoint unit.
        armv6m: whether it has Armv6-M's instructions, faults and registers; else Armv7-M's.
    """

    title: str
    model: int
    components: tuple[int, int, int]
    breakpoints: int
    armv6m: bool = False

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
    }
)
