"""Intervals and tests of shares against independent calculations and against simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from harness.errors import MeasurementError
from harness.metrics.estimate import quantile, student_quantile
from harness.metrics.shares import Z_95, accuracy_difference, mcnemar, tango_excludes, tango_interval, wilson_interval

#: Of 1,000 experiments at a true rate of 5 %, more than this happens once in a thousand.
MOST_OF_1000 = 72


def test_quantile():
    assert quantile(0.95) == pytest.approx(1.959963984540054, abs=1e-12)


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


# ---- Wilson


@pytest.mark.parametrize(("successes", "trials"), [(1, 2), (3, 10), (81, 263), (900, 1000), (1, 100_000)])
def test_wilson_ends_where_the_score_test_rejects(successes, trials):
    share = successes / trials
    for end in wilson_interval(successes, trials):
        assert abs(share - end) == pytest.approx(Z_95 * (end * (1 - end) / trials) ** 0.5, rel=1e-9)


def test_wilson_as_published():
    # Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_wilson_contains_the_share():
    for trials in (1, 2, 7, 100):
        for successes in range(trials + 1):
            low, high = wilson_interval(successes, trials)
            assert 0 <= low <= successes / trials <= high <= 1


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 3), (4, 3)])
def test_wilson_of_no_share(successes, trials):
    with pytest.raises(MeasurementError):
        wilson_interval(successes, trials)


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


# ---- by simulation


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "discordant", "change"), [(100, 0.1, 0), (1000, 0.02, 0), (1000, 0.05, 0.01), (1000, 0.1, -0.05)]
)
def test_intervals_of_accuracy_differences_cover_and_raise_few_false_alarms(count, discordant, change):
    random = np.random.default_rng(12)
    shares = [(discordant + change) / 2, (discordant - change) / 2, 1 - discordant]
    estimates = [
        accuracy_difference(int(gained), int(lost), count, level=0.95)
        for gained, lost, _ in random.multinomial(count, shares, size=1000)
    ]
    assert sum(item.low <= change <= item.high for item in estimates) >= 1000 - MOST_OF_1000
    if change == 0:
        assert sum(item.p_value < 0.05 for item in estimates) <= 50  # the exact test is never above its rate
