from __future__ import annotations

import struct

import pytest
from virtual_lab import VirtualNrf52840, flash, load, session, start, wait_until

FAULT_MAGIC = 0xFA017E57
NOCP, UNDEFINSTR, INVSTATE = 1 << 19, 1 << 16, 1 << 17
PRECISERR, IMPRECISERR, IBUSERR, BFARVALID = 1 << 9, 1 << 10, 1 << 8, 1 << 15
FORCED, DEBUGEVT = 1 << 30, 1 << 31
MPU_TYPE, MPU_CTRL = 0xE000ED90, 0xE000ED94


def handler_saw(lab):
    """The record that the firmware's own HardFault handler wrote."""
    address = load("lab").symbols["fault_record"]
    words = struct.unpack("<9I", lab.twin.machine.memory.read(address, 36))
    return dict(
        zip(("magic", "exception", "exc_return", "pc", "r0", "psr", "cfsr", "hfsr", "bfar"), words, strict=True)
    )


@pytest.mark.parametrize(
    ("kind", "name", "cfsr", "hfsr", "address"),
    [
        (0, "bus fault", PRECISERR | BFARVALID, FORCED, 0x30000004),
        (1, "bus fault", PRECISERR | BFARVALID, FORCED, 0x30000008),
        (2, "usage fault NOCP", NOCP, FORCED, None),
        (3, "usage fault UNDEFINSTR", UNDEFINSTR, FORCED, None),
        (4, "bus fault", IBUSERR, FORCED, None),
        (5, "usage fault INVSTATE", INVSTATE, FORCED, None),
        (6, "hard fault", 0, DEBUGEVT, None),
        (9, "bus fault", IMPRECISERR, FORCED, None),
        (11, "bus fault", PRECISERR | BFARVALID, FORCED, 0x000F0000),
        (12, "supervisor call", 0, FORCED, None),
        (13, "bus fault", PRECISERR | BFARVALID, FORCED, 0x30000000),
    ],
)
def test_fault_runs_the_firmwares_handler_and_is_recorded(lab, kind, name, cfsr, hfsr, address):
    lab.command(b"F", kind)
    wait_until(lambda: lab.twin.crash and lab.twin.machine.sleeping)
    crash, record = lab.twin.crash, handler_saw(lab)
    assert (crash.kind, crash.address) == (name, address)
    assert record["magic"] == FAULT_MAGIC
    assert record["exception"] == 3
    assert record["exc_return"] in (0xFFFFFFF9, 0xFFFFFFE9)
    assert record["cfsr"] == cfsr == crash.registers["cfsr"]
    assert record["hfsr"] == hfsr
    assert record["pc"] == crash.pc == crash.registers["pc"]
    if address is not None:
        assert record["bfar"] == address
    if kind == 13:  # nothing behind the faulting store had an effect
        assert record["r0"] == 0


def test_jump_to_nowhere_reports_the_target(lab):
    lab.command(b"F", 4)
    wait_until(lambda: lab.twin.crash)
    assert lab.twin.crash.pc == 0x30000000


def test_lockup_when_the_stack_is_gone(lab):
    lab.command(b"F", 7)
    wait_until(lambda: lab.twin.crash)
    assert lab.twin.crash.kind == "lockup"
    with session(lab.twin, connect_mode="attach") as opened:
        assert opened.target.read32(0xE000EDF0) >> 19 & 1  # S_LOCKUP
        start(opened, load("lab"))
    wait_until(lambda: lab.twin.machine.sleeping)
    assert lab.twin.crash is None
    assert lab.echo(b"alive") == b"alive"


def test_what_is_not_modelled_stops_the_board_and_says_so(lab):
    lab.command(b"F", 10)
    wait_until(lambda: lab.twin.crash)
    assert lab.twin.crash.kind == "emulator limit"
    assert "the legacy UART" in lab.twin.crash.text
    assert lab.port.in_waiting == 0


def test_wrong_pins_are_named(caller):
    caller.target.write32(0x4000250C, 6)  # PSEL.TXD
    caller.target.write32(0x40002500, 8)  # ENABLE
    caller.target.resume()
    wait_until(lambda: caller.twin.crash)
    assert caller.twin.crash.kind == "emulator limit"
    assert "P0.06" in caller.twin.crash.text
    assert "P1.03" in caller.twin.crash.text


def test_fp_instruction_whose_condition_fails_is_no_fault(caller):
    caller.prepare("fp_in_it")
    before = caller.twin.instructions()
    caller.target.resume()
    caller.wait()
    assert caller.twin.crash.kind == "usage fault NOCP"
    assert caller.twin.crash.pc == (caller.symbols["fp_in_it"] & ~1) + 12
    wait_until(lambda: caller.twin.machine.sleeping)
    handler = caller.twin.instructions() - before - 6
    assert 0 < handler < 40


def test_fpu_enabled_later_makes_the_same_code_run(caller):
    caller.target.write32(0xE000ED88, 0xF << 20)
    caller.target.write_core_register("s1", 0)
    assert caller.call("fp_in_it", s0=0.0, s1=0.0) == 7
    assert caller.target.read_core_register("s1") == 1.0
    caller.target.write32(0xE000ED88, 0)
    caller.prepare("fp_in_it")
    caller.target.resume()
    wait_until(lambda: caller.twin.crash)
    assert caller.twin.crash.kind == "usage fault NOCP"


def test_empty_board_locks_up_and_a_halt_at_reset_is_no_crash():
    with VirtualNrf52840("nano33") as twin:
        wait_until(lambda: twin.crash)
        assert twin.crash.kind == "lockup"
        assert "no vector table at 0x00000000, where a reset looks for one: flash is empty there" in twin.crash.text
        with session(twin) as opened:
            opened.target.reset_and_halt()
            assert twin.crash is None
            assert opened.target.read_core_register("pc") == 0xFFFFFFFE
            opened.target.write_memory_block8(0x20000000, b"\x00\xbf\x00\xbe")
            opened.target.write_core_register("sp", 0x20001000)
            opened.target.write_core_register("pc", 0x20000000)
            opened.target.resume()
            wait_until(lambda: twin.machine.halted)
            assert opened.target.read_core_register("pc") == 0x20000002
            assert twin.crash is None


def test_image_that_a_reset_does_not_reach_locks_up_and_says_why():
    with VirtualNrf52840("nano33") as twin, session(twin) as opened:
        flash(opened, load("lab"))  # linked to 0x10000
        opened.target.reset()
        wait_until(lambda: twin.crash)
        assert "no vector table at 0x00000000" in twin.crash.text
        assert "flash is empty there" in twin.crash.text


def test_mpu_is_said_to_be_missing_and_switching_it_on_stops_the_board(caller):
    assert caller.target.read32(MPU_TYPE) == 0
    caller.target.write32(MPU_CTRL, 0)  # to switch it off is no harm
    code = struct.pack("<4H", 0x6008, 0xF3BF, 0x8F6F, 0xBE00)  # str r0, [r1]; isb; bkpt
    caller.target.write_memory_block8(0x20002000, list(code))
    caller.target.write_core_register("r0", 5)  # PRIVDEFENA, ENABLE
    caller.target.write_core_register("r1", MPU_CTRL)
    caller.target.write_core_register("pc", 0x20002000)
    caller.target.resume()
    wait_until(lambda: caller.twin.crash)
    assert caller.twin.crash.kind == "emulator limit"
    assert "MPU" in caller.twin.crash.text
    assert not caller.twin.machine.halted  # it didn't come as far as the BKPT
