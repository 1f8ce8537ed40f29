from __future__ import annotations

import pytest

from harness.report.estimates import estimated_time, said_of_ratio

INTEGER, FLOAT = "integer", "float"
WORDS = "-7 to +3 % (integer code, zero wait states)", "not validated: float code"


def case(cycles, code=INTEGER, **more):
    alike = {"board": "nano33", "backend": "virtual", "engine": "e", "cycle_model": "m-1"}
    return alike | {"estimated_cycles_median": cycles, "estimated_cycles_code": code} | more


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (case(1000), case(1049), "too close to call"),
        (case(1000), case(951), "too close to call"),
        (case(1000), case(1100), "1.10x"),
        (case(1000, FLOAT), case(500, FLOAT), "fewer, 0.45 to 0.55x"),  # a tenth either way
        (case(1000, FLOAT), case(1090, FLOAT), "too close to call"),  # 0.98 to 1.20
        (case(1000, FLOAT), case(500), "fewer, 0.40 to 0.62x"),  # a fifth down, a quarter up
        (case(1000), case(2000, FLOAT), "more, 1.60 to 2.50x"),
        (case(1000, FLOAT), case(850), "too close to call"),  # 0.68 to 1.06
        (case(1000), case(500, board="another"), None),
        (case(1000), case(500, engine="another"), None),
        (case(1000), case(500, cycle_model="m-2"), None),
        (case(1000), case(None), None),
        (case(1000), case(500, None), None),  # results of an older harness don't say which code it is
        # Words say nothing to the verdict: here they give another reason for not being validated.
        (case(1000, FLOAT, estimated_cycles_error="not validated: costs"), case(500), "fewer, 0.40 to 0.62x"),
    ],
)
def test_what_is_said_of_two_estimates(before, after, said):
    assert said_of_ratio(before, after) == said


def test_the_range_of_a_time_is_what_boards_may_take_that_such_estimates_are_off_for():
    time = estimated_time(6_400_000, 64_000_000, WORDS[0], (-0.07, 0.03))
    assert time.ms == 100
    # An estimate that is 3 % too high is of a board that takes 100 / 1.03 ms; one 7 % too low, of 100 / 0.93.
    assert [end * factor for end, factor in zip(time.range_ms, (1.03, 0.93), strict=True)] == pytest.approx([100, 100])
    assert time.range == "97.1 to 108"


def test_where_no_error_is_known_neither_is_the_range():
    time = estimated_time(6_400_000, 64_000_000, WORDS[1], (None, None))
    assert (time.ms, time.range_ms, time.range) == (100, None, "not known (not validated: float code)")
    for nothing in ((None, 64_000_000, WORDS[0]), (6_400_000, 0, WORDS[0]), (6_400_000, 64_000_000, None)):
        assert estimated_time(*nothing, (-0.07, 0.03)) is None
