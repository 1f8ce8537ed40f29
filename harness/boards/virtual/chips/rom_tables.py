"""The ROM tables, by which debuggers and start-up code learn what the core and the chip are: address -> word."""

from __future__ import annotations

from harness.boards.virtual.chips.nrf52840 import PART, REVISION


def _component(part: int, component_class: int, designer: int = 0x43B, revision: int = 0) -> list[int]:
    """Return the ID registers from PIDR4 on (CoreSight architecture, B2.2); Arm's JEP106 code is 4, 0x3B."""
    jep, continuation = designer & 0x7F, designer >> 8
    return [
        *(continuation, 0, 0, 0),
        *(part & 0xFF, part >> 8 | (jep & 0xF) << 4, revision << 4 | 8 | jep >> 4, 0),
        *(0x0D, component_class << 4, 0x05, 0xB1),
    ]


def _core_table() -> dict[int, int]:
    table = {0xE00FF000: 0xFFF0F003, 0xE00FF004: 0xFFF02003, 0xE00FF008: 0xFFF03003}  # SCS, DWT, FPB
    components = {
        0xE00FF000: _component(PART, 1, 0x244),  # Nordic's ROM table
        0xE000E000: _component(0x00C, 0xE),
        0xE0001000: _component(0x002, 0xE),
        0xE0002000: _component(0x003, 0xE),
    }
    for base, values in components.items():
        table.update({base + 0xFD0 + 4 * index: value for index, value in enumerate(values)})
    return table


#: The core's table, and the ID registers of the components that it names.
CORE_ROM_TABLE = _core_table()
#: The chip's own table, which Nordic's start-up code reads to learn part and revision.
SYSTEM_ROM_TABLE = {
    0xF0000000: 0xF00FF003,  # the core's table at 0xE00FF000
    **{0xF0000FD0 + 4 * n: value for n, value in enumerate(_component(PART, 1, 0x244, REVISION))},
}
