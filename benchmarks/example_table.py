"""Print the tables of the README from a run: each task's techniques against their baselines.

    python benchmarks/example_table.py [RUN]        default: results/example

A test holds the README against what this prints of results/example.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness
from harness.report.estimates import said_of_ratio
from harness.report.groups import records
from harness.report.metrics import leading
from harness.report.numbers import score, scores

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).parent.parent
HEAD = "| variant | {score} (95 % interval) | instructions | against |{estimates} flash | compressed | peak RAM |"
RULE = "|---|---|---:|---:|{estimates}---:|---:|---:|"
ESTIMATES = " ESTIMATED cycles | beside the baseline |"  # docs/cycles.md


def tables(cases: pd.DataFrame) -> str:
    """Return a Markdown table for each suite, in the order of the run."""
    parts = []
    for suite, rows in cases.groupby("suite", sort=False):
        samples = int(rows["samples"].iloc[0])
        medians = rows.set_index("variant")["ticks_median"]
        metric = leading(rows["metric"])
        estimated = bool(rows["estimated_cycles_median"].notna().any())
        heads = ESTIMATES if estimated else "", "---:|---:|" if estimated else ""
        head = HEAD.format(score=metric.called or metric.name, estimates=heads[0])
        lines = [f"**{suite}**, {samples:,} inputs", "", head, RULE.format(estimates=heads[1])]
        by_variant = {row["variant"]: row for row in records(rows)}
        lines += [_line(row, medians, by_variant if estimated else None) for _, row in rows.iterrows()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _line(row: pd.Series, medians: pd.Series, estimates: dict[str, dict[str, Any]] | None) -> str:
    samples, unit = int(row["samples"]), leading([row["metric"]]).unit
    around = scores(row["score_low"], row["score_high"], unit, samples).removesuffix(" %")
    baseline = row["baseline"]
    known = isinstance(baseline, str) and baseline in medians
    against = f"{row['ticks_median'] / medians[baseline]:.3f}x {baseline}" if known else "-"
    figures = [f"{row[name]:,.0f}" for name in ("flash_bytes", "flash_compressed_bytes", "ram_peak_bytes")]
    cells = [
        f"`{row['variant']}`",
        f"{score(row['score'], unit, samples)} ({around})",
        f"{row['ticks_median']:,.0f}",
        against,
        *([] if estimates is None else _estimate(estimates[row["variant"]], estimates.get(baseline))),
        *figures,
    ]
    return f"| {' | '.join(cells)} |"


def _estimate(row: dict[str, Any], baseline: dict[str, Any] | None) -> list[str]:
    cycles = row["estimated_cycles_median"]
    said = None if baseline is None else said_of_ratio(baseline, row)
    return ["-" if cycles is None else f"{cycles:,.0f}", said or "-"]


def main() -> None:
    """Print the tables of a run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", nargs="?", type=Path, default=ROOT / "results" / "example")
    print(tables(harness.load_results(parser.parse_args().run).cases))


if __name__ == "__main__":
    main()
