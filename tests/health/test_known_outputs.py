"""What siblings answered decides whose answers are wrong."""

from __future__ import annotations

import pytest

from harness.config import Lab
from harness.errors import BoardError, MeasurementError
from harness.health.known_outputs import Answers, difference, hold_against, load_answers, save_answers

GOOD = Answers((1, 2, 3), (10, 20, 30))
LATE = Answers((1, 2, 3), (10, 21, 30))
WRONG = Answers((1, 2, 9), (10, 20, 30))


def test_equal_answers_have_no_difference():
    assert difference(GOOD, GOOD, same_ticks=True) is None
    assert difference(GOOD, LATE, same_ticks=False) is None


def test_a_difference_is_located():
    assert (
        difference(GOOD, WRONG, same_ticks=False) == "the output of 1 of 3 inputs is another one, first that of input 2"
    )
    late = "1 of 3 inputs took another number of instructions, first input 1: 21 instead of 20"
    assert difference(GOOD, LATE, same_ticks=True) == late
    assert difference(GOOD, Answers((1,), (1,)), same_ticks=True) == "1 inputs were answered instead of 3"


def test_two_siblings_that_agree_are_right():
    with pytest.raises(MeasurementError, match="a: other answers than 2 boards of its kind gave: the output of 1 of 3"):
        hold_against("a", WRONG, [GOOD, GOOD], same_ticks=True)
    hold_against("a", GOOD, [GOOD, WRONG, GOOD], same_ticks=True)


@pytest.mark.parametrize("siblings", [[GOOD], [GOOD, LATE], [GOOD, GOOD, LATE, LATE]])
def test_without_a_majority_nobody_knows_which_is_wrong(siblings):
    with pytest.raises(BoardError, match="which board is wrong can't be told") as caught:
        hold_against("a", WRONG, siblings, same_ticks=True)
    assert type(caught.value) is BoardError


def test_cycles_may_differ_where_instructions_may_not():
    hold_against("a", LATE, [GOOD, GOOD], same_ticks=False)
    with pytest.raises(MeasurementError):
        hold_against("a", LATE, [GOOD, GOOD], same_ticks=True)
    hold_against("a", WRONG, [], same_ticks=True)


def test_answers_are_kept_for_the_siblings_and_damage_is_left_out(tmp_path):
    (tmp_path / "devices.yaml").write_text("devices: {a: {kind: nano33}, b: {kind: nano33}, c: {kind: nano33}}\n")
    a, b, c = Lab.load(tmp_path / "devices.yaml").devices
    save_answers(tmp_path, a, "virtual", "task", GOOD)
    save_answers(tmp_path, b, "virtual", "task", LATE)
    assert load_answers(tmp_path, a, "virtual", "task") == (LATE,)
    assert load_answers(tmp_path, c, "virtual", "task") == (GOOD, LATE)
    assert load_answers(tmp_path, c, "virtual", "other") == load_answers(tmp_path, c, "hardware", "task") == ()
    next(tmp_path.glob("checks/*/a.json")).write_text('{"crcs": [1], "ticks": ["x"]}')
    next(tmp_path.glob("checks/*/b.json")).write_text("{")
    assert load_answers(tmp_path, c, "virtual", "task") == ()
