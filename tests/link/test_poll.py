"""A run, a power monitor and an emulator work beyond the file descriptor 1023, where `select` ends with an error."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import ExitStack

import pytest

from harness.boards.opening import open_board
from harness.boards.serial_stream import SerialStream
from harness.link.client import Link
from harness.link.poll import ready, write_all
from harness.power.ppk2 import Ppk2
from harness.power.virtual.ppk2 import VirtualPpk2
from power.scripted import ScriptedBoard

resource = pytest.importorskip("resource")


@pytest.fixture
def many_files():
    """Let this process have every descriptor below 1100 in use."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 2048:
        pytest.skip("this user may not open 2,048 files")
    with ExitStack() as opened:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(2048, before[0]), before[1]))
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        while opened.enter_context(open(os.devnull)).fileno() < 1100:  # noqa: PTH123
            pass
        yield


@pytest.mark.usefixtures("many_files")
def test_a_case_runs_with_more_files_open_than_select_can_watch(nano33, image):
    with open_board(nano33, "virtual") as board:
        board.flash(image)
        board.reset()
        assert Link(board.link(), board.name).connect().input_bytes == 784


@pytest.mark.usefixtures("many_files")
def test_a_power_monitor_is_read_with_more_files_open_than_select_can_watch():
    with VirtualPpk2(ScriptedBoard(1e-3, 1e-3)) as twin, Ppk2(twin.port, "X", 3.0, "source", simulated=True) as monitor:
        monitor.start()
        while (chunk := monitor.read()) is None or not len(chunk):
            pass
        monitor.stop()


@pytest.mark.usefixtures("many_files")
def test_a_port_takes_more_than_its_buffer_holds_at_once():
    master, slave = os.openpty()
    os.set_blocking(slave, False)
    try:
        got = bytearray()

        def read():
            while len(got) < 200_000:
                got.extend(os.read(master, 65536))

        import tty

        tty.setraw(slave)
        thread = threading.Thread(target=read)
        stream = SerialStream("b", os.ttyname(slave), 115200)
        thread.start()
        stream.write(bytes(200_000))
        thread.join()
        stream.close()
        assert got == bytes(200_000)
    finally:
        os.close(master)
        os.close(slave)


def test_what_accepts_nothing_is_a_timeout_and_an_end_is_something_to_read():
    here, there = socket.socketpair()
    here.settimeout(0)
    with here, there:
        with pytest.raises(TimeoutError, match=r"accepts no bytes for 0.05 s"):
            write_all(here.fileno(), bytes(10_000_000), 0.05)
        assert not ready(here.fileno(), 0)
        there.close()
        assert ready(here.fileno(), 60)
