"""Boards that count otherwise than their siblings."""

from __future__ import annotations

import pytest

from fakes.made_trials import Night
from harness.config.health import HealthRules
from harness.health.drift import drifts


def found(*ticks, rules=None, night=None, **fields):
    """Judge boards a, b, c... with these ticks, or the ticks of several cases each."""
    night = night or Night()
    trials = []
    for board, values in zip("abcdefgh", ticks, strict=False):
        for value in values if isinstance(values, tuple) else (values,):
            counter = "cycles" if fields.get("backend", "hardware") == "hardware" else "instructions"
            trials.append(night(board, ticks_median=value, **({"counter": counter, "clock_hz": 64_000_000} | fields)))
    return drifts(trials, rules or HealthRules())


def findings(*ticks, **fields):
    return [drift.device for drift in found(*ticks, **fields) if drift.finding]


def test_the_odd_one_out_is_found_with_its_ratio():
    (drift,) = [drift for drift in found(1000.0, 1000.0, 1010.0) if drift.finding]
    assert (drift.device, drift.ratio, drift.expected, drift.siblings) == ("c", 1.01, 1000.0, 2)
    assert "1,010 cycles with image int8, where 2 boards of its kind count 1,000 (+1.00%)" in drift.text


def test_half_a_percent_is_the_threshold():
    assert findings(1000.0, 1000.0, 1005.0) == []
    assert findings(1000.0, 1000.0, 1005.1) == ["c"]
    assert findings(1000.0, 1000.0, 994.9) == ["c"]


def test_siblings_that_scatter_allow_more():
    assert findings(1000.0, 1010.0, 1030.0, 1020.0) == []
    assert findings(1000.0, 1002.0, 1001.0, 1007.0) == ["d"]


def test_two_boards_that_differ_cannot_be_judged():
    assert found(1000.0, 1100.0) == ()
    assert found(1000.0, 1100.0, backend="virtual") == ()


def test_the_wrong_sibling_is_not_held_against_the_right_ones():
    assert findings(1000.0, 1000.0, 2000.0) == ["c"]
    assert findings(1000.0, 1000.0, 2000.0, 1000.0, 1000.0) == ["c"]


def test_one_instruction_is_a_finding_on_an_emulator():
    assert findings(445015.0, 445015.0, 445016.0, backend="virtual") == ["c"]
    assert findings(445015.0, 445015.0, 445015.0, backend="virtual") == []


def test_emulators_without_a_majority_cannot_be_judged():
    assert found(1.0, 2.0, 3.0, backend="virtual") == ()
    assert found(1.0, 1.0, 2.0, 2.0, backend="virtual") == ()


def test_a_real_board_is_judged_by_its_last_five_cases():
    old = (2000.0,) * 9
    assert findings((*old, *(1000.0,) * 5), 1000.0, 1000.0) == []
    assert findings((*(1000.0,) * 9, *(1010.0,) * 3), 1000.0, 1000.0) == ["a"]
    assert findings((*(1000.0,) * 9, 1010.0), 1000.0, 1000.0) == [], "one case in five is no drift"


@pytest.mark.parametrize(
    "fields",
    [
        {"image_sha256": "other"},
        {"kind": "other"},
        {"backend": "renode", "counter": "instructions"},
        {"inputs_sha256": "other"},
        {"harness_version": "9"},
        {"clock_hz": 32_000_000},
        {"counter": "instructions"},
        {"purpose": "check"},
        {"outcome": "failed"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_only_like_is_compared_with_like(fields):
    night = Night()
    common = {"counter": "cycles", "clock_hz": 64_000_000}
    trials = [night(board, ticks_median=1000.0, **common) for board in "ab"]
    trials.append(night("c", ticks_median=2000.0, **(common | fields)))
    assert drifts(trials, HealthRules()) == ()


def test_the_thresholds_can_be_set():
    assert findings(1000.0, 1000.0, 1010.0, rules=HealthRules(drift=0.02)) == []
    assert found(1000.0, 1000.0, 1010.0, rules=HealthRules(siblings=3)) == ()
