"""Traces that were taken elsewhere (Otii, an oscilloscope), and the raw windows that the harness keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import PowerError
from harness.power.base import Chunk
from harness.power.pulses import Capture, PulseFinder
from harness.store.cases import SIMULATED

if TYPE_CHECKING:
    from pathlib import Path

_UNEVEN = 0.01  # of a step
_LEAST = 10


@dataclass(frozen=True)
class Trace:
    """Samples at an even rate.

    Attributes:
        chunk: all of them.
        rate_hz: samples per second.
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


def load_trace(path: Path, voltage_v: float | None = None) -> Trace:
    """Read a trace.

    Args:
        path: a CSV file with the columns time_s, current_a, sync (0 or 1) and perhaps voltage_v, or a Parquet file
            from the power folder of a run.
        voltage_v: supply, if the CSV file doesn't say it.

    Raises:
        PowerError: the file can't be read, lacks a column, or its samples aren't evenly spaced.
    """
    try:
        if path.suffix == ".parquet":
            return _from_window(path)
        table = pd.read_csv(path, comment="#", skipinitialspace=True)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise PowerError(f"{path} can't be read as a trace: {error}") from error
    missing = [name for name in ("time_s", "current_a", "sync") if name not in table.columns]
    if missing:
        raise PowerError(f"{path}: no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")
    if "voltage_v" not in table.columns and voltage_v is None:
        raise PowerError(f"{path}: no column voltage_v; say the supply with --voltage")
    try:
        values = {name: table[name].to_numpy(float) for name in table.columns if name in _USED}
    except ValueError as error:
        raise PowerError(f"{path}: a value is not a number ({error})") from error
    if not all(np.isfinite(column).all() for column in values.values()):
        raise PowerError(f"{path}: a value is missing")
    voltage = values["voltage_v"] if "voltage_v" in values else float(voltage_v or 0.0)
    level = (values["sync"] > values["sync"].max() / 2).astype(np.uint8)
    chunk = Chunk(values["current_a"], voltage, level, np.zeros(len(level), np.bool_))
    return Trace(chunk, _rate(path, values["time_s"]), "csv", 0)


_USED = ("time_s", "current_a", "sync", "voltage_v")


def _rate(path: Path, time_s: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    if len(time_s) < _LEAST:
        raise PowerError(f"{path}: {len(time_s)} samples are too few")
    step = float(time_s[-1] - time_s[0]) / (len(time_s) - 1)
    if step <= 0 or np.abs(np.diff(time_s) - step).max() > _UNEVEN * step:
        raise PowerError(f"{path}: its samples aren't evenly spaced in time; export it at a fixed rate")
    return 1.0 / step


def _from_window(path: Path) -> Trace:
    table = pq.read_table(path)
    about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    chunk = Chunk(
        table["current_a"].to_numpy().astype(float),
        table["voltage_v"].to_numpy().astype(float),
        table["logic"].to_numpy(),
        table["lost"].to_numpy(),
    )
    return Trace(chunk, float(about["hil.sample_rate_hz"]), about["hil.power_source"], int(about["hil.sync_input"]))


def find_pulses(trace: Trace, idle_s: float) -> Capture:
    """Return the batches of a trace, and what the board drew in the idle time at its beginning and end."""
    finder = PulseFinder(trace.sync_input, int(idle_s * trace.rate_hz))
    finder.feed(trace.chunk)
    return finder.finish()
