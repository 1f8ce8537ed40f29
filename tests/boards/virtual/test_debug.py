from __future__ import annotations

import os

import pytest
from pyocd.core import exceptions
from pyocd.core.target import Target
from pyocd.flash.eraser import FlashEraser
from pyocd.flash.file_programmer import FileProgrammer
from virtual_lab import FIRMWARE, Lab, VirtualNrf52840, flash, load, session, start, wait_until


@pytest.fixture
def opened():
    with VirtualNrf52840("nano33") as twin, session(twin) as inside:
        inside.twin = twin
        yield inside


@pytest.mark.slow
def test_pyocd_programs_and_reads_back(opened):
    data = os.urandom(70_000)
    firmware = load("lab")
    firmware.segments[:] = [(0x20000, data)]
    before = opened.twin.instructions()
    flash(opened, firmware)
    assert opened.twin.instructions() - before > 70_000 // 4  # the algorithm ran on the emulated core
    assert bytes(opened.target.read_memory_block8(0x20000, len(data))) == data
    assert set(opened.target.read_memory_block8(0x1F000, 0x1000)) == {0xFF}


def test_file_programmer_and_erasers(opened):
    FileProgrammer(opened).program(str(FIRMWARE / "lab.elf"))
    code = load("lab").segments[0][1]
    assert bytes(opened.target.read_memory_block8(0x10000, len(code))) == code
    FileProgrammer(opened).program(str(FIRMWARE / "lab.elf"))  # the CRC analyzer says: nothing to do
    FlashEraser(opened, FlashEraser.Mode.SECTOR).erase(["0x10000-0x11000"])
    assert set(opened.target.read_memory_block8(0x10000, 0x1000)) == {0xFF}
    FlashEraser(opened, FlashEraser.Mode.CHIP).erase()


def test_flash_only_clears_bits_and_only_when_enabled(opened):
    target = opened.target
    with pytest.raises(exceptions.TransferFaultError) as raised:
        target.write32(0x30000, 0)
        target.flush()
    assert raised.value.fault_address == 0x30000
    target.write32(0x4001E504, 1)
    target.write32(0x30000, 0x0F0F0F0F)
    target.write32(0x30000, 0x00FFFF00)
    assert target.read32(0x30000) == 0x000F0F00
    target.write32(0x4001E508, 0x30000)  # erase without erase enable: ignored
    assert target.read32(0x30000) == 0x000F0F00
    target.write32(0x4001E504, 2)
    target.write32(0x4001E508, 0x30000)
    assert target.read32(0x30000) == 0xFFFFFFFF
    assert target.read32(0x4001E400) == 1


def test_transfer_fault_names_the_address(opened):
    with pytest.raises(exceptions.TransferFaultError) as raised:
        opened.target.read32(0x30000000)
    assert raised.value.fault_address == 0x30000000


def test_memory_is_readable_while_the_core_runs_and_registers_are_not(opened):
    firmware = load("lab")
    flash(opened, firmware)
    start(opened, firmware)
    wait_until(lambda: opened.twin.machine.sleeping)
    lab = Lab(opened.twin)
    lab.command(b"L")
    wait_until(lambda: not opened.twin.machine.sleeping)
    assert opened.target.get_state() == Target.State.RUNNING
    before = opened.twin.instructions()
    assert bytes(opened.target.read_memory_block8(0x10000, 64)) == firmware.segments[0][1][:64]
    opened.target.write32(0x20020000, 0x12345678)
    assert opened.target.read32(0x20020000) == 0x12345678
    with pytest.raises(exceptions.CoreRegisterAccessError):
        opened.target.read_core_register("r0")
    wait_until(lambda: opened.twin.instructions() > before)
    lab.close()


def test_sleeping_core_says_so_and_can_be_halted(opened):
    firmware = load("lab")
    flash(opened, firmware)
    start(opened, firmware)
    wait_until(lambda: opened.twin.machine.sleeping)
    assert opened.target.get_state() == Target.State.SLEEPING
    opened.target.halt()
    assert opened.target.get_state() == Target.State.HALTED
    opened.target.resume()
    wait_until(lambda: opened.twin.machine.sleeping)


@pytest.mark.parametrize("kind", [Target.BreakpointType.HW, Target.BreakpointType.SW])
def test_breakpoint_in_ram_stops_before_the_instruction(opened, kind):
    ram = 0x20008000
    opened.target.write_memory_block8(ram, b"\x01\x20\x02\x21\x03\x22\xfe\xe7")  # movs x 3; b .
    opened.target.write_core_register("xpsr", 0x01000000)
    opened.target.write_core_register("pc", ram)
    assert opened.target.set_breakpoint(ram + 4, kind)  # pyOCD uses BKPT in RAM either way
    opened.target.resume()
    wait_until(lambda: opened.twin.machine.halted)
    assert opened.target.read_core_register("pc") == ram + 4
    assert opened.target.read_core_registers_raw(["r0", "r1"]) == [1, 2]
    opened.target.remove_breakpoint(ram + 4)
    opened.target.step()
    assert opened.target.read_core_register("r2") == 3
    opened.target.resume()
    opened.target.halt()
    assert opened.target.read_core_register("pc") == ram + 6


def test_core_and_fp_registers_keep_what_is_written(opened):
    target = opened.target
    for index in range(13):
        target.write_core_register(f"r{index}", 0x1000 + index)
    assert [target.read_core_register(f"r{index}") for index in range(13)] == [0x1000 + n for n in range(13)]
    for index in range(32):
        target.write_core_register(f"s{index}", 0.5 + index)
    assert [target.read_core_register(f"s{index}") for index in range(32)] == [0.5 + n for n in range(32)]
    target.write_core_register("primask", 1)
    target.write_core_register("xpsr", 0xF10F0000)
    assert target.read_core_register("primask") == 1
    assert target.read_core_register("xpsr") == 0xF10F0000


@pytest.mark.parametrize("name", ["HARDWARE", "SYSRESETREQ", "VECTRESET", "EMULATED"])
def test_every_kind_of_reset_halts_at_the_vector(opened, name):
    flash(opened, load("lab_at_zero"))
    opened.target.reset_and_halt(Target.ResetType[name])
    assert opened.target.read_core_register("pc") == load("lab_at_zero").symbols["reset_handler"] & ~1
    assert opened.target.read_core_register("sp") == load("lab_at_zero").symbols["stack_top"]


@pytest.mark.parametrize("mode", ["halt", "attach", "pre-reset", "under-reset"])
def test_every_way_to_connect(mode):
    with VirtualNrf52840("nano33") as twin, session(twin, connect_mode=mode) as opened:
        assert opened.target.read32(0x10000100) == 0x52840
        assert opened.target.read32(0x10000060) == twin.chip_id & 0xFFFFFFFF


def test_locked_part_stays_shut_until_it_is_erased():
    with VirtualNrf52840("nano33") as twin:
        with session(twin) as opened:
            flash(opened, load("lab"))
        twin.dap.locked = True
        with pytest.raises(Exception, match=r".*"), session(twin) as opened:
            opened.target.read32(0x10000)
        assert twin.dap.locked
        with session(twin, auto_unlock=True) as opened:  # which means: mass erase
            assert not twin.dap.locked
            assert opened.target.read32(0x10000) == 0xFFFFFFFF


def test_every_transfer_crosses_the_seam():
    with VirtualNrf52840("nano33") as twin:
        seen = []
        twin.dap.before_transfer = seen.append
        with session(twin) as opened:
            opened.target.read32(0x20000000)
        assert len(seen) == twin.dap.transfers > 50
        assert set(seen) <= {"read_dp", "write_dp", "read_ap", "write_ap", "read_block", "write_block", "reset"}


def test_transfer_that_fails_at_the_seam_reaches_pyocds_caller(opened):
    def unplugged(_name):
        raise exceptions.ProbeDisconnected("gone")

    opened.twin.dap.before_transfer = unplugged
    with pytest.raises(exceptions.ProbeDisconnected):
        opened.target.read32(0x20000000)
    opened.twin.dap.before_transfer = None


def test_a_step_in_ram_before_a_reset_does_not_end_the_first_sleep_after_it(lab):
    """The emulator reports a page that it asked for and could not have, once the CPU stops of itself."""
    firmware = load("lab")
    wfi = firmware.base + firmware.segments[0][1].index(b"\x30\xbf")
    with session(lab.twin) as opened:
        target = opened.target
        target.halt()
        target.write_memory_block8(0x20020000, b"\x00\xbf" * 8)
        target.write_core_register("pc", 0x20020000)
        target.step()
        assert target.read_core_register("pc") == 0x20020002
        target.reset_and_halt()
        target.write_core_register("pc", wfi)
        target.resume()
        wait_until(lambda: lab.twin.machine.sleeping or lab.twin.crash)
        assert lab.twin.crash is None
