"""The parts of the virtual STM32H7 that differ from what pyOCD and the agent use in every run."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from harness.boards.opening import open_board
from harness.boards.virtual import VirtualMcu
from harness.config import Device, shipped_kinds
from harness.image.elf import Segment, load_image

FLASH, PWR, RCC, DMA, DMAMUX = 0x52002000, 0x58024800, 0x58024400, 0x40020000, 0x40020800
KEYR, CR, SR = FLASH + 0x104, FLASH + 0x10C, FLASH + 0x110  # of bank 2
CCR, MPU_CTRL, MPU_RNR, MPU_RBAR, MPU_RASR = 0xE000ED14, 0xE000ED94, 0xE000ED98, 0xE000ED9C, 0xE000EDA0
INCERR, EOP = 1 << 21, 1 << 16
PLACE = 0x08120000
STREAM = DMA + 0x10


class Chip:
    """Registers and memory, as a debugger has them; the core never runs."""

    def __init__(self, twin):
        self.twin, self.machine = twin, twin.machine

    def read(self, address):
        return self.machine.debug_read(address, 4)

    def write(self, *pairs):
        for address, value in pairs:
            assert self.machine.debug_write(address, value.to_bytes(4, "little")), hex(address)

    def stopped(self):
        stopped, self.machine._stop_wanted = self.machine._stop_wanted, None
        return stopped and stopped[1]


@pytest.fixture
def chip():
    twin = VirtualMcu("h7", shipped_kinds()["nucleo_h743zi"])
    yield Chip(twin)
    twin.close()


def test_flash_takes_32_bytes_at_once_of_one_bank_and_never_twice(chip):
    chip.write((KEYR, 0x45670123), (KEYR, 0xCDEF89AB))
    assert not chip.machine.debug_write(PLACE, bytes(4))
    chip.write((CR, 2), *((PLACE + at, at) for at in range(0, 28, 4)))
    assert chip.read(PLACE) == 0xFFFFFFFF  # not before the eighth word
    chip.write((PLACE + 28, 28))
    assert [chip.read(PLACE + at) for at in (4, 28)] == [4, 28]
    assert chip.read(SR) == EOP
    chip.write((PLACE + 32, 1), (PLACE + 64, 2))
    assert chip.read(SR) & INCERR
    assert not chip.machine.debug_write(PLACE - 0x100000, bytes(4))  # bank 1 is locked
    assert chip.stopped() is None
    chip.write(*((PLACE + at, 0) for at in range(0, 32, 4)))
    assert "programmed again without being erased" in chip.stopped()
    chip.write((CR, 1 << 8 | 4 | 1 << 7))
    assert [chip.read(PLACE), chip.read(PLACE + 28)] == [0xFFFFFFFF, 0xFFFFFFFF]


def test_a_change_in_one_sector_leaves_the_next_as_it_was(prebuilt):
    kind = shipped_kinds()["nucleo_h743zi"]
    content = bytearray(random.Random(1).randbytes(0x20000 + 1024))
    image = load_image(prebuilt / "fashion_mnist_int8.elf")
    with open_board(Device(name="h7", kind=kind, probe="virtual"), "virtual") as board:
        for change in (0, 1):
            content[change] ^= 1
            segments = (Segment(kind.flash.start, bytes(content)),)
            board._program(replace(image, segments=segments), None)  # which compares
        assert bytes(board.twin.machine.memory.flash[: len(content)]) == content


def test_clock_voltage_and_wait_states_belong_together(chip):
    pll = ((RCC, 5 << 16 | 1), (RCC + 0x28, 2 | 1 << 4), (RCC + 0x2C, 2 << 2 | 1 << 16), (RCC + 0x30, 99 | 1 << 9))
    chip.write(*pll, (RCC, 5 << 16 | 1 << 24 | 1), (RCC + 0x18, 0x48), (RCC + 0x1C, 0x440), (RCC + 0x10, 3))
    assert chip.stopped() == "the core's clock is 400000000 Hz at VOS = 1, and needs VOS1"
    chip.write((PWR + 0x18, 3 << 14), (FLASH, 0x11), (RCC + 0x10, 3))
    assert "with FLASH_ACR = 0x11: two wait states" in chip.stopped()
    chip.write((FLASH, 0x22), (RCC + 0x10, 3))
    assert chip.stopped() is None
    chip.write((RCC + 0x30, 119 | 1 << 9), (RCC + 0x10, 3))
    assert "at 480000000 Hz, and this kind of board has 400000000" in chip.stopped()


@pytest.mark.parametrize(
    ("address", "sram", "cache", "uncached", "wrong"),
    [
        (0x20000100, True, False, False, "it can't reach DTCM"),
        (0x30000000, False, False, False, "SRAM1 while RCC gives it no clock"),
        (0x30000000, True, True, False, "of which the data cache may hold others"),
        (0x3001FFFC, True, True, True, "of which the data cache may hold others"),  # beyond the region
        (0x30000000, True, True, True, None),
        (0x30000000, True, False, False, None),
    ],
)
def test_dma_is_refused_where_it_and_the_core_would_not_see_the_same(chip, address, sram, cache, uncached, wrong):
    chip.write((RCC + 0xD8, 1), (RCC + 0xDC, (1 << 29 | 1 << 30) * sram), (CCR, cache << 16))
    if uncached:
        chip.write((MPU_RNR, 0), (MPU_RBAR, 0x30000000), (MPU_RASR, 3 << 24 | 1 << 19 | 16 << 1 | 1), (MPU_CTRL, 7))
    chip.write((DMAMUX, 45), (STREAM + 4, 8), (STREAM + 8, 0x40004824), (STREAM + 12, address))
    chip.write((STREAM, 1 | 1 << 10 | 1 << 20))
    assert (wrong in chip.stopped()) if wrong else chip.stopped() is None


def test_an_mpu_that_would_refuse_anything_is_not_modelled_and_that_is_said(chip):
    chip.write((MPU_RBAR, 0x30000000), (MPU_RASR, 6 << 24 | 16 << 1 | 1), (MPU_CTRL, 5))
    assert "has the MPU refuse accesses" in chip.stopped()
