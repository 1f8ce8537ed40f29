"""Which variants or candidates are worth having: those that no other one beats in everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


def front(rows: pd.DataFrame, better: Mapping[str, int]) -> list[bool]:
    """Return, for every row, whether it is on the Pareto front: none is as good in everything and better in something.

    The figures are taken as they were measured: whether a difference is real is for `harness.report.compare` to say.

    Args:
        rows: those that can be compared, which have all the figures.
        better: the columns that count, each with 1 if more is better and -1 if less is.
    """
    figures = rows[list(better)].to_numpy(float) * list(better.values())
    return [not ((figures >= one).all(axis=1) & (figures > one).any(axis=1)).any() for one in figures]
