"""`hil trace`: energy from a trace that was taken elsewhere, or a plot of a window that the harness kept."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--inferences", type=click.IntRange(min=1), required=True, metavar="N", help="How many are in it.")
@click.option("--voltage", type=float, metavar="V", help="Supply, if the file doesn't say it.")
@click.option("--sync", metavar="COLUMN", help="Column, or input D0 to D7, of the sync pin. [default: sync]")
@click.option("--batches", type=click.IntRange(min=1), metavar="N", help="How often the sync pin must go high.")
@click.option("--idle", type=float, default=0.5, show_default=True, metavar="S", help="Idle time at both ends.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw it (PNG, SVG or PDF).")
def trace(
    file: Path,
    inferences: int,
    voltage: float | None,
    sync: str | None,
    batches: int | None,
    idle: float,
    plot: Path | None,
) -> None:
    """Compute energy from FILE: a CSV trace taken elsewhere, or a window in the power folder of a run.

    CSV files have the columns time_s, current_a, sync and perhaps voltage_v, or are exports of Nordic's Power
    Profiler, Otii or the Joulescope UI.
    """
    from harness.commands.trace import show_trace

    show_trace(file, inferences, voltage, idle, plot, sync=sync, batches=batches)
