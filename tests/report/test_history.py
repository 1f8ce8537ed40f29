from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.report.history import find_shifts, history
from harness.report.metrics import METRICS
from harness.report.shifts import drift_share, mann_kendall, theil_sen
from harness.store import load_results

LATENCY, FLASH = METRICS["latency"], METRICS["flash"]


def shifts(values, metric=LATENCY, margin=0.01):
    count = len(values)
    points = pd.DataFrame(
        {
            "run": [f"r{i}" for i in range(count)],
            "started_utc": pd.date_range("2026-01-01", periods=count, tz="UTC"),
            "git_revision": None,
            "value": np.asarray(values, float),
        }
    )
    return find_shifts(metric, points, margin)


def noise(count, cv=0.001, seed=1):
    return 1 + cv * np.random.default_rng(seed).standard_normal(count)


def kinds(found):
    return [(shift.kind, shift.first, shift.verdict) for shift in found]


def test_a_steady_series_has_no_shifts():
    assert shifts(100 * noise(30)) == []
    assert shifts([100.0] * 30) == []
    assert shifts([100.0]) == []


def test_a_step_is_found_where_it_is():
    values = 100 * noise(30) * np.where(np.arange(30) < 18, 1, 1.03)
    (shift,) = shifts(values)
    assert kinds([shift]) == [("step", 18, "worse")]
    assert (shift.run, shift.last) == ("r18", 18)
    assert shift.change == pytest.approx(1.03, abs=0.003)
    assert shift.reason == "worse: a step of +2.95 % in latency in run r18"


def test_a_slow_drift_is_no_step():
    (shift,) = shifts(100 * noise(30) * np.linspace(1, 1.05, 30))
    assert (shift.kind, shift.verdict, shift.last) == ("drift", "worse", 29)
    assert shift.change == pytest.approx(1.05, abs=0.01)


def test_a_step_and_then_a_drift():
    values = 100 * noise(60, 0.0005) * np.concatenate([np.ones(20), np.linspace(1.05, 1.10, 40)])
    assert kinds(shifts(values)) == [("step", 20, "worse"), ("drift", 20, "worse")]


def test_one_odd_night_is_neither():
    values = 100 * noise(30)
    values[12] *= 1.2
    assert shifts(values) == []


def test_what_gets_faster_is_better():
    assert kinds(shifts(100 * noise(20) * np.where(np.arange(20) < 10, 1, 0.9))) == [("step", 10, "better")]


def test_a_step_below_the_least_difference_is_not_reported():
    assert shifts(100 * noise(30, 0.0005) * np.where(np.arange(30) < 15, 1, 1.005)) == []


@pytest.mark.parametrize("last", [10, 18])
def test_sizes_repeat_exactly_so_every_byte_is_a_step(last):
    values = [2000] * last + [2004] * (20 - last)
    (shift,) = shifts(values, FLASH, 0)
    assert (shift.kind, shift.first, shift.change, shift.verdict) == ("step", last, 4, "worse")


def test_accuracy_that_falls_is_worse():
    values = np.where(np.arange(20) < 10, 0.90, 0.88)
    (shift,) = shifts(values, METRICS["accuracy"], 0.005)
    assert (shift.verdict, round(shift.change, 6)) == ("worse", -0.02)
    assert "-2.00 points" in shift.reason


@pytest.mark.slow
def test_steady_series_rarely_show_a_shift_and_steps_are_rarely_missed():
    for count in (10, 30, 90):
        false = sum(bool(shifts(100 * noise(count, 0.01, seed), margin=0.0)) for seed in range(300))
        assert false <= 15
    step = np.where(np.arange(30) < 20, 1, 1.02)
    found = [shifts(100 * noise(30, 0.002, seed) * step) for seed in range(300)]
    assert sum(kinds(item) == [("step", 20, "worse")] for item in found) >= 285
    drift = np.linspace(1, 1.04, 30)
    found = [shifts(100 * noise(30, 0.002, seed) * drift) for seed in range(300)]
    assert sum([shift.kind for shift in item] == ["drift"] for item in found) >= 285


def test_history_of_runs_on_the_disk(store):
    for night in range(6):
        store(ticks=[1000 if night < 4 else 1200] * 30, revision=f"{night:040x}", cases=({}, {"backend": "virtual"}))
    store(cases=({"status": "failed", "reason": "dead"},))
    found = {(item.backend, item.metric): item for item in history(load_results(store().parent, until="2099-01-01"))}
    assert {"hardware", "virtual"} == {backend for backend, _ in found}
    assert ("virtual", "latency") not in found
    assert ("hardware", "ticks") not in found
    series = found["hardware", "latency"]
    assert len(series.points) == 7
    assert series.shifts[0].revision == f"{4:040x}"
    assert (series.shifts[0].kind, round(series.shifts[0].change, 6)) == ("step", 1.2)


# ---- trends


def test_theil_sen_is_not_moved_by_one_odd_value():
    values = np.arange(20.0)
    values[3] = 1000
    assert theil_sen(values) == pytest.approx(1)


def test_mann_kendall_by_hand():
    # S = 10 of 10 pairs, variance = 5 * 4 * 15 / 18 = 16.67, z = 9 / 4.082
    assert mann_kendall(np.arange(5.0)) == pytest.approx(0.02749, abs=1e-5)
    assert mann_kendall(np.ones(5)) == 1


def test_drift_of_a_run():
    assert drift_share(1e6 * noise(500) * np.linspace(1, 1.01, 500)) == pytest.approx(0.01, abs=0.002)
    assert drift_share(1e6 * noise(500)) is None
    assert drift_share(np.arange(1.0, 5)) is None
