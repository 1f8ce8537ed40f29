"""Our table of the nRF52840's registers against Nordic's description of the chip, which pyOCD brings along."""

from __future__ import annotations

import pytest
from virtual_lab import VirtualNrf52840, session

from harness.boards.virtual.chips.nrf52840 import PAGES
from harness.boards.virtual.chips.registers import described_registers

PAGE = 0x1000
# What Nordic's description doesn't say, or what depends on the state.
OTHER_VALUES = {
    "CLOCK.HFCLKSTAT": 0x10000,  # the internal oscillator runs
    "NVMC.READYNEXT": 1,
    "SPIS0.SEMSTAT": 0,  # SPIM has a register at this place
    "SPIS1.SEMSTAT": 0,
    "SPIS2.SEMSTAT": 0,
}


@pytest.fixture(scope="module")
def described():
    """Every register of a peripheral: address to (name, access, reset value) of each that is there."""
    registers = {}
    for register in described_registers():
        if register.address & -PAGE in PAGES and "UNUSED" not in register.name:
            entry = (f"{register.peripheral}.{register.name}", register.access, register.reset)
            registers.setdefault(register.address, []).append(entry)
    assert len(registers) > 1700
    return registers


def test_each_register_is_there_and_of_its_kind(described):
    wrong = []
    for address, entries in described.items():
        layout, offset = PAGES[address & -PAGE].layout, address % PAGE
        readable = offset in layout.resets or offset in layout.events
        writable = offset in layout.writable or offset in layout.events | layout.tasks | layout.stops
        may = [access for _, access, _ in entries]
        if readable != any("read" in access for access in may):
            wrong.append((entries, "readable", readable))
        if writable != any("write" in access for access in may):
            wrong.append((entries, "writable", writable))
    assert not wrong


def test_the_table_invents_no_register(described):
    for base, page in PAGES.items():
        layout = page.layout
        for offset in (*layout.tasks, *layout.stops, *layout.events, *layout.resets, *layout.writable):
            assert base + offset in described, f"{page.names[0]}+{offset:#x}"


def test_after_a_reset_registers_read_as_described(described):
    wrong = []
    with VirtualNrf52840("nano33") as twin, session(twin) as opened:
        opened.target.reset_and_halt()
        opened.target.write32(0x40000400, 0xFFFFFFFF)  # RESETREAS
        for address, entries in described.items():
            if any(access != "write-only" for _, access, _ in entries):
                value = opened.target.read32(address)
                expected = [OTHER_VALUES.get(name, reset) for name, access, reset in entries if access != "write-only"]
                if value not in expected:
                    wrong.append((entries, value))
    assert not wrong
