"""Print the tables of the README from a run: each task's techniques against their baselines.

    python benchmarks/example_table.py [RUN]        default: results/example

A test holds the README against what this prints of results/example.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import harness
from harness.report.metrics import leading
from harness.report.numbers import score, scores

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).parent.parent
HEAD = "| variant | {score} (95 % interval) | instructions | against | flash | compressed | peak RAM |"
RULE = "|---|---|---:|---:|---:|---:|---:|"


def tables(cases: pd.DataFrame) -> str:
    """Return a Markdown table for each suite, in the order of the run."""
    parts = []
    for suite, rows in cases.groupby("suite", sort=False):
        samples = int(rows["samples"].iloc[0])
        medians = rows.set_index("variant")["ticks_median"]
        metric = leading(rows["metric"])
        lines = [f"**{suite}**, {samples:,} inputs", "", HEAD.format(score=metric.called or metric.name), RULE]
        lines += [_line(row, medians) for _, row in rows.iterrows()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _line(row: pd.Series, medians: pd.Series) -> str:
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
        *figures,
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the tables of a run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", nargs="?", type=Path, default=ROOT / "results" / "example")
    print(tables(harness.load_results(parser.parse_args().run).cases))


if __name__ == "__main__":
    main()
