"""What a Cortex-M4 refuses although the emulator underneath would run it. The code is placed in RAM as bytes."""

from __future__ import annotations

import random
import struct

import capstone
import pytest
import unicorn
from unicorn import arm_const
from virtual_lab import halted_counts, wait_until

from harness.boards.virtual.core.binding import cortex_m4

CODE, DATA, VECTORS, HANDLER = 0x20002000, 0x20010000, 0x20000C00, 0x20003000
UNDEFINSTR, UNALIGNED, DIVBYZERO, FORCED = 1 << 16, 1 << 24, 1 << 25, 1 << 30
CCR, SHCSR, CFSR, HFSR, VTOR, CPACR = 0xE000ED14, 0xE000ED24, 0xE000ED28, 0xE000ED2C, 0xE000ED08, 0xE000ED88
DIV_0_TRP, UNALIGN_TRP, USGFAULTENA = 1 << 4, 1 << 3, 1 << 18
NOP, BKPT = (0xBF00,), (0xBE00,)


def code(*instructions):
    halfwords = [halfword for instruction in instructions for halfword in instruction]
    return struct.pack(f"<{len(halfwords)}H", *halfwords)


def run(caller, program, ccr=0, shcsr=0, **registers):
    """Run a program from RAM, after a reset, up to its BKPT or to a fault's handler.

    Returns:
        The crash, and the instructions issued up to the fault or the BKPT.
    """
    target, twin = caller.target, caller.twin
    target.reset_and_halt()
    target.write_memory_block8(CODE, list(program))
    target.write_memory_block8(HANDLER, list(code(BKPT)))
    target.write_memory_block32(VECTORS, [caller.symbols["stack_top"], CODE | 1, 0, *[HANDLER | 1] * 13])
    target.write32(VTOR, VECTORS)
    target.write32(CPACR, 0xF << 20)
    target.write32(CCR, 0x200 | ccr)
    target.write32(SHCSR, shcsr)
    for number in range(13):
        target.write_core_register(f"r{number}", registers.get(f"r{number}", 0))
    target.write_core_register("lr", registers.get("lr", 0xFFFFFFFF))
    target.write_core_register("sp", registers.get("sp", caller.symbols["stack_top"] - 256))
    target.write_core_register("xpsr", 0x01000000 | registers.get("flags", 0) << 28)
    target.write_core_register("pc", CODE)
    before = twin.instructions()
    target.resume()
    wait_until(lambda: twin.machine.halted or twin.machine.locked_up or twin.machine.failure)
    assert twin.machine.halted, (program.hex(), registers, twin.crash)
    issued = twin.instructions() - before
    crashed = target.read_core_register("pc") == HANDLER
    return (twin.crash if crashed else None), issued - crashed


@pytest.fixture(scope="module", params=[True, False], ids=["native", "python"])
def board(request):
    with halted_counts(native_counter=request.param) as caller:
        yield caller


def test_emulated_core_is_a_cortex_m4():
    assert cortex_m4().ctl_get_cpu_model() == arm_const.UC_CPU_ARM_CORTEX_M4


@pytest.mark.parametrize(
    "instruction",
    [
        pytest.param((0xFE00, 0x0A00), id="VSELEQ.F32 s0, s0, s0"),
        pytest.param((0xFE80, 0x0A00), id="VMAXNM.F32 s0, s0, s0"),
        pytest.param((0xFE80, 0x0A40), id="VMINNM.F32 s0, s0, s0"),
        pytest.param((0xFEB8, 0x0A40), id="VRINTA.F32 s0, s0"),
        pytest.param((0xEEB6, 0x0AC0), id="VRINTZ.F32 s0, s0"),
        pytest.param((0xFEBC, 0x0AC0), id="VCVTA.S32.F32 s0, s0"),
        pytest.param((0xEE30, 0x0B00), id="VADD.F64 d0, d0, d0"),
        pytest.param((0xE8D1, 0x0FAF), id="LDA r0, [r1]"),
        pytest.param((0xE8C1, 0x0FAF), id="STL r0, [r1]"),
        pytest.param((0xE8D1, 0x0FEF), id="LDAEX r0, [r1]"),
        pytest.param((0xE841, 0xF000), id="TT r0, r1"),
        pytest.param((0x4784,), id="BLXNS r0"),
        pytest.param((0xFAC0, 0xF080), id="CRC32B r0, r0, r0"),
    ],
)
def test_instruction_that_a_cortex_m4_lacks(board, instruction):
    crash, issued = run(board, code(NOP, instruction, BKPT), r0=CODE, r1=DATA)
    assert crash is not None
    assert (crash.kind, crash.pc) == ("usage fault UNDEFINSTR", CODE + 2)
    assert crash.registers["cfsr"] == UNDEFINSTR
    assert issued == 2


WORDS = [  # name, the instruction with base r0, offset of its address
    ("LDRD", (0xE9D0, 0x2302), 8),
    ("STRD", (0xE940, 0x2302), -8),
    ("LDRD", (0xE8F0, 0x2302), 0),  # post-indexed
    ("LDM", (0xC80C,), 0),
    ("STM", (0xC00C,), 0),
    ("LDM", (0xE910, 0x000C), 0),  # LDMDB
    ("STM", (0xE8A0, 0x001C), 0),
    ("LDREX", (0xE850, 0x2F01), 4),
    ("STREX", (0xE840, 0x3201), 4),
    ("LDREXH", (0xE8D0, 0x2F5F), 0),
    ("STREXH", (0xE8C0, 0x3F52), 0),
    ("VLDR", (0xED90, 0x0A01), 4),
    ("VSTR", (0xED00, 0x0B02), -8),
    ("VLDM", (0xEC90, 0x0A02), 0),
    ("VLDM", (0xED30, 0x0A02), 0),  # VLDMDB
    ("VSTM", (0xECA0, 0x0B02), 0),
]
BASES = [  # how r0 comes to its value in the same block, from the registers of `AT_START`
    ("as it was", []),
    ("moved", [(0x4608,)]),  # mov r0, r1
    ("added", [(0xF101, 0x0008)]),  # add r0, r1, #8
    ("indexed", [(0xEB01, 0x00C4)]),  # add r0, r1, r4, lsl #3
    ("loaded", [(0x6828,)]),  # ldr r0, [r5]
    ("computed", [(0x1E70,)]),  # subs r0, r6, #1
]


@pytest.mark.parametrize(("how", "before"), BASES, ids=[how for how, _ in BASES])
def test_unaligned_access(board, how, before):
    for name, instruction, offset in WORDS:
        for wrong in (0, 1, 2, 3) if how == "as it was" else (0, 2):
            base = DATA + 0x100 + wrong
            board.target.write32(DATA, base)
            start = {"r0": base, "r1": base - 8 * (how == "added") - 8 * 5 * (how == "indexed")}
            start |= {"r4": 5, "r5": DATA, "r6": base + 1}
            crash, issued = run(board, code(NOP, *before, instruction, NOP, BKPT), **start)
            if wrong % (2 if name.endswith("H") else 4) == 0:
                assert (crash, issued) == (None, 4 + len(before)), name
                continue
            assert crash is not None, name
            assert crash.kind == "usage fault UNALIGNED"
            assert crash.text.startswith(f"unaligned {name} at {base + offset:#010x}")
            assert (crash.pc, crash.address) == (CODE + 2 + len(code(*before)), base + offset)
            assert crash.registers["cfsr"] == UNALIGNED
            assert crash.registers["hfsr"] == FORCED
            assert issued == 2 + len(before)
            assert board.target.read_core_register("r0") == base  # nothing of it had an effect


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("equal", [False, True])
def test_unaligned_access_in_an_it_block(board, loaded, equal):
    """Three instructions of an IT block, of which the second is the one; with the condition failed it may be wrong."""
    program = code(
        (0x6828,) if loaded else NOP,  # ldr r0, [r5]
        (0xBF02,),  # ittt eq
        (0x3701,),  # addeq r7, #1
        (0xE9D0, 0x2300),  # ldrdeq r2, r3, [r0]
        (0x3701,),  # addeq r7, #1
        BKPT,
    )
    for wrong in (0, 2):
        for _ in range(2):  # the second time all of it is translated already
            board.target.write32(DATA, DATA + wrong)
            crash, issued = run(board, program, r0=DATA + wrong, r5=DATA, flags=4 if equal else 0)
            r7 = board.target.read_core_register("r7")
            if wrong and equal:
                assert (crash.kind, crash.pc) == ("usage fault UNALIGNED", CODE + 6)
                assert (r7, issued) == (1, 4)
            else:
                assert (crash, r7, issued) == (None, 2 if equal else 0, 6)


def test_base_written_in_the_it_block_itself(board):
    program = code((0xBF04,), (0x6828,), (0xE9D0, 0x2300), BKPT)  # itt eq; ldreq r0, [r5]; ldrdeq r2, r3, [r0]
    for wrong in (0, 1):
        for equal in (True, False):
            board.target.write32(DATA, DATA + wrong)
            crash, issued = run(board, program, r5=DATA, flags=4 * equal)
            assert (crash is not None) == (wrong and equal)
            assert issued == 3 + (crash is None)


def test_firmwares_own_usage_fault_handler_gets_it(board):
    crash, _ = run(board, code((0xE9D0, 0x2300), BKPT), shcsr=USGFAULTENA, r0=DATA + 2)
    assert crash.kind == "usage fault UNALIGNED"
    assert board.target.read_core_register("ipsr") == 6
    assert board.target.read32(CFSR) == UNALIGNED
    assert board.target.read32(HFSR) == 0
    frame = board.target.read_memory_block32(board.target.read_core_register("sp"), 8)
    assert frame[6] == CODE


def test_stack_pointer_is_always_a_multiple_of_four(board):
    """Its two lowest bits can't be written; so PUSH is never unaligned."""
    for set_sp in ((0x4685,), (0xF380, 0x8808)):  # mov sp, r0; msr msp, r0
        crash, issued = run(board, code(set_sp, (0xB402,), BKPT), r0=DATA + 0x103, r1=0x12345678)  # push {r1}
        assert (crash, issued) == (None, 3)
        assert board.target.read_core_register("sp") == DATA + 0xFC
        assert board.target.read32(DATA + 0xFC) == 0x12345678


@pytest.mark.slow
def test_legal_unaligned_accesses_run_unless_ccr_traps_them(board):
    accesses = [
        *(("LDR", (0x6802,), 4), ("STR", (0x6002,), 4), ("LDRH", (0x8802,), 2), ("STRH", (0x8002,), 2)),
        *(("LDR", (0xF850, 0x2B04), 4), ("LDRSH", (0xF9B0, 0x2000), 2), ("LDR", (0x58C2,), 4)),
        *(("STRH", (0xF820, 0x2003), 2), ("LDRSH", (0x5EC2,), 2)),
    ]
    for trap in (0, UNALIGN_TRP):
        for name, instruction, align in accesses:
            for wrong in (0, 1, 2):
                for program in (code(instruction, BKPT), code((0x6828,), instruction, BKPT)):
                    board.target.write32(DATA, DATA + 16 + wrong)
                    crash, _ = run(board, program, ccr=trap, r0=DATA + 16 + wrong, r5=DATA)
                    if trap and wrong % align:
                        assert crash.text.startswith(f"unaligned {name} at {DATA + 16 + wrong:#010x}"), name
                        assert crash.registers["cfsr"] == UNALIGNED
                    else:
                        assert crash is None, name


def test_division_by_zero_traps_while_ccr_says_so(board):
    for divide in ((0xFB91, 0xF0F2), (0xFBB1, 0xF0F2)):  # sdiv, udiv r0, r1, r2
        program = code((0xBF08,), divide, divide, BKPT)  # it eq; the first only if equal
        for trap in (0, DIV_0_TRP):
            for divisor in (0, 3, 0):
                for equal in (True, False):
                    crash, issued = run(board, program, ccr=trap, r0=99, r1=30, r2=divisor, flags=4 * equal)
                    if trap and not divisor:
                        assert crash.kind == "usage fault DIVBYZERO"
                        assert crash.registers["cfsr"] == DIVBYZERO
                        assert (crash.pc, issued) == ((CODE + 2, 2) if equal else (CODE + 6, 3))
                        assert board.target.read_core_register("r0") == 99
                    else:
                        assert (crash, issued) == (None, 4)
                        assert board.target.read_core_register("r0") == (10 if divisor else 0)


# ---------------------------------------------------------------------- random programs, held against another decoder


def random_instruction(rng):
    """One instruction that computes with r0 to r5, or accesses memory through one of them."""
    a, b = rng.randrange(6), rng.randrange(6)
    words = rng.choice([0, 1, 2, 4, 8])
    return rng.choice(
        [
            (0xE9D0 | a, 0x8900 | words),  # ldrd r8, r9, [ra, #4n]
            (0xE8E0 | a, 0x8900 | words),  # strd r8, r9, [ra], #4n
            (0xE8B0 | a, 0x0300),  # ldm ra!, {r8, r9}
            (0xED90 | a, 0x0A00 | words),  # vldr s0, [ra, #4n]
            (0xECA0 | a, 0x0A02),  # vstm ra!, {s0, s1}
            (0xE850 | a, 0x8F00 | words),  # ldrex r8, [ra, #4n]
            (0xF850 | a, 0x8B00 | rng.choice([1, 2, 4, 8])),  # ldr r8, [ra], #n
            (0x6838 | rng.randrange(6) << 6 | b,),  # ldr rb, [r7, #4n]
            (0x4600 | a << 3 | b,),  # mov rb, ra
            (0xF100 | a, rng.choice([0, 1, 2, 4, 8]) | b << 8),  # add rb, ra, #n
            (0xF1A0 | a, rng.choice([0, 1, 4, 8]) | b << 8),  # sub rb, ra, #n
            (0xEB00 | a, rng.choice([0x0006, 0x0046, 0x0086, 0x00C6]) | b << 8),  # add rb, ra, r6, lsl #0 to #3
            (0xF020 | a, rng.choice([1, 3, 7]) | b << 8),  # bic rb, ra, #n
            (0xEE10, 0x8A10),  # vmov r8, s0
            (0x2D00 | rng.choice([0, 4]),),  # cmp r5, #n
        ]
    )


def random_program(rng):
    program = []
    while len(program) < 14:
        if rng.random() < 0.25:
            program.append((0xBF00 | rng.choice([0x08, 0x18, 0x04, 0x14, 0x02, 0x12]),))  # it, itt or ittt, eq or ne
            program += [random_instruction(rng) for _ in range({8: 1, 4: 2, 2: 3}[program[-1][0] & 0xF])]
        else:
            program.append(random_instruction(rng))
    return program


def first_refused(program, registers, table):
    """Return the index of the instruction that a Cortex-M4 refuses, by Capstone's reading of each that executes."""
    uc = cortex_m4()
    uc.mem_map(0x20000000, 0x40000)
    uc.mem_write(CODE, program)
    uc.mem_write(DATA, table)
    for name, value in registers.items():
        uc.reg_write(getattr(arm_const, f"UC_ARM_REG_{name.upper()}"), value)
    uc.reg_write(arm_const.UC_ARM_REG_APSR_NZCV, 0)
    decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    decoder.detail = True
    decoded = {instruction.address: instruction for instruction in decoder.disasm(program, CODE)}
    refused = []

    def look(uc, address, _size, _data):
        instruction = decoded[address]
        if not instruction.mnemonic.startswith(("ldrd", "strd", "ldm", "stm", "ldrex", "vldr", "vldm", "vstm")):
            return
        memory = [operand for operand in instruction.operands if operand.type == capstone.arm.ARM_OP_MEM]
        base = memory[0].mem.base if memory else instruction.operands[0].reg
        value = uc.reg_read(getattr(arm_const, f"UC_ARM_REG_{instruction.reg_name(base).upper()}"))
        if (value + (memory[0].mem.disp if memory else 0)) % 4 and not refused:
            refused.append(address)
            uc.emu_stop()

    uc.hook_add(unicorn.UC_HOOK_CODE, look)
    uc.hook_add(unicorn.UC_HOOK_INTR, lambda uc, _number, _data: uc.emu_stop())  # BKPT, or LDREX by itself
    uc.emu_start(CODE | 1, CODE + len(program) - 2)
    return list(decoded).index(refused[0]) if refused else None


def check_random_programs(board, seed, count):
    rng = random.Random(seed)
    outcomes = set()
    for _ in range(count):
        instructions = random_program(rng)
        program = code(*instructions, BKPT)
        for round_ in range(3):  # the code is known after the first; aligned, then not
            wrong = 0.0 if round_ == 0 else 0.15
            odd = lambda: rng.choice([1, 2, 3]) if rng.random() < wrong else 0  # noqa: E731, B023
            registers = {f"r{n}": DATA + 0x800 + 0x40 * n + odd() for n in range(6)} | {"r6": odd(), "r7": DATA}
            table = struct.pack("<16I", *(DATA + 0x1000 + 0x40 * n + odd() for n in range(16)))
            board.target.write_memory_block8(DATA, list(table))
            crash, issued = run(board, program, **registers)
            expected = first_refused(program, registers, table)
            outcomes.add(expected)
            if expected is None:
                assert (crash, issued) == (None, len(instructions) + 1), program.hex()
            else:
                assert crash is not None, (program.hex(), registers, expected)
                assert crash.kind == "usage fault UNALIGNED", (program.hex(), registers, expected, crash)
                assert crash.pc == CODE + len(code(*instructions[:expected])), (program.hex(), registers, crash)
                assert issued == expected + 1, (program.hex(), registers, expected, crash)
    assert len(outcomes) > 3


def test_random_programs_are_refused_where_another_decoder_says(board):
    check_random_programs(board, 1, 12)


@pytest.mark.slow
def test_many_random_programs_are_refused_where_another_decoder_says(board):
    check_random_programs(board, 2, 120)  # 360 runs of some 17 instructions
