"""Which variants are worth having: those that no other one beats in both of two figures."""

from __future__ import annotations

import pandas as pd


def front(cases: pd.DataFrame, cost: str, gain: str = "accuracy") -> pd.Series[bool]:
    """Return, for every row, whether it is on the Pareto front: nothing costs as little and gains as much or more.

    The figures are taken as they were measured: whether a difference is real is for `harness.report.compare` to say.

    Args:
        cases: rows that have both figures and can be compared.
        cost: column of which less is better.
        gain: column of which more is better.
    """
    costs, gains = cases[cost].to_numpy(float), cases[gain].to_numpy(float)
    beaten = [
        bool((((costs <= c) & (gains >= g)) & ((costs < c) | (gains > g))).any())
        for c, g in zip(costs, gains, strict=True)
    ]
    return pd.Series([not one for one in beaten], index=cases.index, dtype=bool)
