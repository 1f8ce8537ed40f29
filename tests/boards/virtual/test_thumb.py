from __future__ import annotations

import struct

import pytest

from harness.boards.virtual.core import thumb


def code(*halfwords):
    return struct.pack(f"<{len(halfwords)}H", *halfwords)


def test_count_tells_wide_instructions_from_narrow_ones():
    assert thumb.scan(code(0xBF00, 0xF240, 0x1134, 0xE7FE, 0xE92D, 0x4FF0, 0xFB25, 0x7706)).instructions == 5
    assert thumb.scan(b"").instructions == 0


def test_scan_finds_fp_and_unmasking():
    assert thumb.scan(code(0xBF00, 0xEEB7, 0x0A00)) == thumb.CodeScan(2, 2, unmasks=False)  # vmov.f32 s0, #1.0
    assert thumb.scan(code(0xED2D, 0x8B02)).first_fp == 0  # vpush {d8}
    assert thumb.scan(code(0xEE11, 0x0F10)).first_fp is None  # mrc p15
    assert thumb.scan(code(0xB662)).unmasks  # cpsie i
    assert not thumb.scan(code(0xB672)).unmasks  # cpsid i
    assert thumb.scan(code(0xF380, 0x8810)).unmasks  # msr primask, r0
    assert thumb.scan(code(0xF380, 0x8811)).unmasks  # msr basepri, r0
    assert not thumb.scan(code(0xF380, 0x8808)).unmasks  # msr msp, r0


def test_it_state_advances_as_the_manual_says():
    def xpsr(state):
        return 0x01000000 | (state & 3) << 25 | (state & 0xFC) << 8

    assert thumb.it_state(xpsr(0xB7)) == 0xB7
    state = 0x04  # IT EQ; two instructions left: EQ, EQ
    assert thumb.instructions_in_it(state) == 2
    after = thumb.after_skipping(xpsr(state))
    assert thumb.it_state(after) == 0x08
    assert thumb.it_state(thumb.after_skipping(after)) == 0
    assert thumb.it_state(thumb.after_skipping(xpsr(0x0C))) == 0x18  # the next one is NE


@pytest.mark.parametrize(
    ("condition", "nzcv", "holds"),
    [
        *((0, 4, True), (0, 0, False), (1, 0, True), (2, 2, True), (4, 8, True), (6, 1, True), (8, 2, True)),
        *((8, 6, False), (9, 6, True), (10, 9, True), (10, 8, False), (12, 0, True), (13, 4, True), (14, 0, True)),
    ],
)
def test_condition_holds(condition, nzcv, holds):
    state = condition << 4 | 8
    assert thumb.condition_holds(nzcv << 28 | (state & 3) << 25 | (state & 0xFC) << 8) is holds
    assert thumb.condition_holds(nzcv << 28)
