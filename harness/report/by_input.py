"""The rows of the sample table of inputs that are sequences, brought to one row for each input."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def by_input(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each inference on an input, whose ticks are the mean of its steps, to a whole tick.

    What is said of the answer stands in the row of the first step; the CRC is the sum of the steps', modulo 2^31, so
    that outputs that differ at any step are seen. Rows without steps are returned as they are.

    Args:
        samples: rows of the sample table with `step`, which is left out of what is returned.
    """
    if samples["step"].isna().all():
        return samples.drop(columns="step")
    keys = ["case", "sample", "repeat"]
    rows = samples.assign(step=samples["step"].fillna(0)).sort_values([*keys, "step"])
    groups = rows.groupby(keys, sort=False, dropna=False)
    first = groups.head(1).set_index(keys)
    ticks = groups["ticks"].mean().round().astype("Int64")
    crcs = (groups["output_crc"].sum(min_count=1) % 2**31).astype("Int64")
    found: pd.DataFrame = first.assign(ticks=ticks, output_crc=crcs).drop(columns="step").reset_index()
    return found
