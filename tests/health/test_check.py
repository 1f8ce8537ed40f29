"""The health check on virtual boards: a good one passes, one that hangs, vanishes or lies doesn't."""

from __future__ import annotations

import pytest

from harness.config import Lab
from harness.errors import ConfigError
from harness.health.book import open_book
from harness.health.check import check_board, suites_in, task_for
from harness.run.access import Access


@pytest.fixture
def lab(tmp_path, root):
    """A lab of three virtual boards, with the shipped suites and images."""
    for folder in ("suites", "firmware"):
        (tmp_path / folder).symlink_to(root / folder)
    boards = "".join(f"  bench-{number}: {{kind: nano33, backend: virtual}}\n" for number in (1, 2, 3))
    (tmp_path / "devices.yaml").write_text(f"farm: {{state: state}}\ndevices:\n{boards}")
    return Lab.load(tmp_path / "devices.yaml")


@pytest.fixture
def check(lab, tmp_path):
    """Check a board, the first one if nothing else is said, with faults."""

    def check(*faults, number=1):
        device = lab.devices[number - 1].model_copy(update={"faults": faults})
        return check_board(lab, device, Access(lab), tmp_path / "results")

    return check


@pytest.fixture
def book(lab, tmp_path):
    return open_book(lab, tmp_path / "results")


@pytest.mark.usefixtures("patient_check")
def test_a_good_board_passes_and_is_described(check, book, monkeypatch):
    monkeypatch.setenv("HIL_HOST", "lab-1")
    done = check()
    trial = done.trial
    assert done.ok, done.reason
    assert (trial.purpose, trial.device, trial.suite, trial.variant) == ("check", "bench-1", "fashion_mnist", "int8")
    assert (trial.counter, trial.clock_hz, trial.retransmissions) == ("instructions", 64_000_000, 0)
    assert (trial.host, len(trial.board_uid)) == ("lab-1", 16)
    assert len(done.outputs.crcs) == len(done.outputs.ticks) == 20
    assert done.reason == "20 inputs twice, equal answers, 0 frames sent again"
    assert book.checks.all() == [done]
    assert book.trials() == (trial,)


@pytest.mark.slow
@pytest.mark.usefixtures("patient_check")
def test_a_counter_that_goes_round_is_no_fault(check):
    """The agent subtracts modulo 2^32, so the ticks are right: the sibling's are the witness."""
    assert check("board.wrap,inference=1,times=0", number=2).outputs == check().outputs


def test_a_lab_without_images_says_what_is_missing(tmp_path, nano33):
    with pytest.raises(ConfigError, match="no int8 image for the kind nano33"):
        task_for(nano33.kind, suites_in(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "error", "reason"),
    [
        ("board.hang", "LinkError", "doesn't answer as it should"),
        ("board.hardfault", "BoardFaultError", "stopped: imprecise bus error"),
        ("board.watchdog", "BoardResetError", "reset in the middle"),
        ("serial.vanish,after=1300", "LinkError", "is gone"),
        ("serial.silence=0,after=1300", "LinkError", "doesn't answer as it should"),
        ("serial.flip=1e-4,seed=1", "LinkError", "repaired"),
        ("serial.baud=115200", "LinkError", "baud rate"),
        ("swd.unplug,times=0", "ProbeError", "unplugged"),
        ("swd.stuck=0x10400,times=0", "FlashError", "reads 0xFF"),
        ("swd.locked", "LockedError", "locked"),
        ("board.slip=1000,inference=7", "MeasurementError", "doesn't repeat: in the second round 1 of 20 inputs took"),
    ],
)
def test_a_board_with_a_fault_fails(check, fault, error, reason):
    done = check(fault)
    assert (done.ok, done.outputs, done.trial.outcome, done.trial.error) == (False, None, "failed", error), done.reason
    assert reason in done.reason


@pytest.mark.slow
@pytest.mark.usefixtures("patient_check")
def test_a_board_that_lies_every_time_is_told_by_its_siblings_and_two_passed_checks_release_it(check, book):
    lie = "board.slip=1000,inference=1,times=0"
    assert check(lie, number=3).ok, "alone, nothing shows it"
    assert not check().ok, "of two boards that differ nobody knows which one lies"
    assert book.review() == ()
    assert all(check(number=number).ok for number in (3, 2, 1))
    done = check(lie, number=3)
    assert done.trial.error == "MeasurementError"
    assert "other answers than 2 boards of its kind gave: 20 of 20 inputs took another number of" in done.reason
    found = book.quarantined("bench-3")
    assert found.reason.startswith("wrong answers: bench-3: other answers than 2 boards of its kind gave")
    assert not check(lie, number=3).ok
    assert [test.ok for test in book.quarantined("bench-3").tests] == [False]
    assert check(number=3).ok
    assert book.quarantined("bench-3").passed == 1
    assert check(number=3).ok
    assert book.quarantined("bench-3") is None
    assert {one.health.device: one.health.state for one in book.all()} == dict.fromkeys(
        ("bench-1", "bench-2", "bench-3"), "well"
    )


@pytest.mark.slow
def test_a_board_that_hangs_is_quarantined_after_three_checks_and_the_others_are_not(check, book):
    assert check().ok
    for _ in range(3):
        assert book.quarantined("bench-2") is None
        assert not check("board.hang", number=2).ok
    assert "3 cases failed in a row" in book.quarantined("bench-2").reason
    assert book.quarantined("bench-1") is None


def test_a_board_of_another_host_is_checked_there(lab):
    lab.path.write_text("devices: {far: {kind: nano33, backend: virtual, host: lab-9}}\n")
    far = Lab.load(lab.path)
    with pytest.raises(ConfigError, match=r"far is attached to lab-9, and this is .*: check it there"):
        check_board(far, far.devices[0], Access(far))
