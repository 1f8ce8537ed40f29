from __future__ import annotations

import pandas as pd
import pytest

from harness.errors import ConfigError
from harness.report.decide import Match, compare_sides
from harness.report.frame import Comparison, Policy
from harness.report.gate import check_limits, parse_limits
from harness.report.history import Series, Shift

METRICS = ("accuracy", "ticks", "latency", "energy", "peak_ram", "flash")


def gate(text, a, b, series=()):
    policy = Policy()
    rows, repeat = compare_sides([Match(a, b, METRICS)], policy)
    return check_limits(Comparison("runs", "a", "b", rows, repeat, (), policy), parse_limits(text), series)


def test_limits_are_understood():
    latency, ram, accuracy, flash = parse_limits(" latency > 2% , peak_ram>0,accuracy<-0.5%,flash_bytes>1.5%")
    assert (latency.metric.name, latency.value, latency.relative) == ("latency", 0.02, True)
    assert (ram.metric.name, ram.value, ram.relative) == ("peak_ram", 0, False)
    assert (accuracy.value, accuracy.relative) == (-0.005, False)
    assert (flash.metric.name, flash.value, flash.relative) == ("flash", 0.015, True)
    assert parse_limits("instructions>1%")[0].counter == "instructions"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no limit is given"),
        ("latency", '"latency" is no limit'),
        ("latency>2%;flash>0", "is no limit; write a metric"),
        ("speed>2%", "speed is no metric; there are accuracy, score, ticks"),
        ("latency<2%", "would fail when latency gets better.*latency>2%"),
        ("accuracy>1%", "would fail when accuracy gets better.*accuracy<-0.5%"),
        ("latency>2", "write a percentage, latency>2%"),
        ("accuracy<-0.5", "write a percentage, accuracy<-0.5%"),
        ("flash>1e3", "is no limit"),
    ],
)
def test_what_is_no_limit_says_how_to_write_it(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_limits(text)


@pytest.mark.parametrize(
    ("limit", "before", "after", "outcome"),
    [
        ("flash>0", 1000, 1000, "ok"),
        ("flash>0", 1000, 1001, "regression"),
        ("flash>0", 1000, 999, "ok"),
        ("flash>16", 1000, 1016, "ok"),
        ("flash>16", 1000, 1017, "regression"),
        ("flash>1%", 1000, 1010, "ok"),
        ("flash>1%", 1000, 1011, "regression"),
    ],
)
def test_sizes(side, limit, before, after, outcome):
    found = gate(limit, side(flash_bytes=before), side(flash_bytes=after))
    assert (found.outcome, found.exit_code) == (outcome, {"ok": 0, "regression": 1}[outcome])


@pytest.mark.parametrize(("ticks", "outcome"), [(1020, "ok"), (1021, "regression"), (900, "ok")])
def test_instructions(side, ticks, outcome):
    a, b = side([1000] * 30, backend="virtual"), side([ticks] * 30, backend="virtual")
    assert gate("ticks>2%", a, b).outcome == outcome
    assert gate("instructions>2%", a, b).outcome == outcome
    assert gate("cycles>2%", a, b).outcome == "can't tell"


def test_a_limit_on_latency_is_not_checked_with_instructions(side):
    found = gate("latency>2%", side(backend="virtual"), side([5000] * 30, backend="virtual"))
    assert (found.outcome, found.exit_code) == ("can't tell", 6)
    assert "virtual counts no time; limit what it counts with ticks>2%" in found.checks[0].reason


def test_a_limit_on_ticks_holds_for_cycles_as_latency(side):
    found = gate("ticks>2%", side([1000] * 30), side([1100] * 30))
    assert (found.outcome, found.checks[0].row.metric) == ("regression", "latency")
    assert gate("cycles>2%", side([1000] * 30), side([1100] * 30)).outcome == "regression"


def test_an_interval_across_the_limit_can_not_be_told(side):
    a, b = [True] * 100, [True] * 98 + [False] * 2
    found = gate("accuracy<-1%", side([1000] * 100, a), side([1000] * 100, b, crcs=range(500, 600)))
    assert found.outcome == "can't tell"
    assert "the interval reaches over the limit" in found.checks[0].reason


def test_accuracy_well_beyond_the_limit_is_a_regression(side):
    a, b = [True] * 500, [True] * 400 + [False] * 100
    assert gate("accuracy<-1%", side([1] * 500, a), side([1] * 500, b, crcs=range(500, 1000))).outcome == "regression"


def test_a_regression_outweighs_what_can_not_be_told(side):
    a, b = (side(backend="virtual", flash_bytes=size) for size in (1, 2))
    assert gate("latency>2%,flash>0", a, b).outcome == "regression"


def test_a_refused_pair_can_not_be_told(side):
    assert gate("flash>0", side(), side(backend="virtual", run="b")).outcome == "can't tell"


def test_nothing_compared_is_no_data():
    nothing = Comparison("runs", "a", "b", (), (), (), Policy())
    found = check_limits(nothing, parse_limits("flash>0"))
    assert (found.outcome, found.exit_code) == ("no data", 5)


@pytest.mark.parametrize(("change", "last", "outcome"), [(1.03, 9, "regression"), (1.01, 9, "ok"), (1.03, 7, "ok")])
def test_a_drift_up_to_now_is_a_regression_that_no_two_runs_show(side, change, last, outcome):
    shift = Shift(
        "drift", 0, last, "r", None, pd.Timestamp("2026-01-01"), 1.0, change, change, "worse", "worse: a drift"
    )
    series = Series("nano33", "hardware", "digits", "int8", "latency", "us", pd.DataFrame(index=range(10)), (shift,))
    assert gate("latency>2%", side(), side(), (series,)).outcome == outcome
