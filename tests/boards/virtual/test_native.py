"""The machine-code callbacks are run here, those of every processor, in the CPU emulator."""

from __future__ import annotations

import struct

import pytest
import unicorn
from unicorn import arm64_const, x86_const

from harness.boards.virtual import native

CODE, DATA, SLOW = 0x10000, 0x40000, 0x18000
HEADER, TABLE, STACK = DATA, DATA + 0x1000, DATA + 0xF000

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
    entry = TABLE + 8 * 0x24
    context = TABLE - 8 * base & 2**64 - 1
    processor.uc.mem_write(HEADER, struct.pack("<4Q", 1000, 2**63, 0, SLOW))
    processor.uc.mem_write(entry, struct.pack("<IIQ", 10, 4, 2**32 - 1))

    assert processor.call(code, 7, address, 10, context) == "done"
    assert processor.longs(HEADER, 4) == [1004, 2**63, address, SLOW]
    assert processor.longs(entry, 2) == [4 << 32 | 10, 2**32]

    assert processor.call(code, 7, address, 12, context) == "slow"  # another length
    assert processor.arguments(4) == [7, address, 12, context]
    assert processor.longs(HEADER, 4) == [1004, 2**63, address, SLOW]

    for limit, way in ((1005, "done"), (1008, "slow"), (0, "slow")):
        processor.uc.mem_write(HEADER + 8, struct.pack("<Q", limit))
        assert processor.call(code, 7, address, 10, context) == way
    assert processor.longs(HEADER, 1) == [1008]
