from __future__ import annotations

import struct

import pytest
from virtual_lab import VirtualNrf52840, flash, load, session, wait_until


def run_interrupts():
    firmware = load("interrupts")
    with VirtualNrf52840("nano33") as twin:
        with session(twin) as opened:
            flash(opened, firmware)
            opened.target.reset()

        def word(name):
            return struct.unpack("<I", twin.machine.memory.read(firmware.symbols[name], 4))[0]

        wait_until(lambda: word("done") or twin.crash)
        assert twin.crash is None, twin.crash
        names = ("ticks", "timer_hits", "pended", "supervisor", "nested", "wrong")
        return {name: word(name) for name in names}, twin.instructions()


def test_interrupts_nest_return_and_keep_the_fpu_state():
    seen, _ = run_interrupts()
    assert seen["wrong"] == 0
    assert seen["supervisor"] == 200
    assert seen["ticks"] > 100
    assert seen["timer_hits"] > 10
    assert seen["pended"] == seen["timer_hits"]
    assert seen["nested"] > 0
    # SysTick every 6,400 cycles and TIMER0 every 64,000 on the same clock
    assert abs(seen["ticks"] - 10 * seen["timer_hits"]) <= 20


@pytest.mark.slow
def test_interrupts_come_at_the_same_instruction_every_time():
    assert run_interrupts()[0] == run_interrupts()[0]
