"""Draws the example images of docs/report.md from made-up runs: `python tests/report/example_images.py docs/images`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes.recorded_runs import Setting, record_history, record_run
from harness.report import plots
from harness.report.plots.canvas import svg_file
from harness.store import load_results


def example_images(folder: Path) -> None:
    """Write plot-NAME.svg for each plot into a folder."""
    with tempfile.TemporaryDirectory() as made:
        one = load_results(record_run(Path(made) / "one", setting=Setting(samples=1000, layers=True)))
        changes = [{}, {}, {}, {"sparse_int8": 0.97}, {"sparse_int8": 0.97, "int8": 1.021}]
        runs = record_history(Path(made) / "history", [*changes, changes[-1]], Setting(samples=50))
        past = load_results(Path(made) / "history")
        # The days of the runs are made up too: the images must not change with the clock.
        days = {path.name: day for day, path in enumerate(runs)}
        moments = past.cases["run"].map(days)
        cases = past.cases.assign(started_utc=[_day(int(day)) for day in moments])
        figures = {
            "accuracy": plots.accuracy_against(one.cases),
            "ram": plots.ram_parts(one.cases, 262_144),
            "flash": plots.flash(one.cases, 983_040),
            "ticks": plots.ticks_distribution(one.samples, "instructions"),
            "layers": plots.layer_profile(one.layers, "instructions"),
            "history": plots.history(cases, "ticks_median", [(runs[4].name, "int8")]),
        }
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            (folder / f"plot-{name}.svg").write_text(svg_file(figure), encoding="utf-8")


def _day(day: int) -> object:
    import pandas as pd

    return pd.Timestamp("2026-01-05 02:00", tz="UTC") + pd.Timedelta(days=day)


if __name__ == "__main__":
    example_images(Path(sys.argv[1]))
