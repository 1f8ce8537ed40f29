"""The parts of the virtual STM32L4 where it differs from what pyOCD and the agent use in every run."""

from __future__ import annotations

import time

import pytest
import serial

from harness.boards.virtual import VirtualMcu
from harness.config import shipped_kinds

FLASH, RCC, USART, DMA, GPIOB = 0x40022000, 0x40021000, 0x40013800, 0x40020000, 0x48000400
KEYR, SR, CR = FLASH + 0x08, FLASH + 0x10, FLASH + 0x14
PROGERR, PGSERR = 1 << 3, 1 << 7
PLACE = 0x08081000  # in the second bank


class Chip:
    """Registers and memory, as a debugger has them; the core never runs."""

    def __init__(self, twin):
        self.twin, self.machine = twin, twin.machine

    def read(self, address):
        return self.machine.debug_read(address, 4)

    def write(self, *pairs):
        for address, value in pairs:
            assert self.machine.debug_write(address, value.to_bytes(4, "little")), hex(address)

    @property
    def stopped(self):
        return self.machine._stop_wanted


@pytest.fixture
def chip():
    twin = VirtualMcu("l4", shipped_kinds()["b_l475e_iot01a"])
    yield Chip(twin)
    twin.close()


def unlock(chip):
    chip.write((KEYR, 0x45670123), (KEYR, 0xCDEF89AB))


def test_flash_takes_double_words_that_are_erased_and_says_what_else_was_wrong(chip):
    assert not chip.machine.debug_write(PLACE, bytes(4))  # locked
    unlock(chip)
    chip.write((CR, 1), (PLACE, 0x11111111), (PLACE + 4, 0x22222222))
    assert [chip.read(at) for at in (SR, PLACE, PLACE + 4)] == [1, 0x11111111, 0x22222222]
    chip.write((PLACE, 0x01010101), (PLACE + 4, 0x02020202))
    assert chip.read(SR) & PROGERR
    assert [chip.read(PLACE), chip.read(PLACE + 4)] == [0x11111111, 0x22222222]
    chip.write((SR, PROGERR), (PLACE + 12, 5))  # the upper word alone
    assert chip.read(SR) & (PROGERR | PGSERR) == PGSERR
    assert chip.read(PLACE + 12) == 0xFFFFFFFF
    chip.write((PLACE, 0), (PLACE + 4, 0))
    assert [chip.read(PLACE), chip.read(PLACE + 4)] == [0, 0]


def test_a_page_of_the_second_bank_is_erased_alone_and_is_seen_below_too(chip):
    unlock(chip)
    chip.machine.memory.flash[0x80000:0x83000] = 0
    chip.write((CR, 1 << 16 | (256 + 2) << 3 | 2))
    assert [chip.read(PLACE - 4), chip.read(PLACE), chip.read(PLACE + 0x7FC), chip.read(PLACE + 0x800)] == [
        *(0, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    ]
    assert chip.read(PLACE - 0x08000000) == 0xFFFFFFFF


def test_a_peripheral_without_its_clock_is_dead_and_that_is_said(chip):
    chip.write((USART, 1))
    kind, text = chip.stopped
    assert (kind, text) == ("misuse", "the firmware uses USART1 while RCC gives it no clock: it is dead then")


def test_pins_and_clock_have_to_be_those_of_the_board(chip):
    chip.write((RCC + 0x4C, 2), (RCC + 0x60, 1 << 14), (USART, 0xD))
    assert "PB6 isn't set to it" in chip.stopped[1]
    chip.machine._stop_wanted = None
    chip.write((RCC, 1 << 24 | 1 << 8), (RCC + 0x0C, 2 | 20 << 8 | 1 << 24 | 1 << 25), (RCC + 0x08, 3))
    assert chip.stopped == ("misuse", "the core's clock is 80000000 Hz with 0 wait states of the flash")
    chip.machine._stop_wanted = None
    chip.write((RCC + 0x0C, 2 | 10 << 8 | 1 << 24 | 1 << 25), (RCC + 0x08, 3))
    assert "at 40000000 Hz, and this kind of board has 80000000" in chip.stopped[1]


def test_waiting_for_a_clock_that_is_not_modelled_is_said(chip):
    for _ in range(1002):
        chip.machine.bus.read(RCC + 0x90, 4)  # BDCR, for LSERDY
    assert chip.stopped == ("emulator limit", "the firmware waits for what RCC + 0x90 tells, which isn't modelled")


def test_between_two_receptions_one_byte_is_kept_and_the_rest_is_an_overrun(chip):
    chip.write((RCC + 0x48, 1), (RCC + 0x4C, 2), (RCC + 0x60, 1 << 14))
    chip.write((GPIOB, 0xA000), (GPIOB + 0x20, 0x77000000), (USART + 8, 0xC0), (USART + 0x0C, 80), (USART, 0xD))
    assert chip.twin.line.board_baud == 1_000_000
    with serial.serial_for_url(chip.twin.port) as port:
        port.write(b"abcdef")
        deadline = time.monotonic() + 60
        while not chip.read(USART + 0x1C) & 8:  # ORE
            assert time.monotonic() < deadline
    channel = DMA + 8 + 20 * 4
    chip.write((DMA + 0xA8, 2 << 16), (channel + 4, 1), (channel + 8, USART + 0x24), (channel + 12, 0x20000100))
    chip.write((channel, 0x83))
    assert chip.machine.memory.read(0x20000100, 2) == b"a\0"
    assert chip.read(DMA) >> 16 & 2  # TCIF5
    assert chip.read(channel + 4) == 0
    assert not chip.stopped
