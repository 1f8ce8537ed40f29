"""What siblings gave decides whose outputs are wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.made_trials import Night
from harness.errors import BoardError, MeasurementError
from harness.health.check import difference, hold_against
from harness.health.history import Check, CheckFile, Outputs

GOOD = Outputs((1, 2, 3), (10, 20, 30))
LATE = Outputs((1, 2, 3), (10, 21, 30))
WRONG = Outputs((1, 2, 9), (10, 20, 30))


def test_equal_outputs_have_no_difference():
    assert difference(GOOD, GOOD, same_ticks=True) is None
    assert difference(GOOD, LATE, same_ticks=False) is None


def test_a_difference_is_located():
    assert (
        difference(GOOD, WRONG, same_ticks=False) == "the output of 1 of 3 inputs is another one, first that of input 2"
    )
    late = "1 of 3 inputs took another number of instructions, first input 1: 21 instead of 20"
    assert difference(GOOD, LATE, same_ticks=True) == late
    assert difference(GOOD, Outputs((1,), (1,)), same_ticks=True) == "1 inputs were answered instead of 3"


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


def test_the_last_passed_check_of_each_sibling_counts_and_damage_is_left_out(tmp_path):
    night, file = Night(), CheckFile(tmp_path)

    def check(device, outputs, task="task", **fields):
        trial = replace(night(device, "known", purpose="check", run=None, case=None), **fields)
        made = Check(trial, task, outputs)
        file.add(made)
        return made

    made = [check("a", LATE), check("a", GOOD), check("b", LATE), check("a", None, error="LinkError", outcome="failed")]
    made += [check("c", WRONG, task="other"), check("d", WRONG, kind="other"), check("e", WRONG, backend="virtual")]
    (tmp_path / "checks.jsonl").write_bytes((tmp_path / "checks.jsonl").read_bytes() + b'{"crc":"00","torn')
    made.append(check("f", None, outcome="failed", error="LinkError", reason="gone"))
    assert CheckFile(tmp_path).all() == made, "each is read back as it was written"
    assert file.siblings("c", "nano33", "hardware", "task") == [GOOD, LATE]
    assert file.siblings("a", "nano33", "hardware", "task") == [LATE]
    assert file.siblings("a", "nano33", "hardware", "no such task") == []
