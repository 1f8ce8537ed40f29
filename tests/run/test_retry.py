"""What follows a failure, step by step: on the virtual board with a line or probe that fails for a while."""

from __future__ import annotations

import textwrap

import pytest
from pyocd.core import exceptions

from fakes.stale_image import zero_weights
from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.boards.usb_power import UsbPower
from harness.config.access import UsbHub
from harness.errors import BoardError, EmulatorError, FlashError, LinkError, ProbeError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.run.boards import Reliability
from harness.run.case import run_case
from harness.run.options import Options
from harness.run.retry import Step, choose, plan
from harness.run.session import Session
from harness.store import Run, load_results


@pytest.fixture
def measure(board, suite, tmp_path):
    """Run the int8 variant on five inputs; return its row, its predictions and the board's log."""

    def measure(error=None, **options):
        with Run.create(tmp_path / "results", {"seed": 0}) as run:
            arguments = (board, suite, suite.variant("int8"), suite.load_data(5), run)
            if error is None:
                run_case(*arguments, **options)
            else:
                with pytest.raises(error):
                    run_case(*arguments, **options)
        results = load_results(run.path)
        log = run.path / "logs" / f"{board.name}.log"
        return results.cases.iloc[0], results.samples.prediction.tolist(), log.read_text() if log.exists() else ""

    return measure


def fail_after(board, attempt_failures):
    """Let the measuring of the first attempts end with an unplugged port."""
    left = [attempt_failures]

    def progress(stage, done, _total):
        if stage == "measure" and done == 3 and left[0]:
            left[0] -= 1
            raise LinkError(f"{board.name}: serial port is gone")

    return progress


def test_the_steps():
    assert plan(0, power=True) == ()
    assert plan(1, power=False) == (Step.RESET,)
    assert plan(3, power=True) == (Step.RESET, Step.REFLASH, Step.REFLASH, Step.POWER_CYCLE)
    assert choose(Step.RESET, LinkError(""), answered=True) is Step.RESET
    assert choose(Step.RESET, LinkError(""), answered=False) is Step.REFLASH
    for lost in (FlashError(""), ProbeError(""), EmulatorError("")):
        assert choose(Step.RESET, lost, answered=True) is Step.REFLASH
    assert choose(Step.POWER_CYCLE, LinkError(""), answered=True) is Step.POWER_CYCLE


def test_first_a_reset_then_a_fresh_flash(measure, board):
    clean = measure()[1]
    row, predictions, log = measure(on_progress=fail_after(board, 2))
    assert (row.status, row.attempts, predictions) == ("complete", 3, clean)
    assert "(next: reset)" in log
    assert "(next: reflash)" in log


@pytest.mark.slow
def test_a_virtual_board_that_fails_inside_is_replaced_at_once(measure, board):
    """As often as there are retries: none is spent on the reset of a chip that nothing emulates any more."""
    left = [2]

    def broken():
        raise RuntimeError("not thought of")

    def progress(stage, done, _total):
        if stage == "measure" and done == 2 and left[0]:
            left[0] -= 1
            board.twin.machine._turn = broken

    clean = measure()[1]
    row, predictions, log = measure(retries=2, on_progress=progress)
    assert (row.status, row.attempts, predictions) == ("complete", 3, clean)
    assert (
        log.count("the virtual board failed inside (RuntimeError('not thought of')), so another one was started") == 2
    )


@pytest.mark.usefixtures("patient")
def test_second_case_on_the_same_image_skips_flashing(measure):
    assert "skipped" not in measure()[2]
    row, _, log = measure()
    assert "flashing fashion_mnist_int8.elf skipped: its flash was read and is equal" in log
    assert (row.status, row.flashing) == ("complete", "compared")
    row, _, log = measure(force_flash=True)
    assert "skipped" not in log
    assert row.flashing == "written"


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_who_flashes_the_board_between_two_attempts_is_found_out(measure, board, image, tmp_path):
    """The same firmware with other weights takes the image's place while the board is recovered by a reset."""
    clean = measure()[1]
    stale = load_image(zero_weights(image.path, tmp_path / "stale.elf"))
    fail = fail_after(board, 1)

    def progress(stage, done, total):
        try:
            fail(stage, done, total)
        except LinkError:
            board.flash(stale)
            raise

    row, predictions, log = measure(on_progress=progress)
    assert "(next: reset)" in log
    assert (row.status, row.attempts, row.flashing, predictions) == ("complete", 2, "written", clean)


@pytest.mark.slow
def test_another_image_is_flashed(board, prebuilt):
    int8, float32 = (load_image(prebuilt / f"fashion_mnist_{name}.elf") for name in ("int8", "float32"))
    for image in (int8, float32, int8):
        assert start_image(board, image, Link(board.link(), board.name), force=False).build_id == image.build_id
    assert board.notes == []


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_port_of_another_board_that_runs_the_same_image(nano33, prebuilt):
    """Probe and port are swapped, and both boards have the image: the reset doesn't reach who answers."""
    image = load_image(prebuilt / "fashion_mnist_int8.elf")
    with open_board(nano33, "virtual") as one, open_board(nano33, "virtual") as other:
        for board in (one, other):
            start_image(board, image, Link(board.link(), board.name))
        other.link().close()
        one.link().gone = True
        one.locate_port = lambda: other.port
        with pytest.raises(
            FlashError, match=r"what answers on its serial port was not .* another board than the probe"
        ):
            start_image(one, image, Link(one.link(), "one"), force=False)


def test_power_cycle_is_the_last_step(measure, board, tmp_path, monkeypatch):
    device, calls = tmp_path / "device", tmp_path / "calls"
    device.touch()
    tool = tmp_path / "uhubctl"
    tool.write_text(f'#!/bin/sh\necho "$6" >> {calls}\n[ "$6" = off ] && rm {device} || touch {device}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    board.power = UsbPower(board.name, UsbHub(location="1-1", port=3), device.exists, off_s=0.0)
    row, predictions, log = measure(retries=1, on_progress=fail_after(board, 2))
    assert (row.status, row.attempts, len(predictions)) == ("complete", 3, 5)
    assert "(next: power cycle)" in log
    assert calls.read_text() == "off\non\n"


@pytest.mark.slow
def test_power_that_can_not_be_switched_ends_the_case(measure, board, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    board.power = UsbPower(board.name, UsbHub(location="1-1", port=3), lambda: True)
    row, _, log = measure(BoardError, retries=1, on_progress=fail_after(board, 2))
    assert row.status == "failed"
    assert "uhubctl is not installed" in row.reason
    assert "(given up)" in log


def test_a_board_that_is_lost_is_given_up(suite, tmp_path):
    options = Options(("nano33",), "virtual", None, tmp_path / "results", 5, 1)
    bench = Session.build(options)
    device = bench.devices[0]
    board = bench.boards.board(device)

    def unplugged(_name):
        raise exceptions.ProbeError("unplugged")

    board.twin.dap.before_transfer = unplugged
    with pytest.raises(BoardError, match=r"attempt 2 of 2"):
        bench.measure(bench.targets[0], suite, suite.variants[0], None)
    transfers = board.twin.dap.transfers
    with pytest.raises(BoardError, match=r"nano33: not tried again in this run, because it was given up: .*failed"):
        bench.measure(bench.targets[0], suite, suite.variants[1], None)
    assert board.twin.dap.transfers == transfers
    board.twin.dap.before_transfer = None
    bench.close()
    assert [row["status"] for row in bench.run.rows] == ["failed", "failed"]


def test_what_speaks_against_a_board():
    standing = Reliability()
    standing.failed(LinkError("hang"), answered=True)
    standing.failed(LinkError("silent"), answered=False)
    standing.worked()
    standing.failed(LinkError("silent"), answered=False)
    standing.check("bench")
    standing.failed(LinkError("silent again"), answered=False)
    with pytest.raises(BoardError, match="silent again"):
        standing.check("bench")
    lost = Reliability()
    lost.failed(ProbeError("unplugged"), answered=True)
    with pytest.raises(BoardError, match="unplugged"):
        lost.check("bench")


def test_lab_keys(tmp_path):
    from harness.config import Lab

    path = tmp_path / "devices.yaml"
    path.write_text(
        textwrap.dedent("""
            devices:
              a:
                kind: nano33
                probe: "1"
                serial: {dtr: false}
                power_cycle: {uhubctl: {location: "1-1.4", port: 3}}
        """)
    )
    device = Lab.load(path).devices[0]
    assert (device.serial.dtr, device.serial.rts) == (False, None)
    assert (device.power_cycle.uhubctl.location, device.power_cycle.uhubctl.port) == ("1-1.4", 3)
