from __future__ import annotations

from harness.search.pareto import dominates, front


def row(accuracy, ticks, ram=10, flash=10):
    return {"accuracy": accuracy, "ticks_median": ticks, "ram_peak_bytes": ram, "flash_bytes": flash}


def test_better_in_one_and_equal_in_the_rest_dominates():
    assert dominates(row(0.9, 100), row(0.8, 100))
    assert dominates(row(0.9, 90), row(0.9, 100))
    assert dominates(row(0.9, 100, ram=9), row(0.9, 100))
    assert dominates(row(0.9, 100, flash=9), row(0.9, 100))


def test_equal_or_mixed_does_not_dominate():
    assert not dominates(row(0.9, 100), row(0.9, 100))
    assert not dominates(row(0.9, 100), row(0.8, 90))
    assert not dominates(row(0.9, 100, ram=20), row(0.8, 100, ram=10))


def test_the_front_keeps_what_nothing_beats():
    rows = [row(0.9, 100), row(0.8, 50), row(0.85, 120), row(0.7, 60), row(0.7, 60, flash=5), row(0.9, 100)]
    assert front(rows) == [0, 1, 4, 5]
    assert front([]) == []
