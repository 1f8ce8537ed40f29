"""The machine-code callbacks are run here, those of every processor, in the CPU emulator."""

from __future__ import annotations

import struct

import pytest
import unicorn
from unicorn import arm64_const, x86_const

from harness.boards.virtual.core import native

CODE, DATA, SLOW = 0x10000, 0x40000, 0x18000
HEADER, REGISTERS, TABLE, STACK = DATA, DATA + 0x800, DATA + 0x1000, DATA + 0xF000

X86_ARGUMENTS = [x86_const.UC_X86_REG_RDI, x86_const.UC_X86_REG_RSI, x86_const.UC_X86_REG_RDX]
X86_ARGUMENTS += [x86_const.UC_X86_REG_RCX, x86_const.UC_X86_REG_R8, x86_const.UC_X86_REG_R9]


class Processor:
    """Calls a stub in the emulator and says whether it came back by return or went to the slow path."""

    def __init__(self, name):
        self.stubs = {"x86-64": native.X86_64_SYSTEM_V, "aarch64": native.AARCH64}[name]
        self.x86 = name == "x86-64"
        arch, mode = (
            (unicorn.UC_ARCH_X86, unicorn.UC_MODE_64) if self.x86 else (unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        )
        self.uc = unicorn.Uc(arch, mode)
        self.uc.mem_map(CODE, 0x10000)
        self.uc.mem_map(DATA, 0x10000)

    def call(self, code, *arguments):
        self.uc.mem_write(CODE, code)
        self.uc.ctl_flush_tb()
        end = CODE + 0x9000
        if self.x86:
            for register, value in zip(X86_ARGUMENTS, arguments, strict=False):
                self.uc.reg_write(register, value)
            self.uc.mem_write(STACK, struct.pack("<Q", end))
            self.uc.reg_write(x86_const.UC_X86_REG_RSP, STACK)
            pc = x86_const.UC_X86_REG_RIP
        else:
            for index, value in enumerate(arguments):
                self.uc.reg_write(arm64_const.UC_ARM64_REG_X0 + index, value)
            self.uc.reg_write(arm64_const.UC_ARM64_REG_LR, end)
            pc = arm64_const.UC_ARM64_REG_PC
        self.uc.ctl_exits_enabled(enable=True)
        self.uc.ctl_set_exits([end, SLOW])
        self.uc.emu_start(CODE, end, count=100)
        stopped = self.uc.reg_read(pc)
        assert stopped in (end, SLOW)
        return "slow" if stopped == SLOW else "done"

    def arguments(self, count):
        if self.x86:
            return [self.uc.reg_read(register) for register in X86_ARGUMENTS[:count]]
        return [self.uc.reg_read(arm64_const.UC_ARM64_REG_X0 + index) for index in range(count)]

    def longs(self, address, count):
        return list(struct.unpack(f"<{count}Q", self.uc.mem_read(address, 8 * count)))


@pytest.fixture(params=["x86-64", "aarch64"])
def processor(request):
    return Processor(request.param)


@pytest.mark.parametrize("base", [0, 0x20000000])
def test_block_counts_a_known_block_and_leaves_the_rest_to_the_slow_path(processor, base):
    code = processor.stubs.block(HEADER)
    address = base + 0x24
    entry = TABLE + 12 * 0x24
    context = TABLE - 12 * base & 2**64 - 1
    processor.uc.mem_write(HEADER, struct.pack("<7Q", 1000, 2**63, 0, SLOW, 0, 0, address - 2))
    processor.uc.mem_write(entry, struct.pack("<IIQQ", 10, 4, 2**32 - 1, 2**32 - 1))

    assert processor.call(code, 7, address, 10, context) == "done"  # jumped to
    assert processor.longs(HEADER, 4) == [1004, 2**63, address, SLOW]
    assert processor.longs(HEADER + 48, 1) == [address + 10]
    assert processor.longs(entry, 3) == [4 << 32 | 10, 2**32, 2**32 - 1]

    processor.uc.mem_write(HEADER, struct.pack("<7Q", 1000, 2**63, 0, SLOW, 0, 0, address))
    assert processor.call(code, 7, address, 10, context) == "done"  # the block in front of it ran into it
    assert processor.longs(entry, 3) == [4 << 32 | 10, 2**32 + 1, 2**32]
    assert processor.longs(HEADER + 48, 1) == [address + 10]

    assert processor.call(code, 7, address, 12, context) == "slow"  # another length
    assert processor.arguments(4) == [7, address, 12, context]
    assert processor.longs(HEADER, 4) == [1004, 2**63, address, SLOW]

    for limit, way in ((1005, "done"), (1008, "slow"), (0, "slow")):
        processor.uc.mem_write(HEADER + 8, struct.pack("<Q", limit))
        assert processor.call(code, 7, address, 10, context) == way
    assert processor.longs(HEADER, 1) == [1008]


def test_checked_block_needs_four_registers_to_be_multiples_of_four(processor):
    code, address = processor.stubs.block(HEADER), 0x24
    processor.uc.mem_write(HEADER, struct.pack("<6Q", 1000, 2**63, 0, SLOW, REGISTERS, 0))
    entry = struct.pack("<IHHQQ", 10 | native.CHECKED, 4, 0xE831, 0, 0)
    processor.uc.mem_write(TABLE + 12 * address, entry)
    for register in range(15):
        for value in (0, 1, 2, 3, 0x20000004, 0xFFFFFFFF):
            processor.uc.mem_write(HEADER, struct.pack("<Q", 1000))
            values = [0xFFFFFFF7] * 16
            for checked in (1, 3, 8, 14):
                values[checked] = 0x20000010
            values[register] = value
            processor.uc.mem_write(REGISTERS, struct.pack("<16I", *values))
            bad = register in (1, 3, 8, 14) and value % 4
            assert processor.call(code, 7, address, 10, TABLE) == ("slow" if bad else "done")
            assert processor.longs(HEADER, 1) == [1000 if bad else 1004]
            if bad:
                assert processor.arguments(4) == [7, address, 10, TABLE]
    assert processor.call(code, 7, address, 12, TABLE) == "slow"  # another length


@pytest.mark.parametrize("mask", native.MASKS)
def test_watched_instruction_goes_on_unless_its_register_is_suspicious(processor, mask):
    code = processor.stubs.watch(mask, HEADER)
    processor.uc.mem_write(HEADER, struct.pack("<6Q", 0, 0, 0, 0, 0, SLOW))
    for value in (0, 1, 2, 3, 4, 0x20000002, 0x80000000, 0xFFFFFFFF):
        processor.uc.mem_write(REGISTERS, struct.pack("<II", value, 0 if value else 0xFFFFFFFF))
        suspicious = value & mask if mask else value == 0
        assert processor.call(code, 7, 0x1234, 4, REGISTERS) == ("slow" if suspicious else "done")
        if suspicious:
            assert processor.arguments(4) == [7, 0x1234, 4, REGISTERS]


def test_trace_writes_down_blocks_and_reads_until_it_is_full(processor):
    room = struct.pack("<2Q", TABLE, TABLE + 24)
    processor.uc.mem_write(HEADER, room)
    block, read = processor.stubs.trace_block, processor.stubs.trace_read
    assert processor.call(block, 7, 0x20000010, 0x24, HEADER) == "done"
    assert processor.call(read, 7, 16, 0x10003, 4, 5, HEADER) == "done"
    assert processor.longs(HEADER, 1) == [TABLE + 16]
    for _ in range(2):
        assert processor.call(block, 7, 0x10000, 2, HEADER) == "done"
    assert processor.longs(TABLE, 4) == [0x24 << 32 | 0x20000010, native.READ | 0x10003, 2 << 32 | 0x10000, 0]
    assert processor.longs(HEADER, 2) == [TABLE + 24] * 2
