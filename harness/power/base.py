"""What every power monitor gives: numbered samples on an even time grid, with what was lost marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from harness.schema import SIMULATED

if TYPE_CHECKING:
    from collections.abc import Iterable

Floats = np.ndarray[Any, np.dtype[np.float64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Chunk:
    """Consecutive samples. All arrays have one entry per sample, lost ones included.

    Attributes:
        current_a: mean current of each sample, in ampere; where a sample was lost, interpolated from its neighbours.
        voltage_v: in volt; one number where the monitor sets or was told it.
        logic: levels of the inputs, bit 0 is D0; where a sample was lost, the level before.
        lost: which samples were lost.
        range_changes: how often the monitor changed its range in this chunk.
        over_range: how many samples were beyond what the monitor can measure.
    """

    current_a: Floats
    voltage_v: Floats | float
    logic: Bytes
    lost: Flags
    range_changes: int = 0
    over_range: int = 0

    def __len__(self) -> int:
        return len(self.current_a)

    @property
    def power_w(self) -> Floats:
        """Power of each sample, in watt."""
        return self.current_a * self.voltage_v


@dataclass(frozen=True)
class MonitorInfo:
    """What stands beside each figure that a monitor measured.

    Attributes:
        kind: ppk2, lpm01a, joulescope or csv.
        serial: serial number; "" if it has none.
        sample_rate_hz: samples per second, by the monitor's clock.
        voltage_v: supply in volt, as set, as told, or as measured when it was opened.
        simulated: True for the virtual bench.
        note: what a reader should know, like the state of its calibration.
        limit_a: the largest current that it can measure.
        edges: "both" if the stream carries the level of the sync pin, "falling" if it only marks its falling edges.
    """

    kind: str
    serial: str
    sample_rate_hz: float
    voltage_v: float
    simulated: bool
    note: str = ""
    limit_a: float = 1.0
    edges: Literal["both", "falling"] = "both"

    @property
    def source(self) -> str:
        """The value of `power_source`."""
        return SIMULATED if self.simulated else self.kind

    @property
    def name(self) -> str:
        """For messages."""
        serial = f" {self.serial}" if self.serial else ""
        return f"{'simulated ' if self.simulated else ''}{self.kind}{serial}"


class Monitor(Protocol):
    """One power monitor, configured and ready. Each call raises PowerError if it fails."""

    info: MonitorInfo

    def start(self) -> None:
        """Begin to stream."""
        ...

    def read(self) -> Chunk | None:
        """Return what has come, after waiting a moment for it; None if nothing came."""
        ...

    def stop(self) -> Chunk | None:
        """End the stream, and return what was still on its way."""
        ...

    def close(self) -> None:
        """Let go of it. Safe to call twice. The board keeps its power."""
        ...


def join(chunks: Iterable[Chunk | None]) -> Chunk | None:
    """Put consecutive chunks together; None if there is nothing."""
    kept = [chunk for chunk in chunks if chunk]
    if len(kept) <= 1:
        return kept[0] if kept else None
    voltages = [chunk.voltage_v for chunk in kept]
    constant = all(isinstance(value, float) and value == voltages[0] for value in voltages)
    spread = [np.broadcast_to(np.asarray(chunk.voltage_v, float), len(chunk)) for chunk in kept]
    return Chunk(
        np.concatenate([chunk.current_a for chunk in kept]),
        voltages[0] if constant else np.concatenate(spread),
        np.concatenate([chunk.logic for chunk in kept]),
        np.concatenate([chunk.lost for chunk in kept]),
        sum(chunk.range_changes for chunk in kept),
        sum(chunk.over_range for chunk in kept),
    )
