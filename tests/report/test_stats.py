"""Statistics against independent calculations and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.metrics.estimate import quantile
from harness.metrics.shares import accuracy_difference
from harness.report.stats import _medians, holm, ratio_of_medians, stretched, widened

#: Of 1,000 experiments at a true rate of 5 %, more than this happens once in a thousand.
MOST_OF_1000 = 72


def rng(seed=1):
    return np.random.default_rng(seed)


# ---- ratio of medians


def test_equal_sides_have_no_width():
    estimate = ratio_of_medians(np.full(50, 7.0), np.full(50, 7.0), level=0.95, resamples=100, rng=rng())
    assert (estimate.change, estimate.low, estimate.high, estimate.p_value) == (1, 1, 1, 1)


def test_a_constant_ratio_is_certain():
    a = np.full(50, 1000.0)
    estimate = ratio_of_medians(a, a * 1.25, level=0.95, resamples=100, rng=rng())
    assert (estimate.change, estimate.low, estimate.high, estimate.p_value) == (1.25, 1.25, 1.25, 0)


def test_what_inputs_cost_cancels_out():
    cost = rng().uniform(1e6, 2e6, 400)
    a, b = (cost * (1 + 0.001 * rng(seed).standard_normal(400)) for seed in (2, 3))
    paired = ratio_of_medians(a, 1.01 * b, level=0.95, resamples=400, rng=rng())
    mixed = ratio_of_medians(a, 1.01 * rng().permutation(b), level=0.95, resamples=400, rng=rng())
    assert paired.high - paired.low < 0.3 * (mixed.high - mixed.low)


def test_the_same_seed_gives_the_same_interval():
    a, b = rng(2).uniform(1, 2, (2, 100))
    first, second = (ratio_of_medians(a, b, level=0.95, resamples=100, rng=rng(5)) for _ in range(2))
    assert first == second


def test_chunks_of_the_bootstrap_make_no_difference_to_its_size(monkeypatch):
    a, b = rng(2).uniform(1, 2, (2, 100))
    monkeypatch.setattr("harness.report.stats._CHUNK_VALUES", 700)
    estimate = ratio_of_medians(a, b, level=0.95, resamples=400, rng=rng(5))
    assert estimate.low < estimate.change < estimate.high


@pytest.mark.parametrize("count", [1, 2, 7, 40, 40_000])
def test_medians_of_draws_are_medians(count):
    values = np.rint(rng(4).normal(1000, 10, count))
    draws = rng(5).integers(0, count, (6, count))
    assert _medians(values, draws).tolist() == np.median(values[draws], axis=1).tolist()


def test_p_value_and_interval_agree():
    a, b = rng(3).normal(1000, 10, (2, 200))
    estimate = ratio_of_medians(a, b * 1.002, level=0.95, resamples=400, rng=rng())
    low, high = stretched(estimate, 1 - estimate.p_value)
    assert min(abs(low - 1), abs(high - 1)) < 1e-9


def test_stretching_to_the_same_level_changes_nothing():
    difference = accuracy_difference(9, 3, 200, level=0.95)
    assert stretched(difference, 0.95) == pytest.approx((difference.low, difference.high))
    wider = stretched(difference, 0.999)
    assert wider[0] < difference.low
    assert wider[1] > difference.high


def test_widening_adds_as_squares():
    estimate = ratio_of_medians(np.full(50, 1000.0), np.full(50, 1010.0), level=0.95, resamples=100, rng=rng())
    wide = widened(estimate, [0.003, 0.004])
    assert math.log(wide.high / 1.01) == pytest.approx(quantile(0.95) * 0.005)
    assert math.log(1.01 / wide.low) == pytest.approx(quantile(0.95) * 0.005)
    assert wide.p_value == pytest.approx(math.erfc(math.log(1.01) / 0.005 / math.sqrt(2)), rel=1e-6)


# ---- Holm


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.9]) == [1, 1]
    assert holm([]) == []


def test_holm_is_never_below_the_p_value_and_keeps_the_order():
    values = list(rng().uniform(size=30))
    corrected = holm(values)
    assert all(new >= old for new, old in zip(corrected, values, strict=True))
    assert np.argsort(corrected, kind="stable")[0] == np.argmin(values)


# ---- by simulation


def healthy(base, cv, random, outliers=0.01):
    """Return what a healthy board counts: jitter about each input's cost, whole ticks, and a few interrupts."""
    ticks = base * (1 + cv * random.standard_normal(len(base)))
    return np.rint(np.where(random.random(len(base)) < outliers, ticks * 1.02, ticks))


@pytest.mark.slow
@pytest.mark.parametrize(("count", "cv"), [(40, 0.001), (200, 0.0005), (200, 0.002)])
def test_intervals_of_ratios_cover_and_raise_few_false_alarms(count, cv):
    random = rng(11)
    covered = alarms = 0
    for _ in range(1000):
        base = 1.7e6 * (1 + 0.0004 * random.standard_normal(count))
        a, b, c = healthy(base, cv, random), healthy(base, cv, random), healthy(1.01 * base, cv, random)
        alarms += ratio_of_medians(a, b, level=0.95, resamples=400, rng=random).p_value < 0.05
        estimate = ratio_of_medians(a, c, level=0.95, resamples=400, rng=random)
        covered += estimate.low <= 1.01 <= estimate.high
    assert alarms <= MOST_OF_1000
    assert covered >= 1000 - MOST_OF_1000
