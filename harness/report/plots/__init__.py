"""The report's plots as functions: each takes a DataFrame and returns a matplotlib figure. See docs/report.md.

They draw rows of one suite on one setup (board, backend, counter, clock) and raise ValueError for others, because such
rows can't be compared.
"""

from __future__ import annotations

from harness.report.plots.bars import flash, layer_profile, ram_parts
from harness.report.plots.changes import history
from harness.report.plots.distribution import ticks_distribution
from harness.report.plots.estimated import estimated_against_counted
from harness.report.plots.scatter import accuracy_against

__all__ = [
    "accuracy_against",
    "estimated_against_counted",
    "flash",
    "history",
    "layer_profile",
    "ram_parts",
    "ticks_distribution",
]
