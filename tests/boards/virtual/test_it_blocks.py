"""Accesses inside IT blocks must not leave IT state behind, whatever the emulator does for the access."""

from __future__ import annotations

import struct

import pytest
from virtual_lab import wait_until

CODE = 0x20002000
ROUNDS = 60
# Each round stores inside an IT block, in every second round only, then adds 1 to r2 in a block of its own.
PROGRAM = struct.pack(
    "<15H",
    *(0x2C00,),  # loop: cmp r4, #0
    *(0xBF1C,),  # itt ne
    *(0x780B,),  # ldrbne r3, [r1]
    *(0x6006,),  # strne r6, [r0]
    *(0xE7FF,),  # b next
    *(0x3201,),  # next: adds r2, #1
    *(0x4438,),  # add r0, r7
    *(0xF084, 0x0401),  # eor r4, r4, #1
    *(0x3D01,),  # subs r5, #1
    *(0xD1F4,),  # bne loop
    *(0xBE00,),  # bkpt
    *(0xBF00, 0xBF00, 0xBF00),
)


def run(caller, target_address, step):
    target = caller.target
    target.write_memory_block8(CODE, list(PROGRAM))
    registers = {"r0": target_address, "r1": 0x20000000, "r2": 0, "r4": 1, "r5": ROUNDS, "r6": 0x0F, "r7": step}
    for name, value in registers.items():
        target.write_core_register(name, value)
    target.write_core_register("xpsr", 0x01000000)
    target.write_core_register("pc", CODE)
    target.resume()
    wait_until(target.is_halted)
    assert target.read_core_register("pc") == CODE + 22
    return target.read_core_register("r2"), target.read_core_register("r4")


@pytest.mark.parametrize("watched", [False, True])
def test_first_access_to_a_page(caller, watched):
    if watched:
        caller.twin.watch_stack(0x20010000, 0x20040000)
    assert run(caller, 0x20010000, 1024) == (ROUNDS, 1)
    written = [caller.target.read8(0x20010000 + 1024 * n) for n in range(ROUNDS)]
    assert written == [0x0F, 0] * (ROUNDS // 2)
    if watched:
        assert caller.twin.lowest_write == 0x20010000


def test_programming_flash(caller):
    caller.target.write32(0x4001E504, 1)  # NVMC CONFIG: write enable
    assert run(caller, 0xF0000, 4) == (ROUNDS, 1)
    caller.target.write32(0x4001E504, 0)
    written = [caller.target.read8(0xF0000 + 4 * n) for n in range(ROUNDS)]
    assert written == [0x0F, 0xFF] * (ROUNDS // 2)


@pytest.mark.parametrize(("r4", "expected"), [(0, 0), (1, 2)])
def test_it_block_that_goes_on_in_another_page(caller, r4, expected):
    """The fetch from the second page misses as well, and there the IT state is in use."""
    page = 0x80000
    code = struct.pack("<5H", 0x2C00, 0xBF1C, 0x3201, 0x3201, 0xBE00)  # cmp r4, #0; itt ne; 2 x addne r2, #1; bkpt
    caller.twin.machine.memory.flash[page - 4 : page - 4 + len(code)] = list(code)
    target = caller.target
    for name, value in {"r2": 0, "r4": r4, "xpsr": 0x01000000, "pc": page - 4}.items():
        target.write_core_register(name, value)
    target.resume()
    wait_until(target.is_halted)
    assert target.read_core_register("pc") == page + 4
    assert target.read_core_register("r2") == expected
