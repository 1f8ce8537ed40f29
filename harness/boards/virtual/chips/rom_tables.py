"""The ROM tables that name a chip and its core to a debugger."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.config.chip import RomTable


def component(part: int, component_class: int, designer: int = 0x43B, revision: int = 0) -> list[int]:
    """Return the ID registers from PIDR4 on (CoreSight architecture, B2.2); Arm's JEP106 code is 4, 0x3B."""
    jep, continuation = designer & 0x7F, designer >> 8
    return [
        *(continuation, 0, 0, 0),
        *(part & 0xFF, part >> 8 | (jep & 0xF) << 4, revision << 4 | 8 | jep >> 4, 0),
        *(0x0D, component_class << 4, 0x05, 0xB1),
    ]


def core_table(chip: RomTable, components: tuple[int, int, int]) -> dict[int, int]:
    """Return the words of the core's own table, and the ID registers of the components that it names.

    Args:
        chip: how the chip names itself.
        components: part numbers of system control space, DWT and breakpoint unit.
    """
    table = {0xE00FF000: 0xFFF0F003, 0xE00FF004: 0xFFF02003, 0xE00FF008: 0xFFF03003}  # SCS, DWT, FPB
    control, watchpoints, breakpoints = components
    ids = {
        0xE00FF000: component(chip.part, 1, chip.designer),
        0xE000E000: component(control, 0xE),
        0xE0001000: component(watchpoints, 0xE),
        0xE0002000: component(breakpoints, 0xE),
    }
    for base, values in ids.items():
        table.update({base + 0xFD0 + 4 * index: value for index, value in enumerate(values)})
    return table
