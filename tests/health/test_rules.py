"""The rules: which boards are taken out of use, on which grounds, and which are not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fakes.made_trials import START, Night
from harness.config.health import HealthRules
from harness.health.rules import Health, judge
from harness.metrics.shares import wilson_interval

RULES = HealthRules()
MORNING = START + timedelta(hours=10)


@pytest.fixture
def night():
    return Night()


def run(device, trials, now=MORNING, since=None):
    health = judge(trials, RULES, now, {device: since} if since else None).get(device, Health(device))
    return health, health.grounds


def test_a_board_nobody_knows(night):
    health, grounds = run("a", [night("b")])
    assert (health.state, health.cases, health.rate, health.attempts, health.last) == ("unknown", 0, None, None, None)
    assert grounds == ()


def test_a_good_board(night):
    health, grounds = run("a", [night("a", attempts=2, retransmissions=4), night("a", retransmissions=0), night("a")])
    assert (health.state, health.cases, health.in_a_row) == ("well", 3, 0)
    assert (health.rate.ok, health.rate.low, health.rate.high) == (3, *wilson_interval(3, 3))
    assert (health.attempts, health.retransmissions) == (4 / 3, 2)
    assert grounds == health.notes == ()


def test_three_counted_failures_in_a_row(night):
    trials = [night("a"), *(night("a", "int8", "LinkError") for _ in range(2))]
    health, grounds = run("a", trials)
    assert (health.state, health.in_a_row, grounds) == ("suspect", 2, ())
    trials.append(night("a", "int8", "LinkError"))
    health, (ground,) = run("a", trials)
    assert "3 cases failed in a row" in ground.reason
    assert "the last: LinkError on a" in ground.reason
    assert ground.evidence == ("night#1", "night#2", "night#3")
    assert health.notes == (ground.reason,)


def test_a_success_in_between_ends_the_row(night):
    errors = ("LinkError", "LinkError", None, "LinkError")
    health, grounds = run("a", [night("a", "int8", error) for error in errors])
    assert (health.in_a_row, grounds) == (1, ())


def test_failures_of_a_bad_image_are_not_held_against_the_board(night):
    trials = [night(board, "bad", "LinkError") for _ in range(9) for board in "ab"]
    health, grounds = run("a", trials)
    assert (grounds, health.excused, health.rate) == ((), 9, None)
    assert health.notes == ("image bad is suspect: it failed on a, b and has worked on none",)


def test_a_bad_board_among_them_is_found_all_the_same(night):
    trials = [night(board, "good", "ProbeError" if board == "b" else None) for _ in range(3) for board in "ab"]
    trials += [night(board, "bad", "LinkError") for _ in range(3) for board in "ab"]
    assert run("a", trials)[1] == ()
    (ground,) = run("b", trials)[1]
    assert "3 cases failed in a row" in ground.reason
    assert ground.evidence == ("night#1", "night#3", "night#5")


def test_one_board_alone_is_undecided_and_says_so(night):
    health, grounds = run("a", [night("a", image, "LinkError") for image in "xyz"])
    assert (health.state, health.undecided, grounds) == ("suspect", 3, ())
    assert health.notes[0].startswith("undecided: 3 failures with 3 images that have worked nowhere")
    assert "`hil health a --check`" in health.notes[0]


@pytest.mark.parametrize(("ok", "cases", "out"), [(4, 5, False), (3, 5, True), (16, 20, False), (15, 20, True)])
def test_the_success_rate_is_judged_by_the_upper_end_of_its_interval(night, ok, cases, out):
    assert (wilson_interval(ok, cases)[1] < 0.9) == out
    # Failures are spread, so that they aren't in a row.
    failing = {round(number * cases / (cases - ok)) for number in range(cases - ok)}
    trials = [night("b"), *(night("a", "int8", "LinkError" if n in failing else None) for n in range(cases))]
    health, grounds = run("a", trials)
    assert (health.recent.ok, health.recent.cases) == (ok, cases)
    assert bool(grounds) == out
    if out:
        assert f"{ok} of the last {cases} cases worked" in grounds[0].reason
        assert len(grounds[0].evidence) == cases - ok


def test_only_the_last_twenty_cases_make_the_rate(night):
    bad = [night("a", "int8", "LinkError" if n % 2 else None) for n in range(40)]
    assert run("a", bad)[1]
    health, grounds = run("a", [*bad, *(night("a") for _ in range(20))])
    assert (grounds, health.recent.share, health.rate.ok) == ((), 1.0, 40)


def test_what_is_older_than_the_window_is_forgotten(night):
    trials = [night("a"), *(night("a", "int8", "LinkError") for _ in range(5))]
    assert run("a", trials)[1]
    health, grounds = run("a", trials, now=START + timedelta(days=31))
    assert (health.state, grounds) == ("unknown", ())


def test_what_was_before_the_release_is_not_held_against_it_again(night):
    trials = [night("a", board_uid="A"), *(night("a", "int8", "LinkError") for _ in range(5))]
    released = trials[-1].when + timedelta(seconds=1)
    later = [night("a", board_uid="B"), night("a", "int8", "LinkError")]
    health, grounds = run("a", [*trials, *later], since=released)
    assert (grounds, health.in_a_row, health.cases) == ((), 1, 8)


def test_another_chip_under_the_same_name(night):
    trials = [night("a", board_uid="A" * 16), night("a", "int8", "LinkError"), night("a", board_uid="B" * 16)]
    (ground,) = run("a", trials)[1]
    assert ground.reason.startswith(
        f"the board was swapped: chip {'B' * 16} answered on 2026-03-01 22:02 UTC, chip AAAA"
    )
    assert ground.evidence == ("night#0", "night#2")


def test_a_chip_without_an_id_is_not_another_one(night):
    assert run("a", [night("a", board_uid="A"), night("a", board_uid="0" * 16), night("a", board_uid="A")])[1] == ()


def test_another_backend_is_another_board(night):
    real = [night("a", board_uid="A"), *(night("a", "int8", "LinkError", backend="virtual") for _ in range(3))]
    assert run("a", [*real, night("a", board_uid="A")])[1] == ()


def test_drift_is_a_ground_and_only_for_the_board_that_drifts(night):
    trials = [night(board, ticks_median=1000.0 + 50 * (board == "c"), counter="cycles") for board in "abc"]
    assert run("a", trials)[1] == run("b", trials)[1] == ()
    health, (ground,) = run("c", trials)
    assert ground.reason.startswith("drift: 1,050 cycles")
    assert ground.evidence == ("night#2",)
    assert health.drift[0].finding


def test_wrong_answers_in_a_check_are_enough(night):
    wrong = night("a", "known", "MeasurementError", purpose="check", run=None)
    (ground,) = run("a", [wrong])[1]
    assert ground.reason == "wrong answers: MeasurementError on a"
    assert ground.evidence == ("check 2026-03-01T22:00:00.000000+00:00",)
    assert run("a", [wrong, night("a", "known", purpose="check")])[1] == ()


def test_where_cases_failed_and_how_long_they_took(night):
    errors = ["LinkError", "ProbeError", "FlashError", "BoardFaultError", None]
    trials = [night("a", "int8", error, duration_s=6.0) for error in errors]
    trials += [night("b", duration_s=2.0), night("b", "other", duration_s=50.0)]
    health, _ = run("a", trials)
    assert health.failures == {"link": 0.2, "probe": 0.2, "flash": 0.2, "other": 0.2}
    assert health.duration == 3.0
    assert run("b", [night("b", duration_s=1.0)])[0].duration is None
