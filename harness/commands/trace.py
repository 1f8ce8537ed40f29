"""`hil trace`: energy from a trace that was taken elsewhere, or a plot of a window that the harness kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import numpy as np

from harness.commands.printing import print_table
from harness.errors import PowerError
from harness.power.judge import implausible, mean_idle
from harness.power.replay import Trace, find_pulses, load_trace, remarks, whole_batches

if TYPE_CHECKING:
    from pathlib import Path

    from harness.power.pulses import Capture

_PLOT_POINTS = 4000
_LEAST_A, _MOST_A = 1e-6, 1.0  # what microcontroller boards take while they work


def show_trace(
    path: Path,
    inferences: int,
    voltage_v: float | None,
    idle_s: float,
    plot: Path | None,
    *,
    sync: str | None = None,
    batches: int | None = None,
) -> None:
    """Print what a trace says about the inferences in it, and draw it if asked for.

    Args:
        path: of the trace.
        inferences: how many are in it.
        voltage_v: supply in volt, if the file doesn't say it.
        idle_s: how long the board idles at both ends.
        plot: file for the drawing.
        sync: column or input that the sync pin is wired to.
        batches: how often the sync pin must go high.

    Raises:
        PowerError: the trace can't be read, the sync pin doesn't mark whole batches in it, or the currents can't be
            those of a board that infers.
    """
    trace = load_trace(path, voltage_v, sync)
    capture = find_pulses(trace, idle_s)
    whole = whole_batches(path, trace, capture, batches)
    problem, reason = implausible(capture)
    current = sum(pulse.charge for pulse in whole) / sum(pulse.end - pulse.start for pulse in whole)
    if not problem and not trace.simulated and not _LEAST_A <= current <= _MOST_A:
        problem, reason = (
            "current",
            (
                f"the mean current is {current:g} A during inferences, and a microcontroller takes {_LEAST_A:g} to "
                f"{_MOST_A:g} A; is the column in uA or mA? Its name must say so, like current_ua or Current(mA)"
            ),
        )
    if problem:
        raise PowerError(f"{path}: {reason}")
    high = sum(pulse.end - pulse.start for pulse in whole)
    energy_uj = 1e6 * sum(pulse.energy for pulse in whole) / trace.rate_hz / inferences
    idle = mean_idle(capture)
    net = None if idle is None else energy_uj - 1e6 * idle.power_w * high / trace.rate_hz / inferences
    rows = [
        ("batches", f"{len(whole)}"),
        ("inferences", f"{inferences} (as you said)"),
        ("sync pin high", f"{high / trace.rate_hz:.6f} s{' of simulated time' if trace.simulated else ''}"),
        ("energy per inference", f"{energy_uj:.4g} uJ"),
        ("less idle", "-" if net is None else f"{net:.4g} uJ"),
        ("mean current", f"{1e6 * current:.4g} uA"),
        ("peak current", f"{1e6 * max(pulse.peak_a for pulse in whole):.4g} uA"),
        ("idle current", "-" if idle is None else f"{1e6 * idle.current_a:.4g} uA"),
        ("samples", f"{capture.samples} at {trace.rate_hz:g} Hz, {capture.lost} lost"),
    ]
    print_table(_title(path, trace), ("what", "value"), rows)
    if not trace.simulated:
        click.echo("The board's clock was not checked: the number of inferences is yours, and not the board's.")
    for remark in remarks(trace, capture, batches):
        click.echo(f"note: {remark}")
    if plot is not None:
        _draw(trace, capture, _title(path, trace), plot)
        click.echo(f"Plot: {plot}")


def _title(path: Path, trace: Trace) -> str:
    return f"{path.name}: {'SIMULATED, no current was measured' if trace.simulated else f'source {trace.source}'}"


def _draw(trace: Trace, capture: Capture, title: str, plot: Path) -> None:
    """Draw the current over time, smallest to largest in each column, with the batches shaded."""
    import matplotlib as mpl  # noqa: PLC0415 - slow, and seldom needed

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

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
