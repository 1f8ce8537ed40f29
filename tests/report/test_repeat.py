from __future__ import annotations

import numpy as np
import pytest

from harness.report.frame import Policy
from harness.report.repeat import repeatability, spread_over_repeats


def found(side):
    return repeatability(side.id, side.samples, Policy())


def jitter(shape, cv=0.0005, seed=1):
    return np.rint(1e6 * (1 + cv * np.random.default_rng(seed).standard_normal(shape))).astype(int)


def test_spread_over_repeats_by_hand():
    # Input 0: 99 and 101 about 100, input 1: 198 and 202 about 200: squares of 1 % twice each, over 1 + 1.
    most, cv = spread_over_repeats(np.array([99.0, 198, 101, 202]), np.array([0, 1, 0, 1]))
    assert (most, cv) == (2, pytest.approx(np.sqrt(4 * 0.01**2 / 2)))
    assert spread_over_repeats(np.array([1.0, 2]), np.array([0, 1])) == (1, None)


def test_inputs_that_differ_are_no_noise(side):
    cost = np.linspace(1e6, 2e6, 300)[:, None]
    item = found(side(np.rint(cost * (1 + 0.0005 * np.random.default_rng(2).standard_normal((300, 4)))).astype(int)))
    assert item.repeats == 4
    assert item.cv == pytest.approx(0.0005, rel=0.2)


def test_a_healthy_board(side):
    item = found(side(jitter((300, 3))))
    assert (item.noisy, item.drift, item.outliers) == (False, None, 0)
    assert item.reason == "repeats to 0.049 %"


def test_a_board_that_does_not_repeat_is_noisy(side):
    item = found(side(jitter((300, 3), 0.005)))
    assert item.noisy
    assert item.reason.startswith("noisy: inferences on the same input spread by 0.")


def test_a_board_that_drifts_is_noisy(side):
    item = found(side(np.rint(jitter(500) * np.linspace(1, 1.01, 500)).astype(int)))
    assert item.noisy
    assert item.drift == pytest.approx(0.01, abs=0.002)
    assert "drifts by +" in item.reason


def test_without_repeats_only_a_bound_is_known(side):
    assert found(side(jitter(300))).reason.endswith("or better")
    item = found(side(jitter(300, 0.05)))
    assert not item.noisy
    assert item.reason.startswith("not known: no input was repeated")


def test_outliers_are_counted(side):
    ticks = jitter(400)
    ticks[::40] *= 2
    assert found(side(ticks)).outliers == pytest.approx(0.025)


def test_an_emulator_repeats_exactly_or_is_noisy(side):
    assert not found(side([[1000, 1000]] * 30, backend="virtual")).noisy
    assert found(side([[1000, 1001]] * 30, backend="virtual")).noisy


def test_what_was_not_timed_has_no_repeatability(side):
    made = side()
    made.samples["ticks"] = None
    assert found(made) is None
