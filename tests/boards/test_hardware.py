"""Real boards, as far as they can be had without one: a twin behind pyOCD, and a USB bus that is data."""

from __future__ import annotations

import pytest
from pyocd.core import exceptions

from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.boards.usb_power import UsbPower
from harness.boards.virtual.debug.probe import VirtualProbe
from harness.config import Lab
from harness.config.access import CommandFlasher
from harness.errors import BoardError, BusyError, FlashError
from harness.link.client import Link
from harness.locks.lease import Lease
from harness.run.access import Access
from harness.run.boards import open_patiently
from harness.run.case import run_case
from harness.run.options import Options
from harness.run.session import Session
from harness.run.targets import Target
from harness.store import Run


@pytest.fixture
def bench(attached, nano33, tmp_path, monkeypatch):
    """Return a maker of a session with that one board, whose waits are short."""
    for function, name, value in (
        (open_patiently, "pause_s", 0.0),
        (UsbPower.__init__, "return_s", 0.3),
        (UsbPower.__init__, "off_s", 0.0),
    ):
        monkeypatch.setitem(function.__kwdefaults__, name, value)
    made = []

    def make(retries=1, **keys):
        device = attached.device(nano33, **keys)
        lab = Lab(path=None, sha256=None, kinds=(device.kind,), devices=(device,))
        options = Options(("bench",), "hardware", None, tmp_path / "results", 5, retries)
        made.append(Session(options, Access(lab), (Target("bench", "hardware", (device,), ("said the test",)),)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def log_of(bench):
    return (bench.run.path / "logs" / "bench.log").read_text()


# ---- a board that can't be opened


@pytest.mark.slow
def test_a_missing_port_is_brought_back_by_a_power_cycle(attached, bench, suite):
    attached.attached = lambda: attached.hub_calls == ["off", "on"]
    session = bench(power_cycle=attached.hub())
    row, _ = session.measure(session.targets[0], suite, suite.variant("int8"), None)
    assert (row["status"], row["samples"], row["attempts"]) == ("complete", 5, 3)
    log = log_of(session)
    assert "attempt 1: bench: no serial port has USB serial number 42; attached: none" in log
    assert "(next: opening again)" in log
    assert "(next: power cycle)" in log


def test_a_probe_that_is_gone_is_brought_back_by_a_power_cycle(attached, bench, suite, monkeypatch):
    real = VirtualProbe.get_probe_with_id
    monkeypatch.setattr(
        VirtualProbe,
        "get_probe_with_id",
        lambda uid, is_explicit=False: real(uid, is_explicit) if attached.hub_calls == ["off", "on"] else None,
    )
    session = bench(power_cycle=attached.hub())
    row, _ = session.measure(session.targets[0], suite, suite.variant("int8"), None)
    assert (row["status"], row["samples"], row["attempts"]) == ("complete", 5, 3)
    assert f"attempt 1: bench: its probe {attached.twin.probe_uid} is not attached" in log_of(session)


def test_a_board_that_stays_away_is_given_up(attached, bench, suite):
    attached.attached = lambda: False
    session = bench(power_cycle=attached.hub())
    with pytest.raises(BoardError, match=r"bench: not back 0.3 s after uhubctl .* \(attempt 3 of 3\)"):
        session.measure(session.targets[0], suite, suite.variants[0], None)
    with pytest.raises(BoardError, match=r"bench: not tried again in this run, because it was given up: .*not back"):
        session.measure(session.targets[0], suite, suite.variants[1], None)
    assert attached.hub_calls == ["off", "on"]
    assert [(row["status"], row["attempts"]) for row in session.run.rows] == [("failed", 3), ("failed", 0)]
    assert all(row["build_id"] is None for row in session.run.rows)


def test_without_a_hub_it_is_only_opened_again(attached, bench, suite):
    attached.attached = lambda: False
    session = bench(retries=2)
    with pytest.raises(BoardError, match=r"no serial port has USB serial number 42.*\(attempt 3 of 3\)"):
        session.measure(session.targets[0], suite, suite.variants[0], None)
    assert attached.hub_calls == []


@pytest.mark.slow
def test_a_probe_that_is_busy_for_a_moment(bench, suite, monkeypatch):
    real, left = VirtualProbe.open, [1]

    def claim(probe):
        if left[0]:
            left[0] -= 1
            raise exceptions.ProbeError("Unable to claim interface for probe 42")
        real(probe)

    monkeypatch.setattr(VirtualProbe, "open", claim)
    session = bench()
    row, _ = session.measure(session.targets[0], suite, suite.variant("int8"), None)
    assert (row["status"], row["attempts"]) == ("complete", 2)
    assert "attempt 1: bench: opening the probe failed: Unable to claim interface for probe 42" in log_of(session)


@pytest.mark.slow
def test_a_failure_in_the_case_goes_on_counting_where_opening_ended(attached, bench, suite):
    left = [1]

    def attached_later():
        left[0] -= 1
        return left[0] < 0

    attached.attached = attached_later
    session = bench(retries=2)
    failures = [1]

    def progress(stage, done, _total):
        if stage == "measure" and done == 3 and failures:
            failures.pop()
            raise BoardError("bench: shaken")

    row, _ = session.measure(session.targets[0], suite, suite.variant("int8"), progress)
    assert (row["status"], row["samples"], row["attempts"]) == ("complete", 5, 3)


def test_the_power_of_another_run_s_board_is_left_alone(attached, bench, suite):
    session = bench(power_cycle=attached.hub())
    words = r"bench: port 42 is in use by \S+ \(.*; this program on "
    with Lease("other", "port", "42"), pytest.raises(BusyError, match=words):
        session.measure(session.targets[0], suite, suite.variants[0], None)
    assert attached.hub_calls == []
    row, _ = session.measure(session.targets[0], suite, suite.variant("int8"), None)  # and it is not given up
    assert row["status"] == "complete"


def test_two_boards_on_one_probe_are_two_too_many(attached, nano33):
    words = r"bench: probe virtual:bench-\S+ is in use by "
    with open_board(attached.device(nano33), "hardware"), pytest.raises(BusyError, match=words):
        open_board(attached.device(nano33), "hardware")
    open_board(attached.device(nano33), "hardware").close()


# ---- in a case


def test_the_port_comes_back_under_another_name_in_mid_case(attached, nano33, suite, tmp_path):
    device, moved = attached.device(nano33), []

    def progress(stage, done, _total):
        if stage == "measure" and done == 3 and not moved:
            moved.append(attached.twin.port)
            with attached.twin.machine.paused():
                attached.twin.replace_port()

    with open_board(device, "hardware") as board, Run.create(tmp_path / "results", {"seed": 0}) as run:
        row = run_case(board, suite, suite.variant("int8"), suite.load_data(5), run, on_progress=progress)
        assert board.port == attached.twin.port != moved[0]
    assert (row["status"], row["samples"], row["attempts"]) == ("complete", 5, 2)
    log = (run.path / "logs" / "bench.log").read_text()
    assert f"attempt 1: bench: serial port {moved[0]} is gone" in log
    assert f"serial port {moved[0]} came back as {attached.twin.port}" in log


def test_power_is_seen_to_go_where_only_the_board_hangs_on_the_hub(attached, nano33):
    """Probe and serial adapter have cables of their own: they stay, and only the CPU falls silent."""
    device = attached.device(nano33, power_cycle=attached.hub())

    def cut(_name):
        if attached.hub_calls[-1:] == ["off"]:
            raise exceptions.TransferError("no ACK")

    attached.own_cable = True
    attached.twin.dap.before_transfer = cut
    with open_board(device, "hardware") as board:
        board.power_cycle()
        assert attached.hub_calls == ["off", "on"]
        assert board.read_memory(0x10000060, 8) == attached.twin.chip_id.to_bytes(8, "little")


def test_a_flash_program_that_fails_leaves_the_probe_open(attached, nano33, image, tmp_path):
    tool = tmp_path / "power" / "flasher"
    tool.write_text("#!/bin/sh\necho no chip >&2\nexit 1\n")
    tool.chmod(0o755)
    flasher = CommandFlasher.model_validate({"command": ["flasher", "{image}"]})
    with open_board(attached.device(nano33), "hardware") as board:
        start_image(board, image, Link(board.link(), board.name))
    with open_board(attached.device(nano33, flasher=flasher), "hardware") as board:
        link = Link(board.link(), board.name)
        with pytest.raises(FlashError, match=r"ended with code 1\. Its last lines: no chip"):
            board.flash(image)
        assert board.read_memory(image.segments[0].address, 64) == image.segments[0].data[:64]
        board.reset()
        assert link.connect().build_id == image.build_id
