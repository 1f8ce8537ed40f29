"""The emulated Uno, held against firmware of which it is known what must come of it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from harness.boards.serial_stream import SerialStream
from harness.boards.simavr.process import Twin
from harness.errors import EmulatorError

FIRMWARE = Path(__file__).with_name("told.c")
MOST_S = 60.0


@pytest.fixture(scope="module")
def application(tmp_path_factory, avr_gcc):
    """The firmware as a binary."""
    folder = tmp_path_factory.mktemp("told")
    elf, binary = folder / "told.elf", folder / "told.bin"
    subprocess.run([avr_gcc, "-mmcu=atmega328p", "-Os", "-o", elf, FIRMWARE], check=True)
    subprocess.run([avr_gcc.replace("gcc", "objcopy"), "-O", "binary", elf, binary], check=True)
    return binary


@pytest.fixture
def uno(simavr, application):
    twin = Twin("uno", simavr, "D2", None)
    twin.load(application)
    yield twin
    twin.close()


@pytest.fixture
def line(uno):
    stream = SerialStream("uno", uno.port, 500_000)
    uno.reset()
    assert hear(stream, 1) == b"!"
    yield stream
    stream.close()


def hear(stream, count):
    heard, deadline = b"", time.monotonic() + MOST_S
    while len(heard) < count and time.monotonic() < deadline:
        heard += stream.read(count - len(heard), 1.0)
    return heard


def settled(uno, state):
    """Wait until the chip does something, and return what it tells then."""
    deadline = time.monotonic() + MOST_S
    while (status := uno.status()).state != state and time.monotonic() < deadline:
        time.sleep(0.01)
    return status


def cpu_s(uno):
    return sum(map(int, Path(f"/proc/{uno._process.pid}/stat").read_text().split()[13:15])) / 100


def test_cycles_are_those_of_the_data_sheet_and_the_lowest_write_is_seen(uno, line):
    uno.watch_stack(0x300, 0x900)
    line.write(b"p")
    assert hear(line, 1) == b"p"
    assert uno.status().pulse == 1002
    pushed = uno.lowest_write
    assert 0x8E0 < pushed < 0x900  # what interrupts push
    line.write(b"w")
    assert hear(line, 1) == b"w"
    assert uno.lowest_write == 0x456


def test_what_comes_while_the_receiver_is_full_is_lost(uno, line):
    line.write(b"d" + bytes(range(40)))
    heard = hear(line, 4)
    assert heard == b"\x00\x01\x02d"  # two in UDR0, one in the shift register
    assert settled(uno, "sleeping").lost == 37


def test_firmware_that_hangs_or_runs_wild_is_told_and_a_reset_mends_it(uno, line):
    for byte, state in ((b"h", "running"), (b"s", "asleep-for-ever"), (b"c", "crashed")):
        line.write(byte)
        status = settled(uno, state)
        assert status.state == state
        assert hear(line, 0) == b""
        uno.reset()
        assert hear(line, 1) == b"!"
        line.write(b"x")
        assert hear(line, 1) == b"x"
        assert uno.status().resets == status.resets + 1


@pytest.mark.usefixtures("line")
def test_a_board_that_waits_takes_no_processor_time_and_ends_with_its_pipe(uno):
    settled(uno, "sleeping")
    before = cpu_s(uno)
    time.sleep(0.5)
    assert cpu_s(uno) - before < 0.1
    process = uno._process
    process.stdin.close()  # as the death of this process would
    assert process.wait(MOST_S) == 0
    assert uno.ended
    with pytest.raises(EmulatorError, match="the process that emulates the board is lost"):
        uno.status()


def test_what_is_no_application_is_refused(uno, tmp_path):
    (tmp_path / "large").write_bytes(bytes(0x7E01))
    with pytest.raises(EmulatorError, match="too long for its section of flash"):
        uno.load(tmp_path / "large")
