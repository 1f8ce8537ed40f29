"""The parts of the virtual RP2040 where it differs from what pyOCD and the agent use in every run."""

from __future__ import annotations

import struct
import time

import pytest
from pyocd.core.exceptions import TransferTimeoutError
from pyocd.core.helpers import ConnectHelper

from harness.boards.virtual import VirtualMcu
from harness.boards.virtual.chips.rp2040_rom import boot2_crc
from harness.config import shipped_kinds

CFSR, HFSR = 0xE000ED28, 0xE000ED2C
NOTHING = (0x2180, 0x0389)  # movs r1, #128; lsls r1, r1, #14: 0x200000
RAM = (0x2180, 0x0589)  # 0x20000000
ENDLESS = 0xE7FE


@pytest.fixture
def twin():
    twin = VirtualMcu("pico", shipped_kinds()["pico"])
    yield twin
    twin.close()


def boot(twin, *code, crc=None):
    """Let the boot ROM run code from the beginning of the flash, until it crashes."""
    boot2 = struct.pack(f"<{len(code)}H", *code).ljust(252, b"\0")
    twin.machine.memory.flash[:256] = memoryview(boot2 + struct.pack("<I", boot2_crc(boot2) if crc is None else crc))
    twin.start()
    deadline = time.monotonic() + 30
    while twin.crash is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return twin.crash


def test_checksum_is_crc_32_mpeg_2():
    assert boot2_crc(b"123456789") == 0x0376E6E7  # the check value of catalogues of CRCs


def test_flash_without_a_checksum_isnt_started(twin):
    crash = boot(twin, ENDLESS, crc=0)
    assert crash.kind == "misuse"
    assert "waits for a program over USB" in crash.text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ((*RAM, 0x3102, 0x6808), "unaligned LDR at 0x20000002, not a multiple of 4"),
        ((*RAM, 0x3102, 0xC906), "unaligned LDM at 0x20000002, not a multiple of 4"),
        ((0xFBB0, 0xF0F1), "undefined instruction"),  # udiv
        ((0xB100, ENDLESS), "undefined instruction"),  # cbz
        ((0xBF08, 0x2005), "undefined instruction"),  # it eq
        ((0xFB20, 0x2001), "undefined instruction"),  # smlad
        ((0xEEB7, 0x0A00), "undefined instruction"),  # vmov.f32
        ((*NOTHING, 0x6808), "read from 0x00200000, where there is no memory"),
    ],
)
def test_what_a_cortex_m0plus_refuses_is_a_hard_fault_of_which_no_register_tells(twin, code, text):
    crash = boot(twin, *code, ENDLESS)
    assert crash.kind == "hard fault"
    assert text in crash.text
    assert crash.pc == 0x20041F00 + 2 * (len(code) - (2 if code[-2] >= 0xE800 or code[-2] in (0xB100, 0xBF08) else 1))
    assert [twin.machine.debug_read(register, 4) for register in (CFSR, HFSR)] == [0, 0]


def test_wide_instructions_that_it_has_run(twin):
    # dmb; dsb; isb; mrs r0, primask; msr primask, r0; bl to the next; then an undefined one
    code = (0xF3BF, 0x8F5F, 0xF3BF, 0x8F4F, 0xF3BF, 0x8F6F, 0xF3EF, 0x8010, 0xF380, 0x8810, 0xF000, 0xF800, 0xDE00)
    assert boot(twin, *code).pc == 0x20041F00 + 24


def test_a_block_that_is_held_in_reset_is_dead_and_that_is_said(twin):
    # ldr r1, =0x40034024; str r1, [r1]
    crash = boot(twin, 0x4900, 0x6009, 0x4024, 0x4003)
    assert (crash.kind, crash.text) == ("misuse", "the firmware uses UART0 while RESETS holds it: it is dead then")


def test_another_debug_port_that_a_probe_selects_does_not_answer(twin):
    twin.start()
    with ConnectHelper.session_with_chosen_probe(
        unique_id=twin.probe_uid, options={"connect_mode": "attach", "no_config": True}
    ) as session:
        assert session.target.read32(0x10) & 0xFFFFFF == 0x01754D
        probe = session.probe
        assert probe.read_dp(0) == 0x0BC12477
        probe.swd_sequence([(33, 0x11002927)])
        with pytest.raises(TransferTimeoutError, match="another debug port"):
            probe.read_dp(0)
        probe.swd_sequence([(33, 0x01002927)])
        assert probe.read_dp(0) == 0x0BC12477
