from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.report.pareto import front

BETTER = {"accuracy": 1, "ticks_median": -1, "ram_peak_bytes": -1}


def on_front(*points):
    rows = pd.DataFrame(points, columns=["ticks_median", "accuracy"]).astype("Float64")
    return front(rows, {"ticks_median": -1, "accuracy": 1})


def test_what_costs_more_and_is_no_better_is_beaten():
    assert on_front((100, 0.9), (200, 0.9), (50, 0.8), (60, 0.7)) == [True, False, True, False]


def test_equal_points_are_both_kept():
    assert on_front((100, 0.9), (100, 0.9)) == [True, True]


def test_equal_cost_and_less_accuracy_is_beaten():
    assert on_front((100, 0.9), (100, 0.8)) == [True, False]


def test_without_rows_there_is_no_front():
    assert on_front() == []


@pytest.mark.parametrize("seed", range(20))
def test_with_three_figures_it_is_what_the_definition_says(seed):
    rows = pd.DataFrame(np.random.default_rng(seed).integers(0, 4, (12, 3)), columns=list(BETTER))
    points = [tuple(sign * row[name] for name, sign in BETTER.items()) for row in rows.to_dict("records")]
    beaten = [any(all(a >= b for a, b in zip(o, p, strict=True)) and o != p for o in points) for p in points]
    assert front(rows, BETTER) == [not one for one in beaten]
