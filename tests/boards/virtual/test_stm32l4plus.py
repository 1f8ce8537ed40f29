"""The STM32L4R5 with the flash algorithm of this package's own, run by pyOCD; and where the virtual one is strict."""

from __future__ import annotations

import random
import subprocess
import time

import pytest
import serial
from pyocd.flash.loader import MemoryLoader

from harness.boards.opening import open_board
from harness.boards.pyocd_session import translated
from harness.boards.virtual import VirtualMcu
from harness.config import Device, shipped_kinds
from harness.errors import FlashError

KIND = shipped_kinds()["nucleo_l4r5zi"]
BEGIN, BANK, PAGE = 0x08000000, 0x100000, 0x1000
OPTR, DBANK, IWDG_SW = 0x20, 1 << 22, 1 << 16
RCC, LPUART, GPIOG, PWR, FLASH_ACR = 0x40021000, 0x40008000, 0x48001800, 0x40007000, 0x40022000
CLOCKS = [(RCC + 0x48, 5), (RCC + 0x4C, 0x60), (RCC + 0x58, 1 << 28), (RCC + 0x5C, 1)]
PINS = [(GPIOG, 2 << 14 | 2 << 16), (GPIOG + 0x20, 8 << 28), (GPIOG + 0x24, 8)]
SUPPLY, BAUD = (PWR + 4, 1 << 9), (LPUART + 0x0C, 30720)
FIFOEN, ORE, RXNE = 1 << 29, 1 << 3, 1 << 5


@pytest.fixture
def board():
    with open_board(Device(name="l4r5", kind=KIND, link="probe", probe="virtual"), "virtual") as board:
        yield board


def program(board, *pieces, erase="sector"):
    with translated(board.name, board.probe_uid, "programming", FlashError):
        board._target.reset_and_halt()
        loader = MemoryLoader(board._session, chip_erase=erase)
        for offset, data in pieces:
            loader.add_data(BEGIN + offset, data)
        loader.commit()


def test_pages_of_both_banks_are_written_alone_and_all_are_erased_on_request(board):
    flash = board.twin.machine.memory.flash
    flash[:] = 0x5A
    rest = random.Random(1)
    pieces = [(offset, rest.randbytes(2 * PAGE)) for offset in (0, BANK - PAGE, 2 * BANK - 2 * PAGE)]
    program(board, *pieces)
    expected = bytearray(b"\x5a" * len(flash))
    for offset, data in pieces:
        expected[offset : offset + len(data)] = data
    assert bytes(flash) == bytes(expected)
    program(board, (BANK + PAGE, b"\xff" * 8 + b"new" * 8), erase="chip")
    expected[:] = b"\xff" * len(flash)
    expected[BANK + PAGE + 8 : BANK + PAGE + 32] = b"new" * 8
    assert bytes(flash) == bytes(expected)


@pytest.mark.parametrize(("cleared", "says"), [(DBANK, "DBANK = 0.*Set DBANK"), (IWDG_SW, "IWDG_SW = 0.*Set IWDG_SW")])
def test_option_bytes_of_another_flash_are_refused_before_anything_is_erased(board, monkeypatch, cleared, says):
    controller = board.twin.machine.bus.flash
    reset = controller.reset

    def reset_with_options():
        reset()
        controller.registers[OPTR] &= ~cleared

    controller.reset = reset_with_options
    board.twin.machine.memory.flash[:PAGE] = 0
    with pytest.raises(FlashError, match=says):
        program(board, (0, bytes(range(64))))
    if cleared == DBANK:  # what runs on the chip looks, too
        monkeypatch.setattr(board._target.memory_map.get_boot_memory().flash, "prepare_target", lambda: None)
        with pytest.raises(FlashError, match="init failure"):
            program(board, (0, bytes(range(64))))
    assert not board.twin.machine.memory.flash[:PAGE].any()


@pytest.fixture
def twin():
    with VirtualMcu("l4r5", KIND) as twin:
        yield twin


def stopped(twin, *pairs):
    """Write registers, and return what the board is stopped for then."""
    twin.machine._stop_wanted = None
    for address, value in pairs:
        assert twin.machine.debug_write(address, value.to_bytes(4, "little")), hex(address)
    return twin.machine._stop_wanted and twin.machine._stop_wanted[1]


def test_pins_without_their_supply_are_dead(twin):
    assert "dead without PWR_CR2.IOSV" in stopped(twin, *CLOCKS, *PINS, BAUD, (LPUART, 0xD))
    assert stopped(twin, (LPUART, 0), SUPPLY, (LPUART, 0xD)) is None
    assert twin.line.board_baud == 1_000_000


def test_between_two_receptions_the_fifo_keeps_eight_bytes(twin):
    def read(address):
        return twin.machine.debug_read(address, 4)

    assert stopped(twin, *CLOCKS, *PINS, SUPPLY, BAUD, (LPUART, FIFOEN), (LPUART, FIFOEN | 0xD)) is None
    with serial.serial_for_url(twin.port) as port:
        port.write(b"0123456789")
        deadline = time.monotonic() + 60
        while not read(LPUART + 0x1C) & ORE:
            assert time.monotonic() < deadline
    kept = b""
    while read(LPUART + 0x1C) & RXNE:
        kept += bytes([read(LPUART + 0x24)])
    assert kept == b"01234567"


def test_voltage_wait_states_and_the_way_to_the_clock_are_looked_at(twin):
    assert stopped(twin, *CLOCKS) is None
    pll = [(RCC, 1 << 8 | 1 << 24), (RCC + 0x0C, 2 | 3 << 4 | 60 << 8 | 1 << 24)]
    half, full = (RCC + 8, 3 | 8 << 4), (RCC + 8, 3)
    assert "with 0 wait states" in stopped(twin, *pll, half)
    assert "without boost" in stopped(twin, (FLASH_ACR, 5), half)
    assert "jumps to 120000000 Hz" in stopped(twin, (PWR + 0x80, 0), (RCC + 8, 1), full)
    assert stopped(twin, (RCC + 8, 1), half, full, full) is None


@pytest.mark.slow
@pytest.mark.usefixtures("toolchain")
def test_the_committed_flash_algorithm_is_what_its_sources_make(root, tmp_path):
    command = ["make", "-s", "-C", str(root / "firmware" / "flash"), "check", f"BUILD={tmp_path}"]
    made = subprocess.run(command, check=False, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
