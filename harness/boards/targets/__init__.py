"""Chips that pyOCD knows only with a CMSIS pack: targets of this package's own. `pyocd_target` of a kind names one."""

from __future__ import annotations

from types import MappingProxyType

from pyocd.target import TARGET

from harness.boards.targets.stm32l4r5 import Stm32l4r5

#: Names that no chip has, so that none of a pack is hidden.
OWN_TARGETS = MappingProxyType({"hil_stm32l4r5": Stm32l4r5})


def knows(target: str) -> bool:
    """Tell whether pyOCD can have a target without a pack: its own ones, and those of this package, which it learns."""
    if target in OWN_TARGETS:
        TARGET.setdefault(target, OWN_TARGETS[target])
    return target in TARGET
