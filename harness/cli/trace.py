"""`hil trace`: energy from a trace that was taken elsewhere, or a plot of a window that the harness kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import FILE
from harness.cli.tables import print_table
from harness.errors import PowerError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.power.pulses import Capture
    from harness.power.replay import Trace

_PLOT_POINTS = 4000
_LEAST_A, _MOST_A = 1e-6, 1.0  # what microcontroller boards take while they work


@click.command()
@click.argument("file", type=FILE)
@click.option("--inferences", type=click.IntRange(min=1), required=True, metavar="N", help="How many are in it.")
@click.option("--voltage", type=float, metavar="V", help="Supply, if the file doesn't say it.")
@click.option("--sync", metavar="COLUMN", help="Column, or input D0 to D7, of the sync pin. [default: sync]")
@click.option("--batches", type=click.IntRange(min=1), metavar="N", help="How often the sync pin must go high.")
@click.option("--idle", type=float, default=0.5, show_default=True, metavar="S", help="Idle time at both ends.")
@click.option("--plot", type=FILE, metavar="FILE", help="Draw it (PNG, SVG or PDF).")
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
    from harness.power.judge import implausible, mean_idle
    from harness.power.replay import find_pulses, load_trace, remarks, whole_batches

    taken = load_trace(file, voltage, sync)
    capture = find_pulses(taken, idle)
    whole = whole_batches(file, taken, capture, batches)
    problem, reason = implausible(capture)
    current = sum(pulse.charge for pulse in whole) / sum(pulse.end - pulse.start for pulse in whole)
    if not problem and not taken.simulated and not _LEAST_A <= current <= _MOST_A:
        problem, reason = (
            "current",
            (
                f"the mean current is {current:g} A during inferences, and a microcontroller takes {_LEAST_A:g} to "
                f"{_MOST_A:g} A; is the column in uA or mA? Its name must say so, like current_ua or Current(mA)"
            ),
        )
    if problem:
        raise PowerError(f"{file}: {reason}")
    high = sum(pulse.end - pulse.start for pulse in whole)
    energy_uj = 1e6 * sum(pulse.energy for pulse in whole) / taken.rate_hz / inferences
    rest = mean_idle(capture)
    net = None if rest is None else energy_uj - 1e6 * rest.power_w * high / taken.rate_hz / inferences
    rows = [
        ("batches", f"{len(whole)}"),
        ("inferences", f"{inferences} (as you said)"),
        ("sync pin high", f"{high / taken.rate_hz:.6f} s{' of simulated time' if taken.simulated else ''}"),
        ("energy per inference", f"{energy_uj:.4g} uJ"),
        ("less idle", "-" if net is None else f"{net:.4g} uJ"),
        ("mean current", f"{1e6 * current:.4g} uA"),
        ("peak current", f"{1e6 * max(pulse.peak_a for pulse in whole):.4g} uA"),
        ("idle current", "-" if rest is None else f"{1e6 * rest.current_a:.4g} uA"),
        ("samples", f"{capture.samples} at {taken.rate_hz:g} Hz, {capture.lost} lost"),
    ]
    print_table(_title(file, taken), ("what", "value"), rows)
    if not taken.simulated:
        click.echo("The board's clock was not checked: the number of inferences is yours, and not the board's.")
    for remark in remarks(taken, capture, batches):
        click.echo(f"note: {remark}")
    if plot is not None:
        _draw(taken, capture, _title(file, taken), plot)
        click.echo(f"Plot: {plot}")


def _title(path: Path, trace: Trace) -> str:
    return f"{path.name}: {'SIMULATED, no current was measured' if trace.simulated else f'source {trace.source}'}"


def _draw(trace: Trace, capture: Capture, title: str, plot: Path) -> None:
    """Draw the current over time, smallest to largest in each column, with the batches shaded."""
    import matplotlib as mpl
    import numpy as np

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    current = 1e6 * trace.chunk.current_a
    size = max(1, len(current) // _PLOT_POINTS)
    columns = len(current) // size
    shaped = current[: columns * size].reshape(columns, size)
    time_s = (np.arange(columns) + 0.5) * size / trace.rate_hz
    figure: Any
    figure, axes = plt.subplots(figsize=(10, 4), layout="constrained")
    for pulse in capture.pulses:
        axes.axvspan(pulse.start / trace.rate_hz, pulse.end / trace.rate_hz, color="tab:orange", alpha=0.25, lw=0)
    axes.fill_between(time_s, shaped.min(axis=1), shaped.max(axis=1), color="tab:blue", lw=0.3)
    axes.plot(time_s, shaped.mean(axis=1), color="navy", lw=0.8)
    axes.set(xlabel="time, s", ylabel="current, uA", title=f"{title}; shaded: batches of inferences")
    try:
        figure.savefig(plot)
    except (OSError, ValueError) as error:
        raise PowerError(f"{plot} can't be written: {error}") from error
    finally:
        plt.close(figure)
