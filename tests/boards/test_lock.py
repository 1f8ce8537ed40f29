"""Two processes never use one board: the locks of probes and ports."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import pytest

from fakes.usb_bus import UsbBus
from harness.boards.discover import attached_probes
from harness.boards.lock import BoardLock, port_lock, probe_lock
from harness.boards.opening import open_board
from harness.config.lab import PortMatch
from harness.errors import BusyError

NANO, DAPLINK = (0x2341, 0x005A), (0x0D28, 0x0204)

OTHER = """
import sys, tempfile
tempfile.tempdir = {folder!r}
from harness.boards.lock import BoardLock
with BoardLock("theirs", {what!r}, {key!r}):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def bus(monkeypatch):
    return UsbBus(monkeypatch)


@pytest.fixture
def other_process():
    """Return what lets another process take a lock; it ends with the test."""
    started = []

    def hold(what, key):
        code = OTHER.format(folder=tempfile.gettempdir(), what=what, key=key)
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield hold
    for process in started:
        process.communicate()


def port_device(nano33, **match):
    return nano33.model_copy(update={"name": "bench", "flasher": "bossac", "port": PortMatch(**match)})


def test_another_process_is_named_and_waited_for(bus, nano33, other_process):
    bus.plug("1-1", NANO, "NANO1", tty=["ttyACM0"])
    process = other_process("port", "NANO1")
    device = port_device(nano33, serial="NANO1")
    with pytest.raises(
        BusyError, match=rf"bench: port NANO1 is in use by another run \(process {process.pid}\); wait until that"
    ):
        open_board(device, "hardware")
    process.communicate()
    with open_board(device, "hardware") as board:
        assert board.port == "/dev/ttyACM0"


def test_one_port_has_one_lock_however_it_is_configured(bus, nano33):
    bus.plug("1-1", NANO, "NANO1", tty=["ttyACM0"])
    with (
        open_board(port_device(nano33, serial="NANO1"), "hardware"),
        pytest.raises(BusyError, match=r"port NANO1 is in use by another run \(this program\)"),
    ):
        open_board(port_device(nano33, location="1-1"), "hardware")


def test_ports_without_a_serial_number_are_told_apart_by_their_place(bus, nano33):
    for number in (1, 2):
        bus.plug(f"1-{number}", NANO, None, tty=[f"ttyACM{number}"])
    with open_board(port_device(nano33, location="1-1"), "hardware"):
        open_board(port_device(nano33, location="1-2"), "hardware").close()
        with pytest.raises(BusyError, match="port 1-1 is in use"):
            port_lock(port_device(nano33, location="1-1")).__enter__()


def test_boards_that_share_a_serial_number_have_two_locks(bus, nano33):
    for number in (1, 2):
        bus.plug(f"1-{number}", NANO, "SAME", tty=[f"ttyACM{number}"])
    with open_board(port_device(nano33, location="1-1"), "hardware"):
        open_board(port_device(nano33, location="1-2"), "hardware").close()


def test_a_probe_s_lock_goes_by_its_place_where_pyocd_makes_its_id_up(bus, nano33):
    bus.plug("1-1.4", DAPLINK, None, probe="DAPLink")
    (first,) = attached_probes()
    bus.unplug_all()
    bus.plug("1-1.4", DAPLINK, None, probe="DAPLink")
    (second,) = attached_probes()
    assert first.uid != second.uid
    with probe_lock(nano33, first), pytest.raises(BusyError, match=r"probe 1-1\.4 is in use"):
        probe_lock(nano33, second).__enter__()


def test_a_process_that_was_killed_leaves_no_lock(other_process):
    process = other_process("port", "NANO1")
    process.kill()
    process.wait()
    with BoardLock("mine", "port", "NANO1"), pytest.raises(BusyError, match="this program"):
        BoardLock("mine", "port", "NANO1").__enter__()


def test_a_lock_that_cannot_be_taken_is_a_message(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file" / "folder"))
    (tmp_path / "file").touch()
    with pytest.raises(BusyError, match=r"bench: port X can't be reserved: .*belongs to another user"):
        BoardLock("bench", "port", "X").__enter__()
