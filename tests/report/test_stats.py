"""Statistics against independent calculations and against simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from harness.report.stats import (
    _medians,
    accuracy_difference,
    holm,
    mcnemar,
    quantile,
    ratio_of_medians,
    stretched,
    student_quantile,
    tango_excludes,
    tango_interval,
    widened,
)

#: Of 1,000 experiments at a true rate of 5 %, more than this happens once in a thousand.
MOST_OF_1000 = 72


def rng(seed=1):
    return np.random.default_rng(seed)


def test_quantile():
    assert quantile(0.95) == pytest.approx(1.959963984540054, abs=1e-12)


# ---- McNemar


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (0, 5), (3, 9), (7, 7), (12, 5)])
def test_mcnemar_counts_coin_tosses(gained, lost):
    tosses = list(itertools.product((0, 1), repeat=gained + lost)) if gained + lost <= 12 else None
    if tosses is None:
        tail = sum(math.comb(gained + lost, k) for k in range(min(gained, lost) + 1)) / 2 ** (gained + lost)
    else:
        tail = np.mean([sum(toss) <= min(gained, lost) for toss in tosses])
    assert mcnemar(gained, lost) == pytest.approx(min(1.0, 2 * tail), rel=1e-12)


def test_mcnemar_of_many_is_quick_and_finite():
    assert 0 < mcnemar(4000, 4500) < 1e-6
    assert mcnemar(5000, 5000) == 1


# ---- Tango's interval


def likeliest_q(gained, lost, n, d):
    """Maximize the likelihood of (gained, lost) over q = P(lost), given P(gained) = q + d, by brute force."""
    q = np.linspace(max(0.0, -d), (1 - d) / 2, 2_000_001)[1:-1]
    same = np.maximum(1 - 2 * q - d, 1e-300)
    logs = gained * np.log(q + d) + lost * np.log(q) + (n - gained - lost) * np.log(same)
    return q[np.argmax(logs)]


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 2, 50), (3, 9, 40), (5, 5, 100), (1, 30, 1000)])
def test_ends_of_the_interval_have_the_score_that_defines_them(gained, lost, n):
    for d in tango_interval(gained, lost, n, level=0.95):
        q = likeliest_q(gained, lost, n, d)
        score = (gained - lost - n * d) / math.sqrt(n * (2 * q + d * (1 - d)))
        assert abs(score) == pytest.approx(quantile(0.95), rel=1e-3)


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 2, 50), (3, 9, 40), (0, 0, 100), (1.5, 30.2, 1000)])
def test_what_the_interval_excludes_begins_at_its_ends(gained, lost, n):
    low, high = tango_interval(gained, lost, n, level=0.99)
    near = (low - 1e-9, low + 1e-9, high - 1e-9, high + 1e-9)
    assert [tango_excludes(gained, lost, n, end, level=0.99) for end in near] == [True, False, False, True]


def test_no_discordant_inputs_leave_the_known_interval():
    z2 = quantile(0.95) ** 2
    low, high = tango_interval(0, 0, 100, level=0.95)
    assert high == -low == pytest.approx(z2 / (100 + z2), rel=1e-9)


def test_the_interval_turns_around_with_its_sides():
    low, high = tango_interval(3, 9, 40, level=0.9)
    assert tango_interval(9, 3, 40, level=0.9) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("gained", "lost", "n"), [(5, 0, 5), (0, 5, 5), (1, 0, 1), (0, 0, 1)])
def test_extremes_stay_within_minus_one_and_one(gained, lost, n):
    low, high = tango_interval(gained, lost, n, level=0.95)
    assert -1 <= low <= (gained - lost) / n <= high <= 1


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "discordant", "change"), [(100, 0.1, 0), (1000, 0.02, 0), (1000, 0.05, 0.01), (1000, 0.1, -0.05)]
)
def test_intervals_of_accuracy_differences_cover_and_raise_few_false_alarms(count, discordant, change):
    random = rng(12)
    shares = [(discordant + change) / 2, (discordant - change) / 2, 1 - discordant]
    estimates = [
        accuracy_difference(int(gained), int(lost), count, level=0.95)
        for gained, lost, _ in random.multinomial(count, shares, size=1000)
    ]
    assert sum(item.low <= change <= item.high for item in estimates) >= 1000 - MOST_OF_1000
    if change == 0:
        assert sum(item.p_value < 0.05 for item in estimates) <= 50  # the exact test is never above its rate


@pytest.mark.parametrize(
    ("level", "freedom", "expected"),
    [
        (0.95, 1, 12.7062),
        (0.95, 2, 4.3027),
        (0.95, 4, 2.7764),
        (0.95, 15, 2.1314),
        (0.99, 10, 3.1693),
        (0.999, 3, 12.924),
    ],
)
def test_students_quantiles_are_those_of_the_tables(level, freedom, expected):
    assert student_quantile(level, freedom) == pytest.approx(expected, rel=1e-4)


def test_students_quantile_becomes_that_of_the_normal_distribution():
    assert student_quantile(0.99, 100_000) == pytest.approx(quantile(0.99), rel=1e-4)
