from __future__ import annotations

import os
import struct
import time

import pytest
from virtual_lab import is_asleep, running_lab, session, start, wait_until
from virtual_lab import load as load_firmware


@pytest.mark.parametrize("port", ["pty", "socket"])
def test_echo_of_every_size(port):
    with running_lab(port=port) as lab:
        for size in (1, 2, 7, 255, 256, 4095, 4096, 4097, 20000, 65535):
            data = os.urandom(size)
            assert lab.echo(data) == data, size


def test_image_at_zero_boots_by_itself():
    with running_lab("lab_at_zero") as lab:
        with session(lab.twin) as opened:
            opened.target.reset()
        wait_until(lambda: lab.twin.machine.sleeping)
        assert lab.echo(b"hello") == b"hello"


def test_amount_is_that_of_the_last_ended_reception(lab):
    assert lab.words(b"I", 6)[4] == 8


def test_bytes_beyond_the_credit_are_lost_and_reported(lab):
    """The FIFO holds six; the rest is an overrun, whatever the host's speed."""
    lab.command(b"L")  # the firmware has armed a header, then never looks again
    machine = lab.twin.machine
    wait_until(lambda: not machine.sleeping and machine.bus.uarte._armed)
    lab.port.write(b"x" * 8 + b"fifo: " + b"lost")
    lab.twin.machine.debug_read(0x40002110, 4)
    with session(lab.twin, connect_mode="attach") as opened:
        wait_until(lambda: opened.target.read32(0x40002110))  # ENDRX
        assert opened.target.read32(0x4000253C) == 8  # AMOUNT
        assert opened.target.read32(0x40002124) == 1  # ERROR
        assert opened.target.read32(0x40002480) == 1  # ERRORSRC: overrun


def test_stop_in_mid_payload_ends_it_with_the_amount_so_far(lab):
    lab.command(b"O")
    assert lab.read(1) == b"C"
    lab.port.write(b"\x55" * 37)
    amount, ended = struct.unpack("<2I", lab.read(8))
    assert (amount, ended) == (37, 1)
    assert lab.echo(b"and on") == b"and on"


def test_reset_reason_nonce_and_chip_id(lab):
    first = lab.words(b"I", 6)
    assert first[0] & 4  # SREQ: pyOCD's reset
    assert first[2] | first[3] << 32 == lab.twin.chip_id
    with session(lab.twin) as opened:
        start(opened, load_firmware("lab"))
    wait_until(lambda: lab.twin.machine.sleeping)
    second = lab.words(b"I", 6)
    assert second[1] != first[1]
    with running_lab(seed=0) as again:
        assert again.words(b"I", 6)[1] == first[1]
    with running_lab(seed=1) as other:
        assert other.words(b"I", 6)[1:4] != first[1:4]


def test_firmware_resets_itself(lab):
    lab.command(b"R")  # with nothing at 0, that is the end of it
    wait_until(lambda: lab.twin.crash)
    assert lab.twin.crash.kind == "lockup"


def test_host_that_does_not_read_makes_the_board_wait_but_not_the_debugger(lab):
    payload = bytes(range(256)) * 16
    lab.echo(payload)
    lab.command(b"B", 64)
    wait_until(lambda: lab.port.in_waiting and is_asleep(lab.twin.machine))
    with session(lab.twin, connect_mode="attach") as opened:
        opened.target.halt()
        assert opened.target.read_core_register("pc") >= 0x10000
        opened.target.resume()
    wait_until(lambda: is_asleep(lab.twin.machine))
    began = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - began < 0.1  # asleep, not spinning, which would take 0.5 s
    for _ in range(64):
        assert lab.read(4096) == payload


def test_taps_see_and_change_the_bytes_of_each_direction(lab):
    lab.twin.line.to_board = lambda data: data.replace(b"ping", b"pong")
    lab.twin.line.to_host = lambda data: data.replace(b"pong", b"PONG")
    assert lab.echo(b"ping") == b"PONG"


def test_baud_rate_of_the_firmware_is_known(lab):
    assert lab.twin.line.board_baud == 1_000_000


def test_timer_wakes_the_board_from_wfi(lab):
    began = time.monotonic()
    waits = []
    while len(waits) < 3 or (min(waits) >= 300000 and len(waits) < 20):
        waits.append(lab.words(b"W", 1, 30000)[0])
    assert 30000 <= min(waits) < 300000  # the host's own pauses come on top
    assert time.monotonic() - began >= 3 * 0.03
