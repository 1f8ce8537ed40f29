"""A run held against a baseline, as both `hil compare` and pytest do it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.errors import ConfigError
from harness.report.baseline import find_baseline
from harness.report.compare import compare_history, compare_runs
from harness.report.frame import Comparison, Policy
from harness.report.metrics import ALIASES, METRICS, USUAL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.report.gate import Limit
    from harness.report.history import Series
    from harness.store.results import Results

_MARGIN = re.compile(r"\s*([A-Za-z_][\w-]*)\s*=\s*(\d+\.?\d*|\.\d+)\s*(%|)\s*")


def make_policy(limits: Sequence[Limit], margins: str | None, *, across_engines: bool = False) -> Policy:
    """Return how to decide: the usual metrics and those that have limits.

    Raises:
        ConfigError: a margin can't be understood.
    """
    metrics = dict.fromkeys((*USUAL, *(limit.metric.name for limit in limits)))
    chosen = parse_margins(margins) if margins else {}
    return Policy(metrics=tuple(dict.fromkeys((*metrics, *chosen))), margins=chosen, across_engines=across_engines)


def parse_margins(text: str) -> dict[str, float]:
    """Read least differences of interest like `ticks=0.5%,accuracy=1%,flash=512`.

    Raises:
        ConfigError: one can't be understood.
    """
    margins = {}
    for part in text.split(","):
        found = _MARGIN.fullmatch(part)
        name = ALIASES.get(found[1], found[1]) if found else ""
        metric = METRICS.get(name)
        if found is None or metric is None or bool(found[3]) == (metric.unit == "bytes"):
            raise ConfigError(
                f'"{part.strip()}" is no least difference; write them like ticks=0.5%,accuracy=1%,flash=512, for '
                f"{', '.join(METRICS)}"
            )
        margins[name] = float(found[2]) / (100 if found[3] else 1)
    return margins


def against_baseline(
    current: Results, run: Path, wanted: str, results_dir: Path, policy: Policy, *, device: str | None = None
) -> tuple[Comparison, tuple[Series, ...]]:
    """Compare a run with a baseline.

    Args:
        current: the results of the run.
        run: the folder of the run.
        wanted: the baseline, as `find_baseline` takes it.
        results_dir: the folder of the runs.
        policy: margins, level and seed that decide.
        device: compare only what this device, or this pool, measured; None: everything.

    Raises:
        StoreError: there is no such baseline, or it has nothing of that device.
    """
    found = find_baseline(wanted, results_dir, run)
    if device is not None:
        found = replace(found, results=found.results.of_device(device))
    if found.nights is not None:
        return compare_history(found.results, current, policy)
    return replace(compare_runs(found.results, current, policy), a=found.words), ()
