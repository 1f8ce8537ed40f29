from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import serial
from pyocd.core.helpers import ConnectHelper
from pyocd.probe import aggregator
from virtual_lab import VirtualNrf52840, is_asleep, load, running_lab, session, wait_until

from harness.errors import EmulatorError


def descriptors():
    """What this process has open of the kinds that a board opens."""
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(str(entry.readlink()))
    return sum(link.startswith(("/dev/pt", "socket:", "anon_inode:")) for link in links)


def boards_running():
    return [thread for thread in threading.enumerate() if thread.name.startswith("virtual board")]


def test_only_the_full_id_finds_the_probe():
    with VirtualNrf52840("nano33") as twin:
        assert ConnectHelper.get_all_connected_probes(blocking=False) == []
        assert ConnectHelper.get_all_connected_probes(blocking=False, unique_id="nano33") == []
        found = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=twin.probe_uid)
        assert [f"virtual:{probe.unique_id}" for probe in found] == [twin.probe_uid]
    assert "virtual" not in aggregator.PROBE_CLASSES


def test_boards_come_and_go_while_others_are_looked_for():
    """In threads of one process: pyOCD goes through its table, and a board that closes takes no other's entry."""
    table = iter(aggregator.PROBE_CLASSES.items())
    next(table)
    with VirtualNrf52840("one") as one:
        list(table)
        with VirtualNrf52840("two"):
            pass
        assert ConnectHelper.get_all_connected_probes(blocking=False, unique_id=one.probe_uid)


@pytest.mark.slow
def test_importing_registers_nothing_and_pyocd_list_shows_nothing():
    code = (
        "import harness.boards.virtual.debug.probe\n"
        "from pyocd.probe import aggregator\n"
        "assert 'virtual' not in aggregator.PROBE_CLASSES\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    listed = subprocess.run([sys.executable, "-m", "pyocd", "list"], capture_output=True, text=True, check=True)
    assert "virtual" not in listed.stdout.lower()


def test_ids_differ_and_the_chip_id_follows_name_and_seed():
    boards = [VirtualNrf52840("a"), VirtualNrf52840("a"), VirtualNrf52840("b"), VirtualNrf52840("a", seed=1)]
    try:
        assert len({board.probe_uid for board in boards}) == 4
        assert boards[0].chip_id == boards[1].chip_id
        assert len({board.chip_id for board in boards}) == 3
    finally:
        for board in boards:
            board.close()


@pytest.mark.parametrize("state", ["asleep", "running", "sending", "halted", "empty"])
def test_close_is_quick_and_leaves_nothing(state):
    def once():
        if state == "empty":
            with VirtualNrf52840("nano33") as twin:
                wait_until(lambda: twin.crash)
                began = time.monotonic()
            return time.monotonic() - began
        with running_lab() as lab:
            if state == "running":
                lab.command(b"L")
                wait_until(lambda: not lab.twin.machine.sleeping)
            elif state == "sending":
                lab.echo(bytes(4096))
                lab.command(b"B", 1000)
                wait_until(lambda: lab.port.in_waiting)
            elif state == "halted":
                with session(lab.twin, resume_on_disconnect=False) as opened:
                    opened.target.halt()
            began = time.monotonic()
            lab.twin.close()
            return time.monotonic() - began

    once()
    gc.collect()  # what other tests have left may hold some
    before = descriptors()
    assert any(once() < 1.0 for _ in range(10))  # the first time, unless the host pauses just then
    assert descriptors() == before
    assert boards_running() == []


def test_close_twice_and_use_afterwards():
    twin = VirtualNrf52840("nano33")
    twin.start()
    twin.close()
    twin.close()
    with pytest.raises(EmulatorError, match="closed"):
        twin.instructions()


@pytest.mark.parametrize("held", [1, 2])
def test_a_board_whose_lock_an_interrupt_left_taken_is_switched_off_all_the_same(held):
    twin = VirtualNrf52840("nano33")
    twin.start()

    def interrupted():
        for _ in range(held):
            twin.machine._condition.acquire()  # and Ctrl-C came before the block that would release it
        twin.close()

    user = threading.Thread(target=interrupted, daemon=True)
    user.start()
    user.join(60)
    assert not user.is_alive()
    assert not twin.machine._thread.is_alive()


def test_idle_board_costs_no_processor_time(lab):
    lab.echo(b"wake up")
    wait_until(lambda: is_asleep(lab.twin.machine))
    count, began = lab.twin.instructions(), time.process_time()
    time.sleep(1.0)
    spent = time.process_time() - began
    lab.echo(b"again")
    assert spent < 0.1
    assert lab.twin.instructions() - count < 5000


def test_failure_inside_reaches_the_host(lab):
    def broken(_offset):
        raise ZeroDivisionError("on purpose")

    lab.twin.machine.bus.uarte.read = broken
    lab.port.write(bytes(8))
    wait_until(lambda: lab.twin.crash)
    assert "on purpose" in lab.twin.crash.text
    with pytest.raises(EmulatorError, match="on purpose"):
        lab.twin.instructions()


def test_failure_of_a_line_tap_reaches_the_host(lab):
    def broken(_data):
        raise ZeroDivisionError("on purpose")

    lab.twin.line.to_board = broken
    lab.port.write(bytes(8))
    wait_until(lambda: lab.twin.crash)
    with pytest.raises(EmulatorError, match="on purpose"):
        lab.twin.instructions()


def test_many_boards_at_once():
    boards = [running_lab() for _ in range(4)]
    labs = [board.__enter__() for board in boards]
    try:
        answers = {}

        def work(index, lab):
            data = os.urandom(3000)
            answers[index] = all(lab.echo(data) == data for _ in range(5)) and lab.words(b"T", 1, 1000)

        threads = [threading.Thread(target=work, args=item) for item in enumerate(labs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert len(set(answers.values())) == 1
        assert len(answers) == 4
    finally:
        for board in boards:
            board.__exit__(None, None, None)


def test_lowest_write_is_where_the_stack_really_went(caller):
    bottom, top = caller.symbols["stack_bottom"], caller.symbols["stack_top"]
    caller.twin.watch_stack(bottom, top)
    assert caller.twin.lowest_write is None
    assert caller.call("stack_down", r0=100) == 301
    assert caller.twin.lowest_write == top - 400


def test_painted_stack_read_by_the_debugger_agrees_with_the_watch(lab):
    symbols = load("lab").symbols
    bottom, top = symbols["stack_bottom"], symbols["stack_top"]
    with session(lab.twin) as opened:
        opened.target.halt()
        sp = opened.target.read_core_register("sp")
        opened.target.write_memory_block8(bottom, b"\xa5" * (sp - 64 - bottom))
        lab.twin.watch_stack(bottom, top)
        opened.target.resume()
        lab.words(b"S", 1, 60)
        opened.target.halt()
        stack = opened.target.read_memory_block8(bottom, top - bottom)
        opened.target.resume()
    painted = next(index for index, byte in enumerate(stack) if byte != 0xA5)
    assert 0 <= bottom + painted - lab.twin.lowest_write < 8


def test_port_opens_exclusively(lab):
    lab.close()
    first = serial.serial_for_url(lab.twin.port, baudrate=1_000_000, exclusive=True)
    with pytest.raises(serial.SerialException):
        serial.serial_for_url(lab.twin.port, baudrate=1_000_000, exclusive=True)
    first.close()


WITHOUT_MEMORY = """
import resource
from harness.boards.virtual.core.binding import cortex_m4
from harness.errors import EmulatorError
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
try:
    cortex_m4()
except EmulatorError as error:
    print(error)
"""


def test_without_memory_for_the_emulator_a_board_says_so():
    done = subprocess.run([sys.executable, "-c", WITHOUT_MEMORY], capture_output=True, text=True, check=False)
    assert "the CPU emulator needs 1088 MiB of address space" in done.stdout
