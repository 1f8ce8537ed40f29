from __future__ import annotations

import pandas as pd

from harness.report.pareto import front


def on_front(*points):
    rows = pd.DataFrame(points, columns=["ticks_median", "accuracy"]).astype("Float64")
    return front(rows, "ticks_median").tolist()


def test_what_costs_more_and_is_no_better_is_beaten():
    assert on_front((100, 0.9), (200, 0.9), (50, 0.8), (60, 0.7)) == [True, False, True, False]


def test_equal_points_are_both_kept():
    assert on_front((100, 0.9), (100, 0.9)) == [True, True]


def test_equal_cost_and_less_accuracy_is_beaten():
    assert on_front((100, 0.9), (100, 0.8)) == [True, False]
