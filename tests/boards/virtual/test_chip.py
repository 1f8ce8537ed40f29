"""The nRF52840 around the core: what firmware of others does first, and the peripherals that are modelled."""

from __future__ import annotations

import struct

import pytest
from virtual_lab import Lab, VirtualNrf52840, flash, halted_counts, load, session, wait_until

WATCHDOG_BIT = 2  # of RESETREAS
NOTES = 0x20010000  # where chip.elf keeps what a reset leaves alone


@pytest.fixture(scope="module")
def board():
    with halted_counts("chip") as opened:
        yield opened


@pytest.fixture
def chip(board):
    board.restart()
    return board


def stops(chip, name, **registers):
    """Run a function that stops the board, and return why."""
    chip.prepare(name, **registers)
    chip.target.resume()
    wait_until(lambda: chip.twin.crash)
    return chip.twin.crash


def store(chip, address, value):
    chip.call("store", r0=address, r1=value)


# ---------------------------------------------------------------------- the first steps of others


def test_a_boot_loader_that_traps_and_looks_around_starts_its_application():
    with VirtualNrf52840("nano33") as twin:
        with session(twin) as opened:
            for name in ("loader", "lab"):
                flash(opened, load(name))
            opened.target.reset()
        wait_until(lambda: twin.machine.sleeping or twin.crash)
        assert twin.crash is None
        lab = Lab(twin)
        assert lab.echo(b"started") == b"started"
        lab.close()


def test_start_up_code_finds_part_revision_and_temperature_calibration(chip):
    chip.call("errata_66")
    part, revision, copied, *table = [chip.word("result", index) for index in range(6)]
    assert part == 8
    assert copied == 17
    assert table[0] == part
    assert table[1] & 0xF == 0
    assert table[2] >> 4 == revision == chip.target.read32(0x10000134)
    assert [chip.target.read32(0x10000100 + 4 * n) for n in range(5)] == [0x52840, 0x41414430, 0x2004, 256, 1024]
    assert chip.target.read32(0xF0000FFC) == 0xB1


def test_a_sleep_that_puts_the_memory_watch_away_goes_on(chip):
    chip.call("sleep_without_watch")
    assert chip.word("result") == 0


def test_rtc_ticks_sixteen_times_before_it_overflows(chip):
    chip.call("rtc_ticks", r0=0)
    assert (chip.word("ticks"), chip.word("overflows")) == (16, 1)
    assert chip.word("result") in (0, 1)


def test_rtc_stands_still_without_its_clock(chip):
    chip.call("rtc_without_clock")
    assert chip.word("result") == 0
    assert chip.word("result", 1) > 10


# ---------------------------------------------------------------------- peripherals that work


def test_temperature_is_that_of_a_room(chip):
    chip.call("temperature")
    assert chip.word("result") == 4 * 25


def test_a_software_interrupt_comes_where_it_is_enabled(chip):
    chip.call("software_interrupt")
    assert chip.word("triggered") == 1
    assert chip.word("result") == 1


def test_ppi_counts_events_and_toggles_a_pin(chip):
    levels = []
    gpio = chip.twin.machine.bus.gpio
    gpio.on_output = lambda outputs: levels.append(outputs >> 13 & 1)
    chip.call("count_by_ppi", r0=5)
    gpio.on_output = None
    assert chip.word("result") == 5
    assert levels == [0, 1, 0, 1, 0, 1]


def test_ppi_captures_at_the_very_tick_and_closes_its_group(chip):
    chip.call("capture_by_ppi", r0=4567)
    assert chip.word("result") == 4567
    assert chip.word("result", 1) == 1


def test_ppi_counts_each_byte_of_the_uart(chip):
    chip.call("count_sent_bytes", r0=9)
    assert chip.word("result") == 9


def test_a_watched_pin_interrupts_at_each_rise(chip):
    chip.call("watch_a_pin", r0=7)
    assert chip.word("edges") == 7
    assert chip.word("result") == 1 << 6  # pulled up, and its buffer on


@pytest.mark.parametrize("rounds", [0, 6])
def test_the_watchdog_resets_what_no_longer_feeds_it(chip, rounds):
    machine = chip.twin.machine
    chip.prepare("watchdog", r0=rounds)
    boots, before = machine.boots, chip.twin.instructions()
    chip.target.resume()
    wait_until(lambda: machine.boots > boots and machine.sleeping)
    reason, barks = struct.unpack("<II", machine.memory.read(NOTES, 8))
    assert reason & WATCHDOG_BIT
    assert barks == 1
    elapsed = chip.twin.instructions() - before
    assert elapsed > 640_000  # 10 ms after the last time
    assert (elapsed > 1_500_000) == (rounds > 0)
    chip.target.halt()


def test_a_soft_reset_leaves_the_watchdog_running(chip):
    store(chip, 0x40010504, 0x00FFFFFF)
    store(chip, 0x40010000, 1)
    chip.restart()
    assert chip.target.read32(0x40010400) == 1  # RUNSTATUS
    assert chip.target.read32(0x40010504) == 0x00FFFFFF
    chip.target.write32(0x40000400, 0xFFFFFFFF)
    chip.twin.machine.reset(WATCHDOG_BIT)  # nothing else ends it
    chip.restart()
    assert chip.target.read32(0x40010400) == 0


def test_code_ram_runs_what_data_ram_holds(chip):
    chip.call("run_code_ram")
    assert [chip.word("result", index) for index in range(2)] == [11, 22]
    assert chip.word("result", 2) == 0x2000 + 22
    assert chip.target.read_memory_block8(0x00801000, 8) == chip.target.read_memory_block8(0x20001000, 8)


# ---------------------------------------------------------------------- peripherals that don't

SPI0, SPI2 = 0x40003000, 0x40023000
ENABLE = 0x500


@pytest.mark.parametrize(
    ("enable", "address", "value", "name"),
    [
        ((SPI0 + ENABLE, 5), SPI0 + 0x008, 1, "starts TWI0.TASKS_STARTTX"),
        ((SPI0 + ENABLE, 6), SPI0 + 0x000, 1, "starts TWIM0.TASKS_STARTRX"),
        ((SPI2 + ENABLE, 7), SPI2 + 0x010, 1, "starts SPIM2.TASKS_START,"),
        ((SPI0 + ENABLE, 1), SPI0 + 0x51C, 0, "SPI0.TXD"),
        (None, 0x40001004, 1, "RADIO.TASKS_RXEN"),
        (None, 0x40005008, 1, "NFCT.TASKS_SENSE"),
        (None, 0x40007000, 1, "SAADC.TASKS_START"),
        (None, 0x4000E000, 1, "ECB.TASKS_STARTECB"),
        ((0x4000F000 + ENABLE, 3), 0x4000F000, 1, "AAR.TASKS_START,"),
        (None, 0x40012000, 1, "QDEC.TASKS_START"),
        ((0x40013000 + ENABLE, 1), 0x40013000, 1, "LPCOMP.TASKS_START"),
        (None, 0x4001C008, 1, "PWM0.TASKS_SEQSTART[0]"),
        (None, 0x4001D000, 1, "PDM.TASKS_START"),
        (None, 0x4001E540, 0x101, "NVMC.ICACHECNF"),
        (None, 0x40020514, 1, "MWU.REGIONENSET"),
        (None, 0x40025000, 1, "I2S.TASKS_START"),
        (None, 0x40028008, 1, "UARTE1.TASKS_STARTTX"),
        (None, 0x40029000, 1, "QSPI.TASKS_ACTIVATE"),
        (None, 0x5002B910, 1, "CryptoCell (at 0x5002b910)"),
        (None, 0x40000500, 1, "System OFF"),
        (None, 0xE000E104, 1 << 6, "FP exceptions"),
    ],
)
def test_what_is_started_but_not_modelled_is_named(chip, enable, address, value, name):
    if enable:
        store(chip, *enable)
    crash = stops(chip, "store", r0=address, r1=value)
    assert crash.kind == "emulator limit"
    assert name in crash.text


def test_an_event_that_never_comes_is_named(chip):
    store(chip, SPI0 + ENABLE, 5)
    store(chip, SPI0 + 0x014, 1)  # STOP: nothing was started
    crash = stops(chip, "wait_for", r0=SPI0 + 0x104)
    assert crash.kind == "emulator limit"
    assert "waits for TWI0.EVENTS_STOPPED, which isn't modelled" in crash.text


def test_an_event_of_a_modelled_peripheral_that_never_comes_is_named(chip):
    assert "POWER.EVENTS_POFWARN" in stops(chip, "wait_for", r0=0x40000108).text


def test_ppi_from_an_event_that_never_comes_is_refused(chip):
    store(chip, 0x4001F510, 0x40000114)
    assert "POWER.EVENTS_SLEEPENTER by PPI" in stops(chip, "store", r0=0x4001F504, r1=1).text


def test_no_register_reads_as_zero_and_no_peripheral_is_a_bus_fault(chip):
    store(chip, 0x4000C6F0, 1)
    chip.call("load", r0=0x4000C6F0)
    assert chip.word("result") == 0
    crash = stops(chip, "load", r0=0x4002A000)
    assert crash.kind == "bus fault"
    assert "0x4002a000, where there is no peripheral" in crash.text


def test_flash_behind_the_acl_is_not_changed_in_silence(chip):
    for address, value in ((0x4001E800, 0xF0000), (0x4001E804, 0x1000), (0x4001E808, 2), (0x4001E808, 0)):
        store(chip, address, value)
    assert chip.target.read32(0x4001E808) == 2  # written once
    store(chip, 0x4001E504, 2)
    crash = stops(chip, "store", r0=0x4001E508, r1=0xF0000)
    assert "0xf0000, which ACL.ACL[0].ADDR protects" in crash.text
