"""The STM32L4R5 for pyOCD, which has it only in a CMSIS pack. Registers are those of the reference manual RM0432."""

from __future__ import annotations

from typing import Any

from pyocd.core import exceptions
from pyocd.core.memory_map import FlashRegion, MemoryMap, RamRegion
from pyocd.coresight.coresight_target import CoreSightTarget
from pyocd.flash.flash import Flash

from harness.boards.targets.algorithm import load_algorithm

_PAGE = 0x1000
_FLASH_OPTR, _DBANK, _IWDG_SW = 0x40022020, 1 << 22, 1 << 16
_DBGMCU_CR, _ALL_LOW_POWER = 0xE0042004, 7  # debugging goes on in Sleep, Stop and Standby
_DBGMCU_APB1FZR1, _IWDG_AND_WWDG = 0xE0042008, 3 << 11  # which stand still while the core is halted


class _TwoBanks(Flash):  # type: ignore[misc]  # pyOCD has no types
    """The flash in two banks with pages of 4 KB, as chips come."""

    def prepare_target(self) -> None:
        """Refuse a chip whose option bytes make its flash something else.

        Raises:
            FlashFailure: the flash is one bank, or the watchdog would reset the chip while it is written.
        """
        options = self.target.read32(_FLASH_OPTR)
        if not options & _DBANK:
            raise exceptions.FlashFailure(
                "the option bytes make the flash one bank with pages of 8 KB (DBANK = 0), which this flash algorithm "
                "can't write. Set DBANK (STM32CubeProgrammer, Option bytes); the flash has to be written anew then"
            )
        if not options & _IWDG_SW:
            raise exceptions.FlashFailure(
                "the option bytes start the watchdog at each reset (IWDG_SW = 0), which would reset the chip while its "
                "flash is written. Set IWDG_SW (STM32CubeProgrammer, Option bytes)"
            )


class Stm32l4r5(CoreSightTarget):  # type: ignore[misc]  # pyOCD has no types
    """An STM32L4R5 with 2 MB of flash. SRAM1, SRAM2 and SRAM3 lie one behind the other."""

    VENDOR = "STMicroelectronics"

    def __init__(self, session: Any) -> None:
        """Describe the memories."""
        memories = MemoryMap(
            FlashRegion(
                name="flash",
                start=0x08000000,
                length=0x200000,
                sector_size=_PAGE,
                page_size=_PAGE,
                is_boot_memory=True,
                algo=load_algorithm("stm32l4r5", _PAGE),
                flash_class=_TwoBanks,
            ),
            RamRegion(name="sram", start=0x20000000, length=0xA0000),
        )
        super().__init__(session, memories)

    def post_connect_hook(self) -> None:
        """Let the debugger reach a core that sleeps, and stop the watchdogs while it is halted."""
        self.write32(_DBGMCU_CR, _ALL_LOW_POWER)
        self.write32(_DBGMCU_APB1FZR1, _IWDG_AND_WWDG)
