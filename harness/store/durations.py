"""How long cases took in past runs, which says which of them to begin first."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from harness.errors import StoreError
from harness.store.folders import runs_in
from harness.store.tables import load_table

if TYPE_CHECKING:
    from pathlib import Path

#: Newer runs say more about the next one; older ones would only take time to read.
_RUNS = 10


def durations(results_dir: Path) -> dict[tuple[str, str], float]:
    """Return the median duration of each case in the newest runs.

    Args:
        results_dir: with the runs; it may be missing.

    Returns:
        Seconds by suite and variant. Runs that can't be read are left out, since this decides about an order only.
    """
    try:
        runs = runs_in(results_dir)[-_RUNS:]
    except StoreError:
        return {}
    found: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        try:
            rows = load_table(run / "cases.parquet", "cases", ["suite", "variant", "status", "duration_s"]).to_pylist()
        except StoreError:
            continue
        for row in rows:
            if row["status"] == "complete" and row["duration_s"] is not None:
                found.setdefault((row["suite"], row["variant"]), []).append(row["duration_s"])
    return {key: median(values) for key, values in found.items()}
