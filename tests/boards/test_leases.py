"""Two processes never use one board: the leases of probes, ports and virtual boards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from fakes.old_leases import hang, make_older
from fakes.usb_bus import UsbBus
from harness.boards.discover import attached_probes
from harness.boards.leases import port_lease, probe_lease
from harness.boards.opening import open_board
from harness.config import Lab
from harness.config.lab import PortMatch
from harness.errors import BusyError, LeaseLostError
from harness.locks.lease import TTL_S, Lease
from harness.locks.lease_files import is_locked, lease_folder
from harness.locks.waiting import Patience

NANO, DAPLINK = (0x2341, 0x005A), (0x0D28, 0x0204)

#: A run on a configured virtual board, that goes on when it is told to, and says what came of it.
STOPPED = """
import sys
from harness.boards.opening import open_board
from harness.config import Lab
from harness.errors import BoardError
(device,) = Lab.load(sys.argv[1]).select(["bench-1"])
with open_board(device, "virtual") as board:
    line = board.link()
    print("opened", flush=True)
    sys.stdin.readline()
    for operation in (lambda: line.write(b"x"), lambda: board.read_memory(0x20000000, 4), board.reset, board.reconnect):
        try:
            operation()
        except BoardError as error:
            print(type(error).__name__, error)
        else:
            print("done")
"""


@pytest.fixture
def bus(monkeypatch):
    return UsbBus(monkeypatch)


@pytest.fixture
def lab_file(tmp_path):
    path = tmp_path / "devices.yaml"
    path.write_text("devices:\n  bench-1: {kind: nano33, backend: virtual}\n  twin: {kind: nano33}\n")
    return path


def port_device(nano33, **match):
    return nano33.model_copy(update={"name": "bench", "flasher": "arduino", "port": PortMatch(**match)})


# ---- which lease


def test_one_port_has_one_lease_however_it_is_configured(bus, nano33):
    bus.plug("1-1", NANO, "NANO1", tty=["ttyACM0"])
    with (
        open_board(port_device(nano33, serial="NANO1"), "hardware"),
        pytest.raises(BusyError, match=r"port NANO1 is in use by \S+ \(.*this program on"),
    ):
        open_board(port_device(nano33, location="1-1"), "hardware")
    with open_board(port_device(nano33, location="1-1"), "hardware") as board:
        assert board.port == "/dev/ttyACM0"


def test_ports_without_a_serial_number_are_told_apart_by_their_place(bus, nano33):
    for number in (1, 2):
        bus.plug(f"1-{number}", NANO, None, tty=[f"ttyACM{number}"])
    with open_board(port_device(nano33, location="1-1"), "hardware"):
        open_board(port_device(nano33, location="1-2"), "hardware").close()
        with pytest.raises(BusyError, match="port 1-1 is in use"):
            port_lease(port_device(nano33, location="1-1")).acquire()


def test_boards_that_share_a_serial_number_have_two_leases(bus, nano33):
    for number in (1, 2):
        bus.plug(f"1-{number}", NANO, "SAME", tty=[f"ttyACM{number}"])
    with open_board(port_device(nano33, location="1-1"), "hardware"):
        open_board(port_device(nano33, location="1-2"), "hardware").close()


def test_a_probe_s_lease_goes_by_its_place_where_pyocd_makes_its_id_up(bus, nano33):
    bus.plug("1-1.4", DAPLINK, None, probe="DAPLink")
    (first,) = attached_probes()
    bus.unplug_all()
    bus.plug("1-1.4", DAPLINK, None, probe="DAPLink")
    (second,) = attached_probes()
    assert first.uid != second.uid
    with probe_lease(nano33, first), pytest.raises(BusyError, match=r"probe 1-1\.4 is in use"):
        probe_lease(nano33, second).acquire()


def test_a_configured_virtual_board_is_held_and_any_other_is_not(lab_file, tmp_path):
    board, twin = Lab.load(lab_file).devices
    with open_board(twin, "virtual"):
        open_board(twin, "virtual").close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "devices.yaml").write_text(lab_file.read_text())
    with open_board(board, "virtual"):
        with pytest.raises(BusyError, match="bench-1: the virtual board is in use by"):
            open_board(board, "virtual")
        open_board(Lab.load(elsewhere / "devices.yaml").devices[0], "virtual").close()
    open_board(board, "virtual").close()
    assert not list(lease_folder().glob("virtual-bench-1*.json"))


def test_what_a_run_stores_of_a_device_does_not_depend_on_where_devices_yaml_lies(lab_file):
    device = Lab.load(lab_file).devices[0]
    assert device.lab == lab_file
    assert str(lab_file.parent) not in device.model_dump_json()


def test_a_board_that_cannot_be_opened_is_not_held(lab_file, monkeypatch):
    device = Lab.load(lab_file).devices[0]
    monkeypatch.setattr("harness.boards.probe.ProbeBoard._check_part", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_board(device, "virtual")
    monkeypatch.undo()
    open_board(device, "virtual").close()


# ---- a holder that was stopped


def stop_between_beats(process, guard):
    """Stop a holder while it doesn't write a sign of life: with the guard in its hands nobody could take over."""
    while True:
        process.send_signal(signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1]), "it has ended"
        if not is_locked(guard):
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped here")
def test_a_stopped_run_finds_its_board_lost(lab_file):
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(lab_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "opened\n"
        (held,) = lease_folder().glob("virtual-bench-1*.json")
        stop_between_beats(process, held.with_suffix(".guard"))
        device = Lab.load(lab_file).devices[0]
        expired = threading.Event()

        def expire():
            expired.set()
            make_older(held, TTL_S + 1)

        threading.Timer(0.5, expire).start()
        with open_board(device, "virtual", patience=Patience(60)) as board:
            assert expired.is_set(), "a process that was stopped a moment ago still has its board"
            process.send_signal(signal.SIGCONT)
            said, _ = process.communicate("go\n", timeout=60)
            board.read_memory(0x20000000, 4)
    finally:
        process.kill()
        process.wait()
    lost = "LeaseLostError bench-1: the virtual board was lost to other runs: this process showed no sign of life"
    assert [line[: len(lost)] for line in said.splitlines()] == [lost] * 4
    assert "It is in use by" in said


def test_a_lost_board_is_neither_opened_again_nor_switched_off(attached, nano33):
    with open_board(attached.device(nano33, power_cycle=attached.hub()), "hardware") as board:
        port = next(hold for hold in board.holds if hold.what == "port")
        hang(port, TTL_S + 1)
        with Lease("other", "port", "42"):
            for operation in (board.power_cycle, board.reconnect, board.reset, lambda: board.read_memory(0, 4)):
                with pytest.raises(LeaseLostError, match="bench: port 42 was lost"):
                    operation()
        assert attached.hub_calls == []
    assert not list(lease_folder().glob("port-42-*.json"))
