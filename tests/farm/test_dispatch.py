"""Which board a case goes to next, and whose fault a failure was."""

from __future__ import annotations

import pytest

from harness.farm.dispatch import BOARDS, DEATHS, Try, failures_in_a_row, limit_s, next_case, standings
from harness.farm.night import PlannedCase

BENCH = ("b1", "b2", "b3", "b4", "b5")


def case(number, devices=BENCH, seconds=None):
    return PlannedCase(
        number, "s.yaml", "digits", f"v{number}", "nano33", "nano33", "nano33", "virtual", devices, seconds, None
    )


def failed(number, device, error="LinkError"):
    return Try(number, device, "failed", error, "no ACK")


TWO = (case(0), case(1))


def given(device, tries=(), *, cases=TWO, done=(), running=(), others=(), left_s=3600.0):
    """The number of the case that a board gets."""
    found = next_case(device, cases, standings(tries, done), running, others, left_s)
    return None if found is None else found.number


def test_a_free_board_gets_the_first_case_that_nobody_has():
    assert given("b1") == 0
    assert given("b1", running={0}) == 1
    assert given("b1", done={0}, running={1}) is None
    assert given("b9") is None  # a board that none of them was planned for


def test_a_board_doesnt_try_a_case_twice_and_another_one_does():
    assert given("b1", [failed(0, "b1")]) == 1
    assert given("b2", [failed(0, "b1")]) == 0


def test_a_case_that_ran_on_three_boards_and_failed_is_the_images():
    tries = [failed(0, name) for name in BENCH[:BOARDS]]
    assert given("b4", tries) == 1
    assert given("b4", tries[:-1]) == 0


@pytest.mark.parametrize("error", ["ProbeError", "FlashError"])
def test_what_no_image_can_do_counts_against_none(error):
    assert given("b5", [failed(0, name, error) for name in BENCH[:4]]) == 0


def test_a_board_that_failed_where_another_one_didnt_is_bad_and_speaks_against_no_image():
    tries = [*[failed(0, name) for name in BENCH[:BOARDS]], failed(1, "b1")]
    assert given("b4", tries, done={1}) == 0  # b1 is bad, so two boards doubt case 0


def test_a_suspect_board_leaves_what_failed_elsewhere_to_one_that_hasnt_failed():
    tries = [failed(0, "b1"), failed(1, "b2")]
    assert given("b2", tries, others=["b3"], cases=[case(0)]) is None
    assert given("b2", tries, others=["b1"], cases=[case(0)]) == 0
    assert given("b2", tries, others=["b3"], cases=[case(0), case(2)]) == 2
    assert given("b2", [*tries, failed(0, "b3")], others=["b3"], cases=[case(0)]) == 0  # b3 has had it


def test_workers_may_die_of_something_else_but_not_for_ever():
    deaths = [Try(0, "b1", "lost")] * DEATHS
    assert given("b1", deaths) == 1
    assert given("b1", deaths[1:]) == 0


def test_what_doesnt_fit_the_time_isnt_begun():
    cases = [case(0, seconds=100.0), case(1, seconds=10.0)]
    assert given("b1", cases=cases, left_s=101.0) == 0
    assert given("b1", cases=cases, left_s=50.0) == 1
    assert given("b1", left_s=0.0) is None


def test_failures_in_a_row_are_the_boards_unless_siblings_failed_too():
    assert failures_in_a_row("b1", [failed(0, "b1"), failed(1, "b1"), Try(2, "b1", "lost")]) == 3
    assert failures_in_a_row("b1", [failed(0, "b1"), Try(1, "b1", "done"), failed(2, "b1")]) == 1
    assert failures_in_a_row("b1", [failed(0, "b1"), failed(0, "b2"), failed(1, "b1")]) == 1
    assert failures_in_a_row("b1", [failed(0, "b1"), failed(0, "b2"), Try(0, "b3", "done")]) == 1
    assert failures_in_a_row("b1", [failed(-1, "b1"), Try(0, "b1", "unavailable"), failed(-1, "b1")]) == 2


def test_a_case_hangs_after_many_times_what_it_took():
    assert limit_s(case(0)) == 900.0
    assert limit_s(case(0, seconds=100.0)) == 2000.0
