"""Traces that were taken elsewhere (Power Profiler, Otii, an oscilloscope), and the raw windows of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import PowerError
from harness.power.base import Chunk
from harness.power.judge import idle_differs
from harness.power.pulses import PulseFinder
from harness.power.trace_file import glitches, read_columns
from harness.schema import SIMULATED

if TYPE_CHECKING:
    from pathlib import Path

    from harness.power.base import Floats
    from harness.power.pulses import Capture, Pulse

_UNEVEN = 0.01  # of a step
_LEAST = 10
_INPUTS = 8
_GLITCH = 2  # samples; batches and what lies between them are longer
_ALIKE = 1.2  # between the longest and the shortest batch
_STEADY = 0.1  # of the supply


@dataclass(frozen=True)
class Trace:
    """Samples at an even rate.

    Attributes:
        chunk: all samples of the trace.
        rate_hz: sample rate, per second.
        source: what took them: a kind of monitor, simulated, or csv.
        sync_input: bit of `chunk.logic` that is the sync pin.
    """

    chunk: Chunk
    rate_hz: float
    source: str
    sync_input: int

    @property
    def simulated(self) -> bool:
        """Whether no current was measured."""
        return self.source == SIMULATED


def load_trace(path: Path, voltage_v: float | None = None, sync: str | None = None) -> Trace:
    """Read a trace.

    Args:
        path: a CSV file (see `read_columns`), or a Parquet file from the power folder of a run.
        voltage_v: supply, if the CSV file doesn't say it.
        sync: column or input of the CSV file that the sync pin is wired to; None for the column `sync`.

    Raises:
        PowerError: the file can't be read, lacks a column, or its samples aren't evenly spaced.
    """
    if path.suffix == ".parquet":
        return _from_window(path)
    columns = read_columns(path, sync)
    if columns.voltage_v is None and voltage_v is None:
        raise PowerError(f"{path}: no column voltage_v; say the supply with --voltage")
    voltage = float(voltage_v or 0.0) if columns.voltage_v is None else columns.voltage_v
    chunk = Chunk(columns.current_a, voltage, columns.sync, np.zeros(len(columns.sync), np.bool_))
    return Trace(chunk, _rate(path, columns.time_s), "csv", 0)


def _rate(path: Path, time_s: Floats) -> float:
    if len(time_s) < _LEAST:
        raise PowerError(f"{path}: {len(time_s)} samples are too few")
    step = float(time_s[-1] - time_s[0]) / (len(time_s) - 1)
    if not step > 0 or np.abs(np.diff(time_s) - step).max() > _UNEVEN * step:
        raise PowerError(f"{path}: its samples aren't evenly spaced in time; export it at a fixed rate")
    return 1.0 / step


def _from_window(path: Path) -> Trace:
    try:
        table = pq.read_table(path)
        about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        chunk = Chunk(
            table["current_a"].to_numpy().astype(float),
            table["voltage_v"].to_numpy().astype(float),
            table["logic"].to_numpy().astype(np.uint8),
            table["lost"].to_numpy().astype(np.bool_),
        )
        rate, source = float(about["hil.sample_rate_hz"]), about["hil.power_source"]
        sync_input = int(about["hil.sync_input"])
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise PowerError(f"{path} can't be read as a window of a run: {error}") from error
    finite = np.isfinite(chunk.current_a).all() and np.isfinite(chunk.voltage_v).all()
    if not (finite and np.isfinite(rate) and rate > 0 and 0 <= sync_input < _INPUTS):
        raise PowerError(f"{path} can't be read as a window of a run: it holds values that no monitor gives")
    return Trace(chunk, rate, source, sync_input)


def find_pulses(trace: Trace, idle_s: float) -> Capture:
    """Return the batches of a trace, and what the board drew in the idle time at its beginning and end."""
    finder = PulseFinder(trace.sync_input, int(idle_s * trace.rate_hz))
    finder.feed(trace.chunk)
    return finder.finish()


def whole_batches(path: Path, trace: Trace, capture: Capture, batches: int | None) -> list[Pulse]:
    """Return the batches of a trace, all of them whole.

    Args:
        path: of the trace, for messages.
        trace: samples with a sync pin.
        capture: what `find_pulses` found in it.
        batches: how many there must be; None if that isn't known.

    Raises:
        PowerError: the sync pin never goes high, a batch is cut off or lies beside lost samples, the pin changes for
            a sample or two, as a loose wire makes it, or there are more or fewer batches.
    """
    pulses = list(capture.pulses)
    cut = sum(pulse.damaged for pulse in pulses)
    if cut or not pulses:
        why = f"{cut} times it is cut off or lies beside lost samples" if cut else "it never goes high"
        raise PowerError(f"{path}: the sync pin doesn't mark whole batches ({why})")
    places = glitches((trace.chunk.logic >> trace.sync_input & 1).astype(np.uint8), _GLITCH)
    if len(places):
        raise PowerError(
            f"{path}: the sync pin changes for no more than {_GLITCH} samples {_times(len(places))}, first at "
            f"{places[0] / trace.rate_hz:.6f} s: a loose wire, or another signal. Which samples belong to inferences "
            "can't be told; mend it and measure again"
        )
    if batches is not None and len(pulses) != batches:
        raise PowerError(
            f"{path}: the sync pin goes high {_times(len(pulses))}, and you said --batches {batches}; look for a loose "
            "wire, or for a trace that begins too late"
        )
    return pulses


def remarks(trace: Trace, capture: Capture, batches: int | None) -> list[str]:
    """Return what a reader of the figures should know, a sentence each."""
    found = []
    lengths = np.array([pulse.end - pulse.start for pulse in capture.pulses]) / trace.rate_hz
    if batches is None and len(lengths) > 1:
        found.append(f"{len(lengths)} batches were found; --batches N holds that against what the board ran")
    if lengths.max() > _ALIKE * lengths.min():
        found.append(
            f"batches take {lengths.min():.6f} to {lengths.max():.6f} s: do all of them hold as many inferences?"
        )
    before, after = capture.before, capture.after
    if before is None or after is None:
        found.append("the board isn't seen idling at both ends, so nothing can be said without the idle power (--idle)")
    elif idle_differs(capture):
        found.append(
            f"the idle current is {1e6 * before.current_a:.4g} uA before and {1e6 * after.current_a:.4g} uA after the "
            "batches; something else on the board was at work"
        )
    voltage = np.broadcast_to(trace.chunk.voltage_v, len(trace.chunk))
    low, high = float(voltage.min()), float(voltage.max())
    if high - low > _STEADY * capture.voltage_v:
        found.append(f"the supply lies between {low:.3g} and {high:.3g} V, and its mean is {capture.voltage_v:.3g} V")
    return found


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
