"""Which rows may stand beside each other: those measured in the same way on the same board, or in the same pool."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

#: Rows that differ in one of these are never in one chart or ranking.
SETUP: Final = ("suite", "place", "board", "board_uid", "backend", "counter", "clock_hz", "engine")

#: Stands for the chip's id in the setup of a pool's rows: any board of the pool may have measured them.
ANY_UNIT: Final = "any of the pool"


def placed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the column `place`: their pool, or their device where there is none (`harness.store.place`)."""
    if "place" in rows.columns or "device" not in rows.columns:
        return rows
    device = rows["device"].astype("string")
    if "pool" not in rows.columns:
        return rows.assign(place=device)
    pool = rows["pool"].astype("string")
    return rows.assign(place=pool.where(pool.notna(), device))


def setup_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `SETUP` that a table of results has; rows of one pool differ in no chip."""
    found = placed(rows)
    if "pool" in found.columns and "board_uid" in found.columns:
        uid = found["board_uid"].astype("string")
        found = found.assign(board_uid=uid.where(found["pool"].isna(), ANY_UNIT))
    return found[[name for name in SETUP if name in found.columns]]


def require_one_setup(rows: pd.DataFrame, what: str) -> None:
    """Refuse rows that can't be compared.

    Args:
        rows: any table of results.
        what: names the plot in the error.

    Raises:
        ValueError: rows of different boards, backends, counters or clocks; it says in which column they differ.
    """
    setup = setup_of(rows)
    for column in setup.columns:
        found = setup[column].dropna().unique()
        if len(found) > 1:
            values = ", ".join(map(str, found))
            name = "device" if column == "place" else column
            raise ValueError(f"{what}: the rows differ in {name} ({values}) and can't be compared: select one of them")


def complete(cases: pd.DataFrame, *needed: str) -> pd.DataFrame:
    """Return the complete cases that have every needed figure, in the order in which they ran."""
    rows = cases[cases["status"] == "complete"]
    return rows.dropna(subset=list(needed)) if needed else rows


def same_inputs(cases: pd.DataFrame) -> pd.DataFrame:
    """Return the cases of several runs that ran on as many and the same inputs as the newest of their variant."""
    names = [name for name in ("samples", "inputs_sha256") if name in cases.columns]
    ordered = placed(cases).sort_values(["started_utc", "case"], kind="stable")
    newest = ordered.drop_duplicates(["suite", "place", "backend", "variant"], keep="last")
    keys = ["suite", "place", "backend", "variant", *names]
    wanted = set(newest[keys].astype("string").fillna("").itertuples(index=False, name=None))
    rows = ordered[keys].astype("string").fillna("").itertuples(index=False, name=None)
    return ordered[np.array([row in wanted for row in rows], dtype=bool)]


def known(value: Any) -> bool:
    """Whether a cell holds a figure: it is neither None nor NA nor NaN."""
    return bool(pd.notna(value))


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dicts by column name."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
