"""The health check on virtual boards: a good one passes, one that hangs, vanishes or lies doesn't."""

from __future__ import annotations

import pytest

from fakes.made_events import START
from harness.config import Lab
from harness.config.health import HealthRules
from harness.errors import ConfigError
from harness.health.check import check_board, suites_in, task_for
from harness.health.known_outputs import Answers
from harness.health.retest import open_book, retest


@pytest.fixture
def lab(tmp_path, root):
    """A lab of three virtual boards, with the shipped suites and images."""
    for folder in ("suites", "firmware"):
        (tmp_path / folder).symlink_to(root / folder)
    boards = "".join(f"  bench-{number}: {{kind: nano33, backend: virtual}}\n" for number in (1, 2, 3))
    (tmp_path / "devices.yaml").write_text(f"farm: {{state: state}}\ndevices:\n{boards}")
    return Lab.load(tmp_path / "devices.yaml")


@pytest.fixture
def check(lab):
    """Check the first board, with faults."""

    def check(*faults, siblings=()):
        task = task_for(lab.devices[0].kind, suites_in(lab.path.parent))
        return check_board(
            lab.devices[0], "virtual", task, siblings, HealthRules(), host="rack", clock=lambda: START, faults=faults
        )

    return check


@pytest.mark.usefixtures("patient_check")
def test_a_good_board_passes_and_is_described(check):
    done = check()
    event = done.event
    assert done.ok, done.reason
    assert (event.purpose, event.device, event.suite, event.variant) == ("check", "bench-1", "basic_motions", "int8")
    assert (event.counter, event.clock_hz, event.retransmissions, event.when) == ("instructions", 64_000_000, 0, START)
    assert len(event.board_uid) == 16
    assert len(done.answers.crcs) == len(done.answers.ticks) == 20
    assert done.reason == "20 inputs twice, equal answers, 0 frames sent again"
    assert check(siblings=(done.answers,)).ok


@pytest.mark.usefixtures("patient_check")
def test_a_counter_that_goes_round_is_no_fault(check):
    """The agent subtracts modulo 2^32, so the ticks are right."""
    assert check("board.wrap,inference=1,times=0", siblings=(check().answers,)).ok


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
        ("serial.vanish,after=2000", "LinkError", "is gone"),
        ("serial.silence=0,after=2000", "LinkError", "doesn't answer as it should"),
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
    assert (done.ok, done.answers, done.event.outcome, done.event.error) == (False, None, "failed", error), done.reason
    assert reason in done.reason


@pytest.mark.slow
@pytest.mark.usefixtures("patient_check")
def test_a_board_that_lies_every_time_is_told_by_its_siblings(check):
    right = check().answers
    assert check("board.slip=1000,inference=1,times=0").ok, "alone, nothing shows it"
    done = check("board.slip=1000,inference=1,times=0", siblings=(right, right))
    assert done.event.error == "MeasurementError"
    assert "other answers than 2 boards of its kind gave: 20 of 20 inputs took another number of" in done.reason
    other = Answers(tuple(crc ^ 1 for crc in right.crcs), right.ticks)
    assert "the output of 20 of 20 inputs is another one" in check(siblings=(other, other)).reason


@pytest.mark.slow
@pytest.mark.usefixtures("patient_check")
def test_a_lying_board_is_quarantined_and_two_passed_checks_release_it(lab):
    liar = lab.devices[2]
    lie = ("board.slip=1000,inference=1,times=0",)
    assert all(retest(lab, device).ok for device in lab.devices)
    assert open_book(lab).review() == ()
    assert not retest(lab, liar, faults=lie).ok
    found = open_book(lab).quarantined("bench-3")
    assert found.reason.startswith("wrong answers: bench-3: other answers than 2 boards of its kind gave")
    assert not retest(lab, liar, faults=lie).ok
    assert [test.ok for test in open_book(lab).quarantined("bench-3").tests] == [False]
    assert retest(lab, liar).ok
    assert open_book(lab).quarantined("bench-3").passed == 1
    assert retest(lab, liar).ok
    assert open_book(lab).quarantined("bench-3") is None
    assert {one.health.device: one.health.state for one in open_book(lab).all()} == dict.fromkeys(
        ("bench-1", "bench-2", "bench-3"), "well"
    )


@pytest.mark.slow
def test_a_board_that_hangs_is_quarantined_after_three_checks_and_the_others_are_not(lab):
    good, bad = lab.devices[:2]
    assert retest(lab, good).ok
    for _ in range(3):
        assert open_book(lab).quarantined("bench-2") is None
        assert not retest(lab, bad, faults=("board.hang",)).ok
    assert "3 cases failed in a row" in open_book(lab).quarantined("bench-2").reason
    assert open_book(lab).quarantined("bench-1") is None


def test_a_board_of_another_host_is_checked_there(lab):
    lab.path.write_text("devices: {far: {kind: nano33, backend: virtual, host: rack-9}}\n")
    far = Lab.load(lab.path)
    with pytest.raises(ConfigError, match=r"far is attached to rack-9, and this is .*: check it there"):
        retest(far, far.devices[0])
