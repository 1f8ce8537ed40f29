"""Serial ports that are held, that vanish and come back, and their control lines."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import tty

import pytest

from harness.boards.serial_stream import SerialStream, reopen
from harness.config.access import SerialLines
from harness.errors import LinkError


@pytest.fixture
def pty():
    """Return a maker of pseudo-terminals: the board's end and the port's path."""
    opened = []

    def make():
        master, slave = os.openpty()
        tty.setraw(slave)
        path = os.ttyname(slave)
        os.close(slave)
        opened.append(master)
        return master, path

    yield make
    for master in opened:
        try:
            os.close(master)
        except OSError:
            continue


@pytest.mark.parametrize(("dtr", "rts"), [(True, False), (False, True), (False, False), (None, None)])
def test_control_lines(dtr, rts):
    """pyserial's loop:// returns DTR as DSR and RTS as CTS; left alone, both are on."""
    stream = SerialStream("bench", "loop://", 115200, SerialLines(dtr=dtr, rts=rts))
    assert (stream._serial.dsr, stream._serial.cts) == (dtr is not False, rts is not False)
    stream.close()


def test_second_opening_says_who_holds_the_port(pty):
    _, path = pty()
    stream = SerialStream("bench", path, 115200)
    with pytest.raises(LinkError, match=r"bench: serial port .* It is open in this program:"):
        SerialStream("bench", path, 115200)
    stream.close()


def test_another_program_holds_the_port(pty):
    _, path = pty()
    code = (
        f"import serial, sys; p = serial.Serial({path!r}, exclusive=True); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(LinkError, match=rf"It is open in \S+ \(process {other.pid}\)"):
            SerialStream("bench", path, 115200)
        other.stdin.close()


def test_port_that_comes_back_under_another_name(pty):
    master, path = pty()
    stream = SerialStream("bench", path, 115200)
    os.close(master)
    with pytest.raises(LinkError, match="is gone"):
        stream.read(1, 0.5)
    assert stream.gone
    stream.close()
    names = []

    def attach():
        names.append(pty())

    def locate():
        if not names:
            raise LinkError("bench: no serial port has USB serial number 42")
        return names[0][1]

    timer = threading.Timer(0.3, attach)
    timer.start()
    back = reopen("bench", locate, 115200, patience=60.0)
    timer.join()
    os.write(names[0][0], b"hello")
    assert back.read(5, 60.0) == b"hello"
    back.close()


def test_port_that_stays_away():
    def locate():
        raise LinkError("bench: no serial port has USB serial number 42")

    with pytest.raises(LinkError, match=r"USB serial number 42 \(waited 0.2 s for the port to come back\)"):
        reopen("bench", locate, 115200, patience=0.2)


@pytest.fixture
def stream(pty):
    """An open port, and the board's end of it."""
    master, path = pty()
    opened = SerialStream("bench", path, 1_000_000)
    yield opened, master
    opened.close()


def test_reading_waits_for_the_first_byte_only(stream):
    port, board = stream
    timer = threading.Timer(0.1, os.write, (board, b"hello"))
    timer.start()
    began = time.monotonic()
    data = port.read(65536, 60.0)
    assert time.monotonic() - began < 50
    timer.join()
    while len(data) < 5:
        data += port.read(65536, 60.0)
    assert data == b"hello"


def test_reading_takes_no_more_than_was_asked_for(stream):
    port, board = stream
    os.write(board, b"hello")
    assert [port.read(2, 60.0), port.read(2, 60.0), port.read(2, 60.0)] == [b"he", b"ll", b"o"]


def test_reading_gives_up_in_time(stream):
    port, _ = stream
    took = []
    for _ in range(5):
        began = time.monotonic()
        assert port.read(1, 0.0) == b""
        took.append(time.monotonic() - began)
    assert min(took) < 0.05  # the host's own pauses come on top
    began = time.monotonic()
    assert port.read(1, 0.15) == b""
    assert time.monotonic() - began >= 0.15


def test_more_than_the_port_takes_at_once_is_written_whole(stream):
    port, board = stream
    data = bytes(range(256)) * 1000
    arrived = bytearray()

    def take():
        time.sleep(0.1)
        while len(arrived) < len(data):
            arrived.extend(os.read(board, 1000))

    taker = threading.Thread(target=take)
    taker.start()
    port.write(data)
    taker.join()
    assert arrived == data


def test_port_that_accepts_nothing(pty, monkeypatch):
    monkeypatch.setattr("harness.boards.serial_stream._WRITE_TIMEOUT_S", 0.2)
    _, path = pty()
    port = SerialStream("bench", path, 1_000_000)
    with pytest.raises(LinkError, match=r"accepts no bytes for 0\.2 s"):
        port.write(bytes(1_000_000))
    assert not port.gone
    port.close()


def test_port_that_is_no_file():
    """pyserial's own reading and writing serve what is no file descriptor, as loop:// and socket:// are."""
    port = SerialStream("bench", "loop://", 1_000_000)
    port.write(b"hello")
    assert port.read(3, 1.0) + port.read(10, 1.0) == b"hello"
    assert port.read(1, 0.0) == port.read(1, 0.05) == b""
    port.close()


def test_port_that_was_closed(stream):
    port, _ = stream
    port.close()
    for use in (lambda: port.read(1, 0.0), lambda: port.write(b"x")):
        with pytest.raises(LinkError, match="is gone"):
            use()
