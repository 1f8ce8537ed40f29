from __future__ import annotations

import struct
import time

import numpy as np
import pytest
from pyocd.core.target import Target
from virtual_lab import VirtualNrf52840, flash, halted_counts, load, running_lab, session, start, wait_until

DFSR, DFSR_BKPT = 0xE000ED30, 1 << 1

# What each function of counts.S issues, counted by hand, BKPT included, and how often a block is jumped to, which the
# debugger's start is one of.
HAND_COUNTED = [
    ("count_straight", {}, 5, 1),
    ("count_loop", {"r0": 1000}, 4 * 1000 + 2, 1000),
    ("count_it", {"r0": 1000}, 8 * 1000 + 1, 1000),
    ("count_crossing", {"r0": 1000}, 6 * 1000 + 1, 1000),
    ("count_it_crossing", {"r0": 1000}, 6 * 1000 + 1, 1000),
    ("count_long", {}, 2001, 1),
    ("count_memory", {"r0": 1000, "r1": 0x20001000}, 4 * 1000 + 1, 1000),
    ("stack_down", {"r0": 100}, 3 * 100 + 1, 100),
]


@pytest.mark.parametrize("native", [True, False], ids=["native", "python"])
def test_counts_equal_those_by_hand_and_repeat(native):
    with halted_counts(native_counter=native) as caller:
        assert caller.twin.counter_description.startswith("native" if native else "block counter in Python")
        for _ in range(2):
            for name, registers, expected, jumps in HAND_COUNTED:
                caller.twin.clear_profile()
                assert caller.call(name, **registers) == expected, name
                profile = caller.twin.profile()
                assert int((profile.executions - profile.fall_throughs).sum()) == jumps, name
                assert int((profile.instructions * profile.executions).sum()) == expected, name


def test_condition_failed_instructions_have_no_effect_but_count(caller):
    assert caller.call("count_it", r0=1000, r1=0, r2=0, r3=0) == 8001
    read = caller.target.read_core_register
    assert [read(name) for name in ("r0", "r1", "r2", "r3")] == [0, 1000, 500, 500]


def test_stopping_in_the_middle_changes_neither_count_nor_result(caller):
    """The debugger halts the core again and again, at moments of the host's choosing."""
    rounds, halted_at = 750_000, set()
    while not halted_at:  # a host that pauses just then finds it at its end
        rounds *= 4
        assert rounds < 2e9, "it was never halted in between"
        stop_in_the_middle(caller, rounds, halted_at)


def stop_in_the_middle(caller, rounds, halted_at):
    caller.prepare("count_it_crossing", r0=rounds, r1=0)
    caller.target.write32(DFSR, DFSR_BKPT)
    before = caller.twin.instructions()
    caller.target.resume()
    end = (caller.symbols["count_it_crossing"] & ~1) + 14
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        time.sleep(0.001)
        caller.target.halt()
        pc = caller.target.read_core_register("pc")
        if caller.target.read32(DFSR) & DFSR_BKPT:  # it may also be halted in front of the BKPT
            break
        halted_at.add(pc)
        caller.target.resume()
    assert pc == end
    assert caller.twin.instructions() - before == 6 * rounds + 1
    assert caller.target.read_core_register("r1") == 2 * (rounds // 2)


def test_stepping_and_breakpoints_count_each_instruction_once(caller):
    caller.prepare("count_loop", r0=3)
    before = caller.twin.instructions()
    for expected in range(1, 7):
        caller.target.step()
        assert caller.twin.instructions() - before == expected
    breakpoint_at = (caller.symbols["count_loop"] & ~1) + 4
    caller.target.set_breakpoint(breakpoint_at)
    caller.target.resume()
    caller.wait()
    assert caller.target.read_core_register("pc") == breakpoint_at
    caller.target.remove_breakpoint(breakpoint_at)
    caller.target.resume()
    caller.wait()
    assert caller.twin.instructions() - before == 4 * 3 + 2


def test_step_over_an_it_block_counts_it_whole(caller):
    caller.prepare("count_it", r0=1, r1=0)
    caller.target.step()  # tst
    before = caller.twin.instructions()
    caller.target.step()
    assert caller.twin.instructions() - before == 5
    assert caller.target.read_core_register("pc") == (caller.symbols["count_it"] & ~1) + 4 + 2 + 2 + 2 + 2 + 4


def test_step_over_a_branch_to_code_that_ran_executes_only_the_branch(caller):
    ram = 0x20010000
    target = caller.target
    target.write_memory_block8(ram, struct.pack("<3H", 0x3001, 0xE7FF, 0xE7FC))  # adds r0, #1; b next; next: b first
    target.write_core_register("pc", ram)
    stepped = 0
    for _ in range(300):
        target.resume()
        time.sleep(0.001)
        target.halt()
        if target.read_core_register("pc") != ram + 4:
            continue
        before, r0 = caller.twin.instructions(), target.read_core_register("r0")
        target.step()
        assert target.read_core_register("pc") == ram
        assert target.read_core_register("r0") == r0
        assert caller.twin.instructions() - before == 1
        stepped += 1
        if stepped == 3:
            return
    pytest.fail("it was never halted at the branch")


def test_a_faulting_instruction_counts_and_the_rest_of_its_block_does_not():
    firmware = load("counts")
    with VirtualNrf52840("nano33") as twin, session(twin) as opened:
        flash(opened, firmware)
        start(opened, firmware)
        wait_until(lambda: twin.machine.sleeping)
        opened.target.halt()
        opened.target.set_vector_catch(Target.VectorCatch.HARD_FAULT)
        opened.target.write_core_register("pc", firmware.symbols["fault_in_block"] & ~1)
        before = twin.instructions()
        opened.target.resume()
        wait_until(lambda: twin.machine.halted)  # caught at the entry of HardFault
        assert twin.instructions() - before == 3
        assert twin.crash.pc == (firmware.symbols["fault_in_block"] & ~1) + 4 + 2


def test_code_in_ram_that_the_debugger_changes_is_counted_as_it_is_now(caller):
    ram = 0x20010000
    for code, expected in (
        (b"\x00\xbf\x00\xbf\x00\xbe", 3),  # nop; nop; bkpt
        (b"\xaf\xf3\x00\x80\x00\xbe", 2),  # nop.w; bkpt: as many bytes, fewer instructions
        (b"\x00\xbf\x00\xbf\x00\xbe", 3),
    ):
        caller.target.write_memory_block8(ram, code)
        assert caller.call("run_at", r1=ram | 1) == 2 + expected


def test_code_in_ram_that_the_firmware_changes_is_counted_as_it_is_now(caller):
    """A store over code that already ran: the block is as long as before, with fewer instructions."""
    ram = 0x20010000
    # a: nop; nop; cbnz r0, b; bkpt -- b: str r3, [r2]; movs r0, #0; b a -- over the two nops of a
    program = struct.pack("<7H", 0xBF00, 0xBF00, 0xB900, 0xBE00, 0x6013, 0x2000, 0xE7F8)
    caller.target.write_memory_block8(ram, program)
    nop_w = 0x8000F3AF  # one instruction in the place of two
    issued = caller.call("run_at", r0=1, r1=ram | 1, r2=ram, r3=nop_w)
    assert caller.target.read32(ram) == nop_w
    assert issued == 2 + (2 + 1) + 3 + (1 + 1) + 1


def test_reflashed_code_is_counted_anew_and_the_profile_forgets_the_old():
    first, second = load("counts"), load("lab")
    with VirtualNrf52840("nano33") as twin, session(twin) as opened:
        for firmware in (first, second, first):
            flash(opened, firmware)
            twin.clear_profile()
            start(opened, firmware)
            wait_until(lambda: twin.machine.sleeping)
            total = twin.instructions()
            flash(opened, second if firmware is first else first)
            assert twin.instructions() > total  # the flash algorithm ran
            profile = twin.profile()
            code = (profile.address >= 0x10000) & (profile.address < 0x10000 + len(firmware.segments[0][1]))
            assert not code.any()


def test_profile_adds_up_to_the_count(caller):
    caller.twin.clear_profile()
    issued = caller.call("count_loop", r0=1234)
    profile = caller.twin.profile()
    assert int((profile.instructions * profile.executions).sum()) == issued
    loop = profile.address == (caller.symbols["count_loop"] & ~1)
    assert int(profile.executions[loop].sum()) in (1, 1234)
    assert np.all(np.diff(profile.address.astype(np.int64)) >= 0)
    caller.twin.clear_profile()
    assert caller.twin.profile().address.size == 0


def test_cycle_counter_reads_the_instructions_in_between(lab):
    overhead = lab.words(b"T", 1, 0)[0]
    for rounds in (1, 10, 12345):
        assert lab.words(b"T", 1, rounds)[0] - overhead == 3 * rounds
    assert lab.words(b"T", 1, 12345) == lab.words(b"T", 1, 12345)


def test_boots_and_commands_repeat_to_the_instruction():
    def journey():
        with running_lab() as lab:
            ticks = [lab.words(b"T", 1, n)[0] for n in (5, 500, 50000)]
            echoed = lab.echo(bytes(range(256)) * 16)
            wait_until(lambda: lab.twin.machine.sleeping)
            return ticks, echoed, lab.words(b"S", 1, 50)

    assert journey() == journey()


def test_reading_the_cycle_counter_is_quick(lab):
    machine = lab.twin.machine
    best = min(_seconds(lambda: machine.private.read(0xE0001004, 4, debugger=False)) for _ in range(200))
    assert best < 50e-6


def _seconds(action):
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


@pytest.mark.slow
def test_counted_speed_of_an_int8_inner_loop(caller, record_property):
    if not caller.twin.counter_description.startswith("native"):
        pytest.skip("no native counter on this platform")
    rounds = 20_000_000
    began = time.process_time()
    issued = caller.call("mac_loop", r0=rounds, r1=0x20001000, r2=0x20001000)
    mips = issued / (time.process_time() - began) / 1e6
    record_property("million_instructions_per_second_counted", round(mips))
    assert issued == 11 * rounds + 1
    assert mips > 50  # a tenth of what an idle desktop does: this guards against a slow path, not a busy host
