"""Which rows may stand beside each other: only those that were measured in the same way on the same board."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

#: Rows that differ in one of these are never in one chart or ranking.
SETUP: Final = ("suite", "device", "board", "board_uid", "backend", "counter", "clock_hz", "engine")


def require_one_setup(rows: pd.DataFrame, what: str) -> None:
    """Refuse rows that can't be compared.

    Args:
        rows: any table of results.
        what: names the plot in the error.

    Raises:
        ValueError: rows of different boards, backends, counters or clocks; it says in which column they differ.
    """
    for name in (name for name in SETUP if name in rows.columns):
        found = rows[name].dropna().unique()
        if len(found) > 1:
            values = ", ".join(map(str, found))
            raise ValueError(f"{what}: the rows differ in {name} ({values}) and can't be compared: select one of them")


def complete(cases: pd.DataFrame, *needed: str) -> pd.DataFrame:
    """Return the complete cases that have every needed figure, in the order in which they ran."""
    rows = cases[cases["status"] == "complete"]
    return rows.dropna(subset=list(needed))


def known(value: Any) -> bool:
    """Whether a cell holds a figure: it is neither None nor NA nor NaN."""
    return bool(pd.notna(value))


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dicts by column name."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
